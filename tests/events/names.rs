//! Names of instances that are not found, get no answer, or lead to another server one day.
//!
//! The plugin sees a resolver of the test's own, in a mount namespace: that needs root.

use std::path::Path;
use std::time::Duration;

use crate::support::names::{Answer, Names};
use crate::support::{Kind, PluginBuilder, Server, process};
use crate::watching::{
    DOWN_WITHIN, SOON, UP_WITHIN, all_charts, blocks, is_down, jobs, times_told,
};
use crate::{
    Scene, assert_comes_back, assert_goes_silent, assert_no_spike, assert_tells,
    assert_told_if_felt, assert_told_once,
};

/// Runs a plugin that asks this resolver.
fn asking(names: &Names, builder: PluginBuilder) -> PluginBuilder {
    builder.under(&names.words())
}

/// `redis://name:port`
fn address(name: &str, server: &Server) -> String {
    format!("redis://{name}:{}", server.port())
}

#[test]
fn a_name_is_followed_when_its_server_is_gone_and_not_before() {
    let Some(names) = Names::start("") else {
        return;
    };
    let mut old = Server::start(Kind::Redis82);
    // The same port at another address of the loopback.
    let new = Server::builder(Kind::Valkey91)
        .socket_only()
        .arg("--bind", "127.0.0.2")
        .arg("--port", &old.port().to_string())
        .start();
    let mut failing = Server::start(Kind::Redis62);
    let mut unknown = Server::start(Kind::Redis70);
    let all = ["moving.test", "failing.test", "unknown.test"];
    for name in all {
        names.set(name, Answer::Address([127, 0, 0, 1]));
    }
    let config = jobs(&[
        ("moving", &address(all[0], &old)),
        ("failing", &address(all[1], &failing)),
        ("unknown", &address(all[2], &unknown)),
    ]);
    let scene = Scene::with(&config, |builder| asking(&names, builder));
    let run = &scene.run;
    for job in ["moving", "failing", "unknown"] {
        run.expect(SOON, "all charts", |c| all_charts(c, job));
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let version = |version: &str| {
                let version = version.to_owned();
                move |c: &crate::Checker| {
                    let chart = c.chart("redis_frag_moving.ratio").unwrap();
                    chart.labels["version"] == version
                }
            };
            names.set(all[0], Answer::Address([127, 0, 0, 2]));
            let from = run.with_checker(|c| blocks(c, "moving", "ratio"));
            run.expect(SOON, "the connection goes on", |c| {
                blocks(c, "moving", "ratio") > from + 3
            });
            assert!(
                run.with_checker(version("8.2.3")),
                "a connection that works"
            );
            old.terminate();
            run.expect(UP_WITHIN, "the new server", version("9.1.2"));
            assert_tells(run, "moving", &new);
        });
        let outage = |job: &str, name: &str, server: &mut Server, answer| {
            names.set(name, answer);
            server.terminate();
            let before = assert_goes_silent(run, job, DOWN_WITHIN);
            server.restart();
            let from = run.with_checker(|c| blocks(c, job, "status"));
            run.expect(SOON, "down without its name", |c| {
                blocks(c, job, "status") > from + 3
            });
            assert!(run.with_checker(|c| is_down(c, job)), "{job}");
            names.set(name, Answer::Address([127, 0, 0, 1]));
            assert_comes_back(run, job, &before);
            assert_tells(run, job, server);
            assert_told_once(run, job, "connect");
        };
        let failing = &mut failing;
        scope.spawn(move || outage("failing", all[1], failing, Answer::Failure));
        let unknown = &mut unknown;
        scope.spawn(move || outage("unknown", all[2], unknown, Answer::Unknown));
    });
    assert_no_spike(run, "moving");
    assert_told_if_felt(run, "moving");
    scene.assert_unharmed();
}

/// Names without an answer: three times as many as there are threads for them.
const HANGING: usize = 48;

/// The threads that names are looked up in (`blocking`).
const LOOKUPS: usize = 16;

/// All: beside them main, agent in and out and the log, and three that look for processes.
const THREADS: usize = LOOKUPS + 4 + 3;

