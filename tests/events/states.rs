//! Servers that are busy with themselves: scripts, long commands, snapshots, loading,
//! and statistics that are reset again and again.

use std::thread;
use std::time::{Duration, Instant};

use redis_frag::model::verdict::Verdict;

use crate::support::{Checker, Kind, Server, eventually};
use crate::watching::{SOON, UP_WITHIN, all_charts, assert_no_gap, blocks, is_down, shown};
use crate::{Scene, all_shown, assert_no_spike, assert_tells, assert_told_if_felt, defragment};

/// Servers that are stopped where they are, by SIGSTOP.
const STOPPED: [&str; 2] = ["stopped", "stopped_too"];

#[test]
fn a_server_that_is_stuck_is_down_for_as_long() {
    let script = Server::builder(Kind::Redis70)
        .arg("--lua-time-limit", "100")
        .start();
    let command = Server::start(Kind::Redis62);
    let [stopped, stopped_too] = [Kind::Redis82, Kind::Valkey91].map(Server::start);
    // The connections that end it are open before.
    script.ok(&["PING"]);
    command.ok(&["PING"]);
    let addresses = [
        script.unix_address(),
        command.tcp_address(),
        stopped.unix_address(),
        stopped_too.tcp_address(),
    ];
    let names = ["script", "command", STOPPED[0], STOPPED[1]];
    let jobs: Vec<(&str, &str)> = names
        .into_iter()
        .zip(addresses.iter().map(String::as_str))
        .collect();
    let scene = Scene::start(&jobs);
    let (mut loops, mut sleeps) = (None, None);
    thread::scope(|scope| {
        scope.spawn(|| {
            scene.assert_outage(
                ("script", &script),
                "BUSY",
                || loops = Some(script.begin(&["EVAL", "while true do end", "0"])),
                || {
                    script.ok(&["SCRIPT", "KILL"]);
                },
            );
        });
        scope.spawn(|| {
            scene.assert_outage(
                ("command", &command),
                "no answer in time",
                // Longer than it is looked at while down.
                || sleeps = Some(command.begin(&["DEBUG", "SLEEP", "8"])),
                || {
                    command.ok(&["PING"]);
                },
            );
        });
        for (job, server) in STOPPED.into_iter().zip([&stopped, &stopped_too]) {
            let scene = &scene;
            scope.spawn(move || {
                scene.assert_outage(
                    (job, server),
                    "no answer in time",
                    || server.pause(),
                    || server.resume(),
                );
            });
        }
    });
    scene.assert_unharmed();
}

#[test]
fn what_a_server_does_to_itself_costs_no_second() {
    let reset = Server::start(Kind::Redis82);
    let emptied = Server::start(Kind::Redis62);
    let saving = Server::builder(Kind::Redis82)
        .arg("--rdb-key-save-delay", "1000")
        .start();
    let mut loading = Server::builder(Kind::Redis70)
        .arg("--key-load-delay", SLOW_LOAD)
        .start();
    let addresses = [&reset, &emptied, &saving, &loading].map(Server::unix_address);
    let jobs = [
        ("loading", addresses[3].as_str()),
        ("reset", &addresses[0]),
        ("emptied", &addresses[1]),
        ("saving", &addresses[2]),
    ];
    let scene = Scene::start(&jobs);
    let run = &scene.run;
    for (job, _) in jobs {
        run.expect(SOON, "all charts", |c| all_charts(c, job));
    }
    thread::scope(|scope| {
        scope.spawn(|| assert_resets_do_no_harm(&scene, &reset));
        scope.spawn(|| assert_loads_unjudged(&scene, &mut loading));
        scope.spawn(|| {
            emptied.fill(16 << 20);
            assert_tells(run, "emptied", &emptied);
            emptied.ok(&["DEBUG", "RELOAD"]);
            assert_tells(run, "emptied", &emptied);
            emptied.ok(&["FLUSHALL"]);
            assert_tells(run, "emptied", &emptied);
        });
        scope.spawn(|| {
            saving.fill(4 << 20);
            saving.ok(&["BGSAVE"]);
            let forks = |c: &_| shown(c, "saving", "fork_state", "rdb");
            run.expect(UP_WITHIN, "a child is told", |c| forks(c) == Some(1.0));
            assert_tells(run, "saving", &saving);
            eventually(SOON, "saved", || {
                saving.info_field("rdb_bgsave_in_progress").as_deref() == Some("0")
            });
            run.expect(UP_WITHIN, "no child is told", |c| forks(c) == Some(0.0));
        });
    });
    for (job, server) in [
        ("reset", &reset),
        ("emptied", &emptied),
        ("saving", &saving),
    ] {
        assert_tells(run, job, server);
        assert_no_spike(run, job);
        run.with_checker(|checker| {
            // A reload holds the server up for as long as the machine lets it take.
            let charts = ["status", "memory", "ratio", "diagnosis"];
            for chart in charts.into_iter().filter(|_| job != "emptied") {
                assert_no_gap(checker, job, chart);
            }
            assert!(!is_down(checker, job));
        });
    }
    scene.assert_unharmed();
}

