//! An agent that is killed, one that runs the plugin twice, and a plugin that ends under
//! it: nothing is left behind, and nothing disturbs another.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::jobs;
use crate::functions::{FRAGMENTED, answer};
use crate::plugin::{SOON, assert_no_gap, blocks, plugin};
use crate::support::folder::files;
use crate::support::{
    Agent, Checker, Fake, Kind, PluginRun, Server, becomes_true, eventually, process,
};

const BINARY: &str = env!("CARGO_BIN_EXE_redis-frag");

/// Within what a plugin ends whose agent is gone, and what a busy machine may take beyond
/// it.
const GONE_WITHIN: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_secs(1);

fn is_alive(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.contains("State:") && !status.contains("State:\tZ")
}

/// Waits until the agent runs so many plugins: their processes.
fn running(agent: &Agent, count: usize) -> Vec<u32> {
    eventually(Duration::from_secs(40), "the plugins run", || {
        agent.plugin_pids().len() == count
    });
    agent.plugin_pids()
}

#[track_caller]
fn wait_collected(agent: &Agent, after: u64) {
    let chart = "redis_frag_a.ratio";
    eventually(Duration::from_secs(40), "values of the agent", || {
        let latest = agent.latest_at(chart, "ratio");
        latest.is_some_and(|(at, ratio)| at > after && ratio > 0.0)
    });
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// Two under one agent by the name of their files, and a third by hand, with one
/// configuration.
#[test]
fn several_plugins_at_once_do_not_disturb_each_other_and_go_with_their_agent() {
    let server = Server::start(Kind::Redis70);
    let config = jobs(&[&server]);
    let mut agent = Agent::builder()
        .plugin(Path::new(BINARY))
        .plugin_as(Path::new(BINARY), "redis-frag-too.plugin")
        .user_config("redis-frag.conf", &config)
        .start();
    let pids = running(&agent, 2);
    let mut by_hand = plugin(&config).start();
    let before = files(by_hand.dir());
    by_hand.expect(SOON, "values", |c| blocks(c, "a", "ratio") > 1);
    wait_collected(&agent, now());
    let from = by_hand.with_checker(|c| blocks(c, "a", "ratio"));
    by_hand.expect(SOON, "some seconds", |c| blocks(c, "a", "ratio") > from + 3);
    wait_collected(&agent, now());
    assert_eq!(running(&agent, 2), pids, "none was started anew");
    // 1.37.1 says it of its own where two plugins define one chart at a time.
    let own = "is not linked to an RRDMETRIC";
    let complaints = agent.complaints();
    let complaints = complaints.iter().filter(|line| !line.contains(own));
    assert_eq!(complaints.collect::<Vec<_>>(), [""; 0]);
    by_hand.with_checker(|checker| {
        assert_no_gap(checker, "a", "ratio");
        checker.assert_clean();
    });
    assert_eq!(files(by_hand.dir()), before, "nothing is written or locked");

    assert!(process::signal(agent.pid(), "KILL"));
    let left = || pids.iter().filter(|pid| is_alive(**pid)).count();
    eventually(GONE_WITHIN + SLACK, "they end with their agent", || {
        left() == 0
    });
    agent.stop();
    // The one by hand is nobody's.
    let from = by_hand.with_checker(|c| blocks(c, "a", "ratio"));
    by_hand.expect(SOON, "it goes on", |c| blocks(c, "a", "ratio") > from + 1);
    by_hand.close_stdin();
    assert!(by_hand.wait_exit(SOON).unwrap().0.success());
    by_hand.with_checker(Checker::assert_clean);
}

/// Something else that the agent started may have the pipes open, so that they do not
/// close with it. Here it is this test.
#[test]
fn it_ends_with_who_started_it_though_its_pipes_stay_open() {
    let fake = Fake::start(FRAGMENTED, &[]);
    let config = format!("jobs:\n- {{name: a, address: '{}'}}\n", fake.unix_address());
    let words = ["sh", "-c", "\"$@\"; true", "sh"].map(str::to_owned);
    let run = plugin(&config).under(&words).start();
    run.expect(SOON, "values", |c| blocks(c, "a", "ratio") > 1);
    run.signal("KILL");
    eventually(GONE_WITHIN + SLACK, "it ends", || run.output_ended());
    let told = "the agent is gone: ending";
    eventually(SOON, told, || run.stderr().contains(told));
    run.with_checker(Checker::assert_clean);
}

/// What is ended from outside is started again by the agent, and its charts go on.
#[test]
fn an_agent_starts_a_plugin_again_that_was_ended() {
    let agent = assert_started_again(Path::new(BINARY));
    assert!(!agent.log().contains(WITH_AN_ERROR), "{}", agent.log());
}

/// As it does with a thread that broke down.
#[test]
fn an_agent_starts_a_plugin_again_that_ended_with_an_error() {
    let dir = process::short_dir();
    let path = dir.path().join("fails");
    let script = format!("#!/bin/bash\ntrap 'kill %1' TERM\n{BINARY} \"$@\" <&0 &\nwait\nexit 1\n");
    std::fs::write(&path, script).unwrap();
    let agent = assert_started_again(&path);
    assert!(agent.log().contains(WITH_AN_ERROR), "{}", agent.log());
}

/// What 1.37 says of it.
const WITH_AN_ERROR: &str = "exited with error code 1";

fn assert_started_again(program: &Path) -> Agent {
    let server = Server::start(Kind::Valkey91);
    let agent = Agent::builder()
        .plugin(program)
        .user_config("redis-frag.conf", &jobs(&[&server]))
        .start();
    let before = running(&agent, 1);
    wait_collected(&agent, now());
    assert!(process::signal(before[0], "TERM"));
    eventually(Duration::from_secs(40), "another one", || {
        let pids = agent.plugin_pids();
        pids.len() == 1 && pids != before
    });
    wait_collected(&agent, now());
    // What 1.37 says of every plugin that ends.
    let expected = |line: &String| {
        let said = [
            "read failed: end of file",
            "disconnected after",
            "exited with",
        ];
        said.iter().any(|words| line.contains(words))
    };
    let complaints = agent.complaints();
    assert!(complaints.iter().all(expected), "{complaints:?}");
    agent
}

/// What README tells users, for it is nothing that a plugin can mend. 1.37.1 calls every
/// signal but SIGTERM so (libnetdata/popen/popen.c gives -1 for it, and
/// `pluginsd_worker_thread_handle_error` of collectors/plugins.d/plugins_d.c means SIGTERM).
#[test]
fn an_agent_does_not_start_a_plugin_again_that_was_killed() {
    let server = Server::start(Kind::Redis70);
    let agent = Agent::builder()
        .plugin(Path::new(BINARY))
        .user_config("redis-frag.conf", &jobs(&[&server]))
        .start();
    let pid = running(&agent, 1)[0];
    wait_collected(&agent, now());
    assert!(process::signal(pid, "KILL"));
    let told = format!("(pid {pid}) was killed with SIGTERM. Disabling it.");
    eventually(Duration::from_secs(40), &told, || {
        agent.log().contains(&told)
    });
    assert!(
        agent
            .log()
            .contains(&format!("child pid {pid} killed by signal 9"))
    );
    // What fails or ends is started again after ten seconds at the latest.
    let again = becomes_true(Duration::from_secs(11), || !agent.plugin_pids().is_empty());
    assert!(!again, "{}", agent.log());
}

/// A call that hangs holds nobody up at the end, and the plugin that comes after knows
/// nothing of it.
#[test]
fn it_ends_while_a_function_runs_and_the_next_one_begins_anew() {
    let server = Server::start(Kind::Redis82);
    let address = server.unix_address();
    let config = format!("jobs:\n- {{name: a, address: '{address}', timeout: 30}}\n");
    let started = |run: &PluginRun| {
        run.expect(SOON, "values", |c| blocks(c, "a", "ratio") > 1);
    };
    for (signal, answered) in [("TERM", Some("503")), ("KILL", None)] {
        let mut run = plugin(&config).version("v2.10.0").start();
        started(&run);
        server.pause();
        for (id, what) in [
            ("hangs", "size-classes instance:a"),
            ("not", "diagnosis info"),
        ] {
            run.send_line(&format!("FUNCTION {id} 60 \"redis-frag:{what}\" 0x8 me"))
                .unwrap();
        }
        // It was put before this one, which is answered.
        assert_eq!(answer(&run, "not").code, "200");
        assert!(run.with_checker(|c| c.answer("hangs").is_none()));
        run.signal(signal);
        let (status, took) = run.wait_exit(SOON).expect("it did not end");
        assert_eq!(status.success(), answered.is_some(), "{status}");
        assert!(took <= Duration::from_secs(1), "{took:?}");
        run.with_checker(|c| {
            let code = c.answer("hangs").map(|answer| answer.code.clone());
            assert_eq!(code.as_deref(), answered);
        });
        server.resume();
        let next = plugin(&config).version("v2.10.0").start();
        started(&next);
        next.with_checker(|c| {
            assert_eq!(c.answers().len(), 0);
            c.assert_clean();
        });
    }
}
