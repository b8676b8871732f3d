//! Many instances at once: more than a process may have files open for at first, and more
//! than a slow agent takes in at a time.

use std::time::Duration;

use super::plugin;
use crate::support::{Checker, Kind, Server, process};

const CROWD: usize = 300;

const LIMIT: Duration = Duration::from_secs(30);

/// Bytes that are resident at the worst of times of so many instances which wait for their
/// agent: 26.8 MB in test form, and 29 to 30.5 MB where all are defined at once.
const MOST: u64 = 28_000_000;

fn crowd(server: &Server) -> String {
    let address = server.unix_address();
    let job = |number| format!("- {{name: one{number:03}, address: '{address}'}}\n");
    let jobs: String = (0..CROWD).map(job).collect();
    format!("jobs:\n{jobs}")
}

/// Names of those that were never told to be up.
fn silent(checker: &Checker) -> Vec<usize> {
    let up = |number: &usize| {
        let chart = format!("redis_frag_one{number:03}.status");
        checker.values(&chart, "up").contains(&1)
    };
    (0..CROWD).filter(|number| !up(number)).collect()
}

/// Agents that a service manager starts often have 1024.
#[test]
fn more_instances_than_open_files_at_the_start_are_all_watched() {
    let server = Server::start(Kind::Redis70);
    let run = plugin(&crowd(&server))
        .under(&["prlimit", "--nofile=100:"].map(String::from))
        .start();
    run.expect(LIMIT, "every instance is up", |checker| {
        silent(checker).is_empty()
    });
    run.with_checker(Checker::assert_clean);
}

/// While it reads nothing, charts of some are defined and the others wait: memory is not
/// filled with what defines them all.
#[test]
fn what_an_agent_does_not_take_yet_is_told_later() {
    let server = Server::start(Kind::Redis70);
    let run = plugin(&crowd(&server)).start();
    run.hold();
    std::thread::sleep(Duration::from_secs(4));
    let most = process::peak(run.pid());
    assert!(most < MOST, "{most} bytes");
    run.let_go();
    run.expect(LIMIT, "every instance is up", |checker| {
        silent(checker).is_empty()
    });
    run.with_checker(Checker::assert_clean);
}
