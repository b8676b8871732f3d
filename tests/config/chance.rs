//! Large files and files made by chance: no panic, no long wait, no flood, no
//! secret told, and every place inside the text.

use std::fs;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use redis_frag::config::file::{self, Parsed};

use super::{SECRET, fixtures, places_are_inside};

/// More than enough for a debug build on a busy machine.
const LONG: Duration = Duration::from_secs(10);

fn in_time(text: &str) -> Parsed {
    let start = Instant::now();
    let parsed = file::parse(text, &[]);
    let start_of: String = text.chars().take(60).collect();
    assert!(start.elapsed() < LONG, "{:?}: {start_of}", start.elapsed());
    parsed
}

fn harmless(text: &str) {
    let parsed = in_time(text);
    places_are_inside(text, &parsed);
    let told = |problem: &file::Problem| problem.text.contains(SECRET);
    assert!(!parsed.problems.iter().any(told), "{text:?}");
}

#[test]
fn hundreds_of_jobs_may_share_one_anchor() {
    let mut text = "x-fleet: &fleet {username: u, password: p, timeout: 2}\njobs:\n".to_owned();
    for job in 0..2000 {
        text += &format!("  - {{<<: *fleet, name: j{job}, address: h}}\n");
    }
    let parsed = in_time(&text);
    assert_eq!((parsed.jobs.len(), &parsed.problems[..]), (2000, &[][..]));
}

#[test]
fn a_file_of_mistakes_takes_no_time_and_floods_no_log() {
    let many = |head: &str, part: &str, size: usize| {
        format!("{head}jobs:\n{}", part.repeat(size / part.len()))
    };
    let bomb = "x-a: &a [x,x,x,x,x,x,x,x]\nx-b: &b [*a,*a,*a,*a,*a,*a]\n";
    for text in [
        many("", "  - name: [a]\n", 1 << 18),
        many("", "  - name: a\n    timeout: *x\n", 1 << 18),
        many("", "  - {name: a, address: h}\n", 1 << 18),
        many(
            "",
            "- &a [x,x,x]\n- [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n",
            1 << 18,
        ),
        many(bomb, "  - [*b,*b,*b,*b,*b,*b,*b,*b]\n", 1 << 18),
        "a: 1\n".repeat(50_000),
        "[".repeat(1 << 18),
        "- ".repeat(1 << 17),
        "? ".repeat(1 << 17),
        "\"".repeat(1 << 18),
    ] {
        let parsed = in_time(&text);
        assert!(!parsed.problems.is_empty() && parsed.problems.len() <= 101);
        places_are_inside(&text, &parsed);
    }
}

/// Fragments that YAML and our keys are made of.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "jobs:",
        "\n",
        "\n  - ",
        "\n    ",
        "name: ",
        "address: ",
        "password: ",
        "hunter2",
        "a",
        "redis://",
        "labels:",
        "thresholds:",
        "min_used_memory: ",
        "50mb",
        "timeout: ",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "'",
        "&a ",
        "*a",
        "<<: ",
        "\t",
        "#",
        " ",
        ": ",
        "- ",
        "---",
        "...",
        "|",
        ">",
        "!",
        "%",
        "\r\n",
        "\r",
        "\u{feff}",
        "\u{2028}",
        "é",
        "\0",
        "1",
        "discovery:",
        "x-s:",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// A right file with a few characters taken out, put in or exchanged.
fn mutated() -> impl Strategy<Value = String> {
    let texts: Vec<String> = fixtures("valid")
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let change = (any::<prop::sample::Index>(), 0..4_usize, any::<char>());
    let changes = prop::collection::vec(change, 1..5);
    (prop::sample::select(texts), changes).prop_map(|(text, changes)| {
        let mut text: Vec<char> = text.chars().collect();
        for (at, take, put) in changes {
            let at = at.index(text.len() + 1);
            let end = (at + take).min(text.len());
            text.splice(at..end, (put != 'a').then_some(put));
        }
        text.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_without_harm(text in any::<String>()) {
        harmless(&text);
    }

    #[test]
    fn any_yaml_like_text_is_read_without_harm(text in pieces()) {
        harmless(&text);
    }

    #[test]
    fn a_right_file_gone_wrong_is_read_without_harm(text in mutated()) {
        harmless(&text);
    }
}
