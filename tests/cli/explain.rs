//! `redis-frag explain` at a shell.

use std::process::{Command, Output};

fn explain(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_redis-frag"))
        .arg("explain")
        .args(words)
        .env_remove("COLUMNS")
        .output()
        .unwrap()
}

fn told(words: &[&str]) -> String {
    let output = explain(words);
    assert_eq!(output.status.code(), Some(0), "{words:?}");
    assert!(output.stderr.is_empty());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_verdict_is_told_from_its_page() {
    let text = told(&["fragmented"]);
    assert!(text.starts_with("fragmented\n\n"), "{text}");
    for part in [
        "What it means",
        "How to confirm",
        "What to do",
        "What not to do",
    ] {
        assert!(text.contains(&format!("\n{part}\n")), "{text}");
    }
    assert!(
        text.contains("    redis-cli CONFIG GET activedefrag\n"),
        "{text}"
    );
}

#[test]
fn what_is_both_an_alert_and_a_chart_is_told_as_both() {
    let text = told(&["ratio"]);
    let alert = text.find("redis_frag_ratio\n").unwrap();
    let chart = text.find("redis_frag.ratio\n").unwrap();
    assert!(alert < chart, "{text}");
    assert!(text.contains("\n---"), "{text}");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let alerts = "Alerts on it: redis_frag_ratio, redis_frag_swap_suspected.";
    assert!(words.contains(alerts), "{text}");
}

#[test]
fn a_known_defect_is_told_with_its_versions_and_source() {
    let text = told(&["expires-stall-7.2"]);
    for piece in [
        "from 7.2.0 on, before 7.2.11",
        "redis#13612",
        "upgrade to 7.2.11",
    ] {
        assert!(
            text.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .contains(piece),
            "{text}"
        );
    }
}

#[test]
fn without_a_word_everything_is_listed() {
    let text = told(&[]);
    for name in [
        "retained_pages",
        "redis_frag_thp",
        "redis_frag.defrag_state",
        "near_limit",
        "stagnation",
    ] {
        assert!(text.contains(&format!("- {name}: ")), "{name}");
    }
}

#[test]
fn a_word_that_means_nothing_is_met_by_what_it_is_like() {
    for (word, next) in [
        ("fragmentd", "did you mean fragmented"),
        ("xyzzy", "redis-frag explain lists all"),
        ("\u{1b}[31mred", "is no verdict"),
    ] {
        let output = explain(&["healthy", word]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains(next) && !said.contains('\u{1b}'), "{said:?}");
        assert!(output.stdout.is_empty(), "all or nothing");
    }
}
