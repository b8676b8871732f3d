//! A Redis that the kernel has pushed into swap, and the same ratio of one that is
//! not: the verdict and the alerts know them apart.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::thread;

use serde_json::Value;

use super::common::{
    MB, SOON, TICK, agent, alone, diagnose, or_skip, ruled_out, status, told, wait_alert,
};
use crate::support::{Cgroup, Kind, Server, SwapFile, eventually};

const TEST: &str = "real swap";

/// Announced to a server and never sent.
const UPLOAD: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$400000000\r\n";

/// A client that stalls in the middle of a large value.
fn stall(server: &Server) -> UnixStream {
    let mut client = UnixStream::connect(server.socket()).unwrap();
    client.write_all(UPLOAD).unwrap();
    eventually(SOON, "memory that is used and not resident", || {
        server.info_number("used_memory") > 400e6
            && server.info_number("mem_fragmentation_ratio") < 0.1
    });
    client
}

/// What is evidence of a field.
fn evidence<'a>(report: &'a Value, field: &str) -> Option<&'a Value> {
    let all = report["evidence"].as_array().unwrap();
    all.iter().find(|fact| fact["field"] == field)
}

fn is_not_called_swap(server: &Server) {
    let report = diagnose(&server.unix_address());
    let name = server.kind().name();
    assert_ne!(report["verdict"], "swapping", "{name}: {report}");
    assert_eq!(report["host"]["swap"], 0, "{name}");
    let why = ruled_out(&report, "swapping");
    assert!(why.contains("ratio is 0.0"), "{name}: {why}");
    assert!(
        why.contains("VmSwap") && why.contains("never touched"),
        "{name}: {why}"
    );
}

#[test]
fn a_stalled_upload_is_not_called_swap() {
    let _alone = alone();
    for kind in [Kind::Redis70, Kind::Redis82, Kind::Valkey91] {
        let server = Server::builder(kind).socket_only().start();
        let _client = stall(&server);
        is_not_called_swap(&server);
    }
}

#[test]
fn what_is_in_swap_is_critical_until_it_is_brought_back() {
    let _alone = alone();
    let Some(mut file) = or_skip(TEST, SwapFile::new(256 << 20)) else {
        return;
    };
    let group = Cgroup::new(100 << 20).and_then(|group| {
        group.allow_swap(300 << 20)?;
        Ok(group)
    });
    let Some(group) = or_skip(TEST, group) else {
        return;
    };
    let server = Server::builder(Kind::Redis82).socket_only().start();
    group.take(server.pid());
    server.fill(130 * MB);
    let stalled = Server::builder(Kind::Redis70).socket_only().start();
    let _client = stall(&stalled);
    thread::sleep(TICK);

    is_told(&server, &group);
    is_not_called_swap(&stalled);

    let agent = agent(&[&server, &stalled]);
    let (swap, suspected) = ("redis_frag_swap", "redis_frag_swap_suspected");
    wait_alert(&agent, ('b', "swap"), swap, "CLEAR");
    wait_alert(&agent, ('a', "ratio"), suspected, "CLEAR");
    wait_alert(&agent, ('b', "ratio"), suspected, "CLEAR");
    wait_alert(&agent, ('a', "swap"), swap, "CRITICAL");
    let shown = agent.latest("redis_frag_a.swap", "swap").unwrap();
    let own = status(server.pid(), "VmSwap") as f64;
    assert!((shown / own - 1.0).abs() < 0.1, "{shown} for {own}");
    let verdict = agent.latest("redis_frag_a.diagnosis", "swapping");
    assert_eq!(verdict, Some(1.0));

    // There is room again, and all of it comes back.
    group.allow_swap(600 << 20).unwrap();
    group.limit(Some(400 << 20));
    file.off().unwrap();
    assert_eq!(status(server.pid(), "VmSwap"), 0);
    wait_alert(&agent, ('a', "swap"), swap, "CLEAR");
    let report = diagnose(&server.unix_address());
    assert_ne!(report["verdict"], "swapping", "{report}");
    assert!(server.info_number("used_memory") > 130e6, "with its data");
    eventually(SOON, "the receiver is told of each", || {
        told(&agent, 'a', swap) == ["CRITICAL", "CLEAR"]
    });
    for (job, alert) in [('b', swap), ('a', suspected), ('b', suspected)] {
        assert_eq!(told(&agent, job, alert), Vec::<String>::new(), "{alert}");
    }
    assert_eq!(agent.complaints(), Vec::<String>::new());
}

fn is_told(server: &Server, group: &Cgroup) {
    let own = status(server.pid(), "VmSwap");
    assert!(own > 20 * MB, "hardly in swap: {own}");
    assert!(server.info_number("mem_fragmentation_ratio") < 1.0);
    let report = diagnose(&server.unix_address());
    assert_eq!(report["verdict"], "swapping", "{report}");
    assert_eq!(report["severity"], "critical");
    let fact = evidence(&report, "VmSwap").unwrap();
    let (value, least) = (&fact["value"], &fact["threshold"]);
    let (value, least) = (value.as_f64().unwrap(), least.as_f64().unwrap());
    assert!((value / own as f64 - 1.0).abs() < 0.1, "{value} for {own}");
    let used = server.info_number("used_memory");
    assert!((least / (used / 100.0) - 1.0).abs() < 0.05, "{least}");
    assert_eq!(fact["relation"], "above");
    assert_eq!(report["host"]["swap"], fact["value"]);
    assert!(report["host"]["swap_total"].as_u64().unwrap() >= 250 * MB);
    // The kernel accounts it to the cgroup as well, what it keeps in both places once.
    let charged = report["host"]["cgroups"][0]["swap"].as_f64().unwrap();
    assert_eq!(report["host"]["cgroups"][0]["path"], group.path());
    assert!(charged > 0.5 * own as f64, "{charged} for {own}");
}
