//! Names, labels and texts of any letters, values of any size, lines that are lost,
//! instances that go and come: no line that a strict reader objects to, and it reads the
//! values that were written.
//!
//! Built of the bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use redis_frag::model::info::Info;
use redis_frag::model::sample::Sample;
use redis_frag::model::text;
use redis_frag::model::thresholds::Thresholds;
use redis_frag::netdata::dyncfg::{self, Source, Status};
use redis_frag::netdata::queue::Queue;
use redis_frag::netdata::reply::Answer;
use redis_frag::netdata::stream::{Identity, Node, Output};
use redis_frag::netdata::wire::{self, ChartLine};

use crate::support::checker::Checker;

use super::bytes::Bytes;
use super::watched::{AGENTS, Fate, Watched};

/// What is told of the instance, beside texts of its own.
const INFOS: &[&str] = &[
    "redis_version:8.2.3\nmem_allocator:jemalloc-5.3.0\nloading:0\n",
    "redis_version:6.2.5\nmem_allocator:libc\n",
    "",
];

/// Most moments of one input.
const MOST: usize = 12;

/// Bytes are an instance and what becomes of it.
pub fn body(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let agent = bytes.pick(&AGENTS);
    let mut identity = identity(&mut bytes);
    // The plugin gives nodes to agents alone that know them.
    identity.node = identity.node.filter(|_| agent != AGENTS[0]);
    let mut watched = Watched::new(identity, Thresholds::default(), agent);
    let mut at = Duration::ZERO;
    for _ in 0..MOST {
        at += Duration::from_micros(bytes.number() >> 20);
        match bytes.byte() % 8 {
            0 => watched.end(),
            1 => watched.relabel(labels(&mut bytes)),
            2 => watched.moment(&Sample::unreachable(at), Fate::Read),
            _ => {
                let text = said(&mut bytes);
                let info = Info::parse(text.as_bytes());
                let sample = Sample::new(at, &info, watched.known.as_ref());
                let fate = match bytes.byte() {
                    0..200 => Fate::Read,
                    200..240 => Fate::ValuesLost,
                    240.. => Fate::AllLost,
                };
                watched.moment(&sample, fate);
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    watched.done();
    written(bytes, agent);
}

fn identity(bytes: &mut Bytes<'_>) -> Identity {
    Identity {
        name: bytes.text() + "x",
        address: bytes.text(),
        labels: labels(bytes),
        priority: bytes.short().max(1),
        update_every: bytes.short().max(1),
        node: bytes.maybe(|bytes| Node {
            guid: "0b1f1e9a-36d2-4c5a-9d4e-1f2a3b4c5d6e".to_owned(),
            hostname: "h".to_owned() + &bytes.text(),
            labels: labels(bytes),
        }),
    }
}

fn labels(bytes: &mut Bytes<'_>) -> BTreeMap<String, String> {
    let count = bytes.byte() % 5;
    (0..count).map(|_| (bytes.text(), bytes.text())).collect()
}

fn said(bytes: &mut Bytes<'_>) -> String {
    let mut text = bytes.pick(INFOS).to_owned();
    for (name, number) in [
        ("used_memory", bytes.maybe(Bytes::number)),
        ("used_memory_rss", bytes.maybe(Bytes::number)),
        ("active_defrag_hits", bytes.maybe(Bytes::number)),
        ("maxmemory", bytes.maybe(Bytes::number)),
    ] {
        if let Some(number) = number {
            text += &format!("{name}:{number}\n");
        }
    }
    if bytes.byte().is_multiple_of(4) {
        text += &format!("run_id:{}\nvalkey_version:{}\n", bytes.text(), bytes.text());
    }
    text
}

/// Lines beside those of an instance, through the queue that holds what waits.
fn written(mut bytes: Bytes<'_>, version: &str) {
    let mut output = Output::default();
    let (title, units) = (bytes.text() + "t", bytes.text() + "u");
    let line = ChartLine {
        type_id: "redis_frag_one",
        id: "all",
        title: &title,
        units: &units,
        family: "f",
        context: ("redis_frag", "all"),
        chart_type: "line",
        priority: 1,
        update_every: 1,
        obsolete: false,
    };
    wire::chart(&mut output.definitions, &line);
    wire::dimension(&mut output.definitions, "value", 1000);
    let values: Vec<i64> = (0..bytes.byte() % 8)
        .map(|_| bytes.number().cast_signed())
        .collect();
    for (value, between) in values.iter().zip(0..) {
        let since = Some(between).filter(|between| *between > 0);
        wire::begin(&mut output.values, "redis_frag_one", "all", since);
        wire::set(&mut output.values, "value", *value);
        wire::variable(&mut output.values, "limit", *value);
        wire::end(&mut output.values);
    }
    let mut queue = Queue::default();
    queue.put(&output, Duration::ZERO);
    let message = bytes.text();
    queue.answer(Answer::error("id", 400, &message), || {
        unreachable!("a queue with room")
    });
    let modern = version != AGENTS[0];
    let name = bytes.text();
    if modern {
        let mut lines = String::new();
        let source = bytes.pick(&[Source::User, Source::Stock])(bytes.text());
        dyncfg::template(&mut lines);
        dyncfg::create(&mut lines, &name, Status::Failed, &source);
        dyncfg::status(&mut lines, &name, Status::Disabled);
        dyncfg::delete(&mut lines, &name);
        queue.answer(Answer::none(lines), || unreachable!("a queue with room"));
    }
    let mut agent = Checker::new(version);
    let mut text = String::new();
    while !queue.is_empty() {
        queue.take(&mut text, Duration::ZERO);
        agent.feed_all(&text);
    }
    agent.finish();
    agent.assert_clean();
    assert_eq!(agent.values("redis_frag_one.all", "value"), values);
    let answer = agent.answer("id").expect("an answer");
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let said = body["errorMessage"].as_str().unwrap();
    assert_eq!(said, text::line(&message, message.len()));
    assert!(!said.contains(char::is_control), "{said:?}");
}
