//! Real INFO captures against what a careful reader concludes from each.
//!
//! `fixtures/expected.json` was written by reading the captures, not by running
//! this code; see `fixtures/README.md`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use redis_frag::model::defrag::State;
use redis_frag::model::derive::Derived;
use redis_frag::model::diagnosis;
use redis_frag::model::history::History;
use redis_frag::model::info::Info;
use redis_frag::model::sample::Sample;
use redis_frag::model::server::FragMeaning;
use redis_frag::model::thresholds::Thresholds;
use redis_frag::model::verdict::Verdict;
use serde_json::{Value, json};

/// Redis leaves its Lua arena out of the ratio and INFO does not print the
/// arena's size, so the third decimal is not to be had.
const SMALL_BINS_TOLERANCE: i64 = 5;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn captures() -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<(String, Vec<u8>)> = fs::read_dir(fixtures().join("info"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, fs::read(path).unwrap())
        })
        .collect();
    found.sort();
    found
}

fn expected() -> Value {
    serde_json::from_str(&fs::read_to_string(fixtures().join("expected.json")).unwrap()).unwrap()
}

fn milli(value: Option<f64>) -> Option<i64> {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "ratios of captures are small"
    )]
    value.map(|value| (value * 1000.0 + 1e-6) as i64)
}

/// What the code concludes, in the form of `expected.json`.
fn concluded(derived: &Derived<'_>) -> Value {
    let sample = derived.sample;
    let fields = &sample.fields;
    let server = sample.server.as_ref().unwrap();
    let allocator = sample.allocator();
    let parts = derived.waste.and_then(|waste| waste.parts);
    json!({
        "flavour": server.flavour.name(),
        "version": server.version.map(|version| version.to_string()),
        "allocator": server.allocator,
        "frag_meaning": match server.frag_meaning {
            FragMeaning::ActiveOverAllocated => "active",
            FragMeaning::SmallBins => "small_bins",
            FragMeaning::MadeUp => "none",
        },
        "loading": sample.loading(),
        "forking": sample.forking(),
        "ratio_milli": milli(sample.ratio()),
        "allocator_frag_milli": milli(sample.allocator_frag()),
        "allocator_rss_milli": milli(sample.allocator_rss()),
        "rss_overhead_milli": milli(sample.rss_overhead()),
        "waste": {
            "total": derived.waste.map(|waste| waste.total),
            "fragmented": parts.map(|parts| parts.fragmented),
            "releasable": parts.map(|parts| parts.releasable),
            "process": parts.map(|parts| parts.process),
            "other": parts.map(|parts| parts.other),
        },
        "rss": fields.used_memory_rss,
        "used": fields.used_memory,
        "peak": fields.used_memory_peak,
        "maxmemory": fields.maxmemory,
        "allocated": allocator.map(|(allocated, _, _)| allocated),
        "active": allocator.map(|(_, active, _)| active),
        "resident": allocator.map(|(_, _, resident)| resident),
        "muzzy": allocator.and(fields.allocator_muzzy),
        "peak_percent_milli": milli(sample.percent_of_peak()),
        "defrag": {
            "target": fields.active_defrag_running,
            "state": match derived.defrag.unwrap() {
                State::Unsupported => "unsupported",
                State::Running => "running",
                State::Paused => "paused",
                State::Off | State::Idle | State::Unknown => "other",
            },
        },
        "fork": {
            "cow": sample.copied_by_child(),
            "last_rdb": fields.rdb_last_cow_size,
            "last_aof": fields.aof_last_cow_size,
            "rdb": fields.rdb_bgsave_in_progress.map(i64::from),
            "aof": fields.aof_rewrite_in_progress.map(i64::from),
            "module": fields.module_fork_in_progress.map(i64::from),
        },
    })
}

