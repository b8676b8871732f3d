//! What happens at servers and to the machine while instances are watched: restarts,
//! failovers, other versions, busy servers, clocks that are set, names and descriptors
//! that run out.
//!
//! Each event costs its own instance alone: beside it two healthy servers are watched that
//! lose no second. Drives the binary alone.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop at the line"
)]

#[path = "events/clocks.rs"]
mod clocks;
#[path = "events/descriptors.rs"]
mod descriptors;
#[path = "events/failover.rs"]
mod failover;
#[path = "events/names.rs"]
mod names;
#[path = "events/refusals.rs"]
mod refusals;
#[path = "events/restarts.rs"]
mod restarts;
#[path = "events/states.rs"]
mod states;
mod support;
mod watching;

use support::process::{forget_peak, peak};
use support::{Checker, Kind, PluginBuilder, PluginRun, Server};
use watching::{
    DOWN_WITHIN, SOON, UP_WITHIN, all_charts, assert_comes_back, assert_goes_silent, assert_no_gap,
    charts_of, jobs, plugin, shown, times_told,
};

/// Bytes by which an event may make the plugin larger at its worst: a connection's buffers, threads for
/// names, the first definitions of other charts.
const FLAT: u64 = 4 << 20;

/// How far what is shown may be from what the server says a moment later: a fiftieth, and
/// the buffers of a few connections.
fn is_near(shown: f64, said: f64) -> bool {
    (shown - said).abs() < said / 50.0 + 100_000.0
}

