//! Another collector: any command.
//!
//! Knows how to start and watch one, nothing of its ways.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::load::{Idle, Servers};
use crate::measure::Cost;
use crate::support::process::{self, Tie};

/// What another collector takes.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Whether it is redis_exporter, which the target is about.
    pub is_usual: bool,
    /// For one collection of it.
    pub cost: Cost,
    /// Resident memory with one instance, bytes.
    pub rss: u64,
}

/// Runs a command over the servers; a collection of its is an INFO call.
pub fn measure(command: &str, servers: &Servers, idle: Idle, window: Duration) -> Peer {
    let socket = servers.sockets(1).next().unwrap();
    let line = command.replace("{socket}", socket.to_str().unwrap());
    let mut child = process::spawn(Path::new("sh"), Tie::DiesWithUs, |command| {
        command
            .args(["-c", &format!("exec {line}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
    })
    .unwrap();
    std::thread::sleep(Duration::from_secs(5));
    let cost = Cost::measure(child.id(), servers, idle, || {
        std::thread::sleep(window);
    });
    process::kill(&mut child);
    Peer {
        name: line.split(' ').next().unwrap_or_default().to_owned(),
        is_usual: false,
        rss: cost.rss.1,
        cost,
    }
}
