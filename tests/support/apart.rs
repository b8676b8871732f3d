//! A network namespace of its own, joined to ours by a pair of interfaces, as a
//! container has it: for servers whose pid and address are not the machine's.
//!
//! Knows `ip` and `unshare`, nothing of what runs in it. Needs root.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use super::process::{self, Tie};

/// The namespace; gone when dropped, and what runs in it with it.
pub struct Apart {
    name: String,
    /// Its address, by which we reach it.
    pub address: Ipv4Addr,
    /// The machine's own address in the network between.
    pub ours: Ipv4Addr,
}

impl Apart {
    /// Makes one; why not, where this machine does not allow it.
    pub fn new() -> Result<Self, String> {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        // 64 networks of four addresses; those of other test processes are left alone.
        let place = std::process::id() as u8 ^ NEXT.fetch_add(1, Ordering::Relaxed);
        let network = |host: u8| Ipv4Addr::new(10, 231, place, host);
        let name = format!("rf{}-{place}", std::process::id());
        let (ours, theirs) = (format!("rfo{place}"), format!("rfi{place}"));
        let apart = Self {
            name: name.clone(),
            address: network(2),
            ours: network(1),
        };
        let (outside, inside) = (format!("{}/30", network(1)), format!("{}/30", network(2)));
        for words in [
            vec!["netns", "add", &name],
            vec![
                "link", "add", &ours, "type", "veth", "peer", "name", &theirs, "netns", &name,
            ],
            vec!["addr", "add", &outside, "dev", &ours],
            vec!["link", "set", &ours, "up"],
            vec!["-n", &name, "addr", "add", &inside, "dev", &theirs],
            vec!["-n", &name, "link", "set", &theirs, "up"],
            vec!["-n", &name, "link", "set", "lo", "up"],
        ] {
            ip(&words)?;
        }
        Ok(apart)
    }

    /// Starts a program as the first process of a pid namespace in it, and waits until
    /// somebody listens at the port, where one is to be reached.
    pub fn start(&self, program: &Path, args: &[&str], port: Option<u16>) -> Child {
        let child = process::spawn(Path::new("ip"), Tie::DiesWithUs, |command| {
            command
                .args([
                    "netns",
                    "exec",
                    &self.name,
                    "unshare",
                    "--pid",
                    "--fork",
                    "--kill-child",
                ])
                .arg("--mount-proc")
                .arg(program)
                .args(args)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
        });
        let child = child.unwrap_or_else(|e| panic!("cannot run ip: {e}"));
        let start = Instant::now();
        while port.is_some_and(|port| TcpStream::connect((self.address, port)).is_err()) {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "nobody listens at {port:?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        child
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // The pair of interfaces goes with it.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(words: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(words).output();
    let output = output.map_err(|e| format!("cannot run ip (Debian: iproute2): {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("ip {}: {}", words.join(" "), said.trim())),
    }
}
