//! Instances of this machine: which process is whose, what the kernel tells of it,
//! and that all of them are found.
//!
//! A binary of its own: what looks for all servers meets those of other tests, some of
//! which count who asks them.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop at the line"
)]

#[path = "local/apart.rs"]
mod apart;
#[path = "local/found.rs"]
mod found;
#[path = "local/identity.rs"]
mod identity;
#[path = "local/odd.rs"]
mod odd;
mod support;
#[path = "local/trees.rs"]
mod trees;
mod watching;

use std::process::Command;

use serde_json::Value;

/// What `diagnose` reports of an address.
fn diagnose(address: &str) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redis-frag"));
    let output = command
        .args(["diagnose", address, "--json"])
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}
