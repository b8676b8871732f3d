//! What real clusters and Sentinels say of their members, against what a careful reader
//! concludes; and texts that no server here would write.
//!
//! The captures are raw replies; see `fixtures/README.md`.

mod chance;
mod made_up;

use std::fs;
use std::path::PathBuf;

use redis_frag::source::cluster::{self, Way};
use redis_frag::source::inquiry::told;
use redis_frag::source::sentinel;
use redis_frag::source::topology::{Member, Told};

/// Asked in the plain at a name that stands in no reply.
const PLAIN: Way<'_> = Way {
    host: "seed",
    tls: false,
    verified: false,
};
const TLS: Way<'_> = Way { tls: true, ..PLAIN };
const VERIFIED: Way<'_> = Way {
    verified: true,
    ..TLS
};

fn capture(name: &str) -> redis::Value {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("tests/fixtures/topology").join(name);
    let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    redis::parse_redis_value(&bytes).unwrap()
}

/// The members that a capture tells, by the ending of its name.
fn read(name: &str, way: Way<'_>) -> Vec<Member> {
    let reply = capture(name);
    match name.rsplit_once('.').unwrap().1 {
        "nodes" => cluster::nodes(&redis::from_redis_value::<String>(reply).unwrap(), way),
        "shards" | "shards3" => cluster::shards(&told(&reply), way),
        "masters" | "masters3" => sentinel::primaries(&told(&reply)),
        "replicas" | "replicas3" => sentinel::replicas(&told(&reply), "mymaster"),
        other => panic!("no reader for {other}"),
    }
    .unwrap()
}

/// One line for each member, in the order of their places.
fn lines(members: &[Member]) -> Vec<String> {
    let place = |member: &Member| match &member.place {
        Some(place) => format!("{}:{}", place.host, place.port),
        None => "nowhere".to_owned(),
    };
    let mut lines: Vec<String> = members
        .iter()
        .map(|member| {
            let mut line = format!("{} {}", place(member), member.role.name());
            if let Some(id) = &member.primary {
                let primary = members.iter().find(|other| other.id == *id);
                line += &format!(" of {}", primary.map_or("somebody".to_owned(), place));
            }
            for (first, last) in &member.slots {
                line += &format!(" {first}-{last}");
            }
            if !member.healthy {
                line += " failed";
            }
            line
        })
        .collect();
    lines.sort();
    lines
}

#[track_caller]
fn assert_tells(name: &str, way: Way<'_>, want: &[&str]) {
    assert_eq!(lines(&read(name, way)), want, "{name}");
}

/// Three primaries from this port on, and who follows each of them.
fn whole(host: &str, first: u16, followers: [u16; 3]) -> Vec<String> {
    let slots = ["0-5460", "5461-10922", "10923-16383"];
    let mut lines = Vec::new();
    for ((slots, follower), port) in slots.iter().zip(followers).zip(first..) {
        lines.push(format!("{host}:{port} primary {slots}"));
        lines.push(format!("{host}:{follower} replica of {host}:{port}"));
    }
    lines.sort();
    lines
}

#[test]
fn a_whole_cluster_is_the_same_in_every_form_and_version() {
    for (kind, first, followers) in [
        ("redis-6.2.5", 7300, [7304, 7305, 7303]),
        ("redis-7.0.15", 7320, [7325, 7323, 7324]),
        ("redis-8.2.3", 7340, [7345, 7343, 7344]),
        ("valkey-9.1.2", 7360, [7363, 7364, 7365]),
    ] {
        let want = whole("127.0.0.1", first, followers);
        let nodes = read(&format!("{kind}-whole.nodes"), PLAIN);
        assert_eq!(lines(&nodes), want, "{kind}");
        if kind == "redis-6.2.5" {
            continue;
        }
        let mut nodes = nodes;
        nodes.sort_by(|a, b| a.id.cmp(&b.id));
        for form in ["shards", "shards3"] {
            let mut shards = read(&format!("{kind}-whole.{form}"), PLAIN);
            shards.sort_by(|a, b| a.id.cmp(&b.id));
            assert_eq!(shards, nodes, "{kind}.{form}");
        }
    }
}

