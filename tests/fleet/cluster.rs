//! A real cluster of six.

use std::collections::BTreeSet;

use crate::support::{Cluster, Kind, PluginRun};
use crate::watching::{SOON, is_down, plugin};
use crate::{FAILOVER, FORGOTTEN, assert_no_gap, charted, has_role, is_up, label, member};

const SHARDS: [&str; 3] = ["0-5460", "5461-10922", "10923-16383"];

/// All that README asks for.
const USER: &str = "user default on nopass ~* &* +@all\n\
    user netdata on >hunter2 resetkeys -@all +info +config|get +cluster|shards +cluster|nodes\n";

fn follow(cluster: &Cluster) -> PluginRun {
    let config = format!(
        "jobs:\n- name: c\n  address: {}\n  username: netdata\n  password: hunter2\n  cluster: yes\n  \
         labels: {{team: x, role: cache}}\n",
        cluster.node(0).tcp_address()
    );
    plugin(&config).start()
}

fn names(cluster: &Cluster, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| member(cluster.node(number)))
        .collect()
}

/// Everybody is charted with these labels, and nobody else is.
fn expect_whole(run: &PluginRun, cluster: &Cluster) -> Vec<String> {
    let names = names(cluster, 6);
    run.expect(SOON, "all members are up", |c| {
        names.iter().all(|name| is_up(c, name))
    });
    run.with_checker(|checker| {
        for (number, name) in names.iter().enumerate() {
            let role = if number < 3 { "primary" } else { "replica" };
            for (label_name, want) in [
                ("shard", SHARDS[number % 3]),
                ("role", role),
                ("node_id", &cluster.id(number)),
                ("team", "x"),
                ("instance", name),
            ] {
                assert_eq!(
                    label(checker, name, label_name).as_deref(),
                    Some(want),
                    "{name}"
                );
            }
        }
        assert_eq!(charted(checker), names.iter().cloned().collect());
    });
    names
}

/// The course of a cluster's life, with this server.
fn life(kind: Kind) {
    let acl = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(acl.path(), USER).unwrap();
    let path = acl.path().to_str().unwrap().to_owned();
    let mut cluster = Cluster::start_with(kind, move |node| node.arg("--aclfile", &path));
    let run = follow(&cluster);
    let names = expect_whole(&run, &cluster);

    // A slot moves, and the shards keep their names. Then a primary fails.
    cluster.move_slot(0, 0, 1);
    cluster.node_mut(2).kill();
    run.expect(SOON, "the one that was killed is down", |c| {
        is_down(c, &names[2])
    });
    run.expect(FAILOVER, "its replica is the primary", |c| {
        has_role(c, &names[5], "primary")
    });
    assert!(cluster.is_primary(5));
    run.with_checker(|checker| {
        let (dead, heir) = (&names[2], &names[5]);
        assert!(is_down(checker, dead) && has_role(checker, dead, "primary"));
        for (name, shard) in names.iter().zip(SHARDS.iter().cycle()) {
            assert_eq!(
                label(checker, name, "shard").as_deref(),
                Some(*shard),
                "{name}"
            );
        }
        assert!(is_up(checker, heir));
        assert_eq!(charted(checker), names.iter().cloned().collect());
    });

    // It comes back as a replica of the one that took over.
    cluster.node_mut(2).restart();
    run.expect(FAILOVER, "it is back as a replica", |c| {
        is_up(c, &names[2]) && has_role(c, &names[2], "replica")
    });
    run.with_checker(|c| assert_eq!(label(c, &names[2], "shard").as_deref(), Some(SHARDS[2])));

    // One joins, becomes a replica, and leaves; it stays up all the while.
    let joined = cluster.join();
    let name = member(cluster.node(joined));
    run.expect(SOON, "one more", |c| is_up(c, &name));
    run.with_checker(|c| {
        assert_eq!(label(c, &name, "shard").as_deref(), Some("none"));
        assert!(has_role(c, &name, "primary"));
    });
    cluster.replicate(joined, 0);
    run.expect(SOON, "it belongs to a shard", |c| {
        has_role(c, &name, "replica") && label(c, &name, "shard").as_deref() == Some(SHARDS[0])
    });
    let left = cluster.remove(joined);
    run.expect(FORGOTTEN, "it is off the dashboard", |c| {
        !charted(c).contains(&name)
    });
    assert_eq!(left.ok(&["PING"]), "PONG");

    for (number, name) in names.iter().enumerate() {
        if number != 2 {
            assert_no_gap(&run, name);
        }
    }
    run.with_checker(|checker| {
        checker.assert_clean();
        let all: BTreeSet<String> = names.iter().cloned().collect();
        assert_eq!(charted(checker), all);
    });
    let log = run.stderr();
    assert_eq!(log.matches("following 6 members").count(), 1, "{log}");
    assert!(
        !log.contains("hunter2") && !log.contains("are told again"),
        "{log}"
    );
    // Nothing was tried that the user may not do; 6.2 does not know SHARDS, and says so.
    let refused = cluster.node(1).command(&["ACL", "LOG"]).unwrap();
    assert_eq!(refused, redis::Value::Array(Vec::new()));
}

#[test]
fn redis_6_2_is_followed_by_nodes() {
    life(Kind::Redis62);
}

#[test]
fn redis_8_2_is_followed_by_shards() {
    life(Kind::Redis82);
}

#[test]
fn valkey_9_1_is_followed_by_shards() {
    life(Kind::Valkey91);
}
