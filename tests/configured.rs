//! What the operator's files make of the running plugin: ways to one instance, go.d's
//! jobs, virtual nodes, and files that change.
//!
//! Drives the binary alone, beside real servers.

use std::fs;
use std::time::Duration;

use crate::plugin::assert_no_gap;
use crate::support::{Checker, Kind, PluginRun, Server};
use crate::watching::{SOON, blocks, is_down, jobs, plugin};

/// The address that a job's charts are labelled with.
fn address(checker: &Checker, job: &str) -> String {
    let chart = checker.chart(&format!("redis_frag_{job}.status"));
    chart
        .and_then(|chart| chart.labels.get("address").cloned())
        .unwrap_or_default()
}

fn is_gone(checker: &Checker, job: &str) -> bool {
    let mut ids = checker.charts().into_iter();
    let prefix = format!("redis_frag_{job}.");
    ids.all(|id| !id.starts_with(&prefix) || checker.chart(id).unwrap().obsolete)
}

fn write_config(run: &PluginRun, text: &str) {
    fs::write(run.dir().join("etc/redis-frag.conf"), text).unwrap();
    run.signal("HUP");
}

#[test]
fn of_jobs_of_one_name_the_first_that_answers_is_watched() {
    let server = Server::start(Kind::Redis70);
    let (socket, port) = (server.unix_address(), server.tcp_address());
    let config = jobs(&[
        ("one", "unix:///nowhere/a.sock"),
        ("one", &socket),
        ("one", &port),
        ("none", "unix:///nowhere/b.sock"),
        ("none", "unix:///nowhere/c.sock"),
        ("only", "unix:///nowhere/d.sock"),
    ]);
    let run = plugin(&config).start();
    run.expect(SOON, "values", |c| blocks(c, "one", "ratio") > 2);
    run.expect(SOON, "down", |c| is_down(c, "only"));
    run.with_checker(|checker| {
        assert_eq!(address(checker, "one"), socket);
        assert_eq!(
            blocks(checker, "none", "status"),
            0,
            "where it may be and is not is no outage"
        );
        checker.assert_clean();
    });
    let log = run.stderr();
    assert!(
        log.contains("job only (") && !log.contains("job none ("),
        "{log}"
    );
}

#[test]
fn what_may_be_in_several_places_is_charted_when_it_comes() {
    let mut server = Server::start(Kind::Redis62);
    let address = server.unix_address();
    server.terminate();
    let run = plugin(&jobs(&[("a", "unix:///nowhere/a.sock"), ("a", &address)])).start();
    std::thread::sleep(Duration::from_secs(3));
    run.with_checker(|c| assert_eq!(c.charts(), Vec::<&str>::new()));
    server.restart();
    run.expect(SOON, "values", |c| blocks(c, "a", "ratio") > 0);
    server.terminate();
    run.expect(SOON, "down", |c| is_down(c, "a"));
    run.with_checker(Checker::assert_clean);
}

#[test]
fn go_d_s_jobs_are_taken_where_none_of_ours_leads() {
    let (ours, other) = (Server::start(Kind::Redis70), Server::start(Kind::Redis82));
    let config = jobs(&[("local", &ours.unix_address())]);
    let go_d = format!(
        "update_every: 1\njobs:\n  - name: local\n    address: unix:///nowhere.sock\n  - name: local\n    \
         address: '{}'\n  - name: same\n    address: {}\n  - name: port\n    address: {}\n  - name: away\n    address: \
         unix:///away.sock\n",
        other.unix_address(),
        ours.unix_address(),
        ours.tcp_address()
    );
    let start = |head: &str| {
        let run = plugin(&format!("{head}{config}"));
        let run = run.user_file("go.d/redis.conf", &go_d).start();
        run.expect(SOON, "values", |c| blocks(c, "local", "ratio") > 3);
        run
    };
    let run = start("import_go_d: yes\n");
    run.expect(SOON, "the other", |c| blocks(c, "local_2", "ratio") > 1);
    run.expect(SOON, "one chart a server", |c| is_gone(c, "port"));
    run.with_checker(|checker| {
        assert_eq!(address(checker, "local"), ours.unix_address());
        assert_eq!(address(checker, "local_2"), other.unix_address());
        assert_eq!(
            blocks(checker, "same", "status") + blocks(checker, "away", "status"),
            0
        );
        checker.assert_clean();
    });
    let without = start("");
    without.with_checker(|c| assert_eq!(blocks(c, "local_2", "status"), 0, "not asked for"));
}

