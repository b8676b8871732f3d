//! Dependencies between the parts of the crate go one way, and the pure ones stay
//! pure: `main → app → {config, source, netdata, model}`.

use std::fs;
use std::path::{Path, PathBuf};

/// Which parts a part may use. Everything may use std.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("netdata", &["model"]),
    ("config", &["model"]),
    ("source", &["model", "config"]),
    ("app", &["model", "netdata", "config", "source"]),
];

/// What a pure file does not touch: clocks, files, sockets, threads, logs.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "Instant",
    "SystemTime",
    "tokio",
    "log::",
    "redis::",
];

/// Files outside of `model` that are pure all the same.
const PURE: &[&str] = &[
    "netdata/agent.rs",
    "netdata/diagnosis.rs",
    "netdata/dyncfg.rs",
    "netdata/functions.rs",
    "netdata/link/losses.rs",
    "netdata/queue.rs",
    "netdata/reasoning.rs",
    "netdata/reply.rs",
    "netdata/request.rs",
    "netdata/row.rs",
    "netdata/stream.rs",
    "netdata/table.rs",
    "netdata/variables.rs",
    "netdata/wire.rs",
    "config/address.rs",
    "config/charts.rs",
    "config/file.rs",
    "config/job.rs",
    "config/known.rs",
    "config/login.rs",
    "config/naming.rs",
    "config/payload.rs",
    "config/problem.rs",
    "config/query.rs",
    "config/raw.rs",
    "config/reference.rs",
    "config/salvage.rs",
    "config/schema.rs",
    "config/sentinel.rs",
    "config/shown.rs",
    "config/tls.rs",
    "config/units.rs",
    "config/values.rs",
    "config/yaml.rs",
    "app/dyncfg/book.rs",
    "app/dyncfg/deed.rs",
    "app/explain/pages.rs",
    "app/explain/topics.rs",
    "app/live/draw.rs",
    "app/live/keys.rs",
    "app/live/rows.rs",
    "app/live/view.rs",
    "app/members.rs",
    "app/record/scrub.rs",
    "app/report/actions.rs",
    "app/report/bar.rs",
    "app/report/classes.rs",
    "app/report/classes_json.rs",
    "app/report/json.rs",
    "app/report/markdown.rs",
    "app/report/mod.rs",
    "app/report/page.rs",
    "app/report/spark.rs",
    "app/report/summary.rs",
    "app/report/text.rs",
    "app/report/words.rs",
    "app/schedule.rs",
    "source/cluster.rs",
    "source/permissions.rs",
    "source/procfs.rs",
    "source/reply.rs",
    "source/sentinel.rs",
    "source/sockets.rs",
    "source/topology.rs",
    "app/screen.rs",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file below `src`: its name there and its code, without tests and
/// comments.
fn code() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let lines = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let name = path
            .strip_prefix(&root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        (name, lines.collect::<Vec<_>>().join("\n"))
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn parts_use_only_what_lies_below_them() {
    let parts: Vec<&str> = MAY_USE.iter().map(|(part, _)| *part).collect();
    let mut seen = 0;
    for (name, code) in code() {
        let Some((part, allowed)) = MAY_USE
            .iter()
            .find(|(p, _)| name.starts_with(&format!("{p}/")))
        else {
            assert!(
                [
                    "main.rs",
                    "lib.rs",
                    "cli.rs",
                    "cli/examples.rs",
                    "cli/alike.rs"
                ]
                .contains(&name.as_str()),
                "{name}: in no part"
            );
            continue;
        };
        seen += 1;
        for other in parts
            .iter()
            .filter(|other| *other != part && !allowed.contains(other))
        {
            let used = code.contains(&format!("crate::{other}"));
            assert!(!used, "{name} must not use {other}");
        }
        if *part == "model" {
            let own = ["std::", "crate::model", "super::"];
            for line in code
                .lines()
                .map(str::trim)
                .filter(|line| line.starts_with("use "))
            {
                let used = line.trim_start_matches("use ");
                assert!(
                    own.iter().any(|start| used.starts_with(start)),
                    "{name}: {line}"
                );
            }
        }
    }
    assert!(seen > 25, "found only {seen} files");
}

#[test]
fn pure_files_touch_nothing_outside() {
    let code = code();
    for pure in PURE {
        assert!(
            code.iter().any(|(name, _)| name == pure),
            "{pure} is gone: mend this list"
        );
    }
    for (name, code) in code {
        if name.starts_with("model/") || PURE.contains(&name.as_str()) {
            for word in IMPURE {
                assert!(
                    !code.contains(word),
                    "{name} is pure and must not use {word}"
                );
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in [
        "src",
        "tests",
        "examples",
        "benches",
        "fuzz/src",
        "fuzz/fuzz_targets",
    ] {
        sources(&root.join(folder), &mut paths);
    }
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let header = text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .count();
        // The map of the crate is longer than what one file has to say.
        let longest = if path.ends_with("src/lib.rs") { 20 } else { 8 };
        assert!(
            (1..=longest).contains(&header),
            "{}: {header} lines of //!",
            path.display()
        );
        let lines = text.lines().count();
        assert!(
            lines <= 520,
            "{}: {lines} lines are more than one thing",
            path.display()
        );
    }
}

/// Lints by which all others may be waived at once.
const GROUPS: &[&str] = &["clippy::all", "clippy::restriction", "clippy::pedantic"];

/// What each `allow` and `expect` of attributes has in its brackets: its name, and the
/// lints and the reason in it, each without its white space.
fn waivers(code: &str) -> Vec<(&str, Vec<String>)> {
    let mut found = Vec::new();
    for name in ["allow", "expect"] {
        for (at, _) in code.match_indices(&format!("{name}(")) {
            // A method or a function of that name.
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c == '.' || c == '_' || c.is_alphanumeric()) {
                continue;
            }
            let (mut items, mut item) = (Vec::new(), String::new());
            let (mut quoted, mut depth) = (false, 0);
            for c in code[at + name.len() + 1..].chars() {
                match c {
                    '"' => quoted = !quoted,
                    '(' if !quoted => depth += 1,
                    ')' if !quoted && depth == 0 => break,
                    ')' if !quoted => depth -= 1,
                    _ => {}
                }
                match c {
                    ',' if !quoted && depth == 0 => items.push(std::mem::take(&mut item)),
                    c if c.is_whitespace() => {}
                    c => item.push(c),
                }
            }
            items.push(item);
            found.push((name, items));
        }
    }
    found
}

#[test]
fn a_waiver_is_seen_wherever_it_stands() {
    let code = "#[allow(clippy::one)]\n#![expect(\n    unused,\n    clippy::two,\n    \
        reason = \"a, b) c\"\n)]\n#[cfg_attr(test, allow(x, clippy::three))]\nmay.expect(\"x\");";
    let lints = |(name, items): &(&str, Vec<String>)| format!("{name}: {}", items.join(" "));
    let found: Vec<String> = waivers(code).iter().map(lints).collect();
    assert_eq!(
        found,
        [
            "allow: clippy::one",
            "allow: x clippy::three",
            "expect: unused clippy::two reason=\"a,b)c\"",
        ]
    );
}

fn project_file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The lints that Cargo.toml denies everywhere, of clippy's.
fn denied_everywhere() -> Vec<String> {
    let manifest = project_file("Cargo.toml");
    let (_, table) = manifest.split_once("\n[lints.clippy]\n").unwrap();
    let lines = table.split("\n[").next().unwrap().lines();
    let names = lines.filter_map(|line| line.strip_suffix(" = \"deny\""));
    names.map(|name| format!("clippy::{name}")).collect()
}

/// What can panic is a lint's business, in all that runs at an operator's; a waiver has a
/// reason and stays where it is needed, or `expect` complains.
#[test]
fn what_can_panic_is_denied_in_library_and_program() {
    let denied = |name: &str| {
        let text = project_file(name);
        let (_, rest) = text.split_once("not(test),\n    deny(").unwrap();
        let (list, _) = rest.split_once(')').unwrap();
        let lints = list.split(',').map(|lint| lint.trim().to_owned());
        lints.collect::<Vec<String>>()
    };
    let mut lints = denied("src/lib.rs");
    assert_eq!(lints, denied("src/main.rs"));
    lints.extend(denied_everywhere());
    for lint in [
        "expect_used",
        "indexing_slicing",
        "panic",
        "string_slice",
        "todo",
        "unimplemented",
        "unreachable",
        "unwrap_used",
    ] {
        assert!(lints.contains(&format!("clippy::{lint}")), "{lint}");
    }
    for (name, code) in code() {
        for (how, items) in waivers(&code) {
            let waived = items.iter().filter(|item| lints.contains(item));
            for lint in waived {
                let casts = lint.contains("cast_");
                assert!(casts || how == "expect", "{name} allows {lint}");
                let reason = items.iter().any(|item| item.starts_with("reason="));
                assert!(reason, "{name} waives {lint} without a reason");
            }
            let group = items.iter().find(|item| GROUPS.contains(&item.as_str()));
            assert_eq!(group, None, "{name} waives more than it needs");
        }
    }
}

/// A panic is to end what met it and nothing else, which `panic = \"abort\"` would change
/// without any test seeing it: they are built otherwise. Tests and fuzzers find sums that
/// overflow, for where they run that is a panic; nothing relies on it elsewhere.
#[test]
fn no_profile_changes_what_a_panic_or_an_overflow_does() {
    let setting = |line: &str| {
        let (name, _) = line.split_once('=')?;
        Some(name.trim().trim_matches('"').to_owned())
    };
    for name in ["Cargo.toml", "fuzz/Cargo.toml", ".cargo/config.toml"] {
        let text = project_file(name);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            let name_of = setting(line).unwrap_or_default();
            for word in ["panic", "overflow-checks", "debug-assertions"] {
                // In a table of one line, too.
                let inline = line.contains(&format!("{word} ="));
                assert!(name_of != word && !inline, "{name}: {line}");
            }
            assert!(!line.contains("rustflags"), "{name}: {line}");
        }
    }
    let most = std::hint::black_box(u8::MAX);
    assert!(std::panic::catch_unwind(|| most + 1).is_err());
}