#[test]
fn slots_on_their_way_are_where_they_were() {
    let want = whole("127.0.0.1", 7300, [7304, 7305, 7303]);
    let members = read("redis-6.2.5-migrating.nodes", PLAIN);
    assert_eq!(lines(&members), want);
}

#[test]
fn a_primary_that_failed_stands_beside_the_one_that_took_over() {
    for (kind, first, new, followers) in [
        ("redis-6.2.5", 7300, 7303, [7304, 7305]),
        ("redis-7.0.15", 7320, 7324, [7325, 7323]),
        ("redis-8.2.3", 7340, 7344, [7345, 7343]),
        ("valkey-9.1.2", 7360, 7365, [7363, 7364]),
    ] {
        let mut want = whole("127.0.0.1", first, [followers[0], followers[1], new]);
        let old = first + 2;
        want.retain(|line| {
            !line.contains(&format!(":{old}")) && !line.contains(&format!(":{new}"))
        });
        want.push(format!("127.0.0.1:{old} primary failed"));
        want.push(format!("127.0.0.1:{new} primary 10923-16383"));
        want.sort();
        let nodes = read(&format!("{kind}-failed-over.nodes"), PLAIN);
        assert_eq!(lines(&nodes), want, "{kind}");
        if kind != "redis-6.2.5" {
            let shards = read(&format!("{kind}-failed-over.shards"), PLAIN);
            let mut shards = lines(&shards);
            // Redis 8.2 and Valkey keep both in one shard and tell its slots once.
            shards.sort();
            assert_eq!(shards, want, "{kind}");
        }
    }
}

#[test]
fn the_endpoint_that_the_operator_prefers_is_taken() {
    for (kind, first) in [
        ("redis-7.0.15", 7320),
        ("redis-8.2.3", 7340),
        ("valkey-9.1.2", 7360),
    ] {
        // The primaries announce names, the replicas (`?`) none.
        let named = read(&format!("{kind}-hostnames.shards"), PLAIN);
        let places: Vec<String> = lines(&named);
        for port in first..first + 3 {
            let start = format!("node-{port}.example:{port} primary");
            assert!(
                places.iter().any(|line| line.starts_with(&start)),
                "{start}: {places:?}"
            );
        }
        for port in first + 3..first + 6 {
            let start = format!("127.0.0.1:{port} replica");
            assert!(
                places.iter().any(|line| line.starts_with(&start)),
                "{start}: {places:?}"
            );
        }
        // Where the endpoint is not told, it is the host that was asked.
        let unknown = read(&format!("{kind}-unknown-endpoint.shards"), PLAIN);
        let hosts = unknown
            .iter()
            .map(|member| &member.place.as_ref().unwrap().host);
        assert_eq!(hosts.collect::<Vec<_>>(), ["seed"; 6], "{kind}");
        // NODES does not tell what is preferred: only who checks names needs them.
        let nodes = format!("{kind}-hostnames.nodes");
        let plain = lines(&read(&nodes, PLAIN));
        assert!(
            plain.iter().all(|line| line.starts_with("127.0.0.1:")),
            "{plain:?}"
        );
        for name in [nodes, format!("{kind}-hostnames.shards")] {
            let checked = lines(&read(&name, VERIFIED));
            let names = checked
                .iter()
                .filter(|line| line.starts_with("node-"))
                .count();
            assert_eq!(names, 3, "{checked:?}");
        }
    }
    let unknown = read("redis-7.0.15-unknown-endpoint.shards3", PLAIN);
    assert!(lines(&unknown).iter().all(|line| line.starts_with("seed:")));
}

