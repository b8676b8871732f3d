//! What is written for the agent, whatever servers answer and people configure:
//! hostile names, labels and addresses, any bytes for an INFO, numbers at every
//! edge, outages and lost values. The checker must not object to a line of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use redis_frag::config::file;
use redis_frag::model::charts::CHARTS;
use redis_frag::model::defrag::DefragConfig;
use redis_frag::model::derive::Derived;
use redis_frag::model::history::History;
use redis_frag::model::info::{Fields, Info};
use redis_frag::model::sample::Sample;
use redis_frag::model::thresholds::Thresholds;
use redis_frag::netdata::agent::{Agent, Feature};
use redis_frag::netdata::stream::{Identity, Output, Stream};

use crate::support::Checker;

/// No labels, labels, and the newest.
const VERSIONS: [&str; 3] = ["1.34.0", "1.37.1", "2.10.0"];

/// The texts of INFO that tell servers apart.
const TEXTS: [&str; 9] = [
    "redis_version",
    "server_name",
    "valkey_version",
    "dragonfly_version",
    "garnet_version",
    "storage_provider",
    "executable",
    "run_id",
    "mem_allocator",
];

/// What breaks lines, quotes, ids and readers.
const HOSTILE: [&str; 14] = [
    "",
    " ",
    "'",
    "it's \"it\"",
    "a'b\"c\\",
    "x\nDISABLE\n",
    "x\r\ny\tz\0",
    "\u{1b}[31mred\u{7f}\u{85}\u{2028}",
    "größe 内存 \u{1F980}\u{202e}",
    "\u{fffd}",
    "a.b.c",
    "a=b = c",
    "+:/@",
    "-nan",
];

/// Numbers as servers print them, at the edges of what can be read.
const NUMBERS: [&str; 22] = [
    "0",
    "1",
    "-1",
    "100",
    "101",
    "4096",
    "52428800",
    "1152921504606846975",
    "1152921504606846976",
    "-1152921504606846975",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073292481392",
    "18446744073709551615",
    "18446744073709551616",
    "0.00",
    "1.03",
    "1e308",
    "-nan",
    "inf",
    "101.77%",
];

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 96,
        // The folder is the project's: nothing is left in it.
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(&HOSTILE[..]).prop_map(str::to_string),
        3 => any::<String>(),
        2 => "[a-z][a-z0-9_-]{0,12}",
        1 => select(&HOSTILE[..]).prop_map(|text| format!("{text}x").repeat(10_000 / (text.len() + 1))),
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(&NUMBERS[..]).prop_map(str::to_string),
        3 => any::<u64>().prop_map(|number| number.to_string()),
        3 => (0..1_u64 << 34).prop_map(|number| number.to_string()),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        2 => any::<f64>().prop_map(|number| number.to_string()),
        1 => text(),
    ]
}

/// A server that prints each field or not, and anything for it.
fn invented() -> impl Strategy<Value = Vec<u8>> {
    let allocator = prop_oneof![
        4 => Just("mem_allocator:jemalloc-5.3.0\r\n".to_string()),
        1 => Just("mem_allocator:libc\r\n".to_string()),
        1 => Just(String::new()),
    ];
    let numbers = vec(option::weighted(0.8, value()), Fields::NAMES.len());
    let texts = vec(option::weighted(0.4, text()), TEXTS.len());
    (allocator, numbers, texts).prop_map(|(mut info, numbers, texts)| {
        let names = Fields::NAMES.iter().chain(&TEXTS);
        for (name, value) in names.zip(numbers.into_iter().chain(texts)) {
            if let Some(value) = value {
                info += &format!("{name}:{value}\r\n");
            }
        }
        info.into_bytes()
    })
}

fn captures() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/info");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A real reply with some lines changed, dropped or doubled, and a few bytes
/// flipped; perhaps cut.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let line = (any::<Index>(), option::of(value()));
    let byte = (any::<Index>(), any::<u8>());
    let all = captures();
    (
        select(all),
        vec(line, 0..12),
        vec(byte, 0..6),
        option::weighted(0.2, any::<Index>()),
    )
        .prop_map(|(capture, lines, bytes, cut)| {
            let mut of: Vec<Vec<u8>> = capture
                .split_inclusive(|b| *b == b'\n')
                .map(<[u8]>::to_vec)
                .collect();
            for (at, value) in lines {
                let at = at.index(of.len());
                let name: Vec<u8> = of[at].split(|b| *b == b':').next().unwrap().to_vec();
                match value {
                    Some(value) => of[at] = [&name[..], b":", value.as_bytes(), b"\r\n"].concat(),
                    None => of[at].clear(),
                }
            }
            let mut reply = of.concat();
            for (at, byte) in bytes {
                let at = at.index(reply.len());
                reply[at] = byte;
            }
            if let Some(cut) = cut {
                reply.truncate(cut.index(reply.len()));
            }
            reply
        })
}

