//! The end of the plugin: on QUIT, the end of stdin, SIGTERM, SIGINT and a
//! closed stdout it is over within a second with exit code 0, whatever the
//! instances do, and nothing but whole lines was written.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::plugin::{SOON, blocks, is_down, jobs, plugin};
use crate::support::process::{self, Tie};
use crate::support::{Checker, Kind, PluginRun, Server, eventually};

const A_SECOND: Duration = Duration::from_secs(1);
/// A closed stdout is met at the next write, which is at most a second away.
const AFTER_A_WRITE: Duration = Duration::from_millis(1250);

type End = (&'static str, fn(&mut PluginRun));

const CLOSED: &str = "a closed stdout";

const ENDS: [End; 5] = [
    ("QUIT", |run| run.send_line("QUIT").unwrap()),
    ("the end of stdin", PluginRun::close_stdin),
    ("SIGTERM", |run| run.signal("TERM")),
    ("SIGINT", |run| run.signal("INT")),
    (CLOSED, PluginRun::close_stdout),
];

/// Ends a plugin in this way; it is gone within a second, without a mark.
#[track_caller]
fn assert_ends(run: &mut PluginRun, (how, end): End) {
    let start = Instant::now();
    end(run);
    let Some((status, _)) = run.wait_exit(SOON) else {
        panic!("{how}: not ended within {SOON:?}\n{}", run.stderr());
    };
    let took = start.elapsed();
    assert_eq!(status.code(), Some(0), "{how}: {status}\n{}", run.stderr());
    let limit = if how == CLOSED {
        AFTER_A_WRITE
    } else {
        A_SECOND
    };
    assert!(took <= limit, "{how}: took {took:?}\n{}", run.stderr());
    assert!(run.output_ended(), "{how}: its output is still open");
    // Also that the last line is whole, and no block is left open.
    run.with_checker(Checker::assert_clean);
}

/// A plugin for each way to end one, all with values.
fn five_plugins(config: &str, job: &str) -> Vec<PluginRun> {
    let runs: Vec<PluginRun> = ENDS.iter().map(|_| plugin(config).start()).collect();
    for run in &runs {
        run.expect(SOON, "values", |c| blocks(c, job, "ratio") > 0);
    }
    runs
}

#[test]
fn it_ends_within_a_second() {
    let server = Server::start(Kind::Redis70);
    let mut runs = five_plugins(&jobs(&[("one", &server.unix_address())]), "one");
    for (run, end) in runs.iter_mut().zip(ENDS) {
        assert_ends(run, end);
    }
}

/// In the middle of a question that is not answered.
#[test]
fn it_ends_within_a_second_while_an_instance_is_asked_and_hangs() {
    let (hanging, other) = (Server::start(Kind::Redis62), Server::start(Kind::Valkey91));
    let config = jobs(&[
        ("hanging", &hanging.tcp_address()),
        ("other", &other.unix_address()),
    ]);
    let mut runs = five_plugins(&config, "hanging");
    hanging.pause();
    // Each second begins with a question, which is given up 0.9 s later.
    let asked = runs[0].with_checker(|c| blocks(c, "other", "ratio"));
    runs[0].expect(SOON, "the next second", |c| {
        blocks(c, "other", "ratio") > asked
    });
    assert!(!runs[0].with_checker(|c| is_down(c, "hanging")));
    for (run, end) in runs.iter_mut().zip(ENDS) {
        assert_ends(run, end);
    }
}

/// When nothing but a hanging instance is left, and was given up before.
#[test]
fn it_ends_within_a_second_while_its_only_instance_is_down() {
    let server = Server::start(Kind::Redis82);
    let mut runs = five_plugins(&jobs(&[("one", &server.unix_address())]), "one");
    server.pause();
    for run in &runs {
        run.expect(SOON, "down for a while", |c| {
            let down = c.values("redis_frag_one.status", "down");
            down.iter().sum::<i64>() >= 3
        });
    }
    for (run, end) in runs.iter_mut().zip(ENDS) {
        assert_ends(run, end);
    }
}

/// At whatever moment between two collections the agent closes its end.
#[test]
fn a_closed_stdout_is_noticed_within_a_second() {
    let server = Server::start(Kind::Redis82);
    let address = server.unix_address();
    let healthy = jobs(&[("one", &address)]);
    let rare = format!("{healthy}  update_every: 5\n");
    let mut runs = [
        plugin(&healthy).start(),
        plugin(&healthy).start(),
        plugin(&rare).start(),
    ];
    for run in &runs {
        run.expect(SOON, "values", |c| blocks(c, "one", "ratio") > 0);
    }
    let mut failed = Vec::new();
    let mut close = |run: &mut PluginRun, what: &str| {
        let before = run.with_checker(|c| blocks(c, "one", "status"));
        run.expect(SOON, "the next block", |c| {
            blocks(c, "one", "status") > before
        });
        let start = Instant::now();
        run.close_stdout();
        let status = run.wait_exit(SOON).expect("it did not end").0;
        let took = start.elapsed();
        if status.code() != Some(0) || took > AFTER_A_WRITE {
            failed.push(format!("{what}: {status} after {took:?}"));
        }
    };
    close(&mut runs[0], "a collection a second");
    close(&mut runs[2], "a collection every five seconds");
    server.pause();
    runs[1].expect(SOON, "down for a while", |c| {
        let down = c.values("redis_frag_one.status", "down");
        down.iter().sum::<i64>() >= 3
    });
    close(&mut runs[1], "a hanging instance");
    assert_eq!(failed, [""; 0]);
}

/// With nothing to watch it waits for the agent, and still ends at once. A
/// closed stdout cannot be noticed: nothing is written.
#[test]
fn it_ends_within_a_second_with_nothing_to_watch() {
    let config = "discovery:\n  local: no\n";
    for end in &ENDS[..4] {
        let mut run = plugin(config).start();
        eventually(SOON, "the configuration is read", || {
            run.stderr().contains("0 jobs")
        });
        eventually(SOON, "it listens for signals", || catches_term(run.pid()));
        assert_ends(&mut run, *end);
        assert_eq!(run.lines(), []);
    }
}

/// Whether SIGTERM is caught: before that it ends a process as the kernel does, by itself.
fn catches_term(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = u64::from_str_radix(mask.unwrap().trim(), 16).unwrap();
    mask & (1 << (15 - 1)) != 0
}

/// An agent that is stuck reads nothing: the pipe is full when the end comes.
#[test]
fn it_ends_within_a_second_while_nobody_reads() {
    let server = Server::start(Kind::Redis62);
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..40).map(|n| format!("job{n}")).collect();
    let address = server.unix_address();
    let all: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), address.as_str()))
        .collect();
    std::fs::write(dir.path().join("redis-frag.conf"), jobs(&all)).unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_redis-frag"));
    let mut child: Child = process::spawn(binary, Tie::DiesWithUs, |command| {
        command
            .arg("1")
            .env("NETDATA_USER_CONFIG_DIR", dir.path())
            .env_remove("NETDATA_STOCK_CONFIG_DIR")
            .stdin(Stdio::piped())
            .stdout(writer)
            .stderr(Stdio::null());
    })
    .unwrap();
    // Some 6 KB of definitions a job for a pipe of 64 KiB. Every collection is
    // an INFO, and so is every look at the count.
    let mut looks = 0.0;
    eventually(SOON, "four collections", || {
        looks += 1.0;
        server.info_number("total_commands_processed") > 5.0 * 40.0 + looks
    });
    let start = Instant::now();
    assert!(process::signal(child.id(), "TERM"));
    let ended = process::wait_exit(&mut child, SOON);
    let took = start.elapsed();
    process::kill(&mut child);
    let (status, _) = ended.expect("it did not end");
    assert_eq!(status.code(), Some(0));
    assert!(took <= A_SECOND, "took {took:?}");
    // 64 KiB hold less than one of four collections.
    let mut written = Vec::new();
    reader.read_to_end(&mut written).unwrap();
    let written = String::from_utf8(written).unwrap();
    let collections = written.matches(".status'").count();
    assert!(
        (1..2 * all.len()).contains(&collections),
        "the pipe was not full: {collections}"
    );
}
