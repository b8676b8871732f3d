//! Colours, a watch that goes on, and whoever reads no more.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{SOON, code, command, shaped, stderr};
use crate::support::process::{self, short_dir};
use crate::support::{Kind, Server, eventually};

/// What comes out on a terminal; `None` where this machine has no `script`.
fn on_a_terminal(args: &str, env: &[(&str, &str)]) -> Option<String> {
    let binary = env!("CARGO_BIN_EXE_redis-frag");
    let out = Command::new("script")
        .args(["-qec", &format!("'{binary}' {args}"), "/dev/null"])
        .env_remove("NO_COLOR")
        .env_remove("COLUMNS")
        .env("TERM", "xterm")
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&out.stdout).into_owned())
}

#[test]
fn colours_are_for_terminals_alone() {
    let server = Server::start(Kind::Redis82);
    let args = format!("diagnose {}", server.unix_address());
    let Some(shown) = on_a_terminal(&args, &[]) else {
        return;
    };
    assert!(shown.contains("\u{1b}[32mFINE\u{1b}[0m"), "{shown}");
    for plain in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let shown = on_a_terminal(&args, &[plain]).unwrap();
        assert!(
            shown.contains("FINE") && !shown.contains('\u{1b}'),
            "{plain:?}: {shown}"
        );
    }
}

#[test]
fn a_watch_goes_on_until_interrupted() {
    let server = Server::start(Kind::Redis82);
    let out = short_dir();
    let path = out.path().join("out");
    let mut watch = process::spawn(
        Path::new(env!("CARGO_BIN_EXE_redis-frag")),
        process::Tie::DiesWithUs,
        |command| {
            command
                .args(["diagnose", "-w", "--interval", "1", "--json"])
                .arg(server.unix_address())
                .stdin(Stdio::null())
                .stdout(std::fs::File::create(&path).unwrap());
        },
    )
    .unwrap();
    let lines = || std::fs::read_to_string(&path).unwrap().lines().count();
    eventually(SOON, "three rounds", || lines() >= 3);
    assert!(process::signal(watch.id(), "INT"));
    let (status, time) = process::wait_exit(&mut watch, SOON).unwrap();
    assert_eq!(status.code(), Some(0), "after {time:?}");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.lines().all(|line| shaped(line)["verdict"] == "small"));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let server = Server::start(Kind::Redis82);
    let mut child = command()
        .args(["diagnose", "-w", "--interval", "1", &server.unix_address()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = process::wait_exit(&mut child, SOON);
    let told = child.wait_with_output().unwrap();
    assert!(ended.is_some() && code(&told) == 0, "{}", stderr(&told));
    assert_eq!(stderr(&told), "");
}

/// What takes over a second is told while it does, in a line that is gone in the end; what
/// does not, and what no terminal sees, is not talked about.
#[test]
fn a_person_sees_what_is_waited_for() {
    let (stuck, well) = (Server::start(Kind::Redis82), Server::start(Kind::Redis70));
    let args = format!(
        "diagnose --timeout 3s {} {}",
        stuck.unix_address(),
        well.unix_address()
    );
    let Some(quick) = on_a_terminal(&args, &[]) else {
        return;
    };
    assert!(!quick.contains("waiting for"), "{quick}");
    assert!(process::signal(stuck.pid(), "STOP"));
    let shown = on_a_terminal(&args, &[]).unwrap();
    let waiting = "1 of 2 answered, 1 s; waiting for ";
    let line = shown.find(waiting).unwrap_or_else(|| panic!("{shown:?}"));
    let erased = shown.rfind("\r\u{1b}[K").unwrap();
    let result = shown.find("unreachable").unwrap();
    assert!(line < erased && erased < result, "{shown:?}");
    assert!(!shown[erased..].contains("waiting for"), "{shown:?}");

    let piped = command().args(args.split(' ')).output().unwrap();
    assert_eq!(stderr(&piped), "");
    assert!(process::signal(stuck.pid(), "CONT"));
}

#[test]
fn a_person_sees_how_far_a_recording_is() {
    let server = Server::start(Kind::Redis82);
    let dir = short_dir();
    let args = format!(
        "record {} --for 3s -o {}",
        server.unix_address(),
        dir.path().join("r").display()
    );
    let Some(shown) = on_a_terminal(&args, &[]) else {
        return;
    };
    assert!(
        shown.contains("samples in ") && shown.contains(" of 3 s; Ctrl-C ends"),
        "{shown:?}"
    );
    let last = shown.trim_end().lines().last().unwrap();
    assert!(last.contains("to see them: cd "), "{shown:?}");
}
