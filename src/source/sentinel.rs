//! Reads what a Sentinel tells: `SENTINEL MASTERS` and `SENTINEL REPLICAS`.
//!
//! Pure. An entry that cannot be understood costs itself. Must not know how it was
//! asked.

use std::collections::BTreeSet;

use super::topology::{Member, Place, Role, Told};

/// Reads the reply of `SENTINEL MASTERS` (`sentinel.c`,
/// `addReplySentinelRedisInstance`): the primaries, each with its name as shard.
/// `None`: it is none.
#[must_use]
pub fn primaries(reply: &Told) -> Option<Vec<Member>> {
    let Told::List(entries) = reply else {
        return None;
    };
    let named = |entry| {
        let name = Told::get(entry, "name")?.text()?;
        member(entry, Role::Primary, name)
    };
    Some(entries.iter().filter_map(named).collect())
}

/// Reads the reply of `SENTINEL REPLICAS name`, or of `SENTINEL SLAVES name` before
/// 5.0. `None`: it is none.
#[must_use]
pub fn replicas(reply: &Told, name: &str) -> Option<Vec<Member>> {
    let Told::List(entries) = reply else {
        return None;
    };
    let read = |entry| member(entry, Role::Replica, name);
    Some(entries.iter().filter_map(read).collect())
}

/// Each member once. While a failover goes on a Sentinel may still list the new primary
/// among the replicas: the primary stands.
#[must_use]
pub fn merged(primaries: Vec<Member>, replicas: Vec<Member>) -> Vec<Member> {
    let mut seen = BTreeSet::new();
    let mut members: Vec<Member> = primaries.into_iter().chain(replicas).collect();
    members.retain(|member| seen.insert(member.id.clone()));
    members
}

/// An entry; none without an address. Flags: `s_down` and `o_down` are this Sentinel's
/// and the quorum's word that it does not answer, `disconnected` is its lost connection
/// alone.
fn member(entry: &Told, role: Role, shard: &str) -> Option<Member> {
    let host = entry.get("ip")?.text()?;
    let place = Place::new(host, entry.get("port")?.port()?)?;
    let flags = entry.get("flags").and_then(Told::text).unwrap_or_default();
    let down = |flag| flag == "s_down" || flag == "o_down";
    Some(Member {
        id: format!("{}:{}", place.host, place.port),
        node_id: None,
        place: Some(place),
        role,
        primary: None,
        shard: Some(shard.to_owned()),
        slots: Vec::new(),
        healthy: !flags.split(',').any(down),
    })
}
