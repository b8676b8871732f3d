//! Numbers of INFO that are none, too large, doubled, in the wrong place or too many:
//! what is wrong is missing, and what is next to it stands.

use std::time::Duration;

use redis_frag::model::charts::CHARTS;
use redis_frag::model::derive::Derived;
use redis_frag::model::history::History;
use redis_frag::model::info::{Fields, Info};
use redis_frag::model::sample::Sample;
use redis_frag::model::thresholds::Thresholds;
use redis_frag::netdata::stream::{Identity, Output, Stream};

use super::bulk;
use crate::support::{Checker, Fake, process};
use crate::watching::{FRAGMENTED, SOON, blocks, jobs, plugin};

/// What is no number at all.
const NONE: &[&str] = &[
    "",
    " ",
    "nan",
    "-nan",
    "NaN",
    "inf",
    "-inf",
    "infinity",
    "0x10",
    "1_000",
    "1,000",
    "12 34",
    "--1",
    "1e",
    "true",
    "١٢",
    "1\0",
    "\u{2212}1",
];

/// What is one, of some kind, and unheard of.
const ODD: &[&str] = &[
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-1",
    "-9223372036854775808",
    "1e308",
    "1e-308",
    "0000000000000000000000000000000001",
    "00",
    "1152921504606846976",
    "1.7976931348623157e308",
    ".",
    "0.0",
];

fn with(name: &str, value: &str) -> String {
    let others = FRAGMENTED.lines().filter(|line| {
        let (known, _) = line.split_once(':').unwrap();
        known != name
    });
    let mut text: String = others.map(|line| format!("{line}\r\n")).collect();
    text += &format!("{name}:{value}\r\n");
    text
}

#[test]
fn what_is_no_number_is_missing_and_costs_only_itself() {
    let long = "9".repeat(400);
    for name in Fields::NAMES {
        let without = with(name, "");
        let want = Info::parse(without.as_bytes()).fields;
        for value in NONE.iter().copied().chain([long.as_str(), "-1e309"]) {
            let text = with(name, value);
            let got = Info::parse(text.as_bytes()).fields;
            assert_eq!(got, want, "{name}: {value:?}");
        }
    }
}

#[test]
fn no_number_breaks_a_chart_and_none_is_written_that_is_not_finite() {
    let long = "9".repeat(400);
    let identity = Identity {
        name: "one".to_owned(),
        address: "redis://127.0.0.1:6379".to_owned(),
        labels: Default::default(),
        priority: 70_000,
        update_every: 1,
        node: None,
    };
    for name in Fields::NAMES {
        let mut checker = Checker::new("v2.10.0");
        let mut stream = Stream::new(identity.clone(), true);
        let (mut history, thresholds) = (History::default(), Thresholds::default());
        let odd = ODD.iter().chain(NONE).copied().chain([long.as_str()]);
        for (second, value) in (1..).zip(odd) {
            let text = with(name, value);
            let sample = Sample::new(
                Duration::from_secs(second),
                &Info::parse(text.as_bytes()),
                None,
            );
            let mut output = Output::default();
            stream.write(
                &Derived::new(&sample, &thresholds, &mut history),
                true,
                &mut output,
            );
            checker.feed_all(&(output.definitions + &output.values));
        }
        checker.finish();
        assert_eq!(checker.violations(), [""; 0], "{name}");
        assert!(checker.charts().len() > 5 && checker.charts().len() <= CHARTS.len());
    }
}

#[test]
fn what_stands_twice_or_elsewhere_or_among_thousands_is_read_once() {
    let want = Info::parse(FRAGMENTED.as_bytes());
    let twice = format!(
        "{FRAGMENTED}# Modules\r\n{}",
        FRAGMENTED.replace(":2", ":9")
    );
    assert_eq!(Info::parse(twice.as_bytes()).fields, want.fields);
    let mut lost = String::new();
    for (number, line) in FRAGMENTED.lines().enumerate() {
        lost += &format!("# Section{number}\r\n{line}\r\n");
    }
    lost += &(0..1000)
        .map(|n| format!("# Unknown{n}\r\nx{n}:y\r\n"))
        .collect::<String>();
    assert_eq!(Info::parse(lost.as_bytes()), want);
    let bare = FRAGMENTED.trim_end();
    assert_eq!(
        Info::parse(bare.as_bytes()).fields,
        want.fields,
        "no end of the last line"
    );
    let one_line = FRAGMENTED.replace("\r\n", " ");
    assert_eq!(Info::parse(one_line.as_bytes()).fields, Fields::default());
}

/// Replies just below the longest that is read: a million lines, and one text.
#[test]
fn a_flood_within_the_bound_is_read_and_not_kept() {
    let lines = || {
        Fake::answering(|_| bulk(&[FRAGMENTED.as_bytes(), &b"a:1\n".repeat(1_000_000)].concat()))
    };
    let text = || {
        let flood = |word: &str| format!("{word}:{}\r\n", "v".repeat(1_900_000));
        let info = format!("{}{}{FRAGMENTED}", flood("mem_allocator"), flood("run_id"));
        Fake::answering(move |_| bulk(info.as_bytes()))
    };
    let fakes = [lines(), text()];
    let (one, other) = (fakes[0].unix_address(), fakes[1].unix_address());
    let mut run = plugin(&jobs(&[("lines", &one), ("text", &other)])).start();
    let until = |run: &crate::support::PluginRun, count: usize| {
        run.expect(SOON, "values of both", |c| {
            ["lines", "text"]
                .iter()
                .all(|job| blocks(c, job, "memory") >= count)
        });
    };
    until(&run, 2);
    let before = process::memory(run.pid(), "VmRSS");
    until(&run, 6);
    let grown = process::memory(run.pid(), "VmRSS").saturating_sub(before);
    // One buffer of a reply is in flight at a time for each; what is kept would be 4 MB a
    // second and instance.
    assert!(grown < 12 << 20, "{before} bytes and {grown} more");
    run.with_checker(|checker| {
        checker.assert_clean();
        let ratio = checker.chart("redis_frag_text.ratio").unwrap();
        // Of two that say who allocates, the one that can be a server's.
        assert_eq!(ratio.labels["allocator"], "jemalloc-5.3.0");
    });
    assert!(run.stderr().len() < 10_000, "{}", run.stderr());
    run.close_stdin();
    run.wait_exit(SOON).unwrap();
}
