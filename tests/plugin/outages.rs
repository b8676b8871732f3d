//! Servers that stop, hang, come back, turn into another one or were never
//! there: gaps and no stale repeats, soon back, and nothing lost elsewhere.

use std::time::Instant;

use super::{SOON, all_charts, assert_no_gap, blocks, charts_of, is_down, jobs, plugin, shown};
use crate::support::{Checker, Kind, Server};
use crate::watching::{
    DOWN_WITHIN, UP_WITHIN, assert_comes_back, assert_goes_silent, counts, times_told,
};

#[test]
fn a_stopped_server_is_a_gap_and_is_back_soon_after_it_is() {
    let mut server = Server::start(Kind::Redis82);
    let run = plugin(&jobs(&[("one", &server.unix_address())])).start();
    run.expect(SOON, "all charts", |c| all_charts(c, "one"));
    server.terminate();
    let before = assert_goes_silent(&run, "one", DOWN_WITHIN);
    server.restart();
    assert_comes_back(&run, "one", &before);
    assert_eq!(times_told(&run, "one", "WARN"), 1, "{}", run.stderr());
    assert_eq!(times_told(&run, "one", "again"), 1, "{}", run.stderr());
    run.with_checker(Checker::assert_clean);
}

#[test]
fn a_hanging_server_is_down_within_two_seconds_and_holds_up_nobody() {
    let hanging = Server::start(Kind::Redis62);
    let other = Server::start(Kind::Valkey91);
    let addresses = [
        ("hanging", hanging.tcp_address()),
        ("other", other.tcp_address()),
    ];
    let run = plugin(&jobs(&addresses.each_ref().map(|(n, a)| (*n, a.as_str())))).start();
    for (job, _) in &addresses {
        run.expect(SOON, "all charts", |c| all_charts(c, job));
    }
    hanging.pause();
    let before = assert_goes_silent(&run, "hanging", DOWN_WITHIN);
    hanging.resume();
    assert_comes_back(&run, "hanging", &before);
    assert_eq!(times_told(&run, "hanging", "WARN"), 1, "{}", run.stderr());
    run.with_checker(|checker| {
        for (chart, _) in charts_of(checker, "other") {
            assert_no_gap(checker, "other", &chart);
        }
        assert!(
            checker
                .values("redis_frag_other.status", "down")
                .iter()
                .all(|down| *down == 0)
        );
        checker.assert_clean();
    });
}

/// A hanging server is told down every second, not every other.
#[test]
fn an_outage_has_a_down_for_every_second() {
    let hanging = Server::start(Kind::Redis70);
    let addresses = [
        ("hanging", hanging.unix_address()),
        ("nobody", hanging.unix_address().replace("/s", "/none")),
        // Nothing but tcpmux may listen there.
        ("refused", "redis://127.0.0.1:1".to_string()),
    ];
    let run = plugin(&jobs(&addresses.each_ref().map(|(n, a)| (*n, a.as_str())))).start();
    run.expect(SOON, "values", |c| blocks(c, "hanging", "ratio") > 1);
    hanging.pause();
    run.expect(DOWN_WITHIN, "down", |c| is_down(c, "hanging"));
    let count = |job: &str| run.with_checker(|c| blocks(c, job, "status"));
    let (from, start) = (
        addresses.each_ref().map(|(job, _)| count(job)),
        Instant::now(),
    );
    run.expect(SOON, "some more", |c| {
        blocks(c, "refused", "status") > from[2] + 7
    });
    let seconds = start.elapsed().as_secs_f64();
    for ((job, _), from) in addresses.iter().zip(from) {
        let got = count(job) - from;
        let off = (got as f64 - seconds).abs();
        assert!(off <= 1.5, "{job}: {got} blocks in {seconds} seconds");
    }
    run.with_checker(|checker| {
        for job in ["nobody", "refused"] {
            assert!(is_down(checker, job));
            assert_eq!(counts(checker, job), [], "nothing is known of {job}");
            assert_no_gap(checker, job, "status");
        }
        checker.assert_clean();
    });
    for (job, _) in &addresses {
        assert_eq!(times_told(&run, job, "WARN"), 1, "{job}: {}", run.stderr());
    }
}

