//! Whole clusters, and what Sentinels look after: real ones, through failovers, moves,
//! joins and removals, with every member charted once and nobody else disturbed.
//!
//! A binary of its own: elections take their time, and miss it beside what burns CPU.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop at the line"
)]

#[path = "fleet/cluster.rs"]
mod cluster;
#[path = "fleet/seeds.rs"]
mod seeds;
#[path = "fleet/sentinel.rs"]
mod sentinel;
mod support;
#[path = "fleet/tls.rs"]
mod tls;
mod watching;

use std::collections::BTreeSet;
use std::time::Duration;

use support::{Checker, PluginRun, Server};

/// For a failover and its news.
const FAILOVER: Duration = Duration::from_secs(60);

/// For three looks without a member, five seconds apart.
const FORGOTTEN: Duration = Duration::from_secs(40);

/// Microseconds between blocks that follow each other, on a busy machine.
const A_SECOND: std::ops::Range<u64> = 300_000..1_900_000;

/// What the job `c` calls a server.
fn member(server: &Server) -> String {
    format!("c_127_0_0_1_{}", server.port())
}

fn label(checker: &Checker, job: &str, name: &str) -> Option<String> {
    let chart = checker.chart(&format!("redis_frag_{job}.status"))?;
    chart.labels.get(name).cloned()
}

fn is_up(checker: &Checker, job: &str) -> bool {
    watching::shown(checker, job, "status", "up") == Some(1.0)
}

fn has_role(checker: &Checker, job: &str, role: &str) -> bool {
    label(checker, job, "role").as_deref() == Some(role)
}

/// The jobs that are on the dashboard.
fn charted(checker: &Checker) -> BTreeSet<String> {
    let mut jobs = BTreeSet::new();
    for id in checker.charts() {
        let chart = checker.chart(id).unwrap();
        let job = id.strip_prefix("redis_frag_").unwrap();
        if !chart.obsolete {
            jobs.insert(job.split_once('.').unwrap().0.to_owned());
        }
    }
    jobs
}

/// A job's values came once a second, from the first one on: no gap, nobody twice.
#[track_caller]
fn assert_no_gap(run: &PluginRun, job: &str) {
    run.with_checker(|checker| {
        for chart in ["status", "memory"] {
            let begins = checker.begins(&format!("redis_frag_{job}.{chart}"));
            let follows = |begin: &Option<u64>| begin.is_some_and(|us| A_SECOND.contains(&us));
            let sound = begins.len() > 5 && begins[1..].iter().all(follows);
            assert!(sound, "{job}.{chart} has a gap: {begins:?}");
        }
        let down = checker.values(&format!("redis_frag_{job}.status"), "down");
        assert!(
            down.iter().all(|value| *value == 0),
            "{job} was down: {down:?}"
        );
    });
}
