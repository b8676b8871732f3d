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

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use crate::root::{Root, Running};
use crate::support::Server;

/// What the operator writes, in any way of installing.
const CONFIGURATION: &str = "etc/netdata/redis-frag.conf";

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

/// Has a server watched by the agent of a system, and waits for its charts and alerts.
#[track_caller]
fn watched(root: &Root, server: &Server) -> Running {
    let jobs = format!(
        "discovery:\n  local: no\nimport_go_d: no\njobs:\n  - name: box\n    address: {}\n",
        server.tcp_address()
    );
    fs::write(root.path(CONFIGURATION), jobs).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let agent = root.agent(port);
    agent.until(
        "/api/v1/charts",
        &["\"redis_frag_box.ratio\"", "\"redis_frag_box.diagnosis\""],
    );
    agent.until(
        "/api/v1/alarms?all",
        &["redis_frag_ratio", "redis_frag_unreachable"],
    );
    agent
}

/// Who reads a document follows its links: panics where one leads nowhere. A program's own
/// source is not packed.
#[track_caller]
fn links_lead_somewhere(documents: &Path) {
    let found = well(Command::new("find").arg(documents).args(["-name", "*.md"]));
    let mut followed = 0;
    for path in found.lines().map(Path::new) {
        let text = fs::read_to_string(path).unwrap();
        for target in text.split("](").skip(1) {
            let target = target.split([')', '#']).next().unwrap();
            if target.starts_with("https://") || target.starts_with("src/") || target.is_empty() {
                continue;
            }
            let there = path.parent().unwrap().join(target);
            assert!(there.exists(), "{}: no {target}", path.display());
            followed += 1;
        }
    }
    assert!(followed > 30, "only {followed} links were found");
}
