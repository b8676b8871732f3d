//! Servers in a network and a pid namespace of their own, as in a container: found at
//! the address of their network, told from the machine's processes, never guessed.

use std::process::Child;
use std::time::Duration;

use crate::diagnose;
use crate::support::apart::Apart;
use crate::support::{Kind, eventually, process, skipped};
use crate::watching::{blocks, plugin};

/// A server in a namespace of its own; ends when dropped.
struct Contained(Apart, Child);

impl Contained {
    fn start(bind: &str) -> Option<Self> {
        let apart = match Apart::new() {
            Ok(apart) => apart,
            Err(why) => {
                skipped(&format!("no network namespace: {why}"));
                return None;
            }
        };
        let args = [
            "--port",
            "6379",
            "--bind",
            bind,
            "--save",
            "",
            "--protected-mode",
            "no",
        ];
        let port = if bind == "127.0.0.1" {
            None
        } else {
            Some(6379)
        };
        let child = apart.start(&Kind::Redis82.binary(), &args, port);
        Some(Self(apart, child))
    }

    fn name(&self) -> String {
        format!(
            "local_{}_6379",
            self.0.address.to_string().replace('.', "_")
        )
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        process::kill(&mut self.1);
    }
}

#[test]
fn a_container_is_found_at_its_own_address_with_its_own_process() {
    let Some(contained) = Contained::start("0.0.0.0") else {
        return;
    };
    let run_of = plugin("").start();
    let name = contained.name();
    run_of.expect(Duration::from_secs(12), &name, |c| {
        blocks(c, &name, "ratio") > 1 && blocks(c, &name, "swap") > 1
    });
    // Its process calls itself 1, and is another here.
    let address = format!("redis://{}:6379", contained.0.address);
    let found = diagnose(&address);
    let pid = found["host"]["pid"].as_u64().unwrap();
    assert_ne!(pid, 1, "{found}");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("redis-server"), "{status}");
    let own = status
        .lines()
        .find(|line| line.starts_with("NSpid:"))
        .unwrap();
    assert!(own.ends_with("\t1"), "{own}");
}

/// What listens at its own loopback alone cannot be reached: that is told, and nobody
/// else is asked in its place.
#[test]
fn a_container_that_cannot_be_reached_is_told_of() {
    let Some(contained) = Contained::start("127.0.0.1") else {
        return;
    };
    let run = plugin("").start();
    eventually(Duration::from_secs(25), "it is told", || {
        let told = run.stderr();
        let mut lines = told.lines().filter(|line| line.contains("cannot reach it"));
        lines.any(|line| line.contains("127.0.0.1:6379") && line.contains("network of its own"))
    });
    run.with_checker(|checker| {
        assert_eq!(blocks(checker, &contained.name(), "status"), 0);
        checker.assert_clean();
    });
}
