//! The plugin under a real Netdata agent, watching real servers: what the user
//! sees on the dashboard, and which alerts reach him.
//!
//! Alerts are the shipped ones with shorter spans (`support::health`).

mod expressions;
mod gone;
mod verdicts;

pub(crate) use verdicts::made_up;

use std::path::Path;
use std::time::Duration;

use redis_frag::model::charts::CHARTS;

use crate::support::{Agent, AgentBuilder, Kind, Server, eventually, health};

const SHIPPED: &str = include_str!("../health.d/redis_frag.conf");

/// An agent that watches these servers as jobs named `a`, `b`, …
fn agent(servers: &[&Server]) -> Agent {
    with_jobs(&jobs(servers)).start()
}

fn with_jobs(jobs: &str) -> AgentBuilder {
    Agent::builder()
        .plugin(Path::new(env!("CARGO_BIN_EXE_redis-frag")))
        .user_config("redis-frag.conf", jobs)
        .health("redis_frag.conf", &health::hurried(SHIPPED))
}

fn jobs(servers: &[&Server]) -> String {
    let job = |(server, name): (&&Server, char)| {
        format!("  - name: {name}\n    address: {}\n", server.unix_address())
    };
    let jobs: String = servers.iter().zip('a'..).map(job).collect();
    format!("jobs:\n{jobs}")
}

/// Waits for a status; tells what the agent knew when it does not come.
#[track_caller]
fn wait_status(agent: &Agent, chart: &str, alarm: &str, wanted: &[&str], limit: u64) {
    let limit = Duration::from_secs(limit);
    let mut last = None;
    eventually(
        limit,
        &format!("{alarm} becoming {wanted:?} on {chart}"),
        || {
            let status = agent.alarm_status(chart, alarm);
            if status != last {
                eprintln!("{chart} {alarm}: {status:?}");
                last.clone_from(&status);
            }
            status.is_some_and(|status| wanted.contains(&status.as_str()))
        },
    );
}

#[test]
fn all_four_servers_are_charted_with_what_they_say_themselves() {
    let servers: Vec<Server> = Kind::ALL.into_iter().map(Server::start).collect();
    for server in &servers {
        server.fill(20_000_000);
        if server.kind() != Kind::Redis62 {
            server.ok(&["CONFIG", "SET", "maxmemory", "1gb"]);
        }
    }
    let agent = agent(&servers.iter().collect::<Vec<_>>());
    for (server, name) in servers.iter().zip('a'..) {
        let chart = |id: &str| format!("redis_frag_{name}.{id}");
        let latest = |id: &str, dimension: &str| agent.latest(&chart(id), dimension);
        eventually(
            Duration::from_secs(15),
            &format!("values of {}", server.kind().name()),
            || latest("ratio", "ratio").is_some() && latest("cpu", "user").is_some(),
        );
        let rss = server.info_number("used_memory_rss");
        let near = |shown: Option<f64>, said: f64, what: &str| {
            let shown = shown.unwrap_or_else(|| panic!("{}: no {what}", server.kind().name()));
            let tolerance = said.abs() * 0.02 + 0.02;
            let apart = (shown - said).abs();
            assert!(
                apart <= tolerance,
                "{}: {what} {shown} for {said}",
                server.kind().name()
            );
        };
        near(latest("memory", "rss"), rss, "rss");
        near(
            latest("memory", "used"),
            server.info_number("used_memory"),
            "used",
        );
        let ratio = server.info_number("mem_fragmentation_ratio");
        near(latest("ratio", "ratio"), ratio, "ratio");
        if server.kind().has_jemalloc() {
            for (shown, said) in [
                ("allocator_frag", "allocator_frag_ratio"),
                ("allocator_rss", "allocator_rss_ratio"),
                ("rss_overhead", "rss_overhead_ratio"),
            ] {
                near(
                    latest("allocator_ratio", shown),
                    server.info_number(said),
                    said,
                );
            }
        } else {
            assert!(
                agent.chart(&chart("allocator_ratio")).is_none(),
                "made-up numbers are not charted"
            );
        }
        let maxmemory = latest("memory", "maxmemory");
        if server.kind() == Kind::Redis62 {
            assert_eq!(maxmemory, None, "unlimited is not a number");
        } else {
            near(maxmemory, f64::from(1 << 30), "maxmemory");
        }
        near(latest("status", "up"), 1.0, "up");
    }
    let families: Vec<&str> = CHARTS.iter().map(|chart| chart.family).collect();
    for (id, chart) in agent.charts().as_object().unwrap() {
        if id.starts_with("redis_frag_") {
            let family = chart["family"].as_str().unwrap();
            assert!(families.contains(&family), "{id}: {family}");
        }
    }
    assert_eq!(agent.complaints(), Vec::<String>::new());
}

