//! A child that saves is killed by the kernel for want of memory, and its parent
//! lives on: the counter of the cgroup moves, and whoever watches is told.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::common::{BINARY, MB, SOON, alone, diagnose, or_skip, risk};
use crate::support::process::{self, Tie};
use crate::support::{Cgroup, Kind, Rewrite, Server, eventually};

#[test]
fn a_child_that_was_killed_is_told_by_a_watch() {
    let _alone = alone();
    let Some(group) = or_skip("a kill for want of memory", Cgroup::new(160 << 20)) else {
        return;
    };
    // Where the machine has swap; without, the kernel need not account any.
    let _ = group.allow_swap(0);
    let server = Server::builder(Kind::Redis70).socket_only().start();
    // The kernel takes the child then, of two that are as large.
    server.ok(&["CONFIG", "SET", "oom-score-adj-values", "0 0 800"]);
    server.ok(&["CONFIG", "SET", "oom-score-adj", "absolute"]);
    group.take(server.pid());
    server.fill(100 * MB);
    let before = diagnose(&server.unix_address());
    assert_eq!(before["host"]["oom_kills"], 0, "{before}");
    assert!(risk(&before, "oom_killed").is_none(), "{before}");
    assert!(risk(&before, "fork_exceeds_limit").is_none(), "no fork yet");

    let lines = server.dir().join("watch");
    let output = File::create(&lines).unwrap();
    let mut watch = process::spawn(Path::new(BINARY), Tie::DiesWithUs, |command| {
        let address = server.unix_address();
        command
            .args(["diagnose", &address, "--watch", "--json", "--interval", "1"])
            .stdin(Stdio::null())
            .stdout(output);
    })
    .unwrap();
    let last = || -> Option<Value> {
        let text = std::fs::read_to_string(&lines).unwrap();
        let (whole, _) = text.rsplit_once('\n')?;
        Some(serde_json::from_str(whole.lines().last()?).unwrap())
    };
    eventually(SOON, "a first look", || last().is_some());

    server.ok(&["CONFIG", "SET", "rdb-key-save-delay", "1000"]);
    server.ok(&["BGSAVE"]);
    server.rewrite(Rewrite::InPlace);
    eventually(SOON, "a kill", || group.kills() > 0);
    eventually(SOON, "oom_killed in a watch", || {
        last().is_some_and(|report| risk(&report, "oom_killed").is_some())
    });
    let report = last().unwrap();
    process::kill(&mut watch);
    let told = risk(&report, "oom_killed").unwrap();
    assert_eq!(told["severity"], "critical");
    assert_eq!(report["severity"], "critical");
    assert_eq!(report["host"]["oom_kills"], group.kills());
    // The server is the same and says what became of its child.
    assert_eq!(report["host"]["pid"], server.pid());
    eventually(SOON, "a save that failed", || {
        server.info_field("rdb_last_bgsave_status").as_deref() == Some("err")
    });
    // Who comes later knows no more than that it happened.
    let later = diagnose(&server.unix_address());
    assert_eq!(risk(&later, "oom_killed").unwrap()["severity"], "fine");
}