#[test]
fn four_servers_at_once_lose_nothing_to_one_that_is_not_there() {
    let servers = Kind::ALL.map(Server::start);
    let names = ["redis62", "redis70", "redis82", "valkey91"];
    let addresses = servers.each_ref().map(Server::unix_address);
    let mut all: Vec<(&str, &str)> = names
        .into_iter()
        .zip(addresses.iter().map(String::as_str))
        .collect();
    all.insert(2, ("nobody", "redis://127.0.0.1:1"));
    let run = plugin(&jobs(&all)).start();
    for name in names {
        run.expect(SOON, "some seconds", |c| blocks(c, name, "ratio") >= 7);
    }
    run.with_checker(|checker| {
        let nobody = blocks(checker, "nobody", "status");
        assert!(is_down(checker, "nobody"));
        assert_eq!(counts(checker, "nobody"), []);
        for (name, server) in names.into_iter().zip(&servers) {
            let seen = super::seen(checker, name);
            assert_eq!(seen, super::expected(server.kind()), "{name}");
            for chart in seen.keys() {
                assert_no_gap(checker, name, chart);
            }
            assert!(
                !checker
                    .values(&format!("redis_frag_{name}.status"), "up")
                    .contains(&0)
            );
            let apart = nobody.abs_diff(blocks(checker, name, "status"));
            assert!(apart <= 1, "{name} and nobody are {apart} blocks apart");
        }
        checker.assert_clean();
    });
}

#[test]
fn another_server_at_the_same_socket_is_another_server() {
    let mut old = Server::start(Kind::Redis62);
    let socket = old.socket().to_path_buf();
    let run = plugin(&jobs(&[("one", &old.unix_address())])).start();
    run.expect(SOON, "all charts", |c| all_charts(c, "one"));
    let labels = |c: &Checker, chart: &str| {
        let labels = c
            .chart(&format!("redis_frag_one.{chart}"))
            .unwrap()
            .labels
            .clone();
        ["server", "version", "allocator"].map(|name| labels[name].clone())
    };
    let jemalloc = old.info_field("mem_allocator").unwrap();
    let before = run.with_checker(|c| {
        assert_eq!(labels(c, "ratio"), ["redis", "6.2.5", &jemalloc]);
        counts(c, "one")
    });
    old.terminate();
    run.expect(DOWN_WITHIN, "down", |c| is_down(c, "one"));
    let new = Server::builder(Kind::Valkey91)
        .port_only()
        .arg("--unixsocket", &socket.display().to_string())
        .arg("--unixsocketperm", "777")
        .start();
    run.expect(UP_WITHIN, "up again", |c| !is_down(c, "one"));
    run.expect(SOON, "all charts again", |c| {
        let more = |chart: &str| {
            before
                .iter()
                .any(|(name, n)| name == chart && blocks(c, "one", chart) > n + 2)
        };
        more("ratio") && more("defrag_moves") && blocks(c, "one", "defrag_time") > 0
    });
    let wasted = new.info_number("mem_fragmentation_bytes");
    run.with_checker(|checker| {
        for chart in ["ratio", "memory", "status", "defrag_moves", "defrag_time"] {
            assert_eq!(
                labels(checker, chart),
                ["valkey", "9.1.2", "libc"],
                "{chart}"
            );
        }
        let stopped = |chart: &str| before.iter().find(|(name, _)| name == chart).unwrap().1;
        for chart in ["allocator", "allocator_ratio", "defrag_trigger"] {
            let more = blocks(checker, "one", chart) - stopped(chart);
            assert!(more <= 1, "{chart}: {more} blocks of a server that is gone");
        }
        assert_eq!(shown(checker, "one", "wasted", "fragmented"), None);
        let other = shown(checker, "one", "wasted", "other").unwrap();
        assert!(
            (other - wasted).abs() < 0.1 * wasted,
            "{other} for {wasted}"
        );
        assert_eq!(
            shown(checker, "one", "defrag_state", "unsupported"),
            Some(1.0)
        );
        checker.assert_clean();
    });
}