/// Small and noisy stays quiet, large and fragmented is raised, mended is
/// cleared.
#[test]
fn the_ratio_alert_is_quiet_when_small_raised_when_fragmented_and_clears_when_mended() {
    let server = Server::start(Kind::Redis62);
    let agent = agent(&[&server]);
    let (chart, alarm) = ("redis_frag_a.ratio", "redis_frag_ratio");
    wait_status(&agent, chart, alarm, &["CLEAR"], 30);
    assert!(
        server.info_number("mem_fragmentation_ratio") > 2.0,
        "small and noisy"
    );
    server.fill(40_000_000);
    server.delete_random(80);
    server.ok(&["MEMORY", "PURGE"]);
    eventually(
        Duration::from_secs(10),
        "a small server far above 1.5",
        || {
            agent
                .latest(chart, "ratio")
                .is_some_and(|ratio| ratio > 2.0)
        },
    );
    // Long enough for the ten-second average to be far above the line as well.
    let over = std::time::Instant::now() + Duration::from_secs(11);
    while std::time::Instant::now() < over {
        assert_eq!(agent.alarm_status(chart, alarm).as_deref(), Some("CLEAR"));
        std::thread::sleep(Duration::from_millis(500));
    }
    server.fill(250_000_000);
    server.delete_random(70);
    wait_status(&agent, chart, alarm, &["WARNING", "CRITICAL"], 30);
    server.ok(&["CONFIG", "SET", "active-defrag-cycle-min", "60"]);
    server.ok(&["CONFIG", "SET", "active-defrag-cycle-max", "75"]);
    server.ok(&["CONFIG", "SET", "active-defrag-ignore-bytes", "1mb"]);
    server.ok(&["CONFIG", "SET", "activedefrag", "yes"]);
    eventually(Duration::from_secs(40), "defrag done", || {
        server.info_number("allocator_frag_ratio") < 1.1
    });
    server.ok(&["MEMORY", "PURGE"]);
    wait_status(&agent, chart, alarm, &["CLEAR"], 30);
    let raised: Vec<String> = agent
        .notifications()
        .into_iter()
        .filter(|line| line.contains(alarm))
        .collect();
    assert!(
        raised.iter().any(|line| line.contains(chart)),
        "the receiver is told: {raised:?}"
    );
    assert_eq!(agent.complaints(), Vec::<String>::new());
}

#[test]
fn a_gigabyte_wasted_and_an_allocator_full_of_holes_are_raised() {
    let server = Server::start(Kind::Redis62);
    let agent = agent(&[&server]);
    wait_status(
        &agent,
        "redis_frag_a.wasted",
        "redis_frag_wasted",
        &["CLEAR"],
        30,
    );
    // Of what is deleted a third goes back within ten seconds: pages that are all empty.
    server.fill(2_200_000_000);
    wait_status(
        &agent,
        "redis_frag_a.allocator_ratio",
        "redis_frag_allocator",
        &["CLEAR"],
        5,
    );
    server.delete_random(90);
    wait_status(
        &agent,
        "redis_frag_a.wasted",
        "redis_frag_wasted",
        &["WARNING"],
        30,
    );
    wait_status(
        &agent,
        "redis_frag_a.allocator_ratio",
        "redis_frag_allocator",
        &["WARNING"],
        30,
    );
    // The size of the data is what the ratio alerts go by, RSS what bytes do.
    server.ok(&["FLUSHALL"]);
    eventually(Duration::from_secs(10), "hardly any data", || {
        server.info_number("used_memory") < 20_000_000.0
    });
    wait_status(
        &agent,
        "redis_frag_a.allocator_ratio",
        "redis_frag_allocator",
        &["CLEAR"],
        30,
    );
}

#[test]
fn a_server_that_went_away_is_told_and_its_return_too() {
    let mut server = Server::start(Kind::Redis70);
    let other = Server::start(Kind::Valkey91);
    let agent = agent(&[&server, &other]);
    let (chart, alarm) = ("redis_frag_a.status", "redis_frag_unreachable");
    wait_status(&agent, chart, alarm, &["CLEAR"], 30);
    server.terminate();
    wait_status(&agent, chart, alarm, &["CRITICAL"], 30);
    assert_eq!(
        agent.alarm_status("redis_frag_b.status", alarm).as_deref(),
        Some("CLEAR")
    );
    let words = agent.plugin_words();
    let told = words
        .iter()
        .filter(|line| line.contains("job a") && line.contains("WARN"))
        .count();
    assert_eq!(told, 1, "the log says it once: {words:?}");
    server.restart();
    wait_status(&agent, chart, alarm, &["CLEAR"], 30);
    assert_eq!(agent.complaints(), Vec::<String>::new());
}

/// A save must not raise anything, and must not clear what is raised.
#[test]
fn a_fork_neither_raises_nor_clears_the_ratio_alert() {
    let server = Server::start(Kind::Redis70);
    server.fill(250_000_000);
    server.delete_random(70);
    let agent = agent(&[&server]);
    let (chart, alarm) = ("redis_frag_a.ratio", "redis_frag_ratio");
    wait_status(&agent, chart, alarm, &["WARNING", "CRITICAL"], 40);
    server.ok(&["CONFIG", "SET", "rdb-key-save-delay", "1000"]);
    server.ok(&["BGSAVE"]);
    eventually(Duration::from_secs(5), "the child", || {
        agent.latest("redis_frag_a.fork_state", "rdb") == Some(1.0)
    });
    let over = std::time::Instant::now() + Duration::from_secs(6);
    while std::time::Instant::now() < over {
        let status = agent.alarm_status(chart, alarm);
        assert!(
            matches!(status.as_deref(), Some("WARNING" | "CRITICAL")),
            "{status:?}"
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(
        agent.latest("redis_frag_a.fork_state", "rdb"),
        Some(1.0),
        "still at it"
    );
    // A second agent meets the very same server while it saves.
    let second = with_jobs(&jobs(&[&server])).start();
    wait_status(&second, chart, alarm, &["CLEAR"], 40);
    assert_eq!(
        server.info_number("rdb_bgsave_in_progress"),
        1.0,
        "still at it"
    );
}
