//! What agents of each version are offered, and a real one that is.

use std::path::Path;
use std::time::Duration;

use super::{FRAGMENTED, call};
use crate::plugin::{SOON, blocks, jobs, plugin};
use crate::support::answers::{Form, assert_form};
use crate::support::{Agent, Checker, Fake, eventually};

#[test]
fn functions_are_offered_to_agents_that_know_them() {
    let fake = Fake::start(FRAGMENTED, &[]);
    let config = jobs(&[("one", &fake.unix_address())]);
    for (version, known) in [
        ("v1.36.0", false),
        ("v1.37.1", true),
        ("v1.44.0", true),
        ("v2.10.0", true),
    ] {
        let mut run = plugin(&config).version(version).start();
        run.expect(SOON, "values", |c| blocks(c, "one", "ratio") > 0);
        let offers: Vec<String> = run
            .lines()
            .into_iter()
            .map(|(_, line)| line)
            .filter(|line| line.starts_with("FUNCTION "))
            .collect();
        assert_eq!(
            offers.len(),
            2 * usize::from(known),
            "{version}: {offers:?}"
        );
        if known {
            let begin = "FUNCTION GLOBAL \"redis-frag:diagnosis\" 10 \"";
            assert!(offers[0].starts_with(begin), "{}", offers[0]);
            let begin = "FUNCTION GLOBAL \"redis-frag:size-classes\" 10 \"";
            assert!(offers[1].starts_with(begin), "{}", offers[1]);
            assert!(
                offers[0].ends_with("\" \"top\" \"any\" 100 3"),
                "{}",
                offers[0]
            );
            let (answer, _) = call(&mut run, "a1", "redis-frag:diagnosis info");
            assert_form(Form::Info, &answer.code, &answer.body);
        } else {
            run.send_line("FUNCTION a1 10 \"redis-frag:diagnosis info\"")
                .unwrap();
            let count = run.with_checker(|c| blocks(c, "one", "ratio"));
            run.expect(SOON, "more values", |c| {
                blocks(c, "one", "ratio") > count + 1
            });
            run.with_checker(|c| assert_eq!(c.answers().len(), 0));
        }
        run.with_checker(Checker::assert_clean);
    }
}

/// On a machine without an instance there is nothing to ask.
#[test]
fn nothing_is_offered_before_there_is_an_instance() {
    let mut run = plugin("discovery:\n  local: no\n").start();
    eventually(SOON, "the configuration is read", || {
        run.stderr().contains("0 jobs")
    });
    // An answer is owed all the same.
    let (answer, _) = call(&mut run, "n1", "redis-frag:diagnosis");
    assert_form(Form::Table, &answer.code, &answer.body);
    run.with_checker(|c| assert_eq!((c.count("FUNCTION"), c.answers().len()), (0, 1)));
}

#[test]
fn a_real_agent_takes_the_functions_and_keeps_the_plugin() {
    let fake = Fake::start(FRAGMENTED, &[]);
    let agent = Agent::builder()
        .plugin(Path::new(env!("CARGO_BIN_EXE_redis-frag")))
        .user_config("redis-frag.conf", &jobs(&[("one", &fake.unix_address())]))
        .start();
    eventually(SOON, "charts", || {
        agent.chart("redis_frag_one.ratio").is_some()
    });
    let pids = agent.plugin_pids();
    assert_eq!(pids.len(), 1);
    // 1.37 lets nobody but Netdata Cloud see or call them.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(
        agent.plugin_pids(),
        pids,
        "the agent started it anew: {}",
        agent.log()
    );
    assert_eq!(agent.complaints(), [""; 0]);
    let log = agent.log();
    for complaint in [
        "FUNCTION",
        "disconnected after",
        "Ignoring it",
        "unknown function",
    ] {
        assert!(!log.contains(complaint), "{complaint}: {log}");
    }
}
