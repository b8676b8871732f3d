//! The live view at sizes that people have, and that it never leaves its screen.

use unicode_width::UnicodeWidthStr;

use super::*;
use crate::app::live::keys::Key;
use crate::app::report::tests::{FRAGMENTED, report};

const NOW: Now<'_> = Now {
    clock: "03:00:00Z",
    since: Duration::from_secs(20),
};

const WELL: &str = "redis_version:7.0.15\nmem_allocator:jemalloc-5.3.0\nused_memory:200000000\n\
                    used_memory_rss:220000000\nmem_fragmentation_ratio:1.10\n\
                    mem_fragmentation_bytes:20000000\n";

fn canvas(columns: usize, lines: usize, utf8: bool) -> Canvas {
    Canvas {
        columns,
        lines,
        colour: false,
        utf8,
    }
}

/// One that was well and is fragmented, one that is well, one that went, one unheard of.
fn rows() -> Vec<Row> {
    let mut cache = Row::new("cache".to_owned());
    for second in 0..20 {
        let info = if second < 12 { WELL } else { FRAGMENTED };
        cache.take(report("cache", info), Duration::from_secs(second));
    }
    let mut sessions = Row::new("sessions".to_owned());
    sessions.take(report("sessions", WELL), Duration::from_secs(1));
    let mut queue = Row::new("queue".to_owned());
    queue.take(report("queue", WELL), Duration::from_secs(1));
    queue.take(
        Report::unreachable("queue", "cannot connect: connection refused"),
        Duration::from_secs(8),
    );
    vec![cache, sessions, queue, Row::new("shop".to_owned())]
}

fn drawn(rows: &[Row], view: &mut View, canvas: Canvas) -> String {
    let rows: Vec<&Row> = rows.iter().collect();
    view.rank(&rows, NOW.since);
    let lines = frame(&rows, view, canvas, NOW);
    assert_eq!(lines.len(), canvas.lines);
    let lines = lines.iter().map(|line| line.trim_end().to_owned() + "\n");
    lines.collect()
}

#[test]
fn eighty_columns_tell_all_of_it() {
    let want = "\
redis-frag  1 warning, 1 unknown, 1 fine, 1 pending  every 2 s  worst first  03~
>WARNING  cache     fragmented, 314.7 MiB wasted, active defrag: 278.2 MiB back
  ratio ▁▇▇▇▇▇▇▇▇   2.65  rss ▄████████  505.4 MiB  used ▄▄▄▄▄▄▄▄▄  190.7 MiB
 UNKNOWN  queue     unreachable for 12 s: cannot connect: connection refused
  ratio        ▁    1.10  rss        █   209.8 MiB  used        █   190.7 MiB
 FINE     sessions  healthy, 19.1 MiB wasted, 19 s old
  ratio         ▁   1.10  rss         █  209.8 MiB  used         █  190.7 MiB
          shop      no answer yet
  ratio                -  rss                    -  used                    -
Enter report  Space pause  s order  + - pace  ? keys  q end
";
    let text = drawn(&rows(), &mut View::new(2), canvas(80, 10, true));
    assert_eq!(text, want, "\n{text}");
}

#[test]
fn forty_columns_of_ascii_tell_the_most_important() {
    let text = drawn(&rows(), &mut View::new(2), canvas(40, 6, false));
    let want = "\
redis-frag  1 warning, 1 unknown, 1 fin~
>WARNING  cache     fragmented
  ratio    ____________********   2.65
 UNKNOWN  queue     unreachable for 12 ~
  ratio                      _    1.10
1 of 4  Enter report  Space pause  s or~
";
    assert_eq!(text, want, "\n{text}");
}

#[test]
fn a_wide_screen_shows_more_of_the_past() {
    let text = drawn(&rows(), &mut View::new(2), canvas(120, 6, true));
    let want = "\
redis-frag  1 warning, 1 unknown, 1 fine, 1 pending  every 2 s  worst first  03:00:00Z
>WARNING  cache     fragmented, 314.7 MiB wasted, active defrag: 278.2 MiB back
  ratio   ▁▁▁▁▁▁▁▁▁▁▁▁▇▇▇▇▇▇▇▇   2.65  rss   ▄▄▄▄▄▄▄▄▄▄▄▄████████  505.4 MiB  used   ▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄  190.7 MiB
 UNKNOWN  queue     unreachable for 12 s: cannot connect: connection refused
  ratio                     ▁    1.10  rss                     █   209.8 MiB  used                     █   190.7 MiB
1 of 4  Enter report  Space pause  s order  + - pace  ? keys  q end
";
    assert_eq!(text, want, "\n{text}");
}

/// Black on a ground of its own holds on light and dark; what is dim or bold has no colour.
#[test]
fn colours_hold_on_light_and_dark() {
    let rows = rows();
    let mut view = View::new(2);
    let size = Canvas {
        colour: true,
        ..canvas(80, 16, true)
    };
    let table = drawn(&rows, &mut view, size);
    for want in [
        ">\u{1b}[30;43mWARNING\u{1b}[0m  \u{1b}[1mcache   \u{1b}[0m  fragmented, ",
        " \u{1b}[35mUNKNOWN\u{1b}[0m  queue     unreachable for 12 s",
        "\u{1b}[2mEnter report  ",
    ] {
        assert!(table.contains(want), "{want:?}\n{table:?}");
    }
    view.press(Key::Open, 14);
    let report = drawn(&rows, &mut view, size);
    for want in ["[\u{1b}[30;42m##", "##\u{1b}[0m\u{1b}[30;41mxx"] {
        assert!(report.contains(want), "{want:?}\n{report:?}");
    }
}

