//! No reply, however odd, breaks a reader, and nothing odd comes out of one.

use proptest::prelude::*;
use redis_frag::source::topology::{Member, Told};
use redis_frag::source::{cluster, sentinel};

use super::{PLAIN, VERIFIED};

/// Words that replies are made of, and anything else.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "slots",
            "nodes",
            "id",
            "port",
            "tls-port",
            "ip",
            "endpoint",
            "hostname",
            "role",
            "master",
            "replica",
            "health",
            "fail",
            "?",
            "",
            "name",
            "flags",
            "s_down",
            "1-2",
            "[5->-a]",
            "h:1@2,x",
            ":1@2",
            "myself,master",
            "slave",
            "-",
            "a1",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ]
}

fn reply() -> impl Strategy<Value = Told> {
    let leaf = prop_oneof![
        word().prop_map(Told::Text),
        any::<i64>().prop_map(Told::Number),
        Just(Told::Nothing),
    ];
    leaf.prop_recursive(5, 64, 12, |inner| {
        prop::collection::vec(inner, 0..12).prop_map(Told::List)
    })
}

fn assert_sane(members: Option<Vec<Member>>) {
    for member in members.unwrap_or_default() {
        if let Some(place) = member.place {
            assert!(place.port != 0 && !place.host.is_empty() && place.host.len() <= 255);
            assert!(
                !place
                    .host
                    .contains(|c: char| c.is_whitespace() || c.is_control())
            );
        }
        assert!(!member.id.is_empty());
        assert!(
            member
                .node_id
                .is_none_or(|id| id.bytes().all(|b| b.is_ascii_alphanumeric()))
        );
    }
}

proptest! {
    #[test]
    fn any_reply_can_be_read(reply in reply()) {
        for way in [PLAIN, VERIFIED] {
            assert_sane(cluster::shards(&reply, way));
        }
        assert_sane(sentinel::primaries(&reply));
        assert_sane(sentinel::replicas(&reply, "x"));
    }

    #[test]
    fn any_text_can_be_read(lines in prop::collection::vec(prop::collection::vec(word(), 0..12), 0..5)) {
        let lines: Vec<String> = lines.iter().map(|words| words.join(" ")).collect();
        for way in [PLAIN, VERIFIED] {
            assert_sane(cluster::nodes(&lines.join("\n"), way));
        }
    }
}
