//! Nobody reads what a command prints or complains of, or it cannot be written: it ends
//! with its own code all the same.

use std::fs::File;
use std::process::{Output, Stdio};

use super::{code, command, stderr};
use crate::support::process::short_dir;
use crate::watching::FRAGMENTED;

/// Where each write fails, for the device has no room.
fn full() -> Stdio {
    let full = File::options().write(true).open("/dev/full");
    full.unwrap_or_else(|e| panic!("/dev/full: {e}")).into()
}

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (_, writer) = std::io::pipe().unwrap();
    writer.into()
}

fn with(args: &[&str], set: impl FnOnce(&mut std::process::Command)) -> Output {
    let mut command = command();
    set(command.args(args));
    command.output().unwrap()
}

#[test]
fn complaints_that_cannot_be_written_change_no_code() {
    let all: [(&[&str], i32); 5] = [
        (&["replay", "/nonexistent"], 3),
        (&["diagnose", "--bogus"], 64),
        (&["diagnose", "unix:///nonexistent/s"], 3),
        (&["check-config", "/nonexistent"], 1),
        (&["--bogus"], 2),
    ];
    for (args, want) in all {
        for stderr in [full(), closed()] {
            let output = with(args, |command| {
                command.stderr(stderr);
            });
            assert_eq!(code(&output), want, "{args:?}");
        }
    }
}

#[test]
fn results_that_cannot_be_written_are_no_panic() {
    let folder = short_dir();
    let file = folder.path().join("info");
    std::fs::write(&file, FRAGMENTED).unwrap();
    let file = file.to_str().unwrap();
    let all: [(&[&str], i32); 5] = [
        (&["replay", file], 1),
        (&["replay", "--json", file], 1),
        (&["diagnose", "--json", "unix:///nonexistent/s"], 3),
        (&["check-config", "/nonexistent"], 1),
        (&["--help"], 0),
    ];
    for (args, want) in all {
        for stdout in [full(), closed()] {
            let output = with(args, |command| {
                command.stdout(stdout);
            });
            assert_eq!(code(&output), want, "{args:?}");
            assert!(!stderr(&output).contains("panic"), "{}", stderr(&output));
        }
    }
}
