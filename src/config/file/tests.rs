//! The keys of a file against the examples of the stock file and metadata.yaml, and what is
//! shipped.
//!
//! Whole files and their mistakes: `tests/config.rs`.

use super::super::raw::RawSentinel;
use super::*;

/// The stock file with every example taken: those have a # that no space
/// follows.
fn stock_examples() -> String {
    let stock = include_str!("../../../conf.d/redis-frag.conf");
    let take = |line: &str| match line.split_once('#') {
        Some((indent, example)) if indent.trim().is_empty() && !example.starts_with(' ') => {
            format!("{indent}{example}\n")
        }
        _ => format!("{line}\n"),
    };
    stock.lines().map(take).collect()
}

const METADATA: &str = include_str!("../../../metadata.yaml");

#[test]
fn every_key_has_its_example_in_the_stock_file_and_every_example_is_right() {
    let text = stock_examples();
    let node = Vnode::default();
    let node = Vnode {
        name: "db-01".to_owned(),
        ..node
    };
    let parsed = parse(&text, &[Arc::new(node)]);
    assert_eq!(parsed.problems, [], "{text}");
    assert!(parsed.jobs.len() > 3, "{text}");
    for (keys, indent) in [
        (RawFile::KEYS, ""),
        (RawDiscovery::KEYS, "  "),
        (RawJob::KEYS, "    "),
        (RawSentinel::KEYS, "      "),
        (RawThresholds::KEYS, "      "),
    ] {
        for key in keys {
            let start = format!("{indent}{key}:");
            let entry = format!("  - {key}:");
            let has = |line: &str| line.starts_with(&start) || line.starts_with(&entry);
            assert!(text.lines().any(has), "no example of {start:?} in\n{text}");
            let listed = METADATA.lines().any(|line| {
                let name = line.trim().strip_prefix("- name: ");
                name.is_some_and(|name| name.rsplit('.').next() == Some(key))
            });
            let groups = ["jobs", "discovery", "thresholds", "sentinel"];
            assert!(
                listed || groups.contains(key),
                "metadata.yaml does not list {key}"
            );
        }
    }
}

#[test]
fn the_files_as_shipped_leave_all_to_discovery() {
    for text in [
        include_str!("../../../conf.d/redis-frag.conf"),
        include_str!("../../../packaging/debian/redis-frag.conf"),
    ] {
        let parsed = parse(text, &[]);
        assert_eq!(parsed.problems, []);
        assert!(parsed.jobs.is_empty() && parsed.discover && parsed.import_go_d);
    }
}