#[test]
fn names_without_an_answer_do_not_hold_up_those_that_have_one() {
    let Some(names) = Names::start("options timeout:2 attempts:1\n") else {
        return;
    };
    let mut server = Server::start(Kind::Redis82);
    names.set("good.test", Answer::Address([127, 0, 0, 1]));
    let hanging: Vec<String> = (0..HANGING)
        .map(|n| format!("hanging{n:02}.test"))
        .collect();
    let job_names: Vec<String> = (0..HANGING).map(|n| format!("hanging{n:02}")).collect();
    let mut config = jobs(&[("good", &address("good.test", &server))]);
    for (job, name) in job_names.iter().zip(&hanging) {
        names.set(name, Answer::Silence);
        config += &format!("- name: {job}\n  address: redis://{name}:6379\n");
    }
    let scene = Scene::with(&config, |builder| asking(&names, builder));
    let run = &scene.run;
    run.expect(SOON, "all charts", |c| all_charts(c, "good"));
    crate::support::eventually(SOON, "all names were asked for", || {
        hanging.iter().all(|name| names.asked(name) > 0)
    });
    // Longer than the last of them takes.
    let from = run.with_checker(|c| blocks(c, "good", "status"));
    run.expect(SOON, "some seconds", |c| {
        blocks(c, "good", "status") >= from + 4
    });
    let before = run.with_checker(|c| blocks(c, "good", "status"));
    server.terminate();
    run.expect(DOWN_WITHIN, "down", |c| is_down(c, "good"));
    server.restart();
    run.expect(UP_WITHIN, "back in spite of the others", |c| {
        !is_down(c, "good") && blocks(c, "good", "status") > before
    });
    assert_tells(run, "good", &server);
    run.with_checker(|checker| {
        for job in &job_names {
            assert!(is_down(checker, job), "{job}");
        }
    });
    for job in &job_names {
        assert_eq!(times_told(run, job, "WARN"), 1, "{job}: {}", run.stderr());
    }
    let tasks = Path::new("/proc").join(run.pid().to_string()).join("task");
    let threads = std::fs::read_dir(tasks).unwrap();
    let names = threads.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")));
    let names: Vec<String> = names.map_while(Result::ok).collect();
    let lookups = names.iter().filter(|name| name.trim() == "blocking");
    let lookups = lookups.count();
    assert!((1..=LOOKUPS).contains(&lookups), "{names:?}");
    assert!(names.len() <= THREADS, "{names:?}");
    scene.assert_unharmed();
    // What hangs does not hold up the end.
    let mut scene = scene;
    process::signal(scene.run.pid(), "TERM");
    let ended = scene.run.wait_exit(SOON);
    let took = ended.expect("it ends").1;
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// Ways to one instance that was never reached: so many that their lookups, begun anew with
/// each round, would soon have all threads.
const WAYS: usize = 5;

#[test]
fn ways_whose_names_have_no_answer_do_not_pile_up() {
    // Each lookup hangs for ten seconds, as where nothing else is set (resolv.conf(5)).
    let Some(names) = Names::start("options timeout:5 attempts:2\n") else {
        return;
    };
    let mut server = Server::start(Kind::Redis82);
    names.set("good.test", Answer::Address([127, 0, 0, 1]));
    let mut config = jobs(&[("good", &address("good.test", &server))]);
    for n in 0..WAYS {
        let name = format!("way{n}.test");
        names.set(&name, Answer::Silence);
        config += &format!("- name: ways\n  address: redis://{name}:6379\n");
    }
    let scene = Scene::with(&config, |builder| asking(&names, builder));
    let run = &scene.run;
    run.expect(SOON, "all charts", |c| all_charts(c, "good"));
    // As many rounds as would have taken all threads twice over.
    let from = run.with_checker(|c| blocks(c, "good", "status"));
    run.expect(SOON * 3, "the ways were tried for long", |c| {
        blocks(c, "good", "status") >= from + 20
    });
    let before = run.with_checker(|c| blocks(c, "good", "status"));
    server.terminate();
    run.expect(DOWN_WITHIN, "down", |c| is_down(c, "good"));
    server.restart();
    run.expect(UP_WITHIN, "back in spite of the ways", |c| {
        !is_down(c, "good") && blocks(c, "good", "status") > before
    });
    assert_tells(run, "good", &server);
}
