//! Reads what a node tells of its cluster: `CLUSTER SHARDS` and `CLUSTER NODES`.
//!
//! Pure. What cannot be understood of one node costs that node, not the others. Must
//! not know how it was asked.

use super::topology::{Member, Place, Role, Told, is_node_id};

/// The way that a node was asked.
#[derive(Debug, Clone, Copy)]
pub struct Way<'a> {
    /// The host that it was asked at. It stands in for a host that the node does not
    /// tell.
    pub host: &'a str,
    /// Whether by TLS.
    pub tls: bool,
    /// Whether certificates are checked against the host's name.
    pub verified: bool,
}

/// Reads the reply of `CLUSTER SHARDS` (Redis 7.0 and later, `cluster.c`, later
/// `cluster_legacy.c`: `addShardReplyForClusterShards`). `None`: it is none.
///
/// Nodes in handshake are not in it. A failed primary may stand beside the one that
/// took over in one shard (8.2), or be a shard of its own (7.0).
#[must_use]
pub fn shards(reply: &Told, way: Way<'_>) -> Option<Vec<Member>> {
    let Told::List(shards) = reply else {
        return None;
    };
    let mut members = Vec::new();
    for shard in shards {
        let nodes = shard.get("nodes")?.items();
        let of_role = |node: &&Told| role(node) == Some(Role::Primary);
        let mut primaries: Vec<&Told> = nodes.iter().filter(of_role).collect();
        primaries.sort_by_key(|node| !is_healthy(node));
        let primary = primaries.first().and_then(|node| id(node));
        let slots: Vec<(u16, u16)> = shard
            .get("slots")
            .map(|slots| slots.items().chunks_exact(2).filter_map(range).collect())
            .unwrap_or_default();
        for node in nodes {
            let (Some(id), Some(role)) = (id(node), role(node)) else {
                continue;
            };
            let leads = role == Role::Primary && Some(id) == primary;
            members.push(Member {
                id: id.to_owned(),
                node_id: Some(id.to_owned()),
                place: shards_place(node, way),
                role,
                primary: primary.filter(|_| role == Role::Replica).map(str::to_owned),
                shard: None,
                slots: if leads { slots.clone() } else { Vec::new() },
                healthy: is_healthy(node),
            });
        }
    }
    Some(members)
}

fn id(node: &Told) -> Option<&str> {
    node.get("id")?.text().filter(|id| is_node_id(id))
}

fn role(node: &Told) -> Option<Role> {
    match node.get("role")?.text()? {
        "master" | "primary" => Some(Role::Primary),
        "replica" | "slave" => Some(Role::Replica),
        _ => None,
    }
}

/// `online`, `loading`, or `fail` (documented as `failed`).
fn is_healthy(node: &Told) -> bool {
    let health = node.get("health").and_then(Told::text);
    !health.is_some_and(|health| health.starts_with("fail"))
}

fn range(pair: &[Told]) -> Option<(u16, u16)> {
    match pair {
        [Told::Number(first), Told::Number(last)] => {
            Some((u16::try_from(*first).ok()?, u16::try_from(*last).ok()?))
        }
        _ => None,
    }
}

/// `endpoint` is what `cluster-preferred-endpoint-type` chose: the address, the
/// announced hostname (`?` where a node announces none), or nothing where clients are to
/// stay with the host that they know (empty; documented as null). `tls-port` is told
/// where `tls-cluster` is on, or since 7.2 where there is one.
fn shards_place(node: &Told, way: Way<'_>) -> Option<Place> {
    let port = |name| node.get(name).and_then(Told::port);
    let port = if way.tls {
        port("tls-port").or_else(|| port("port"))?
    } else {
        port("port")?
    };
    let text = |name| node.get(name).and_then(Told::text);
    let known = |host: &&str| !host.is_empty() && *host != "?";
    let announced = text("hostname").filter(known).filter(|_| way.verified);
    let ip = text("ip").filter(known);
    let host = announced.or_else(|| match node.get("endpoint") {
        Some(Told::Text(endpoint)) if known(&endpoint.as_str()) => Some(endpoint),
        // A node that was never told its own address knows no others; one without an
        // address that has failed may be anywhere.
        Some(Told::Text(endpoint)) if endpoint.is_empty() && ip.is_none() => {
            is_healthy(node).then_some(way.host)
        }
        Some(Told::Text(endpoint)) if endpoint == "?" => ip.or(Some(way.host)),
        Some(_) => Some(way.host),
        None => ip,
    });
    Place::new(host?, port)
}

/// Reads the reply of `CLUSTER NODES` (`clusterGenNodeDescription`). `None`: it is
/// none.
///
/// The port is the one for the way that the question came since 7.2, and before where
/// `tls-cluster` is on; otherwise the plain one, whoever asks. Nodes in handshake are
/// left out: the id that they have until its end is made up by the node that tells.
#[must_use]
pub fn nodes(text: &str, way: Way<'_>) -> Option<Vec<Member>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let mut members = Vec::new();
    let mut understood = false;
    for line in lines {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [id, address, flags, primary, _, _, _, _, slots @ ..] = words.as_slice() else {
            continue;
        };
        if !is_node_id(id) {
            continue;
        }
        understood = true;
        let has = |flag: &str| flags.split(',').any(|known| known == flag);
        let role = if has("master") {
            Role::Primary
        } else if has("slave") || has("replica") {
            Role::Replica
        } else {
            continue;
        };
        if has("handshake") {
            continue;
        }
        members.push(Member {
            id: (*id).to_owned(),
            node_id: Some((*id).to_owned()),
            place: nodes_place(address, has("myself"), way),
            role,
            primary: (role == Role::Replica && is_node_id(primary)).then(|| (*primary).to_owned()),
            shard: None,
            slots: slots.iter().copied().filter_map(written_range).collect(),
            healthy: !has("fail") && !has("noaddr"),
        });
    }
    understood.then_some(members)
}

/// `ip:port@bus-port[,hostname[,name=value…]]`; without `@bus-port` before 4.0.
fn nodes_place(address: &str, is_self: bool, way: Way<'_>) -> Option<Place> {
    let (ends, more) = address.split_once(',').unwrap_or((address, ""));
    let (end, _) = ends.split_once('@').unwrap_or((ends, ""));
    let (host, port) = end.rsplit_once(':')?;
    let announced = more.split(',').next().unwrap_or_default();
    let announced = Some(announced).filter(|name| !name.is_empty() && !name.contains('='));
    let host = match announced {
        Some(name) if way.verified && name != "?" => name,
        _ if host.is_empty() && is_self => way.host,
        _ => host,
    };
    Place::new(host, port.parse().ok()?)
}

/// `first-last` or one slot alone. Slots on their way (`[slot->-id]`, `[slot-<-id]`)
/// are still where they were.
fn written_range(word: &str) -> Option<(u16, u16)> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    Some((first.parse().ok()?, last.parse().ok()?))
}