/// What to do is worth more than the waste, which is seen below; the verdict is never cut.
#[test]
fn what_does_not_fit_goes_by_what_it_is_worth() {
    let mut row = Row::new("cache".to_owned());
    row.take(report("cache", FRAGMENTED), Duration::from_secs(20));
    let rows = [row];
    for (columns, want) in [
        (
            80,
            "fragmented, 314.7 MiB wasted, active defrag: 278.2 MiB back",
        ),
        (70, "fragmented, active defrag: 278.2 MiB back"),
        (50, "fragmented, 314.7 MiB wasted"),
        (40, "fragmented"),
    ] {
        let text = drawn(&rows, &mut View::new(2), canvas(columns, 6, true));
        let line = text.lines().nth(1).unwrap();
        assert_eq!(line, format!(">WARNING  cache  {want}"), "{columns}");
    }
}

#[test]
fn a_terminal_of_ascii_gets_nothing_else() {
    let mut row = Row::new("größe-日本".to_owned());
    row.take(report("größe-日本", FRAGMENTED), Duration::from_secs(20));
    let rows = [row];
    let mut view = View::new(2);
    for key in [None, Some(Key::Open)] {
        key.map(|key| view.press(key, 5));
        let text = drawn(&rows, &mut view, canvas(80, 24, false));
        assert!(text.is_ascii(), "{text}");
        assert!(text.contains("gr??e-??"), "{text}");
    }
}

#[test]
fn who_finds_nothing_is_told_what_to_name() {
    let text = drawn(&[], &mut View::new(2), canvas(90, 6, true));
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("name one: redis-frag diagnose HOST:PORT"),
        "{text}"
    );
}

#[test]
fn more_rows_than_lines_are_scrolled_and_counted() {
    let rows: Vec<Row> = (0..50).map(|n| Row::new(format!("shard-{n:02}"))).collect();
    let mut view = View::new(2);
    let size = canvas(60, 8, true);
    let text = drawn(&rows, &mut view, size);
    assert!(
        text.contains("shard-02") && !text.contains("shard-03"),
        "{text}"
    );
    assert!(text.contains("1 of 50"), "{text}");
    view.press(Key::End, size.page(Page::Table));
    let text = drawn(&rows, &mut view, size);
    assert!(
        text.contains(">         shard-49") && text.contains("50 of 50"),
        "{text}"
    );
    // Back by one moves the mark, not the rows.
    view.press(Key::Up, size.page(Page::Table));
    let text = drawn(&rows, &mut view, size);
    assert!(
        text.contains(">         shard-48") && text.contains("shard-49"),
        "{text}"
    );
}

#[test]
fn a_report_is_scrolled_to_its_end_and_no_further() {
    let rows = rows();
    let mut view = View::new(2);
    let size = canvas(80, 10, true);
    drawn(&rows, &mut view, size);
    view.press(Key::Open, 8);
    let text = drawn(&rows, &mut view, size);
    assert!(
        text.contains("WARNING  fragmented: the allocator's pages"),
        "{text}"
    );
    assert!(text.contains("more lines"), "{text}");
    view.press(Key::End, 8);
    let text = drawn(&rows, &mut view, size);
    assert!(
        text.contains("redis-frag explain fragmented") && !text.contains("more lines"),
        "{text}"
    );
    view.press(Key::Up, 8);
    assert!(drawn(&rows, &mut view, size).contains("1 more lines"));
    view.press(Key::Help, 8);
    assert!(drawn(&rows, &mut view, size).contains("PgUp PgDn"));
}

#[test]
fn nothing_leaves_the_screen_whatever_its_size_and_the_names_are() {
    let mut rows = rows();
    for name in ["x".repeat(300), "größe-日本".to_owned(), String::new()] {
        let mut row = Row::new(name.clone());
        row.take(report(&name, FRAGMENTED), Duration::ZERO);
        rows.push(row);
        rows.push(Row::new(format!("{name}2")));
    }
    for colour in [false, true] {
        for columns in (1..20).chain([40, 57, 80, 119, 120, 300]) {
            for lines in [1, 2, 3, 6, 24, 80] {
                for page in [None, Some(Key::Open), Some(Key::Help)] {
                    let size = Canvas {
                        colour,
                        ..canvas(columns, lines, true)
                    };
                    let mut view = View::new(2);
                    let all: Vec<&Row> = rows.iter().collect();
                    view.rank(&all, NOW.since);
                    page.map(|key| view.press(key, 5));
                    let drawn = frame(&all, &mut view, size, NOW);
                    assert_eq!(drawn.len(), lines);
                    for line in drawn {
                        let bare: String = line
                            .split('\u{1b}')
                            .enumerate()
                            .map(|(n, piece)| match n {
                                0 => piece,
                                _ => piece.split_once('m').map_or("", |(_, rest)| rest),
                            })
                            .collect();
                        // As a terminal counts them.
                        let bare = UnicodeWidthStr::width(bare.as_str());
                        assert!(bare <= columns, "{columns}: {line:?}");
                    }
                }
            }
        }
    }
}
