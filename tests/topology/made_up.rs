//! Lines as clusters behind NAT, of hostnames and of old versions write them, after
//! `clusterGenNodeDescription` of each version, and what nobody should believe.

use redis_frag::source::cluster;
use redis_frag::source::sentinel;
use redis_frag::source::topology::Told;

use super::{PLAIN, TLS, VERIFIED, lines};

fn text(text: &str) -> Told {
    Told::Text(text.to_owned())
}

/// One entry as a flat list of names and values; digits are numbers.
fn entry(pairs: &[(&str, &str)]) -> Told {
    let value = |value: &str| match value.parse() {
        Ok(number) => Told::Number(number),
        Err(_) if value == "null" => Told::Nothing,
        Err(_) => text(value),
    };
    let flat = pairs
        .iter()
        .flat_map(|(name, held)| [text(name), value(held)]);
    Told::List(flat.collect())
}

/// A reply of one shard with these nodes.
fn shard(nodes: Vec<Told>) -> Told {
    let slots = Told::List(vec![Told::Number(0), Told::Number(99)]);
    Told::List(vec![Told::List(vec![
        text("slots"),
        slots,
        text("nodes"),
        Told::List(nodes),
    ])])
}

#[test]
fn addresses_of_nodes_are_read_in_every_form() {
    let id = "a".repeat(40);
    for (address, flags, plain, verified) in [
        // 3.x and 4.0
        ("10.0.0.1:7000", "master", "10.0.0.1:7000", "10.0.0.1:7000"),
        (
            "10.0.0.1:7000@17000",
            "master",
            "10.0.0.1:7000",
            "10.0.0.1:7000",
        ),
        // cluster-announce-ip, -port and -bus-port: NAT
        (
            "203.0.113.9:31000@31001",
            "master",
            "203.0.113.9:31000",
            "203.0.113.9:31000",
        ),
        // cluster-announce-hostname
        (
            "10.0.0.1:7000@17000,n1.example",
            "master",
            "10.0.0.1:7000",
            "n1.example:7000",
        ),
        (
            "10.0.0.1:7000@17000,n1.example,shard-id=0123",
            "master",
            "10.0.0.1:7000",
            "n1.example:7000",
        ),
        (
            "10.0.0.1:7000@17000,,tls-port=7001",
            "master",
            "10.0.0.1:7000",
            "10.0.0.1:7000",
        ),
        (
            "10.0.0.1:7000@17000,?",
            "master",
            "10.0.0.1:7000",
            "10.0.0.1:7000",
        ),
        (
            "2001:db8::1:7000@17000",
            "master",
            "2001:db8::1:7000",
            "2001:db8::1:7000",
        ),
        // It knows no address of its own; of another it lost it.
        (":7000@17000", "myself,master", "seed:7000", "seed:7000"),
        (":0@0", "master,noaddr", "nowhere", "nowhere"),
        (":7000@17000", "master", "nowhere", "nowhere"),
        // No port for this way.
        ("10.0.0.1:0@17000", "master", "nowhere", "nowhere"),
        ("10.0.0.1:70000@17000", "master", "nowhere", "nowhere"),
        ("nonsense", "master", "nowhere", "nowhere"),
    ] {
        let line = format!("{id} {address} {flags} - 0 0 1 connected 0-99\n");
        for (way, want) in [(PLAIN, plain), (VERIFIED, verified)] {
            let members = cluster::nodes(&line, way).unwrap();
            let failed = if flags.contains("noaddr") {
                " failed"
            } else {
                ""
            };
            let want = format!("{want} primary 0-99{failed}");
            assert_eq!(lines(&members), [want], "{address}");
        }
    }
}

#[test]
fn flags_and_slots_of_nodes_are_read() {
    let (a, b) = ("a".repeat(40), "b".repeat(40));
    for (rest, want) in [
        ("master - 0 0 1 connected", Some("h:1 primary")),
        (
            "master,nofailover - 0 0 1 connected 7",
            Some("h:1 primary 7-7"),
        ),
        (
            "master,fail? - 0 0 1 connected 0-1 5-9",
            Some("h:1 primary 0-1 5-9"),
        ),
        (
            "master,fail - 0 0 1 disconnected",
            Some("h:1 primary failed"),
        ),
        (
            "myself,slave,nofailover B 0 0 1 connected",
            Some("h:1 replica of somebody"),
        ),
        ("slave - 0 0 1 connected", Some("h:1 replica")),
        ("handshake - 0 0 0 disconnected", None),
        ("master,handshake - 0 0 0 disconnected", None),
        ("noflags - 0 0 0 connected", None),
        (
            "master - 0 0 1 connected [5->-B] 3-4 [6-<-B]",
            Some("h:1 primary 3-4"),
        ),
        ("master - 0 0 1 connected x-y 99999-2", Some("h:1 primary")),
    ] {
        let line = format!("{a} h:1@2 {}", rest.replace('B', &b));
        let members = cluster::nodes(&line, PLAIN).unwrap();
        assert_eq!(
            lines(&members),
            want.into_iter().collect::<Vec<_>>(),
            "{rest}"
        );
    }
    for none in [
        "",
        "vars currentEpoch 6 lastVoteEpoch 0",
        "hello",
        "a b c d e f g h",
    ] {
        let members = cluster::nodes(none, PLAIN);
        assert!(members.is_none_or(|members| members.is_empty()), "{none}");
    }
}

