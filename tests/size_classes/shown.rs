//! The report of captures, in every width: nothing sticks out, and nothing that a
//! server wrote reaches the terminal.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use redis_frag::app::report::classes::{Asked, report};
use redis_frag::app::report::{classes_json, page::Style};
use redis_frag::model::info::Info;
use redis_frag::model::malloc_stats::report::MallocStats;
use redis_frag::model::server::Server;
use redis_frag::model::size_classes::SizeClasses;
use redis_frag::source::size_classes::Told;

use super::captures::captures;

/// A capture as if its server had just told it.
fn asked(name: &str, text: &str) -> Asked {
    let server = name.split('_').next().unwrap();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/info");
    let info = fs::read(folder.join(format!("{server}_fresh.txt"))).unwrap();
    let server = Server::of(&Info::parse(&info));
    let classes = SizeClasses::of(&MallocStats::parse(text).unwrap(), server.layout());
    Asked {
        instance: "cache".to_owned(),
        address: "redis://10.0.0.1:6379".to_owned(),
        client: "redis-cli -h 10.0.0.1".to_owned(),
        found: Ok(Arc::new(Told {
            server,
            classes: Arc::new(classes),
        })),
    }
}

fn style(width: usize, colour: bool) -> Style {
    Style { width, colour }
}

#[test]
fn lines_keep_within_the_width() {
    for (name, text) in captures() {
        let asked = asked(&name, &text);
        for width in [40, 60, 61, 80, 120] {
            for all in [false, true] {
                let text = report(&asked, all, &style(width, false));
                assert!(!text.contains('\u{1b}'), "{text}");
                for line in text.lines().filter(|line| !line.contains('$')) {
                    assert!(line.chars().count() <= width, "{name} {width}: {line}");
                }
            }
        }
        let text = report(&asked, true, &style(80, true));
        assert_eq!(text.matches("\u{1b}[").count() % 2, 0, "{text}");
    }
}

#[test]
fn a_capture_reads_like_this() {
    let (name, text) = captures()
        .into_iter()
        .find(|(name, _)| name == "redis-8.2.3-je530_purged")
        .unwrap();
    let text = report(&asked(&name, &text), false, &style(80, false));
    let want = "\
93.7 MiB wasted: free places in slabs that hold live data
cache, redis://10.0.0.1:6379, redis 8.2.3, jemalloc-5.3.0

Size classes, the worst first
   size    in use   slabs  half-empty  used     wasted  share
   1792      4947    1019        1018   30%   19.4 MiB    21%  xxxxxxxxxxxxxxxxx
";
    let head: String = text
        .lines()
        .take(6)
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(head, want, "{text}");
}

#[test]
fn what_a_server_wrote_is_cleaned() {
    let (name, text) = captures().remove(0);
    let mut asked = asked(&name, &text);
    let Ok(told) = &mut asked.found else { panic!() };
    Arc::get_mut(told).unwrap().server.allocator = Some("je\u{1b}[31mmalloc\n\"".to_owned());
    let text = report(&asked, false, &style(80, false));
    assert!(!text.contains('\u{1b}'), "{text}");
    let json = classes_json::line(&asked, true);
    assert!(
        !json.contains("\\u001b") && json.lines().count() == 1,
        "{json}"
    );
}