/// A plugin that watches two healthy servers beside those that a test is about.
struct Scene {
    healthy: [(&'static str, Server); 2],
    run: PluginRun,
    size: u64,
}

impl Scene {
    /// Begins to watch these too, by name and address.
    fn start(others: &[(&str, &str)]) -> Self {
        Self::with(&jobs(others), |builder| builder)
    }

    /// The same with a configuration, and a plugin started in another way.
    fn with(config: &str, how: impl FnOnce(PluginBuilder) -> PluginBuilder) -> Self {
        let healthy = [
            ("steady_redis", Server::start(Kind::Redis70)),
            ("steady_valkey", Server::start(Kind::Valkey91)),
        ];
        let (one, other) = (healthy[0].1.unix_address(), healthy[1].1.tcp_address());
        let own = jobs(&[(healthy[0].0, &one), (healthy[1].0, &other)]);
        let own = own.strip_prefix("jobs:\n").unwrap();
        let run = how(plugin(&format!("{config}{own}"))).start();
        for (job, _) in &healthy {
            run.expect(SOON, "a healthy server's charts", |c| all_charts(c, job));
        }
        let size = forget_peak(run.pid());
        Self { healthy, run, size }
    }

    /// The healthy ones have lost no second and tell what is; the plugin has not grown.
    #[track_caller]
    fn assert_unharmed(&self) {
        self.run.with_checker(|checker| {
            for (job, _) in &self.healthy {
                for (chart, _) in charts_of(checker, job) {
                    assert_no_gap(checker, job, &chart);
                }
            }
        });
        self.assert_never_down();
    }

    /// The same where gaps have another reason.
    #[track_caller]
    fn assert_never_down(&self) {
        for (job, server) in &self.healthy {
            assert_tells(&self.run, job, server);
            self.run.with_checker(|checker| {
                let down = checker.values(&format!("redis_frag_{job}.status"), "down");
                assert!(down.iter().all(|down| *down == 0), "{job}: {down:?}");
            });
            assert_eq!(
                times_told(&self.run, job, "WARN"),
                0,
                "{}",
                self.run.stderr()
            );
        }
        let grown = peak(self.run.pid()).saturating_sub(self.size);
        assert!(grown < FLAT, "{grown} bytes");
        self.run.with_checker(Checker::assert_clean);
    }

    /// A job goes down when this begins, and is back when it ends; both are told once, and
    /// why.
    #[track_caller]
    fn assert_outage(
        &self,
        (job, server): (&str, &Server),
        reason: &str,
        begin: impl FnOnce(),
        end: impl FnOnce(),
    ) {
        self.run.expect(SOON, "all charts", |c| all_charts(c, job));
        begin();
        let before = assert_goes_silent(&self.run, job, DOWN_WITHIN);
        end();
        assert_comes_back(&self.run, job, &before);
        assert_tells(&self.run, job, server);
        assert_told_once(&self.run, job, reason);
    }
}

/// The outage of a job is told once with its reason, and its end once with the count of
/// failed tries.
#[track_caller]
fn assert_told_once(run: &PluginRun, job: &str, reason: &str) {
    let log = run.stderr();
    assert_eq!(times_told(run, job, "WARN"), 1, "{job}: {log}");
    assert_eq!(times_told(run, job, reason), 1, "{job}, {reason}: {log}");
    let mut ends = log
        .lines()
        .filter(|line| line.contains(&format!("job {job}:")))
        .filter_map(|line| line.split_once("answers again after ")?.1.split_once(' '));
    let (count, _) = ends.next().unwrap_or_else(|| panic!("{job}: {log}"));
    assert!(ends.next().is_none(), "{job}: {log}");
    let down = run.with_checker(|checker| {
        let values = checker.values(&format!("redis_frag_{job}.status"), "down");
        values.iter().filter(|down| **down == 1).count()
    });
    // Not every second of an outage is a try.
    let count: usize = count.parse().unwrap();
    assert!((1..=down).contains(&count), "{count} of {down}: {log}");
}

/// Where a job may have been down or not, that is told once if at all, and its end just if
/// it was.
#[track_caller]
fn assert_told_if_felt(run: &PluginRun, job: &str) {
    let [begins, ends] = ["WARN", "answers again after"].map(|what| times_told(run, job, what));
    assert!(
        begins <= 1 && ends == begins,
        "{job}: {begins} and {ends}: {}",
        run.stderr()
    );
}

/// What is shown becomes what the server says.
#[track_caller]
fn assert_tells(run: &PluginRun, job: &str, server: &Server) {
    let mut seen = Vec::new();
    let agreed = support::becomes_true(UP_WITHIN, || {
        seen = ["used_memory", "used_memory_rss"]
            .map(|field| server.info_number(field))
            .into_iter()
            .zip(["used", "rss"])
            .map(|(said, name)| (said, run.with_checker(|c| shown(c, job, "memory", name))))
            .collect();
        seen.iter()
            .all(|(said, shown)| shown.is_some_and(|shown| is_near(shown, *said)))
    });
    assert!(agreed, "{job}: said and shown {seen:?}");
}

/// All that was shown of a dimension, in its units.
fn all_shown(checker: &Checker, job: &str, chart: &str, dimension: &str) -> Vec<f64> {
    let id = format!("redis_frag_{job}.{chart}");
    let Some(known) = checker
        .chart(&id)
        .and_then(|chart| chart.dimension(dimension))
    else {
        return Vec::new();
    };
    let values = checker.values(&id, dimension).iter();
    values
        .map(|value| (value * known.multiplier) as f64 / known.divisor as f64)
        .collect()
}

/// No rate and no share of a job was ever beyond what can be.
#[track_caller]
fn assert_no_spike(run: &PluginRun, job: &str) {
    run.with_checker(|checker| {
        // Active defrag looks at some millions of allocations a second at most.
        for (chart, dimensions, most) in [
            ("defrag_moves", &["hits", "misses"][..], 2e7),
            ("defrag_keys", &["hits", "misses"], 2e7),
            ("defrag_time", &["time"], 100.0),
            ("defrag_efficiency", &["efficiency"], 100.0),
            // The main thread, measured by the server between two moments of ours.
            ("cpu", &["user", "system"], 130.0),
        ] {
            for dimension in dimensions {
                let values = all_shown(checker, job, chart, dimension);
                let wrong = values.iter().find(|value| !(0.0..=most).contains(*value));
                assert_eq!(wrong, None, "{job}.{chart}.{dimension}: {values:?}");
            }
        }
    });
}

/// Has the server defragment what was filled: its counters grow.
fn defragment(server: &Server) {
    server.fill(24 << 20);
    server.delete_random(60);
    for (name, value) in [
        ("active-defrag-ignore-bytes", "64kb"),
        ("active-defrag-threshold-lower", "1"),
        ("active-defrag-cycle-min", "5"),
        ("activedefrag", "yes"),
    ] {
        server.ok(&["CONFIG", "SET", name, value]);
    }
}