#[test]
fn every_capture_is_read_as_a_careful_reader_would() {
    let expected = expected();
    let captures = captures();
    assert_eq!(
        captures.len(),
        expected.as_object().unwrap().len(),
        "one expectation a capture"
    );
    let thresholds = Thresholds::default();
    for (name, text) in captures {
        let sample = Sample::new(Duration::ZERO, &Info::parse(&text), None);
        let got = concluded(&Derived::new(&sample, &thresholds, &mut History::default()));
        let mut want = expected[&name].clone();
        let why = want["why"].take();
        for told_elsewhere in ["why", "verdict", "severity", "verdict_why"] {
            want.as_object_mut().unwrap().remove(told_elsewhere);
        }
        if want["frag_meaning"] == "small_bins" && !want["allocator_frag_milli"].is_null() {
            let (got_frag, want_frag) =
                (&got["allocator_frag_milli"], &want["allocator_frag_milli"]);
            let apart = got_frag.as_i64().unwrap() - want_frag.as_i64().unwrap();
            assert!(
                apart.abs() <= SMALL_BINS_TOLERANCE,
                "{name}: {got_frag} for {want_frag}"
            );
            want["allocator_frag_milli"] = got_frag.clone();
        }
        assert_eq!(got, want, "{name}: {why}");
    }
}

#[test]
fn every_capture_gets_the_verdict_of_a_careful_reader() {
    let expected = expected();
    let thresholds = Thresholds::default();
    for (name, text) in captures() {
        let sample = Sample::new(Duration::ZERO, &Info::parse(&text), None);
        let derived = Derived::new(&sample, &thresholds, &mut History::default());
        let found = diagnosis::diagnose(&derived);
        let want = &expected[&name];
        assert_eq!(
            (found.verdict.name(), found.severity.name()),
            (
                want["verdict"].as_str().unwrap(),
                want["severity"].as_str().unwrap()
            ),
            "{name}: {}\n{found:?}",
            want["verdict_why"]
        );
        assert_eq!(derived.verdict, Some(found.verdict), "{name}");
        let before = Verdict::ALL.iter().take_while(|v| **v != found.verdict);
        assert!(
            found.ruled_out.iter().map(|out| &out.verdict).eq(before),
            "{name}: what comes before is ruled out, all of it"
        );
        assert!(!found.evidence.is_empty(), "{name}");
    }
}

#[test]
fn the_waste_adds_up_and_no_remedy_promises_more_than_there_is() {
    let thresholds = Thresholds::default();
    for (name, text) in captures() {
        let sample = Sample::new(Duration::ZERO, &Info::parse(&text), None);
        let derived = Derived::new(&sample, &thresholds, &mut History::default());
        let Some(waste) = derived.waste else { continue };
        if let Some(parts) = waste.parts {
            let sum = parts.fragmented + parts.releasable + parts.process + parts.other;
            assert_eq!(sum, waste.total, "{name}");
        }
        let reclaim = derived.reclaim;
        for (remedy, bytes) in [
            ("active defrag", reclaim.active_defrag),
            ("memory purge", reclaim.memory_purge),
            ("restart", reclaim.restart),
        ] {
            let Some(bytes) = bytes else { continue };
            assert!(
                bytes >= 0 && bytes <= waste.total.max(0),
                "{name}: {remedy} {bytes}"
            );
        }
    }
}

/// A reply may be cut anywhere by a proxy or a crash: what is read of it is the
/// beginning of what is read of the whole, or missing, never something else.
#[test]
fn a_cut_capture_gives_less_and_nothing_else() {
    let text = captures().remove(0).1;
    let whole = format!("{:?}", Info::parse(&text).fields);
    for cut in (0..text.len()).step_by(7) {
        let end = text[..cut]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let lines = format!("{:?}", Info::parse(&text[..end]).fields);
        for (left, right) in lines.split(", ").zip(whole.split(", ")) {
            assert!(
                left == right || left.ends_with("None") || left.ends_with("None }"),
                "{left}"
            );
        }
    }
}
