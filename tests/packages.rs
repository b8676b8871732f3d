//! What is packed, unpacked: the Debian package in a bare system with a real agent, and the
//! tarball on a machine that is made up. Both are of this build.
//!
//! The bare system is made by `tests/setup.sh`, as root; without it the tests that need it
//! say that they are skipped.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop at the line"
)]

#[path = "packages/debian.rs"]
mod debian;
#[path = "packages/root.rs"]
mod root;
#[path = "support/mod.rs"]
mod support;
#[path = "packages/tarball.rs"]
mod tarball;

use std::process::{Command, Output};

/// Both ends of what a program said; panics where it did not end well.
#[track_caller]
fn well(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let said = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {status}\n{said}");
    said
}