#[test]
fn an_imported_job_that_yielded_comes_back_when_its_server_is_free() {
    let server = Server::start(Kind::Redis70);
    let ours = jobs(&[("ours", &server.unix_address())]);
    let go_d = jobs(&[("theirs", &server.tcp_address())]);
    let run = plugin(&format!("import_go_d: yes\n{ours}"));
    let run = run.env("NETDATA_HOST_PREFIX", "/nowhere");
    let run = run.user_file("go.d/redis.conf", &go_d).start();
    run.expect(SOON, "ours", |c| blocks(c, "ours", "ratio") > 2);
    run.expect(SOON, "one chart a server", |c| is_gone(c, "theirs"));
    write_config(&run, "import_go_d: yes\ndiscovery:\n  local: no\n");
    run.expect(SOON, "ours gone", |c| is_gone(c, "ours"));
    let before = run.with_checker(|c| blocks(c, "theirs", "ratio"));
    run.expect(Duration::from_secs(30), "theirs", |c| {
        blocks(c, "theirs", "ratio") > before + 2
    });
    run.with_checker(Checker::assert_clean);
}

#[test]
fn at_a_signal_what_changed_begins_anew_and_the_rest_goes_on() {
    let (one, two) = (Server::start(Kind::Redis70), Server::start(Kind::Redis62));
    let (first, second) = (one.unix_address(), two.unix_address());
    let run = plugin(&jobs(&[
        ("same", &first),
        ("other", &first),
        ("gone", &second),
    ]));
    let run = run.env("NETDATA_HOST_PREFIX", "/nowhere").start();
    run.expect(SOON, "values", |c| blocks(c, "gone", "ratio") > 2);
    write_config(
        &run,
        &jobs(&[("same", &first), ("other", &second), ("new", &second)]),
    );
    run.expect(SOON, "the new one", |c| blocks(c, "new", "ratio") > 2);
    run.expect(SOON, "the old one gone", |c| is_gone(c, "gone"));
    run.expect(SOON, "the changed one", |c| address(c, "other") == second);

    // A file with a mistake ends nobody.
    write_config(&run, "jobs:\n- name: same\n  address: 'x\n- name: [\n");
    run.expect(SOON, "still there", |c| blocks(c, "new", "ratio") > 6);
    let log = run.stderr();
    assert!(
        log.contains("job new: not in the files any more, or one of their mistakes"),
        "{log}"
    );

    write_config(&run, &jobs(&[("same", &first)]));
    run.expect(SOON, "the others gone", |c| {
        is_gone(c, "new") && is_gone(c, "other")
    });
    let so_far = run.with_checker(|c| blocks(c, "same", "ratio"));
    run.expect(SOON, "more", |c| blocks(c, "same", "ratio") > so_far + 1);
    run.with_checker(|checker| {
        assert_no_gap(checker, "same", "ratio");
        assert_eq!(
            checker.chart("redis_frag_same.ratio").unwrap().definitions,
            1,
            "it never noticed"
        );
        checker.assert_clean();
    });
}

const NODES: &str = "- hostname: cache-01\n  name: cache\n  guid: \
    8f3a1c52-5a34-4c0e-9b5e-3c1f2f6d7a10\n  labels:\n    role: it's a cache\n- hostname: broken\n";

#[test]
fn a_job_s_charts_are_told_of_its_virtual_node() {
    let server = Server::start(Kind::Redis70);
    let address = server.unix_address();
    let config = jobs(&[("own", &address), ("other", &address)]) + "  vnode: cache\n";
    let start = |version: &str| {
        let run = plugin(&config).version(version);
        let run = run.user_file("vnodes/mine.conf", NODES).start();
        run.expect(SOON, "values", |c| {
            blocks(c, "own", "ratio") > 2 && blocks(c, "other", "ratio") > 2
        });
        run
    };
    for (version, node) in [
        ("v2.10.0", "8f3a1c52-5a34-4c0e-9b5e-3c1f2f6d7a10"),
        ("v1.39.0", "8f3a1c52-5a34-4c0e-9b5e-3c1f2f6d7a10"),
        ("v1.37.1", ""),
    ] {
        let run = start(version);
        run.with_checker(|checker| {
            let host = |job: &str| {
                let chart = checker.chart(&format!("redis_frag_{job}.ratio"));
                chart.unwrap().host.clone()
            };
            let hosts = (host("own"), host("other"));
            assert_eq!(
                hosts,
                (String::new(), node.into()),
                "{version} {:?}",
                checker.violations()
            );
            checker.assert_clean();
        });
        let log = run.stderr();
        assert!(log.contains("mine.conf:6:3: error: no guid"), "{log}");
        assert_eq!(
            log.contains("this agent has no virtual nodes"),
            node.is_empty(),
            "{log}"
        );
    }
}
