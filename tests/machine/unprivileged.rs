//! The plugin as the agent's user: the same readings of servers of other users, and
//! a reason where `/proc` hides them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::common::{BINARY, MB, SOON, alone, diagnose, diagnosed, jobs, near, or_skip};
use crate::support::{Cgroup, Kind, PluginBuilder, PluginRun, Server, process};

const NOBODY: u32 = 65534;
const SOMEBODY: u32 = 65533;
const LIMIT: u64 = 400 << 20;
const TEST: &str = "the plugin as another user";

/// A copy of the program where everybody may run it.
struct Program {
    dir: tempfile::TempDir,
}

impl Program {
    fn new() -> Program {
        let dir = process::short_dir();
        let path = dir.path().join("redis-frag");
        std::fs::copy(BINARY, &path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Program { dir }
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("redis-frag")
    }

    fn plugin(&self, under: &[String]) -> PluginBuilder {
        PluginRun::builder(&self.path()).arg("1").under(under)
    }

    fn diagnose(&self, under: &[String], address: &str) -> Value {
        let mut command = Command::new(&under[0]);
        command.args(&under[1..]).arg(self.path());
        diagnosed(command, address)
    }
}

/// The words that run a program as nobody; why not, where we may not.
fn nobody() -> Result<Vec<String>, String> {
    let words = process::as_user(NOBODY);
    allowed(&words)?;
    Ok(words)
}

/// The same where `/proc` hides the processes of others, in mounts of its own.
fn hidden() -> Result<Vec<String>, String> {
    let become_nobody = process::as_user(NOBODY).join(" ");
    let script = format!("mount -t proc -o hidepid=2 proc /proc && exec {become_nobody} \"$@\"");
    let words = ["unshare", "-m", "sh", "-c", &script, "sh"].map(str::to_owned);
    allowed(&words)?;
    Ok(words.to_vec())
}

fn allowed(words: &[String]) -> Result<(), String> {
    let output = Command::new(&words[0])
        .args(&words[1..])
        .arg("true")
        .output();
    let output = output.map_err(|e| format!("cannot run {}: {e}", words[0]))?;
    let told = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false => Err(told.trim().to_owned()),
    }
}

/// Of root by port and by socket alone, and of another user.
fn servers() -> [Server; 3] {
    let of_root = Server::builder(Kind::Redis82).port_only().start();
    let by_socket = Server::builder(Kind::Valkey91).socket_only().start();
    let of_somebody = Server::builder(Kind::Redis70).user(SOMEBODY).start();
    let servers = [of_root, by_socket, of_somebody];
    servers.iter().for_each(|server| server.fill(30 * MB));
    servers
}

