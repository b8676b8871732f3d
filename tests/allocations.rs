//! What is done every second for every instance takes no memory: parse, derive,
//! diagnose and write, once the first rounds are over.
//!
//! A binary of its own, since it counts what the whole process allocates.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop at the line"
)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use redis_frag::model::derive::Derived;
use redis_frag::model::history::History;
use redis_frag::model::info::Info;
use redis_frag::model::sample::Sample;
use redis_frag::model::thresholds::Thresholds;
use redis_frag::netdata::stream::{Identity, Node, Output, Stream};

/// Rounds after which all rings are as long as they get: those of active defrag look
/// back five minutes.
const WARM: u64 = 400;

/// Captures of servers that differ in what they print and do.
const CAPTURES: &[&str] = &[
    "redis-6.2.14-libc_fragmented",
    "redis-6.2.5-je510_defrag_running",
    "redis-7.0.15-debian-je530_purged",
    "redis-8.2.3-je530_bgsave_during_defrag",
    "redis-8.2.3-je530_defrag_running",
    "redis-8.2.3-je530_fresh",
    "redis-8.2.3-je530_loading",
    "valkey-9.1.2-libc_bgsave",
];

fn capture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/info");
    fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap()
}

/// One instance, as it is watched.
struct Instance {
    stream: Stream,
    history: History,
    thresholds: Thresholds,
    known: Option<std::sync::Arc<redis_frag::model::server::Server>>,
    second: u64,
}

impl Instance {
    fn new(node: Option<Node>) -> Self {
        let identity = Identity {
            name: "one".to_owned(),
            address: "redis://127.0.0.1:6379".to_owned(),
            priority: 70_000,
            update_every: 1,
            node,
            ..Identity::default()
        };
        Self {
            stream: Stream::new(identity, true),
            history: History::default(),
            thresholds: Thresholds::default(),
            known: None,
            second: 0,
        }
    }

    fn round(&mut self, reply: &[u8], output: &mut Output) {
        self.second += 1;
        let at = Duration::from_secs(self.second);
        let sample = Sample::new(at, &Info::parse(reply), self.known.as_ref());
        let derived = Derived::new(&sample, &self.thresholds, &mut self.history);
        self.stream.write(&derived, true, output);
        if self.known.is_none() {
            self.known.clone_from(&sample.server);
        }
    }
}

/// The reply a second later: counters have grown, and memory is in motion.
fn later(reply: &str, second: u64) -> Vec<u8> {
    let grown = |line: &str| match line.split_once(':') {
        Some((name, value)) => {
            let value = value.trim_end();
            let by = match name {
                "active_defrag_hits" | "active_defrag_misses" | "uptime_in_seconds" => second,
                "used_memory" => 1000 * (second % 7),
                _ => return format!("{line}\n"),
            };
            format!("{name}:{}\r\n", value.parse::<u64>().unwrap_or(0) + by)
        }
        None => format!("{line}\n"),
    };
    reply.lines().map(grown).collect::<String>().into_bytes()
}

/// What some rounds take when the first ones are over.
fn taken(reply: &str, node: Option<Node>) -> AllocationInfo {
    let replies: Vec<Vec<u8>> = (0..WARM + 100).map(|second| later(reply, second)).collect();
    let (warm, rest) = replies.split_at(usize::try_from(WARM).unwrap());
    let mut instance = Instance::new(node);
    let mut output = Output::default();
    for reply in warm {
        output.clear();
        instance.round(reply, &mut output);
    }
    measure(|| {
        for reply in rest {
            output.clear();
            instance.round(reply, &mut output);
        }
    })
}

#[test]
fn a_round_allocates_nothing() {
    for name in CAPTURES {
        let taken = taken(&capture(name), None);
        assert_eq!(taken.count_total, 0, "{name}: {taken:?}");
    }
}

#[test]
fn nor_does_one_of_a_virtual_node() {
    let node = Node {
        guid: "9f86d081-884c-4d63-a2f1-000000000000".to_owned(),
        hostname: "db".to_owned(),
        ..Node::default()
    };
    let taken = taken(&capture(CAPTURES[4]), Some(node));
    assert_eq!(taken.count_total, 0, "{taken:?}");
}

/// The measure measures: a first round defines all charts.
#[test]
fn the_first_round_allocates() {
    let reply = capture(CAPTURES[4]).into_bytes();
    let mut instance = Instance::new(None);
    let taken = measure(|| instance.round(&reply, &mut Output::default()));
    assert!(taken.count_total > 10, "{taken:?}");
}
