//! The system gives no more threads (TasksMax, a container's pids limit): who needs one is
//! told why and is back when the limit is raised, one thread is enough for all, and nobody
//! calls it a defect.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::common::{BINARY, SOON, alone, or_skip};
use crate::support::certificates::{Authority, Valid};
use crate::support::process::{self, free_port, short_dir};
use crate::support::{Kind, PluginRun, Server, becomes_true};

/// A user with no process: the limit counts all that a user has.
const USER: u32 = 61_234;

const TEST: &str = "want of threads";

/// The words that run a program as a user who may have so many threads.
fn limited(threads: usize) -> Vec<String> {
    let mut words = vec!["prlimit".to_owned(), format!("--nproc={threads}:")];
    words.extend(process::as_user(USER));
    words
}

fn allowed() -> Result<(), String> {
    let words = limited(9);
    let output = Command::new(&words[0])
        .args(&words[1..])
        .arg("true")
        .output();
    let output = output.map_err(|e| format!("cannot run prlimit: {e}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// Raises the limit of the running plugin, as its user: root may not in a container.
fn raise(run: &PluginRun) {
    let user = process::as_user(USER);
    let pid = run.pid().to_string();
    let status = Command::new(&user[0])
        .args(&user[1..])
        .args(["prlimit", "--pid", &pid, "--nproc=500:"])
        .status();
    assert!(status.unwrap().success());
}

/// A plugin with the fewest threads that it starts with, and so many more.
fn start(program: &Path, config: &str, more: usize) -> PluginRun {
    for threads in 1..20 {
        let builder = |threads| {
            PluginRun::builder(program)
                .arg("1")
                .under(&limited(threads))
                .user_config(config)
        };
        let mut run = builder(threads).start();
        let begins = || !run.with_checker(|c| c.charts().is_empty());
        let ended = || run.output_ended();
        assert!(
            becomes_true(SOON, || begins() || ended()),
            "{}",
            run.stderr()
        );
        if begins() {
            if more == 0 {
                return run;
            }
            run.signal("TERM");
            run.wait_exit(SOON);
            return builder(threads + more).start();
        }
        assert!(run.stderr().contains("cannot start"), "{}", run.stderr());
    }
    panic!("it starts with no number of threads");
}

fn status(run: &PluginRun, job: &str, dimension: &str) -> bool {
    let chart = format!("redis_frag_{job}.status");
    run.with_checker(|c| c.chart(&chart)?.shown(dimension)) == Some(1.0)
}

fn lines(run: &PluginRun, about: &str, what: &str) -> usize {
    let log = run.stderr();
    let lines = log.lines();
    lines
        .filter(|line| line.contains(about) && line.contains(what))
        .count()
}

fn assert_no_defect(run: &PluginRun) {
    let log = run.stderr();
    assert!(!log.contains("defect") && !log.contains("panic"), "{log}");
}

#[test]
fn want_of_threads_is_told_as_such_and_one_thread_is_enough() {
    let _alone = alone();
    let Some(()) = or_skip(TEST, allowed()) else {
        return;
    };
    let dir = short_dir();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let program = dir.path().join("redis-frag");
    std::fs::copy(BINARY, &program).unwrap();
    let authority = Authority::new(dir.path(), "ours");
    mode(&program, 0o755);
    mode(&authority.file, 0o644);
    let certificate = authority.sign("server", &["localhost"], Valid::Now);
    let port = free_port();
    let _secure = Server::builder(Kind::Redis70)
        .tls(port, &certificate, None)
        .start();
    let server = Server::builder(Kind::Redis70).port_only().start();
    let config = format!(
        "jobs:\n\
         - {{name: plain, address: '{}'}}\n\
         - {{name: tls, address: 'rediss://127.0.0.1:{port}', tls_server_name: localhost, \
         tls_ca: '{}'}}\n\
         - {{name: named, address: 'redis://localhost:{}'}}\n",
        server.tcp_address(),
        authority.file.display(),
        server.port(),
    );

    let run = start(&program, &config, 0);
    let want = || {
        ["tls", "named"]
            .iter()
            .all(|job| status(&run, job, "down") && lines(&run, job, "TasksMax") > 0)
    };
    assert!(becomes_true(SOON, want), "{}", run.stderr());
    assert!(
        becomes_true(SOON, || status(&run, "plain", "up")),
        "{}",
        run.stderr()
    );
    run.signal("HUP");
    let unread = || lines(&run, "reading the configuration anew", "TasksMax") == 1;
    assert!(becomes_true(SOON, unread), "{}", run.stderr());
    raise(&run);
    let back = || ["tls", "named"].iter().all(|job| status(&run, job, "up"));
    assert!(becomes_true(SOON, back), "{}", run.stderr());
    run.signal("HUP");
    let read = || lines(&run, "redis-frag.conf: 3 jobs", "INFO") == 2;
    assert!(becomes_true(SOON, read), "{}", run.stderr());
    for job in ["job tls", "job named"] {
        assert_eq!(lines(&run, job, "TasksMax"), 1, "{}", run.stderr());
    }
    assert_no_defect(&run);
    drop(run);

    // One thread, which is begun first.
    let run = start(&program, &config, 1);
    let up = || {
        ["plain", "tls", "named"]
            .iter()
            .all(|job| status(&run, job, "up"))
    };
    assert!(becomes_true(SOON, up), "{}", run.stderr());
    for job in ["job tls", "job named"] {
        assert_eq!(lines(&run, job, "TasksMax"), 0, "{}", run.stderr());
    }
    assert_no_defect(&run);
}
