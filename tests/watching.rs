//! How tests start the plugin and read what it says of a job.
//!
//! Knows of the crate only what it promises to users: its binary and the ids of its
//! charts.
#![allow(dead_code, reason = "shared by the test binaries; each uses a part")]

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use crate::support::{Checker, PluginBuilder, PluginRun};

/// For what must come at all: generous, for the machine may be busy.
pub const SOON: Duration = Duration::from_secs(20);

/// An instance that stops is asked at the next second and has 0.9 s to answer.
pub const DOWN_WITHIN: Duration = Duration::from_millis(2500);
/// An instance that is back is seen by then.
pub const UP_WITHIN: Duration = Duration::from_secs(3);

/// Microseconds of a collection a second on a busy machine; where one is left
/// out, there are more.
pub const A_SECOND: Range<u64> = 400_000..1_600_000;

/// An instance of 200 MB with 300 MB in holes.
pub const FRAGMENTED: &str = "redis_version:8.2.3\r\nredis_mode:standalone\r\nuptime_in_seconds:100\r\n\
    mem_allocator:jemalloc-5.3.0\r\nused_memory:200000000\r\nused_memory_rss:530000000\r\n\
    used_memory_peak:510000000\r\nmem_fragmentation_ratio:2.65\r\n\
    mem_fragmentation_bytes:330000000\r\nallocator_allocated:201000000\r\n\
    allocator_active:501000000\r\nallocator_resident:525000000\r\nallocator_muzzy:0\r\n\
    allocator_frag_bytes:299000000\r\nallocator_frag_ratio:2.49\r\nactive_defrag_running:0\r\n\
    rdb_bgsave_in_progress:0\r\n";

/// The binary with this configuration, as an agent of Debian 12 runs it.
pub fn plugin(config: &str) -> PluginBuilder {
    PluginRun::builder(Path::new(env!("CARGO_BIN_EXE_redis-frag")))
        .version("v1.37.1")
        .arg("1")
        .user_config(config)
}

/// A configuration of jobs by name and address.
pub fn jobs(jobs: &[(&str, &str)]) -> String {
    let entry = |(name, address): &(&str, &str)| format!("- name: {name}\n  address: {address}\n");
    format!("jobs:\n{}", jobs.iter().map(entry).collect::<String>())
}

/// How many blocks came for a job's chart.
pub fn blocks(checker: &Checker, job: &str, chart: &str) -> usize {
    let chart = checker.chart(&format!("redis_frag_{job}.{chart}"));
    chart.map_or(0, |chart| chart.blocks)
}

/// The last value of a job's chart, in its units.
pub fn shown(checker: &Checker, job: &str, chart: &str, dimension: &str) -> Option<f64> {
    let chart = checker.chart(&format!("redis_frag_{job}.{chart}"))?;
    chart.shown(dimension)
}

pub fn is_down(checker: &Checker, job: &str) -> bool {
    shown(checker, job, "status", "down") == Some(1.0)
}

/// The charts of a job: name and id.
pub fn charts_of(checker: &Checker, job: &str) -> Vec<(String, String)> {
    let prefix = format!("redis_frag_{job}.");
    let own = |id: &&str| Some((id.strip_prefix(&prefix)?.to_string(), (*id).to_string()));
    checker.charts().iter().filter_map(own).collect()
}

/// Every chart has come: rates need two samples.
pub fn all_charts(checker: &Checker, job: &str) -> bool {
    blocks(checker, job, "defrag_moves") > 0
}

/// A chart's blocks came one a second, from its first one on.
#[track_caller]
pub fn assert_no_gap(checker: &Checker, job: &str, chart: &str) {
    let begins = checker.begins(&format!("redis_frag_{job}.{chart}"));
    assert!(begins.len() > 1, "{job}.{chart}: {begins:?}");
    assert_eq!(begins[0], None, "{job}.{chart}");
    for begin in &begins[1..] {
        let whole = begin.is_some_and(|us| A_SECOND.contains(&us));
        assert!(whole, "{job}.{chart} has a gap: {begins:?}");
    }
}

/// How many blocks each chart of a job has; `status` goes on when others stop.
pub fn counts(checker: &Checker, job: &str) -> Vec<(String, usize)> {
    charts_of(checker, job)
        .into_iter()
        .filter(|(chart, _)| chart != "status")
        .map(|(chart, _)| (chart.clone(), blocks(checker, job, &chart)))
        .collect()
}

/// Waits for a job to be told down, and then for more of it: the other charts
/// get not one block more. Returns how many they had.
#[track_caller]
pub fn assert_goes_silent(run: &PluginRun, job: &str, within: Duration) -> Vec<(String, usize)> {
    run.expect(within, "down", |c| is_down(c, job));
    let at_first = run.with_checker(|c| counts(c, job));
    let status = run.with_checker(|c| blocks(c, job, "status"));
    run.expect(SOON, "down, again and again", |c| {
        blocks(c, job, "status") >= status + 4
    });
    run.with_checker(|checker| {
        assert_eq!(counts(checker, job), at_first, "stale values");
        let id = format!("redis_frag_{job}.status");
        let (up, down) = (checker.values(&id, "up"), checker.values(&id, "down"));
        assert!(up.iter().rev().take(5).all(|up| *up == 0), "{up:?}");
        assert!(down.iter().rev().take(5).all(|down| *down == 1), "{down:?}");
    });
    at_first
}

/// Values come again, and the first of each chart without microseconds: the
/// agent goes by its own clock after a gap.
#[track_caller]
pub fn assert_comes_back(run: &PluginRun, job: &str, before: &[(String, usize)]) {
    let ratio = run.with_checker(|c| blocks(c, job, "ratio"));
    run.expect(UP_WITHIN, "up again", |c| {
        !is_down(c, job) && blocks(c, job, "ratio") > ratio
    });
    run.expect(SOON, "all charts again", |c| {
        before
            .iter()
            .all(|(chart, n)| blocks(c, job, chart) > n + 1)
    });
    run.with_checker(|checker| {
        for (chart, n) in before {
            let begins = checker.begins(&format!("redis_frag_{job}.{chart}"));
            assert_eq!(begins[*n], None, "{chart} after the gap: {begins:?}");
            let gaps = begins.iter().filter(|begin| begin.is_none()).count();
            assert_eq!(gaps, 2, "{chart} has one gap: {begins:?}");
        }
    });
}

/// Lines of the log about this very job that hold this: `job NAME: …` or `job NAME (…`.
pub fn log_lines(log: &str, job: &str, what: &str) -> Vec<String> {
    let heads = [format!("job {job}:"), format!("job {job} (")];
    let about = |line: &&str| heads.iter().any(|head| line.contains(head)) && line.contains(what);
    log.lines().filter(about).map(str::to_owned).collect()
}

/// How many lines of the log so far are about this very job and hold this.
pub fn times_told(run: &PluginRun, job: &str, what: &str) -> usize {
    log_lines(&run.stderr(), job, what).len()
}
