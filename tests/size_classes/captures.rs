//! Real reports against figures that another program worked out.
//!
//! `fixtures/malloc-stats/expected.json` was made by a script with arithmetic of
//! its own; see `fixtures/README.md`. Where INFO was captured in the same moment,
//! the sum is the server's own figure.

use std::fs;
use std::path::PathBuf;

use redis_frag::model::info::Info;
use redis_frag::model::malloc_stats::report::{Arena, MallocStats, Totals};
use redis_frag::model::size_classes::SizeClasses;
use serde_json::{Map, Value, json};

use super::view;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Every captured report with its name.
pub fn captures() -> Vec<(String, String)> {
    let entries = fs::read_dir(fixtures().join("malloc-stats")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut found: Vec<(String, String)> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "txt"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    found.sort();
    found
}

fn frag_bytes(info: &str) -> i64 {
    let text = fs::read(fixtures().join("info").join(info)).unwrap();
    Info::parse(&text).fields.allocator_frag_bytes.unwrap()
}

fn totals(totals: &Totals) -> Value {
    json!({
        "allocated": totals.allocated,
        "active": totals.active,
        "metadata": totals.metadata,
        "resident": totals.resident,
        "mapped": totals.mapped,
        "retained": totals.retained,
        "dirty": totals.dirty,
        "muzzy": totals.muzzy,
    })
}

fn arena(arena: &Arena) -> Value {
    json!({
        "index": arena.index,
        "lua": arena.of_lua,
        "allocated": arena.totals.allocated,
        "active": arena.totals.active,
        "dirty": arena.totals.dirty,
        "muzzy": arena.totals.muzzy,
        "mapped": arena.totals.mapped,
        "retained": arena.totals.retained,
        "wasted": arena.wasted(),
    })
}

/// What was read, in the form of `expected.json`.
fn read(stats: &MallocStats, view: &SizeClasses) -> Value {
    let (mut small, mut large) = (Map::new(), Map::new());
    for class in &view.classes {
        let size = class.size.to_string();
        match class.slabs {
            Some(slabs) => small.insert(
                size,
                json!([
                    class.allocated,
                    class.in_use,
                    slabs.count,
                    slabs.half_empty,
                    slabs.regs,
                    slabs.pages,
                    slabs.wasted
                ]),
            ),
            None => large.insert(size, json!([class.allocated, class.in_use])),
        };
    }
    json!({
        "totals": totals(&stats.totals),
        "arenas": stats.arenas.iter().map(arena).collect::<Vec<_>>(),
        "merged_wasted": stats.all.as_ref().unwrap().wasted(),
        "wasted": view.wasted,
        "worst": view.worst(10).iter().map(|class| class.size).collect::<Vec<_>>(),
        "small": small,
        "large": large,
    })
}

#[test]
fn every_capture_is_read_to_the_last_byte() {
    let expected = fs::read_to_string(fixtures().join("malloc-stats/expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let captures = captures();
    assert_eq!(captures.len(), 13);
    assert_eq!(expected.as_object().unwrap().len(), captures.len());
    for (name, text) in captures {
        let stats = MallocStats::parse(&text).unwrap();
        assert_eq!(read(&stats, &view(&text)), expected[&name], "{name}");
        let own = !name.contains("debian");
        let build = stats.build.unwrap();
        assert_eq!(build.is_the_servers_own(), own, "{name}");
    }
}

#[test]
fn the_sum_is_the_servers_own_figure_from_7_4_on() {
    for (report, info) in [
        ("redis-8.2.3-je530_purged", "redis-8.2.3-je530_purged.txt"),
        (
            "redis-8.2.3-je530_defragged",
            "redis-8.2.3-je530_resetstat.txt",
        ),
    ] {
        let (_, text) = captures()
            .into_iter()
            .find(|(name, _)| name == report)
            .unwrap();
        let view = view(&text);
        assert_eq!(
            view.wasted.map(u64::cast_signed),
            Some(frag_bytes(info)),
            "{report}"
        );
        let lua: Vec<_> = view.arenas.iter().filter(|arena| arena.of_lua).collect();
        assert_eq!((lua.len(), lua[0].wasted), (1, Some(76_032)), "{report}");
    }
}

/// Before 7.4 the server counts all of active that is not allocated: the rounding
/// of large classes too.
#[test]
fn the_sum_is_nearly_all_of_what_an_older_server_counts() {
    for (report, info) in [
        ("redis-6.2.5-je510_purged", "redis-6.2.5-je510_purged.txt"),
        (
            "redis-7.0.15-debian-je530_purged",
            "redis-7.0.15-debian-je530_purged.txt",
        ),
    ] {
        let (_, text) = captures()
            .into_iter()
            .find(|(name, _)| name == report)
            .unwrap();
        let sum = view(&text).wasted.unwrap().cast_signed();
        let apart = frag_bytes(info) - sum;
        assert!((0..150_000).contains(&apart), "{report}: {apart}");
    }
}

#[test]
fn line_ends_and_what_stands_around_do_not_matter() {
    for (name, text) in captures() {
        let want = MallocStats::parse(&text).unwrap();
        for other in [
            text.replace('\n', "\r\n"),
            format!("\n\n{text}\nmore\n"),
            text.trim_end().to_owned(),
        ] {
            assert_eq!(MallocStats::parse(&other).as_ref(), Ok(&want), "{name}");
        }
    }
}
