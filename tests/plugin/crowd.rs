//! Many instances at once: more than a process may have files open for at first, and more
//! than a slow agent takes in at a time.

use std::time::Duration;

use super::plugin;
use crate::support::{Checker, Kind, Server, process};

const CROWD: usize = 300;

const LIMIT: Duration = Duration::from_secs(60);

/// Instances whose definitions, 10 kB each, are several times what may wait.
const GREAT_CROWD: usize = 600;

/// Bytes by which the plugin is smaller, at the worst of times, where its agent reads nothing
/// than where it reads and all of them have begun: 3.9 to 5.2 MB in test form, and 1.2 to
/// 1.6 MB where all of them are defined and wait.
const SMALLER: u64 = 2_500_000;

fn crowd(server: &Server, size: usize) -> String {
    let address = server.unix_address();
    let job = |number| format!("- {{name: one{number:03}, address: '{address}'}}\n");
    let jobs: String = (0..size).map(job).collect();
    format!("jobs:\n{jobs}")
}

/// Names of those that were never told to be up.
fn silent(checker: &Checker, size: usize) -> Vec<usize> {
    let up = |number: &usize| {
        let chart = format!("redis_frag_one{number:03}.status");
        checker.values(&chart, "up").contains(&1)
    };
    (0..size).filter(|number| !up(number)).collect()
}

/// Agents that a service manager starts often have 1024.
#[test]
fn more_instances_than_open_files_at_the_start_are_all_watched() {
    let server = Server::start(Kind::Redis70);
    let run = plugin(&crowd(&server, CROWD))
        .under(&["prlimit", "--nofile=100:"].map(String::from))
        .start();
    run.expect(LIMIT, "every instance is up", |checker| {
        silent(checker, CROWD).is_empty()
    });
    run.with_checker(Checker::assert_clean);
}

/// While it reads nothing, charts of some are defined and the others wait: memory is not
/// filled with what defines them all.
#[test]
fn what_an_agent_does_not_take_yet_is_told_later() {
    let server = Server::start(Kind::Redis70);
    let config = crowd(&server, GREAT_CROWD);
    let all_are_up = |checker: &Checker| silent(checker, GREAT_CROWD).is_empty();
    let read = {
        let run = plugin(&config).start();
        run.expect(LIMIT, "every instance is up", all_are_up);
        process::peak(run.pid())
    };
    let run = plugin(&config).start();
    run.hold();
    std::thread::sleep(Duration::from_secs(5));
    let most = process::peak(run.pid());
    assert!(
        most + SMALLER < read,
        "{most} bytes, {read} where it is read"
    );
    run.let_go();
    run.expect(LIMIT, "every instance is up", all_are_up);
    run.with_checker(Checker::assert_clean);
}
