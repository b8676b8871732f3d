//! Definitions and blocks of one instance, as an agent reads them.

use super::*;
use crate::model::history::History;
use crate::model::info::Info;
use crate::model::sample::Sample;
use crate::model::thresholds::Thresholds;

const INFO: &str = "redis_version:7.0.0\nused_memory:10\nused_memory_rss:20\nloading:0\n";

fn stream(name: &str, guid: Option<&str>) -> Stream {
    let node = guid.map(|guid| Node {
        guid: guid.to_owned(),
        ..Node::default()
    });
    let identity = Identity {
        name: name.to_owned(),
        node,
        ..Identity::default()
    };
    Stream::new(identity, true)
}

fn write(stream: &mut Stream, second: u64, output: &mut Output) {
    let at = Duration::from_secs(second);
    let sample = Sample::new(at, &Info::parse(INFO.as_bytes()), None);
    let (thresholds, mut history) = (Thresholds::default(), History::default());
    let derived = Derived::new(&sample, &thresholds, &mut history);
    stream.write(&derived, true, output);
}

/// An output holds the lines of many, and each is what it would be alone.
#[test]
fn lines_of_one_do_not_depend_on_those_before() {
    let make = || {
        [
            stream("a", None),
            stream("b", Some("g-1")),
            stream("c", None),
        ]
    };
    let (mut together, mut alone) = (make(), make());
    for second in 1..4 {
        let (mut all, mut parts) = (Output::default(), Output::default());
        for (one, same) in together.iter_mut().zip(&mut alone) {
            write(one, second, &mut all);
            let mut own = Output::default();
            write(same, second, &mut own);
            parts.definitions.push_str(&own.definitions);
            parts.values.push_str(&own.values);
        }
        assert_eq!(all, parts, "second {second}");
        assert_eq!(all.definitions.is_empty(), second > 1);
        let hosts: Vec<&str> = all
            .values
            .lines()
            .filter(|l| l.starts_with("HOST "))
            .collect();
        assert_eq!(hosts, ["HOST 'g-1'", "HOST ''"]);
    }
    let mut end = Output::default();
    for one in &mut together {
        one.end(&mut end);
        one.end(&mut end);
    }
    assert!(end.values.is_empty(), "{}", end.values);
    assert_eq!(end.definitions.matches("HOST_DEFINE 'g-1'").count(), 1);
    assert_eq!(end.definitions.matches("HOST ''\n").count(), 1);
}

#[test]
fn charts_of_other_families_are_neither_defined_nor_written() {
    let memory = Families::least().and("memory").unwrap();
    let mut stream = stream("a", None).showing(memory);
    let mut output = Output::default();
    write(&mut stream, 1, &mut output);
    let families = CHARTS.iter().map(|chart| (chart.id, chart.family));
    for (id, family) in families.filter(|(id, _)| ["ratio", "memory", "status"].contains(id)) {
        let wanted = family != "fragmentation";
        let of = format!(" 'redis_frag_a.{id}'");
        for lines in [&output.definitions, &output.values] {
            assert_eq!(lines.contains(&of), wanted, "{id}: {lines}");
        }
    }
    assert!(!output.values.contains("VARIABLE"), "{}", output.values);
}

/// Bytes that a conversation takes beside the texts of its identity: what users
/// plan with.
#[test]
fn a_conversation_stays_small() {
    let own = size_of::<Stream>() - size_of::<Identity>();
    assert!(own <= 600, "{own} bytes");
}