/// Statistics that are reset many times a second while defrag works: rates have gaps, and
/// in all no more is told than was done.
fn assert_resets_do_no_harm(scene: &Scene, server: &Server) {
    let run = &scene.run;
    defragment(server);
    run.expect(SOON, "defrag at work", |c| {
        moved(c).iter().any(|moved| *moved > 0.0)
    });
    let count = |chart| run.with_checker(|c| blocks(c, "reset", chart));
    let (start, from) = (Instant::now(), count("status"));
    let mut done = read_and_reset(server);
    let (mut most, mut asked_since) = (0.0_f64, None);
    while count("status") < from + 6 {
        let moved = read_and_reset(server);
        (most, done) = (most.max(moved), done + moved);
        thread::sleep(Duration::from_millis(5));
        assert!(start.elapsed() < SOON, "it is asked on");
        // One may have been on its way when the first was reset.
        if asked_since.is_none() && count("status") >= from + 2 {
            asked_since = Some(count("defrag_moves"));
        }
    }
    let rates = count("defrag_moves");
    let told = run.with_checker(moved);
    let since = &told[asked_since.unwrap_or(rates)..rates];
    // Each is what was counted between two resets at most, or missing. Our clock is not
    // the server's.
    let beyond = since.iter().find(|moved| **moved > CLOCKS * most);
    assert_eq!(beyond, None, "{since:?} and not {most}");
    run.expect(UP_WITHIN, "rates again", |c| {
        blocks(c, "reset", "defrag_moves") > rates
    });
    let told: f64 = run.with_checker(moved).iter().sum();
    done += server.info_number("active_defrag_hits");
    assert!(told <= CLOCKS * done, "{told} of {done}");
}

/// By how much a time of ours may be longer than the server's: it is measured around a
/// question that waits on a busy machine.
const CLOCKS: f64 = 1.5;

/// How much was moved since the last reset, at the very moment of the next one.
fn read_and_reset(server: &Server) -> f64 {
    server.ok(&["MULTI"]);
    for words in [&["INFO", "stats"][..], &["CONFIG", "RESETSTAT"]] {
        server.ok(words);
    }
    let told = server.ok(&["EXEC"]);
    let hits = told
        .lines()
        .find_map(|line| line.strip_prefix("active_defrag_hits:"));
    hits.unwrap().trim().parse().unwrap()
}

/// How much was moved, as it is told: each rate by the time that it is of.
fn moved(checker: &Checker) -> Vec<f64> {
    let hits = all_shown(checker, "reset", "defrag_moves", "hits");
    let begins = checker.begins("redis_frag_reset.defrag_moves").iter();
    // Behind a gap too a rate is of one second.
    let seconds = begins.map(|begin| begin.unwrap_or(1_000_000) as f64 / 1e6);
    let told = hits.iter().zip(seconds);
    told.map(|(rate, time)| rate * time).collect()
}

/// The microseconds that loading waits at each key: some seconds in all.
const SLOW_LOAD: &str = "300";

/// A server that starts anew and loads is up, and judged only afterwards.
fn assert_loads_unjudged(scene: &Scene, server: &mut Server) {
    let run = &scene.run;
    server.fill(12 << 20);
    server.ok(&["SAVE"]);
    let verdict = |c: &_, verdict: Verdict| shown(c, "loading", "diagnosis", verdict.name());
    thread::scope(|scope| {
        let seen = scope.spawn(|| {
            run.expect(SOON, "it is told to be starting", |c| {
                verdict(c, Verdict::Starting) == Some(1.0) && !is_down(c, "loading")
            });
        });
        server.restart();
        seen.join().unwrap();
    });
    run.expect(UP_WITHIN, "it is judged", |c| {
        !is_down(c, "loading") && verdict(c, Verdict::Small) == Some(1.0)
    });
    assert_tells(run, "loading", server);
    assert_no_spike(run, "loading");
    // Between its end and its first answer a second may have come by.
    assert_told_if_felt(run, "loading");
}