#[test]
fn a_node_that_does_not_know_its_address_is_where_it_was_asked() {
    for (name, want) in [
        ("redis-6.2.5-lone.nodes", "seed:7307 primary"),
        ("redis-7.0.15-lone.nodes", "seed:7327 primary"),
        ("redis-7.0.15-lone.shards", "seed:7327 primary"),
        ("redis-8.2.3-lone.nodes", "seed:7347 primary"),
        ("valkey-9.1.2-lone.nodes", "seed:7367 primary"),
        ("valkey-9.1.2-lone.shards", "seed:7367 primary"),
    ] {
        assert_tells(name, PLAIN, &[want]);
    }
}

#[test]
fn a_node_in_handshake_is_nobody_yet() {
    for name in [
        "redis-6.2.5-handshake.nodes",
        "valkey-9.1.2-handshake.nodes",
    ] {
        let members = lines(&read(name, PLAIN));
        assert_eq!(members.len(), 6, "{members:?}");
        assert!(
            !members.iter().any(|line| line.contains(":7399")),
            "{members:?}"
        );
    }
}

#[test]
fn who_asks_by_tls_is_sent_to_tls_ports_where_they_are_told() {
    let primaries = |first: u16| {
        let slots = ["0-5460", "5461-10922", "10923-16383"];
        let lines = slots.iter().zip(first..);
        lines
            .map(|(slots, port)| format!("127.0.0.1:{port} primary {slots}"))
            .collect::<Vec<_>>()
    };
    for (name, way, first) in [
        ("redis-7.0.15-tls-cluster-asked-by-tls.nodes", TLS, 7610),
        ("redis-7.0.15-tls-cluster-asked-by-tls.shards", TLS, 7610),
        ("redis-7.0.15-tls-cluster-asked-plainly.nodes", PLAIN, 7600),
        ("redis-7.0.15-tls-cluster-asked-plainly.shards", PLAIN, 7600),
        // Without tls-cluster 7.0 knows no TLS port of the others.
        ("redis-7.0.15-tls-clients-asked-by-tls.nodes", TLS, 7630),
        ("redis-7.0.15-tls-clients-asked-by-tls.shards", TLS, 7630),
    ] {
        assert_eq!(lines(&read(name, way)), primaries(first), "{name}");
    }
}

#[test]
fn sentinels_tell_primaries_and_replicas() {
    for (kind, first, new) in [
        ("redis-6.2.5", 7450, 7451),
        ("redis-7.0.15", 7470, 7471),
        ("redis-8.2.3", 7490, 7491),
        ("valkey-9.1.2", 7510, 7512),
    ] {
        let at = |port: u16, rest: &str| format!("127.0.0.1:{port} {rest}");
        let primaries = read(&format!("{kind}-sentinel.masters"), PLAIN);
        assert_eq!(lines(&primaries), [at(first, "primary")]);
        let replicas = read(&format!("{kind}-sentinel.replicas"), PLAIN);
        assert_eq!(
            lines(&replicas),
            [at(first + 1, "replica"), at(first + 2, "replica")]
        );
        let all = sentinel::merged(primaries, replicas);
        assert!(
            all.iter()
                .all(|member| member.shard.as_deref() == Some("mymaster"))
        );
        assert_eq!(all[0].id, format!("127.0.0.1:{first}"));

        let primaries = read(&format!("{kind}-sentinel-failed-over.masters"), PLAIN);
        assert_eq!(lines(&primaries), [at(new, "primary")]);
        let replicas = read(&format!("{kind}-sentinel-failed-over.replicas"), PLAIN);
        let other = if new == first + 1 {
            first + 2
        } else {
            first + 1
        };
        assert_eq!(
            lines(&replicas),
            [at(first, "replica failed"), at(other, "replica")]
        );
    }
    for (two, three) in [
        (
            "redis-7.0.15-sentinel.masters",
            "redis-7.0.15-sentinel.masters3",
        ),
        (
            "redis-7.0.15-sentinel.replicas",
            "redis-7.0.15-sentinel.replicas3",
        ),
    ] {
        assert_eq!(read(two, PLAIN), read(three, PLAIN), "{two}");
        assert!(matches!(told(&capture(three)), Told::List(_)));
    }
}