/// The settings and the time of a moment.
#[derive(Clone, Debug)]
struct Moment {
    /// What was answered, if anything.
    reply: Option<Vec<u8>>,
    /// Microseconds since the one before.
    after: u64,
    settings: DefragConfig,
    round_trip: Option<Duration>,
    /// The agent was too slow: these values are thrown away.
    lost: bool,
}

fn moment(reply: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Moment> {
    let settings = (
        option::of(any::<bool>()),
        option::of(any::<u64>()),
        option::of(any::<u32>()),
    );
    let after = prop_oneof![4 => Just(1_000_000), 1 => Just(0), 1 => 1..u64::from(u32::MAX)];
    (
        option::weighted(0.8, reply),
        after,
        settings,
        option::of(any::<Duration>()),
        prop::bool::weighted(0.15),
    )
        .prop_map(
            |(reply, after, (enabled, ignore_bytes, lower), round_trip, lost)| Moment {
                reply,
                after,
                settings: DefragConfig {
                    enabled,
                    ignore_bytes,
                    lower,
                    ..DefragConfig::default()
                },
                round_trip,
                lost,
            },
        )
}

fn moments(reply: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<Moment>> {
    vec(moment(reply), 1..10)
}

fn identity() -> impl Strategy<Value = Identity> {
    let labels = btree_map(text(), text(), 0..6);
    (text(), text(), labels, 0..=u32::MAX / 2, 1..=86_400_u32).prop_map(
        |(name, address, labels, priority, update_every)| Identity {
            name,
            address,
            labels,
            priority: priority + 1,
            update_every,
            node: None,
        },
    )
}

/// An instance that somebody configured and nothing is wrong with.
fn plain() -> Identity {
    Identity {
        name: "one".to_string(),
        address: "redis://127.0.0.1:6379".to_string(),
        labels: BTreeMap::from([("role".to_string(), "cache".to_string())]),
        priority: 70_000,
        update_every: 1,
        node: None,
    }
}

fn labels_for(version: &str) -> bool {
    let agent = Agent::from_env(|name| (name == "NETDATA_VERSION").then(|| version.to_string()));
    agent.understands(Feature::Labels)
}

/// Writes these moments for an agent of this version, and reads them as it.
fn written(
    version: &str,
    identity: &Identity,
    moments: &[Moment],
) -> Result<Checker, TestCaseError> {
    let with_labels = labels_for(version);
    let mut checker = Checker::new(version);
    let mut stream = Stream::new(identity.clone(), with_labels);
    let (mut history, thresholds) = (History::default(), Thresholds::default());
    let (mut at, mut server, mut continued) = (Duration::from_secs(1), None, true);
    for moment in moments {
        at += Duration::from_micros(moment.after);
        let mut sample = match &moment.reply {
            Some(reply) => Sample::new(at, &Info::parse(reply), server.as_ref()),
            None => Sample::unreachable(at),
        };
        if moment.reply.is_some() {
            sample.config = moment.settings;
            sample.round_trip = moment.round_trip;
            server.clone_from(&sample.server);
        }
        let derived = Derived::new(&sample, &thresholds, &mut history);
        let mut output = Output::default();
        stream.write(&derived, continued, &mut output);
        for chart in CHARTS {
            let known = chart
                .dimensions
                .iter()
                .any(|d| (d.value)(&derived).is_some());
            let begin = format!(".{}'", chart.id);
            let of = |line: &&str| line.starts_with("BEGIN ") && line.contains(&begin);
            let begun = output.values.lines().filter(of).count();
            prop_assert_eq!(begun, usize::from(known), "{}", chart.id);
        }
        if moment.reply.is_none() {
            prop_assert_eq!(output.values.matches("BEGIN").count(), 1, "only status");
        }
        checker.feed_all(&output.definitions);
        if !moment.lost {
            checker.feed_all(&output.values);
        }
        continued = !moment.lost;
    }
    checker.finish();
    prop_assert_eq!(checker.violations(), &[""; 0], "for {}", version);
    prop_assert_eq!(checker.count("CLABEL") > 0, with_labels);
    Ok(checker)
}

fn assert_written(identity: &Identity, moments: &[Moment]) -> Result<(), TestCaseError> {
    for version in VERSIONS {
        written(version, identity, moments)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_bytes_for_an_info(moments in moments(vec(any::<u8>(), 0..300))) {
        assert_written(&plain(), &moments)?;
    }

    #[test]
    fn any_numbers_and_texts_of_a_server(moments in moments(invented())) {
        assert_written(&plain(), &moments)?;
    }

    #[test]
    fn a_real_reply_with_damage(moments in moments(mutated())) {
        assert_written(&plain(), &moments)?;
    }

    #[test]
    fn any_name_address_and_labels(identity in identity(), moments in moments(select(captures()))) {
        assert_written(&identity, &moments)?;
    }

    /// The same as a person would write them: into a file.
    #[test]
    fn any_name_and_labels_of_a_file(
        name in text(), labels in btree_map(text(), text(), 0..6), moment in moment(select(captures())),
    ) {
        let (name, labels) = (yaml(&name), labels.iter().map(|(n, v)| format!("{}: {}", yaml(n), yaml(v))));
        let labels = labels.collect::<Vec<_>>().join(", ");
        let text = format!("jobs: [{{name: {name}, address: /s, labels: {{{labels}}}}}]\n");
        let parsed = file::parse(&text, &[]);
        prop_assert!(parsed.jobs.len() == 1 || !parsed.problems.is_empty(), "{:?}", text);
        for job in parsed.jobs {
            let identity = Identity {
                name: job.name,
                address: job.address.to_string(),
                labels: job.labels,
                ..plain()
            };
            assert_written(&identity, std::slice::from_ref(&moment))?;
        }
    }
}

/// A quoted scalar; JSON's strings are YAML's, but for what YAML has no letter for.
fn yaml(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// What is continued says how long; what comes after a gap, a loss or first does
/// not.
#[test]
fn microseconds_are_told_when_the_values_before_have_arrived() {
    let reply = captures().pop().unwrap();
    let moment = |answered: bool, lost: bool| Moment {
        reply: answered.then(|| reply.clone()),
        after: 1_000_000,
        settings: DefragConfig::default(),
        round_trip: None,
        lost,
    };
    let moments = [
        moment(true, false),
        moment(true, false),
        moment(false, false),
        moment(false, false),
        moment(true, false),
        moment(true, false),
        moment(true, true),
        moment(true, false),
        moment(true, false),
    ];
    let checker = written("1.37.1", &plain(), &moments).unwrap();
    let second = Some(1_000_000);
    let ratio = checker.begins("redis_frag_one.ratio");
    assert_eq!(ratio, [None, second, None, second, None, second]);
    let status = checker.begins("redis_frag_one.status");
    assert_eq!(
        status,
        [None, second, second, second, second, second, None, second]
    );
    let down = checker.values("redis_frag_one.status", "down");
    assert_eq!(down, [0, 0, 1, 1, 0, 0, 0, 0]);
    assert!(!labels_for(VERSIONS[0]) && labels_for(VERSIONS[1]) && labels_for(VERSIONS[2]));
}

/// Another server at the address changes the labels of all charts. What the new one
/// has no values for is still the old one's to be taken off.
#[test]
fn the_end_takes_every_chart_off_that_was_ever_defined() {
    let mut stream = Stream::new(plain(), true);
    let (mut history, thresholds) = (History::default(), Thresholds::default());
    let mut checker = Checker::new(VERSIONS[1]);
    let mut defined = Vec::new();
    for (second, info) in (1..).zip([
        "redis_version:7.0.0\nused_memory:100\nused_memory_rss:200\nused_memory_peak:300\n",
        "redis_version:7.2.0\nused_memory:100\nused_memory_rss:200\n",
    ]) {
        let at = Duration::from_secs(second);
        let sample = Sample::new(at, &Info::parse(info.as_bytes()), None);
        let mut output = Output::default();
        let derived = Derived::new(&sample, &thresholds, &mut history);
        stream.write(&derived, true, &mut output);
        defined.push(charts_defined(&output.definitions));
        checker.feed_all(&(output.definitions + &output.values));
    }
    let peak = "redis_frag_one.peak".to_owned();
    assert!(defined[0].contains(&peak) && !defined[1].contains(&peak));
    let mut end = Output::default();
    stream.end(&mut end);
    let mut gone = charts_defined(&end.definitions);
    gone.sort();
    defined[0].sort();
    assert_eq!(gone, defined[0]);
    assert!(
        end.definitions
            .lines()
            .all(|line| line.contains(" 'obsolete' "))
    );
    checker.feed_all(&end.definitions);
    checker.assert_clean();
    end.clear();
    stream.end(&mut end);
    assert_eq!(end, Output::default(), "and once");
}

fn charts_defined(definitions: &str) -> Vec<String> {
    let ids = definitions
        .lines()
        .filter_map(|line| line.strip_prefix("CHART '"));
    ids.map(|rest| rest.split('\'').next().unwrap().to_owned())
        .collect()
}
