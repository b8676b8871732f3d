//! The plugin by itself beside real servers: which charts come, that their
//! values are the server's own, and what becomes of them when a server stops,
//! hangs, comes back or turns into another one.
//!
//! Drives the binary alone; knows of the crate only what it promises to users.

mod crowd;
mod families;
mod long;
mod outages;
mod pace;

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Checker, Kind, PluginRun, Server, becomes_true};
pub use crate::watching::{
    SOON, all_charts, assert_no_gap, blocks, charts_of, is_down, jobs, plugin, shown,
};

/// Chart, family, units, type, dimensions: what dashboards build on.
const CHARTS: &str = "\
ratio|fragmentation|ratio|line|ratio
allocator_ratio|fragmentation|ratio|line|allocator_frag allocator_rss rss_overhead
wasted|fragmentation|bytes|stacked|fragmented releasable process other
reclaimable|fragmentation|bytes|line|active_defrag memory_purge restart
memory|memory|bytes|line|rss used peak maxmemory
allocator|memory|bytes|line|allocated active resident muzzy
peak|memory|percentage|line|peak
defrag_running|active defrag|percentage|area|target
defrag_moves|active defrag|allocations/s|stacked|hits misses
defrag_keys|active defrag|keys/s|stacked|hits misses
defrag_efficiency|active defrag|percentage|line|efficiency
defrag_time|active defrag|percentage|area|time
defrag_trigger|active defrag|percentage|line|bytes percent
defrag_state|active defrag|state|stacked|unsupported off idle running paused unknown
cpu|active defrag|percentage|stacked|user system
response_time|active defrag|milliseconds|line|info
fork|fork|bytes|line|cow last_rdb last_aof
fork_state|fork|state|stacked|rdb aof module
headroom|headroom|bytes|stacked|free cow rss
headroom_used|headroom|percentage|line|now worst_case
swap|host|bytes|line|swap
thp|host|state|stacked|always madvise never off_for_process
status|collector|state|stacked|up down";

/// What an idle server of this kind has no value for.
fn absent(kind: Kind, chart: &str, dimension: &str) -> bool {
    let without_jemalloc = match chart {
        "allocator_ratio" | "allocator" | "defrag_trigger" => true,
        "wasted" => dimension != "other",
        "reclaimable" => dimension != "restart",
        _ => false,
    };
    match (chart, dimension) {
        // Nothing was examined, no child runs, no limit is set.
        ("defrag_efficiency", _) | ("fork", "cow") | ("memory", "maxmemory") => true,
        ("defrag_time", _) if kind == Kind::Redis62 => true,
        ("allocator", "muzzy") if kind != Kind::Redis82 => true,
        _ => without_jemalloc && !kind.has_jemalloc(),
    }
}

/// Chart → what is to be seen of it: family, units, type, dimensions.
fn expected(kind: Kind) -> BTreeMap<String, Vec<String>> {
    let mut charts = BTreeMap::new();
    for row in CHARTS.lines() {
        let cells: Vec<&str> = row.split('|').collect();
        let dimensions = cells[4].split(' ').filter(|d| !absent(kind, cells[0], d));
        let dimensions: Vec<&str> = dimensions.collect();
        if !dimensions.is_empty() {
            let what = cells[1..4].iter().chain(&dimensions);
            charts.insert(
                cells[0].to_string(),
                what.map(ToString::to_string).collect(),
            );
        }
    }
    charts
}

/// What was seen of a job's charts in the families of [`CHARTS`].
fn seen(checker: &Checker, job: &str) -> BTreeMap<String, Vec<String>> {
    let families: BTreeSet<&str> = CHARTS.lines().filter_map(|r| r.split('|').nth(1)).collect();
    let mut charts = BTreeMap::new();
    for (chart, id) in charts_of(checker, job) {
        let seen = checker.chart(&id).unwrap();
        assert_eq!(seen.context, format!("redis_frag.{chart}"));
        if families.contains(seen.family.as_str()) {
            let mut what = vec![
                seen.family.clone(),
                seen.units.clone(),
                seen.charttype.clone(),
            ];
            what.extend(seen.dimensions.iter().map(|d| d.id.clone()));
            charts.insert(chart, what);
        }
    }
    charts
}

/// Tests all servers at once: most of the time is waiting. A failure names the
/// server as its thread.
pub fn with_each_kind(test: fn(Kind)) {
    std::thread::scope(|scope| {
        for kind in Kind::ALL {
            let thread = std::thread::Builder::new().name(kind.name().to_string());
            thread.spawn_scoped(scope, move || test(kind)).unwrap();
        }
    });
}

fn info(server: &Server) -> impl Fn(&str) -> f64 {
    let text = server.info();
    move |name| {
        let value = text
            .lines()
            .find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap().trim_end_matches('%').parse().unwrap()
    }
}

