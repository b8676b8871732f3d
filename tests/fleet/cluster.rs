//! A real cluster of six.

use std::process::Command;

use crate::support::{Cluster, Kind, PluginRun};
use crate::watching::{SOON, is_down, plugin};
use crate::{FAILOVER, FORGOTTEN, assert_no_gap, charted, has_role, is_up, label, member};

const SHARDS: [&str; 3] = ["0-5460", "5461-10922", "10923-16383"];

/// All that README asks for.
const USER: &str = "user default on nopass ~* &* +@all\n\
    user netdata on >hunter2 resetkeys -@all +info +config|get +client|setname +cluster|shards +cluster|nodes\n";

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

/// What a person asks by the names of the job and its members.
fn at_a_shell(run: &PluginRun, names: &[String]) {
    let config = run.dir().join("etc");
    let ask = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redis-frag"));
        let command = command.args(words).env("NETDATA_USER_CONFIG_DIR", &config);
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    };
    for (word, count) in [("c", 6), (names[4].as_str(), 1)] {
        let (told, said) = ask(&["diagnose", word, "--json"]);
        let named = names
            .iter()
            .filter(|name| told.contains(name.as_str()))
            .count();
        assert_eq!(named, count, "{word}: {told}{said}");
    }
    let (_, said) = ask(&["size-classes", "c"]);
    assert!(
        said.contains("these are several instances; name one: "),
        "{said}"
    );
    let (told, said) = ask(&["check-config", "--connect"]);
    let rows = told.lines().filter(|line| line.starts_with("c_127_0_0_1_"));
    assert_eq!(rows.count(), 6, "{told}{said}");
}

/// The course of a cluster's life, with this server.
fn life(kind: Kind) {
    let acl = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(acl.path(), USER).unwrap();
    let path = acl.path().to_str().unwrap().to_owned();
    let mut cluster = Cluster::start_with(kind, move |node| node.arg("--aclfile", &path));
    let run = follow(&cluster);
    let names = expect_whole(&run, &cluster);

    at_a_shell(&run, &names);
    // A person's check of the connections asks how the allocator was built.
    cluster.node(1).ok(&["ACL", "LOG", "RESET"]);

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

    // So does the first node, after a failover that was asked for: it is the one that the
    // job names and that has told everything so far, and it now knows itself alone.
    cluster.node(3).ok(&["CLUSTER", "FAILOVER"]);
    run.expect(FAILOVER, "they have changed places", |c| {
        has_role(c, &names[3], "primary") && has_role(c, &names[0], "replica")
    });
    let seed = cluster.remove(0);
    run.expect(FORGOTTEN, "both are off the dashboard", |c| {
        !charted(c).contains(&name) && !charted(c).contains(&names[0])
    });
    assert_eq!(
        (left.ok(&["PING"]), seed.ok(&["PING"])),
        ("PONG".into(), "PONG".into())
    );

    for (number, name) in names.iter().enumerate() {
        if number != 2 {
            assert_no_gap(&run, name);
        }
    }
    run.with_checker(|checker| {
        checker.assert_clean();
        assert_eq!(charted(checker), names[1..].iter().cloned().collect());
    });
    let log = run.stderr();
    assert_eq!(log.matches("following 6 members").count(), 1, "{log}");
    assert!(
        !log.contains("hunter2") && !log.contains("are told again"),
        "{log}"
    );
    // The plugin tried nothing that the user may not do.
    let refused = cluster.node(0).command(&["ACL", "LOG"]).unwrap();
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
