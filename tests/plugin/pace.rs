//! When blocks come and what they say of the time between them; dimensions that
//! come and go; and what is found without any configuration.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{SOON, all_charts, assert_no_gap, blocks, charts_of, jobs, plugin, shown};
use crate::support::{Checker, Kind, Server, eventually, skipped};

/// How late after the full second a block may come.
const LATE: Duration = Duration::from_millis(150);
/// Usual addresses are looked at every ten seconds.
const FOUND_WITHIN: Duration = Duration::from_secs(18);

fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

#[test]
fn blocks_come_on_the_second_and_tell_the_time_between_them() {
    let server = Server::start(Kind::Redis82);
    let address = server.unix_address();
    let config = jobs(&[("fast", &address), ("slow", &address)]) + "  update_every: 2\n";
    let before = wall();
    let run = plugin(&config).start();
    // The run's own clock began between these two.
    let unsure = wall() - before;
    run.expect(SOON, "some seconds", |c| blocks(c, "fast", "status") >= 9);
    let lines = run.lines();
    let arrivals = |job: &str| -> Vec<Duration> {
        let begin = format!("BEGIN 'redis_frag_{job}.status'");
        let of = |(at, line): &(Duration, String)| line.starts_with(&begin).then_some(*at);
        lines.iter().filter_map(of).collect()
    };
    for (job, every) in [("fast", 1.0), ("slow", 2.0)] {
        let arrivals = arrivals(job);
        let phase = |at: &Duration| (before + *at).as_secs_f64() % every;
        // The clock may have begun `unsure` later than `before`.
        let on_time = |at: &&Duration| {
            phase(at) < LATE.as_secs_f64() || phase(at) + unsure.as_secs_f64() > every
        };
        let good = arrivals.iter().filter(on_time).count();
        let phases: Vec<f64> = arrivals.iter().map(phase).collect();
        assert!(4 * good >= 3 * arrivals.len(), "{job}: {phases:?}");

        let (first, last) = (arrivals[0], arrivals[arrivals.len() - 1]);
        let begins = run.with_checker(|c| c.begins(&format!("redis_frag_{job}.status")).to_vec());
        let told: Vec<u64> = begins[1..arrivals.len()]
            .iter()
            .map(|us| us.unwrap())
            .collect();
        let (sum, elapsed) = (
            told.iter().sum::<u64>() as f64 / 1e6,
            (last - first).as_secs_f64(),
        );
        assert!(
            (sum - elapsed).abs() < 0.25,
            "{job}: {sum} s of {elapsed} s, {told:?}"
        );
        let measured = told.windows(2).any(|two| two[0] != two[1]);
        assert!(measured, "{job}: not measured: {told:?}");
    }
    run.with_checker(|checker| {
        assert_no_gap(checker, "fast", "memory");
        for (chart, id) in charts_of(checker, "slow") {
            assert_eq!(checker.chart(&id).unwrap().update_every, 2, "{id}");
            let (slow, fast) = (
                blocks(checker, "slow", &chart),
                blocks(checker, "fast", &chart),
            );
            assert!((2 * slow).abs_diff(fast) <= 3, "{chart}: {slow} of {fast}");
        }
        checker.assert_clean();
    });
}

#[test]
fn a_limit_and_a_child_come_and_go_as_dimensions() {
    let server = Server::start(Kind::Redis70);
    server.fill(1 << 20);
    let run = plugin(&jobs(&[("one", &server.tcp_address())])).start();
    run.expect(SOON, "all charts", |c| all_charts(c, "one"));
    let has = |c: &Checker, chart: &str, name: &str| {
        let chart = c.chart(&format!("redis_frag_one.{chart}")).unwrap();
        chart.dimension(name).is_some()
    };
    run.with_checker(|c| {
        assert!(!has(c, "memory", "maxmemory") && !has(c, "fork", "cow"));
    });

    server.ok(&["CONFIG", "SET", "maxmemory", "104857600"]);
    run.expect(SOON, "the limit", |c| {
        shown(c, "one", "memory", "maxmemory") == Some(104_857_600.0)
    });
    server.ok(&["CONFIG", "SET", "maxmemory", "0"]);
    run.expect(SOON, "no limit any more", |c| {
        shown(c, "one", "memory", "maxmemory").is_none()
    });

    // A child that takes its time.
    server.ok(&["CONFIG", "SET", "rdb-key-save-delay", "10000"]);
    server.ok(&["BGSAVE"]);
    run.expect(SOON, "the child", |c| {
        let forking = c.chart("redis_frag_one.ratio").unwrap().variables["forking"];
        shown(c, "one", "fork_state", "rdb") == Some(1.0)
            && forking == 1.0
            && shown(c, "one", "fork", "cow").is_some()
    });
    server.ok(&["CONFIG", "SET", "rdb-key-save-delay", "0"]);
}

/// A usual socket, which goes with the test however it ends.
struct UsualSocket(&'static Path);

impl Drop for UsualSocket {
    fn drop(&mut self) {
        // Not there if the server did not start.
        let _ = std::fs::remove_file(self.0);
    }
}

/// Nothing is configured, nothing runs; then a server comes, to be had by the
/// usual port and by a usual socket.
#[test]
fn what_listens_at_a_usual_address_is_found_later_and_once() {
    let path = Path::new("/tmp/redis.sock");
    if path.exists() || TcpListener::bind(("127.0.0.1", 6379)).is_err() {
        skipped(&format!("something uses port 6379 or {}", path.display()));
        return;
    }
    // Where no process can be seen the usual addresses are tried alone.
    let run = plugin("")
        .arg("-d")
        .env("NETDATA_HOST_PREFIX", "/nowhere")
        .start();
    eventually(SOON, "a first look", || {
        run.stderr()
            .contains("nothing there: redis://127.0.0.1:6379")
    });
    let socket = UsualSocket(path);
    let server = Server::builder(Kind::Redis70)
        .port_only()
        .arg("--unixsocket", &socket.0.display().to_string())
        .arg("--unixsocketperm", "777")
        .start();
    // Not from the start: only so is a port that was taken meanwhile no failure.
    if let Err(taken) = server.command(&["CONFIG", "SET", "port", "6379"]) {
        skipped(&format!("port 6379 was taken meanwhile: {taken}"));
        return;
    }
    run.expect(FOUND_WITHIN, "the local server", |c| {
        blocks(c, "local_6379", "ratio") >= 4
    });
    run.with_checker(|checker| {
        let address = |id: &str| checker.chart(id).unwrap().labels["address"].clone();
        let charts = checker.charts();
        let twice = charts
            .iter()
            .filter(|id| address(id).ends_with("/tmp/redis.sock"));
        assert_eq!(twice.collect::<Vec<_>>(), [&""; 0], "charted twice");
        assert_eq!(
            address("redis_frag_local_6379.ratio"),
            "redis://127.0.0.1:6379"
        );
        assert_no_gap(checker, "local_6379", "ratio");
        checker.assert_clean();
    });
}