/// Chart, dimension, the value that INFO tells, how far it may be off.
fn told(kind: Kind, info: impl Fn(&str) -> f64) -> Vec<(&'static str, &'static str, f64, f64)> {
    let near = |value: f64| value.abs() * 0.02 + 1000.0;
    let bytes = |chart, name, value: f64| (chart, name, value, near(value));
    let (used, peak) = (info("used_memory"), info("used_memory_peak"));
    let (wasted, rss) = (info("mem_fragmentation_bytes"), info("used_memory_rss"));
    let ratio = info("mem_fragmentation_ratio");
    let mut told = vec![
        bytes("memory", "used", used),
        bytes("memory", "rss", rss),
        bytes("memory", "peak", peak),
        ("ratio", "ratio", ratio, 0.02 * ratio),
        ("peak", "peak", 100.0 * used / peak, 1.0),
        ("defrag_running", "target", 0.0, 0.0),
        ("defrag_moves", "hits", 0.0, 0.0),
        ("fork_state", "rdb", 0.0, 0.0),
        ("fork", "last_rdb", info("rdb_last_cow_size"), 0.0),
        ("status", "up", 1.0, 0.0),
        ("status", "down", 0.0, 0.0),
        ("response_time", "info", 50.0, 49.999),
        ("cpu", "user", 50.0, 50.0),
    ];
    let state = if kind.has_jemalloc() {
        "off"
    } else {
        "unsupported"
    };
    for name in ["unsupported", "off", "idle", "running", "paused", "unknown"] {
        told.push(("defrag_state", name, f64::from(name == state), 0.0));
    }
    if !kind.has_jemalloc() {
        told.push(bytes("wasted", "other", wasted));
        return told;
    }
    let (allocated, active) = (info("allocator_allocated"), info("allocator_active"));
    let resident = info("allocator_resident");
    let (ratio, fragmented) = (info("allocator_frag_ratio"), info("allocator_frag_bytes"));
    let process = info("rss_overhead_bytes");
    told.extend([
        bytes("allocator", "allocated", allocated),
        bytes("allocator", "active", active),
        bytes("allocator", "resident", resident),
        bytes("wasted", "fragmented", active - allocated),
        bytes("wasted", "releasable", resident - active),
        bytes("wasted", "process", process),
        bytes(
            "wasted",
            "other",
            wasted - process - (resident - active) - (active - allocated),
        ),
        ("allocator_ratio", "allocator_frag", ratio, 0.011),
        (
            "allocator_ratio",
            "allocator_rss",
            info("allocator_rss_ratio"),
            0.02,
        ),
        (
            "allocator_ratio",
            "rss_overhead",
            info("rss_overhead_ratio"),
            0.02,
        ),
        // 100 MiB and 10% are the defaults of every version.
        (
            "defrag_trigger",
            "bytes",
            100.0 * fragmented / 104_857_600.0,
            0.5,
        ),
        ("defrag_trigger", "percent", 1000.0 * (ratio - 1.0), 11.0),
    ]);
    told
}

/// A moment comes at which charts and INFO agree: both are from caches of 100
/// ms, and pages are given back meanwhile.
fn assert_values(run: &PluginRun, server: &Server, job: &str) {
    let mut wrong = Vec::new();
    let agreed = becomes_true(SOON, || {
        let before = run.with_checker(|c| blocks(c, job, "status"));
        run.expect(SOON, "a block", |c| blocks(c, job, "status") > before);
        let told = told(server.kind(), info(server));
        wrong = run.with_checker(|checker| {
            let off = |(chart, name, want, tolerance): &(&str, &str, f64, f64)| {
                let got = shown(checker, job, chart, name);
                let good = got.is_some_and(|got| (got - want).abs() <= *tolerance);
                (!good).then(|| format!("{chart}.{name}: {got:?} for {want}"))
            };
            told.iter().filter_map(off).collect()
        });
        wrong.is_empty()
    });
    assert!(agreed, "{} {job}: {wrong:#?}", server.kind().name());
}

fn assert_server_is_charted(kind: Kind) {
    let server = Server::start(kind);
    server.fill(16 << 20);
    server.delete_random(40);
    let addresses = [
        ("by_socket", server.unix_address()),
        ("by_port", server.tcp_address()),
    ];
    let run = plugin(&jobs(&addresses.each_ref().map(|(n, a)| (*n, a.as_str())))).start();
    for (job, address) in &addresses {
        run.expect(SOON, "all charts", |c| all_charts(c, job));
        assert_values(&run, &server, job);
        run.with_checker(|checker| {
            assert_eq!(seen(checker, job), expected(kind), "{} {job}", kind.name());
            for (chart, id) in charts_of(checker, job) {
                assert_no_gap(checker, job, &chart);
                let seen = checker.chart(&id).unwrap();
                let (name, version) = kind.name().split_once('-').unwrap();
                let allocator = server.info_field("mem_allocator").unwrap();
                let labels = [
                    ("instance", *job),
                    ("address", address),
                    ("server", name),
                    ("version", version),
                    ("allocator", &allocator),
                    ("limited_by", "machine"),
                ];
                let labels = labels.map(|(name, value)| (name.to_string(), value.to_string()));
                assert_eq!(seen.labels, labels.into_iter().collect(), "{id}");
                assert_eq!(seen.update_every, 1, "{id}");
            }
            let ratio = &checker
                .chart(&format!("redis_frag_{job}.ratio"))
                .unwrap()
                .variables;
            let memory = shown(checker, job, "memory", "used").unwrap();
            assert!(
                (ratio["used_memory"] - memory).abs() < 0.02 * memory,
                "{ratio:?}"
            );
            assert_eq!(ratio["min_used_memory"], 52_428_800.0);
            assert_eq!((ratio["forking"], ratio["loading"]), (0.0, 0.0));
            checker.assert_clean();
        });
    }
}

#[test]
fn each_server_is_charted_over_socket_and_port() {
    with_each_kind(assert_server_is_charted);
}
