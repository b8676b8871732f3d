//! The plugin may open no more files in the middle of a run: what has a connection keeps
//! it, the rest is told down with the reason, and is back when the limit is raised.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::process::{cpu_time, descriptors};
use crate::support::{Checker, Kind, PluginRun, Server};
use crate::watching::{
    DOWN_WITHIN, SOON, UP_WITHIN, all_charts, blocks, is_down, jobs, times_told,
};
use crate::{Scene, assert_tells};

/// Instances that are cut off while nothing can be opened.
const CUT: usize = 20;

/// Longer than what seldom changes is kept: who a process is, limits, settings of the
/// machine.
const SECONDS: usize = 12;

/// Files of the kernel's that are opened for a process which was found late, on a busy
/// machine: status, and its cgroup's. Each try that lost one would lose a hundred.
const FOUND_LATE: usize = 6;

/// Sets how many files the running plugin may have open; it may have had them before.
fn limit(run: &PluginRun, soft: &str) {
    let pid = run.pid().to_string();
    let status = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--nofile={soft}:")])
        .status();
    assert!(status.unwrap().success());
}

fn down(checker: &Checker, names: &[String]) -> usize {
    names.iter().filter(|name| is_down(checker, name)).count()
}

#[test]
fn without_descriptors_connections_go_on_and_the_rest_is_told_why() {
    let server = Server::start(Kind::Redis82);
    let names: Vec<String> = (0..CUT).map(|number| format!("cut{number:02}")).collect();
    let address = server.unix_address();
    let cut: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &*address)).collect();
    // One whose name is to be looked up.
    let named = address_by_name(&server);
    let config = jobs(&cut) + jobs(&[("named", &named)]).strip_prefix("jobs:\n").unwrap();
    let scene = Scene::with(&config, |builder| builder);
    let run = &scene.run;
    for name in names.iter().map(String::as_str).chain(["named"]) {
        run.expect(SOON, "all charts", |c| all_charts(c, name));
    }
    let open = descriptors(run.pid());
    let labels = |c: &Checker| c.count("CLABEL_COMMIT");
    let labelled = run.with_checker(labels);
    // Fewer than it has: whatever it opens now is too much.
    limit(run, "5");
    server.ok(&["CLIENT", "KILL", "TYPE", "normal"]);
    run.expect(DOWN_WITHIN, "all that were cut are down", |c| {
        down(c, &names) == CUT && is_down(c, "named")
    });
    let (began, took) = (Instant::now(), cpu_time(run.pid()));
    let from = run.with_checker(|c| blocks(c, "cut00", "status"));
    run.expect(SOON, "the next seconds", |c| {
        blocks(c, "cut00", "status") >= from + SECONDS
    });
    let took = cpu_time(run.pid()).saturating_sub(took);
    assert!(took < began.elapsed() / 4, "no busy loop: {took:?}");
    run.with_checker(|checker| {
        assert_eq!(down(checker, &names), CUT);
        assert_eq!(labels(checker), labelled, "nobody's labels have changed");
    });
    for name in &names {
        assert_eq!(times_told(run, name, "WARN"), 1, "{}", run.stderr());
        assert_eq!(times_told(run, name, "LimitNOFILE"), 1, "{}", run.stderr());
    }
    limit(run, "1024");
    run.expect(UP_WITHIN, "all are back", |c| {
        down(c, &names) == 0 && !is_down(c, "named")
    });
    for name in &names {
        assert_eq!(
            times_told(run, name, "answers again"),
            1,
            "{}",
            run.stderr()
        );
    }
    assert_tells(run, "cut00", &server);
    assert_tells(run, "named", &server);
    let open_now = descriptors(run.pid());
    assert!(
        open_now.len() <= open.len() + FOUND_LATE,
        "left over: {open:?} {open_now:?}"
    );
    scene.assert_unharmed();
}

/// `redis://localhost:port`
fn address_by_name(server: &Server) -> String {
    format!("redis://localhost:{}", server.port())
}

/// Some of those that are cut get what is left, and keep it.
#[test]
fn who_comes_first_has_the_last_descriptors() {
    let server = Server::start(Kind::Redis70);
    let names: Vec<String> = (0..CUT).map(|number| format!("cut{number:02}")).collect();
    let address = server.tcp_address();
    let cut: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &*address)).collect();
    let scene = Scene::start(&cut);
    let run = &scene.run;
    for name in &names {
        run.expect(SOON, "all charts", |c| all_charts(c, name));
    }
    // A connection that is opened anew takes the place of the one before: those above the
    // limit have none.
    let open = descriptors(run.pid()).into_iter();
    let sockets: Vec<usize> = open
        .filter(|(_, to)| to.starts_with("socket:"))
        .map(|(number, _)| number)
        .collect();
    limit(run, &sockets[sockets.len() / 2].to_string());
    server.ok(&["CLIENT", "KILL", "TYPE", "normal"]);
    let settled = |c: &Checker| (1..CUT).contains(&down(c, &names));
    run.expect(DOWN_WITHIN, "some are down", settled);
    let from = run.with_checker(|c| blocks(c, "cut00", "status"));
    run.expect(SOON, "the next seconds", |c| {
        blocks(c, "cut00", "status") >= from + 4
    });
    let (up, lost): (Vec<&String>, Vec<&String>) =
        run.with_checker(|c| names.iter().partition(|name| !is_down(c, name)));
    assert!(!up.is_empty() && !lost.is_empty(), "{up:?} {lost:?}");
    let start = Instant::now();
    limit(run, "1024");
    run.expect(UP_WITHIN, "all are back", |c| down(c, &names) == 0);
    assert!(start.elapsed() < UP_WITHIN + Duration::from_secs(1));
    for name in lost {
        assert_eq!(times_told(run, name, "LimitNOFILE"), 1, "{}", run.stderr());
        assert_eq!(
            times_told(run, name, "answers again"),
            1,
            "{}",
            run.stderr()
        );
    }
    scene.assert_unharmed();
}