#[test]
fn a_bad_line_costs_itself() {
    let (a, b) = ("a".repeat(40), "b".repeat(40));
    let text = format!("{a} h:1@2 master - 0 0 1 connected\nrubbish\n{b} x\n\"; 1 2 3 4 5 6 7 8\n");
    assert_eq!(
        lines(&cluster::nodes(&text, PLAIN).unwrap()),
        ["h:1 primary"]
    );
}

#[test]
fn shards_of_nat_hostnames_and_tls_are_read() {
    for (node, way, want) in [
        (
            &[
                ("port", "31000"),
                ("ip", "203.0.113.9"),
                ("endpoint", "203.0.113.9"),
            ][..],
            PLAIN,
            "203.0.113.9:31000",
        ),
        (
            &[("port", "1"), ("ip", "h"), ("endpoint", "?")],
            PLAIN,
            "h:1",
        ),
        (
            &[("port", "1"), ("ip", "h"), ("endpoint", "null")],
            PLAIN,
            "seed:1",
        ),
        (
            &[("port", "1"), ("ip", ""), ("endpoint", "")],
            PLAIN,
            "seed:1",
        ),
        (
            &[("port", "1"), ("ip", "h"), ("endpoint", "")],
            PLAIN,
            "seed:1",
        ),
        (
            &[("port", "1"), ("ip", ""), ("endpoint", "?")],
            PLAIN,
            "seed:1",
        ),
        (
            &[
                ("port", "1"),
                ("ip", ""),
                ("endpoint", ""),
                ("health", "fail"),
            ],
            PLAIN,
            "nowhere",
        ),
        (
            &[("port", "1"), ("tls-port", "2"), ("endpoint", "h")],
            PLAIN,
            "h:1",
        ),
        (
            &[("port", "1"), ("tls-port", "2"), ("endpoint", "h")],
            TLS,
            "h:2",
        ),
        (&[("tls-port", "2"), ("endpoint", "h")], PLAIN, "nowhere"),
        (&[("tls-port", "2"), ("endpoint", "h")], TLS, "h:2"),
        (
            &[
                ("tls-port", "2"),
                ("endpoint", "10.0.0.1"),
                ("hostname", "n.example"),
            ],
            VERIFIED,
            "n.example:2",
        ),
        (
            &[
                ("tls-port", "2"),
                ("endpoint", "null"),
                ("hostname", "n.example"),
            ],
            VERIFIED,
            "n.example:2",
        ),
        (
            &[
                ("tls-port", "2"),
                ("endpoint", "10.0.0.1"),
                ("hostname", "n.example"),
            ],
            TLS,
            "10.0.0.1:2",
        ),
        (&[("port", "0"), ("endpoint", "h")], PLAIN, "nowhere"),
        (&[("port", "99999"), ("endpoint", "h")], PLAIN, "nowhere"),
        (&[("port", "1"), ("endpoint", "a b\n")], PLAIN, "nowhere"),
    ] {
        let mut pairs = vec![("id", "n1"), ("role", "master")];
        pairs.extend(node);
        let failed = if pairs.contains(&("health", "fail")) {
            " failed"
        } else {
            ""
        };
        let members = cluster::shards(&shard(vec![entry(&pairs)]), way).unwrap();
        assert_eq!(
            lines(&members),
            [format!("{want} primary 0-99{failed}")],
            "{pairs:?}"
        );
    }
}

#[test]
fn a_replica_belongs_to_the_primary_of_its_shard_that_is_well() {
    let node = |id, role, health| {
        entry(&[
            ("id", id),
            ("role", role),
            ("health", health),
            ("ip", id),
            ("endpoint", id),
            ("port", "1"),
        ])
    };
    let reply = shard(vec![
        node("old", "master", "fail"),
        node("new", "primary", "online"),
        node("r", "replica", "loading"),
        entry(&[("id", "'"), ("role", "master")]),
        entry(&[("id", "x"), ("role", "arbiter")]),
    ]);
    let members = cluster::shards(&reply, PLAIN).unwrap();
    let want = [
        "new:1 primary 0-99",
        "old:1 primary failed",
        "r:1 replica of new:1",
    ];
    assert_eq!(lines(&members), want);
    for none in [Told::Nothing, text("OK"), Told::List(vec![text("x")])] {
        assert_eq!(cluster::shards(&none, PLAIN), None, "{none:?}");
    }
}

#[test]
fn sentinels_with_hostnames_and_halves_of_failovers_are_read() {
    let at = |name, ip, port, flags| {
        entry(&[("name", name), ("ip", ip), ("port", port), ("flags", flags)])
    };
    let masters = Told::List(vec![
        at("cache", "c1.example", "6379", "master,o_down,s_down"),
        at("other", "", "6379", "master"),
        at("queue", "10.0.0.9", "6380", "master,disconnected"),
        entry(&[("ip", "10.0.0.9"), ("port", "1")]),
    ]);
    let primaries = sentinel::primaries(&masters).unwrap();
    let want = ["10.0.0.9:6380 primary", "c1.example:6379 primary failed"];
    assert_eq!(lines(&primaries), want);
    // The replica that takes over is listed as both for a moment.
    let slaves = Told::List(vec![
        at("c1.example:6379", "c1.example", "6379", "slave"),
        at("c2.example:6379", "c2.example", "6379", "slave"),
    ]);
    let replicas = sentinel::replicas(&slaves, "cache").unwrap();
    let all = sentinel::merged(primaries, replicas);
    let want = [
        "10.0.0.9:6380 primary",
        "c1.example:6379 primary failed",
        "c2.example:6379 replica",
    ];
    assert_eq!(lines(&all), want);
    assert_eq!(sentinel::primaries(&Told::Nothing), None);
    assert_eq!(sentinel::replicas(&text("OK"), "cache"), None);
}
