//! A primary and its replica that change places, directly and behind one address.

use crate::support::{Checker, Handover, Kind, PluginRun, Proxy, Server, eventually};
use crate::watching::{SOON, all_charts, blocks, is_down};
use crate::{Scene, all_shown, assert_no_spike, assert_tells, assert_told_if_felt, defragment};

/// Jobs behind which another server is put, by a way that is cut and one that goes on.
const LED: [&str; 2] = ["cut", "kept"];

const JOBS: [&str; 4] = ["first", "second", "cut", "kept"];

#[test]
fn a_failover_is_followed_and_brings_no_rate_of_two_servers() {
    let (first, second) = (Server::start(Kind::Redis82), Server::start(Kind::Redis82));
    let ways = [Proxy::tcp(&first), Proxy::tcp(&first)];
    let addresses = [
        first.unix_address(),
        second.unix_address(),
        ways[0].address().to_owned(),
        ways[1].address().to_owned(),
    ];
    let replicas = [Kind::Redis62, Kind::Valkey91].map(|kind| {
        let replica = Server::builder(kind);
        replica.arg("--replica-serve-stale-data", "no").start()
    });
    let lonely = replicas.each_ref().map(Server::unix_address);
    let names = JOBS.into_iter().chain([OLD, NEW]);
    let addresses = addresses.iter().chain(&lonely).map(String::as_str);
    let jobs: Vec<(&str, &str)> = names.zip(addresses).collect();
    let scene = Scene::start(&jobs);
    std::thread::scope(|scope| {
        scope.spawn(|| assert_replicas_go_on(&scene, &replicas));
        assert_is_followed(&scene.run, [&first, &second], &ways);
    });
    scene.assert_unharmed();
}

/// The second, a replica of the first, takes over, at once behind two addresses.
fn assert_is_followed(run: &PluginRun, [first, second]: [&Server; 2], ways: &[Proxy; 2]) {
    second.ok(&["REPLICAOF", "127.0.0.1", &first.port().to_string()]);
    eventually(SOON, "a copy", || {
        second.info_field("master_link_status").as_deref() == Some("up")
    });
    for job in JOBS {
        run.expect(SOON, "all charts", |c| all_charts(c, job));
    }
    // Counters that are far apart, and data that differ.
    second.ok(&["REPLICAOF", "NO", "ONE"]);
    second.fill(20 << 20);
    defragment(second);
    eventually(SOON, "something was looked at", || {
        second.info_number("active_defrag_misses") > 1000.0
    });
    second.ok(&["CONFIG", "SET", "activedefrag", "no"]);
    eventually(SOON, "defrag is over", || {
        second.info_number("active_defrag_running") == 0.0
    });
    let before = LED.map(|job| run.with_checker(|c| (rates(c, job), rateless(c, job))));
    ways[0].lead_to(second, Handover::Cut);
    ways[1].lead_to(second, Handover::Keep);
    for job in LED {
        assert_tells(run, job, second);
    }
    first.ok(&["REPLICAOF", "127.0.0.1", &second.port().to_string()]);
    eventually(SOON, "a copy back", || {
        first.info_field("master_link_status").as_deref() == Some("up")
    });
    let from = run.with_checker(|c| blocks(c, "kept", "status"));
    run.expect(SOON, "some seconds", |c| {
        blocks(c, "kept", "status") >= from + 4
    });
    for (job, server) in JOBS.into_iter().zip([first, second, second, second]) {
        assert_tells(run, job, server);
        assert_no_spike(run, job);
    }
    run.with_checker(|checker| {
        for job in ["first", "second"] {
            assert_never_down(checker, job);
        }
    });
    run.with_checker(|checker| {
        for (job, (rates_before, rateless_before)) in LED.into_iter().zip(before) {
            let grown = rates(checker, job) - rates_before;
            assert!(grown > 2, "{job}: {grown} rates behind the handover");
            // Each rate is of one server: from the last sample of the old one to the first
            // of the new one there is none.
            let missing = rateless(checker, job) - rateless_before;
            assert!(missing > 0, "{job}: a rate of two servers");
            // Of both servers only one has looked at anything, and that was over by then.
            let misses = all_shown(checker, job, "defrag_moves", "misses");
            let is_none = misses.iter().all(|misses| *misses == 0.0);
            assert!(is_none, "{job}: {misses:?}");
        }
    });
    for job in LED {
        assert_told_if_felt(run, job);
    }
}

fn rates(checker: &Checker, job: &str) -> usize {
    blocks(checker, job, "defrag_moves")
}

/// Collections that brought values and no rates.
fn rateless(checker: &Checker, job: &str) -> usize {
    blocks(checker, job, "ratio") - rates(checker, job)
}

#[track_caller]
fn assert_never_down(checker: &Checker, job: &str) {
    let down = checker.values(&format!("redis_frag_{job}.status"), "down");
    assert!(down.iter().all(|down| *down == 0), "{job}: {down:?}");
}

const OLD: &str = "old_replica";
const NEW: &str = "new_replica";

/// Replicas that answer nobody's question for data, for their primary is gone, still tell
/// of their memory.
fn assert_replicas_go_on(scene: &Scene, replicas: &[Server; 2]) {
    let mut primary = Server::start(Kind::Redis62);
    let port = primary.port().to_string();
    for replica in replicas {
        replica.ok(&["REPLICAOF", "127.0.0.1", &port]);
    }
    primary.terminate();
    for (job, replica) in [OLD, NEW].into_iter().zip(replicas) {
        eventually(SOON, "MASTERDOWN", || {
            let got = replica.command(&["GET", "x"]);
            got.is_err_and(|error| error.code() == Some("MASTERDOWN"))
        });
        let from = scene.run.with_checker(|c| blocks(c, job, "ratio"));
        scene.run.expect(SOON, "values all the same", |c| {
            blocks(c, job, "ratio") > from + 3 && !is_down(c, job)
        });
        assert_tells(&scene.run, job, replica);
        scene.run.with_checker(|c| assert_never_down(c, job));
    }
}
