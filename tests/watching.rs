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
