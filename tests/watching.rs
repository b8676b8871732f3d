//! How tests start the plugin and read what it says of a job.
//!
//! Knows of the crate only what it promises to users: its binary and the ids of its
//! charts.
#![allow(dead_code, reason = "shared by the test binaries; each uses a part")]

use std::path::Path;
use std::time::Duration;

use crate::support::{Checker, PluginBuilder, PluginRun};

/// For what must come at all: generous, for the machine may be busy.
pub const SOON: Duration = Duration::from_secs(20);

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

/// Resident bytes of a process.
pub fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    let kilobytes: u64 = line
        .split_ascii_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kilobytes << 10
}
