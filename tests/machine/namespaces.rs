//! An agent in a container: its own namespace of cgroups, the host's files below a
//! prefix. What `/proc` prints of other cgroups is relative to its own then.

use std::process::Command;

use super::common::{BINARY, MB, alone, diagnosed, or_skip};
use crate::support::{Cgroup, Kind, Server, process};

const LIMIT: u64 = 300 << 20;

/// Enters the agent's cgroup, then a namespace of it, in which the machine's files are
/// below the prefix; with `seen` its own cgroup is mounted as containers have it.
fn contained(agent: &Cgroup, prefix: &std::path::Path, seen: bool) -> Command {
    let prefix = prefix.display();
    let own = match (seen, agent.version()) {
        (false, _) => "true",
        (true, 1) => {
            "umount /sys/fs/cgroup/memory && mount -t cgroup -o memory own /sys/fs/cgroup/memory"
        }
        (true, _) => "umount -l /sys/fs/cgroup && mount -t cgroup2 own /sys/fs/cgroup",
    };
    let inside = format!("mount --rbind / {prefix} && {own} && exec {BINARY} \"$@\"");
    let script = format!(
        "echo $$ > {}/cgroup.procs && exec unshare -C -m sh -c '{inside}' sh \"$@\"",
        agent.folder().display()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh"]);
    command.env("NETDATA_HOST_PREFIX", prefix.to_string());
    command
}

#[test]
fn a_limit_is_seen_from_another_namespace_or_said_to_be_out_of_sight() {
    let _alone = alone();
    let test = "an agent in a namespace of its own";
    let (Some(agent), Some(group)) = (
        or_skip(test, Cgroup::new(1 << 30)),
        or_skip(test, Cgroup::new(LIMIT)),
    ) else {
        return;
    };
    let server = Server::start(Kind::Redis70);
    group.take(server.pid());
    server.fill(20 * MB);
    let prefix = process::short_dir();
    let report = |seen| {
        diagnosed(
            contained(&agent, prefix.path(), seen),
            &server.unix_address(),
        )
    };

    let report_seen = report(true);
    assert_eq!(report_seen["host"]["pid"], server.pid(), "{report_seen}");
    let room = &report_seen["headroom"];
    assert_eq!(room["limited_by"], "cgroup", "{report_seen}");
    assert_eq!(
        (room["limit"].as_u64(), &room["cgroup"]),
        (Some(LIMIT), &group.path().into())
    );

    // Where its own place in the tree cannot be told no limit is believed.
    let hidden = report(false);
    assert_eq!(hidden["host"]["pid"], server.pid(), "{hidden}");
    assert!(hidden["host"]["cgroups"].is_null(), "{hidden}");
    assert_eq!(
        hidden["headroom"]["limited_by"], "total_system_memory",
        "{hidden}"
    );
    let missing = hidden["missing"].as_array().unwrap();
    assert!(missing.contains(&"cgroup limits".into()), "{hidden}");
}
