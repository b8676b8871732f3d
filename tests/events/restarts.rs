//! Servers that start anew, and others that take their place.

use std::process::Command;

use serde_json::Value;

use crate::support::{Checker, Kind, Server};
use crate::watching::DOWN_WITHIN;
use crate::watching::{SOON, UP_WITHIN, blocks, shown};
use crate::{
    Scene, all_shown, assert_comes_back, assert_goes_silent, assert_no_spike, assert_tells,
    assert_told_once, defragment,
};

/// Something was moved, so that there is a counter to fall.
fn moves(checker: &Checker, job: &str) -> bool {
    let hits = all_shown(checker, job, "defrag_moves", "hits");
    hits.iter().any(|hits| *hits > 0.0)
}

/// What was moved in the last seconds.
fn moved_last(checker: &Checker, job: &str) -> Vec<f64> {
    let mut hits = all_shown(checker, job, "defrag_moves", "hits");
    hits.split_off(hits.len().saturating_sub(2))
}

#[test]
fn a_server_that_starts_anew_begins_with_its_own_counters() {
    let mut ended = Server::start(Kind::Redis62);
    let mut killed = Server::start(Kind::Redis82);
    let addresses = [ended.tcp_address(), killed.unix_address()];
    let scene = Scene::start(&[("ended", &addresses[0]), ("killed", &addresses[1])]);
    let run = &scene.run;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            defragment(&ended);
            run.expect(SOON, "defrag at work", |c| moves(c, "ended"));
            ended.terminate();
            let mut before = assert_goes_silent(run, "ended", DOWN_WITHIN);
            // Of what was moved; the new process has moved nothing.
            before.retain(|(chart, _)| chart != "defrag_efficiency");
            ended.restart();
            assert_comes_back(run, "ended", &before);
            assert_told_once(run, "ended", "connect");
        });
        // So soon that it may not be missed at all.
        scope.spawn(|| {
            defragment(&killed);
            run.expect(SOON, "defrag at work", |c| moves(c, "killed"));
            killed.restart();
            let count = |c: &Checker| blocks(c, "killed", "defrag_moves");
            let from = run.with_checker(count);
            run.expect(SOON, "rates", |c| count(c) >= from + 3);
        });
    });
    for (job, server) in [("ended", &ended), ("killed", &killed)] {
        assert_tells(run, job, server);
        assert_no_spike(run, job);
        let last = run.with_checker(|c| moved_last(c, job));
        assert_eq!(last, [0.0, 0.0], "{job}: a new process has moved nothing");
    }
    scene.assert_unharmed();
}

/// What the command says of an address.
fn diagnose(address: &str) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redis-frag"));
    let output = command.args(["diagnose", address, "--json"]).output();
    serde_json::from_slice(&output.unwrap().stdout).unwrap()
}

const JOBS: [&str; 2] = ["by_port", "by_socket"];

/// The labels of a chart that tell who answers.
fn labels(checker: &Checker, job: &str, chart: &str) -> [String; 3] {
    let chart = checker.chart(&format!("redis_frag_{job}.{chart}")).unwrap();
    ["server", "version", "allocator"].map(|name| chart.labels[name].clone())
}

/// Settings with which every Redis that defragments has a known defect.
const EQUAL: &[(&str, &str)] = &[
    ("--active-defrag-threshold-lower", "50"),
    ("--active-defrag-threshold-upper", "50"),
    ("--activedefrag", "yes"),
];

#[test]
fn another_version_or_flavour_at_the_address_is_charted_as_what_it_is() {
    let mut server = Server::start(Kind::Redis62);
    server.replace(Kind::Redis62, EQUAL);
    let addresses = [server.tcp_address(), server.unix_address()];
    let scene = Scene::start(&[(JOBS[0], &addresses[0]), (JOBS[1], &addresses[1])]);
    let order = [Kind::Redis62, Kind::Valkey91, Kind::Redis82, Kind::Redis70];
    for kind in order {
        if kind != server.kind() {
            let settings = if kind.can_defrag() { EQUAL } else { &[] };
            server.replace(kind, settings);
        }
        assert_is_charted(&scene, &server, &addresses);
    }
    for job in JOBS {
        assert_no_spike(&scene.run, job);
    }
    scene.assert_unharmed();
}

/// Both jobs show this very server, and nothing of the one before.
fn assert_is_charted(scene: &Scene, server: &Server, addresses: &[String; 2]) {
    let (run, kind) = (&scene.run, server.kind());
    let (name, version) = kind.name().split_once('-').unwrap();
    let allocator = server.info_field("mem_allocator").unwrap();
    let wanted = [name, version, &allocator].map(str::to_owned);
    for job in JOBS {
        run.expect(UP_WITHIN, kind.name(), |c| {
            c.chart(&format!("redis_frag_{job}.ratio")).is_some()
                && labels(c, job, "ratio") == wanted
        });
    }
    let allocators = ["allocator", "allocator_ratio", "defrag_trigger"];
    let count = |charts: &[&str]| {
        let of = |job| charts.iter().map(move |chart| (job, *chart));
        let all = JOBS.into_iter().flat_map(of);
        run.with_checker(|c| {
            all.map(|(job, chart)| blocks(c, job, chart))
                .collect::<Vec<_>>()
        })
    };
    let (allocator_before, before) = (count(&allocators), count(&["ratio", "status"]));
    for job in JOBS {
        run.expect(SOON, "rates and some seconds", |c| {
            blocks(c, job, "ratio") > before[3] + 2 && labels(c, job, "defrag_moves") == wanted
        });
        assert_tells(run, job, server);
    }
    for (then, now) in allocator_before.iter().zip(count(&allocators)) {
        let goes_on = now > *then;
        assert_eq!(
            goes_on,
            kind.has_jemalloc(),
            "{}: {then} {now}",
            kind.name()
        );
    }
    for (job, address) in JOBS.iter().zip(addresses) {
        let found = diagnose(address);
        let verdict = found["verdict"].as_str().unwrap();
        run.with_checker(|checker| {
            for chart in ["memory", "status", "diagnosis", "known_issue"] {
                assert_eq!(labels(checker, job, chart), wanted, "{chart}");
            }
            assert_eq!(
                shown(checker, job, "diagnosis", verdict),
                Some(1.0),
                "{found}"
            );
            let affected = f64::from(kind.can_defrag());
            let charted = shown(checker, job, "known_issue", "affected");
            assert_eq!(charted, Some(affected), "{}: {found}", kind.name());
        });
    }
}