#[test]
fn the_agents_user_reads_what_root_reads() {
    let _alone = alone();
    let Some(nobody) = or_skip(TEST, nobody()) else {
        return;
    };
    let program = Program::new();
    let [of_root, by_socket, of_somebody] = servers();
    let group = or_skip("a limit seen by another user", Cgroup::new(LIMIT));
    if let Some(group) = &group {
        group.take(of_root.pid());
        group.take(of_somebody.pid());
    }
    let limited_by = if group.is_some() { "cgroup" } else { "machine" };

    let tables = [
        (of_root.tcp_address(), of_root.pid(), limited_by),
        (by_socket.unix_address(), by_socket.pid(), "machine"),
        (of_somebody.tcp_address(), of_somebody.pid(), limited_by),
        (of_somebody.unix_address(), of_somebody.pid(), limited_by),
    ];
    for (address, pid, limited_by) in &tables {
        let (ours, roots) = (program.diagnose(&nobody, address), diagnose(address));
        let (host, all) = (&ours["host"], &roots["host"]);
        assert_eq!(host["pid"], *pid, "{address}: {ours}");
        assert_eq!(ours["headroom"]["limited_by"], *limited_by, "{address}");
        for name in [
            "swap",
            "huge_pages_enabled",
            "transparent_hugepage",
            "memory",
            "oom_kills",
        ] {
            assert!(
                !host[name].is_null() || all[name].is_null(),
                "{address}: {name}"
            );
            assert_eq!(host[name], all[name], "{address}: {name}");
        }
        assert_eq!(host["unsure"], Value::Null);
        let (rss, roots) = (host["rss"].as_f64().unwrap(), all["rss"].as_f64().unwrap());
        near("rss", rss, roots, 0.05, MB);
        // The walk through its page tables is its own user's and root's.
        assert!(host["huge_pages"].is_null(), "{address}: {ours}");
        assert!(all["huge_pages"].is_u64(), "{address}: {all}");
    }

    // Nothing is configured: all are found, by what anybody may see.
    let plugin = program.plugin(&nobody).start();
    let socket = by_socket.socket().display().to_string();
    let found = [
        (of_root.tcp_address(), limited_by),
        (format!("unix://{socket}"), "machine"),
        (of_somebody.tcp_address(), limited_by),
    ];
    plugin.expect(SOON, "swap, huge pages and headroom of all", |seen| {
        found.iter().all(|(address, _)| {
            ["swap", "thp", "headroom_used"]
                .iter()
                .all(|chart| chart_at(seen, address, chart).is_some_and(|chart| chart.blocks > 1))
        })
    });
    plugin.with_checker(|seen| {
        for (address, limited_by) in &found {
            let labels = &chart_at(seen, address, "headroom").unwrap().labels;
            assert_eq!(labels["limited_by"], *limited_by, "{address}");
            let swap = chart_at(seen, address, "swap").unwrap();
            assert_eq!(swap.shown("swap"), Some(0.0), "{address}");
        }
        seen.assert_clean();
    });
}

fn chart_at<'a>(
    seen: &'a crate::support::Checker,
    address: &str,
    chart: &str,
) -> Option<&'a crate::support::ChartSeen> {
    let context = format!("redis_frag.{chart}");
    let plain = address.trim_start_matches("redis://");
    let all = seen.charts().into_iter().filter_map(|id| seen.chart(id));
    let mut all = all.filter(|chart| chart.context == context);
    all.find(|chart| chart.labels["address"].trim_start_matches("redis://") == plain)
}

#[test]
fn hidden_processes_are_missing_with_a_reason() {
    let _alone = alone();
    let Some(hidden) = or_skip("hidepid", hidden()) else {
        return;
    };
    let program = Program::new();
    let servers = servers();
    let [of_root, by_socket, of_somebody] = &servers;
    let addresses = [
        of_root.tcp_address(),
        by_socket.unix_address(),
        of_somebody.tcp_address(),
    ];
    for address in &addresses {
        let report = program.diagnose(&hidden, address);
        let (host, unsure) = (&report["host"], report["host"]["unsure"].as_str());
        assert!(
            unsure.is_some_and(|why| why.contains("hidepid")),
            "{report}"
        );
        for name in ["pid", "swap", "rss", "huge_pages_enabled"] {
            assert!(host[name].is_null(), "{name}: {report}");
        }
        // What INFO alone tells is there.
        assert_eq!(report["headroom"]["limited_by"], "total_system_memory");
        assert_eq!(report["verdict"], "small");
    }

    let config = jobs(&addresses) + "discovery:\n  local: yes\n";
    let plugin = program.plugin(&hidden).user_config(&config).start();
    plugin.expect(SOON, "memory of all", |seen| {
        ['a', 'b', 'c'].iter().all(|job| {
            let chart = seen.chart(&format!("redis_frag_{job}.memory"));
            chart.is_some_and(|chart| chart.blocks > 2)
        })
    });
    plugin.with_checker(|seen| {
        for job in ['a', 'b', 'c'] {
            for chart in ["swap", "thp"] {
                let id = format!("redis_frag_{job}.{chart}");
                assert!(seen.chart(&id).is_none(), "{id}");
            }
        }
        seen.assert_clean();
    });
    let why = crate::support::becomes_true(SOON, || plugin.stderr().contains("hidepid"));
    assert!(why, "{}", plugin.stderr());
    assert!(
        Path::new("/proc/1/status").exists(),
        "our own /proc is as it was"
    );
}
