//! What holds of any input: no panic, no infinity, no verdict without evidence,
//! and more waste is never told to be less severe.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngSeed};
use redis_frag::model::defrag::DefragConfig;
use redis_frag::model::derive::Derived;
use redis_frag::model::diagnosis::{diagnose, swap_suspected, verdict};
use redis_frag::model::history::History;
use redis_frag::model::info::{Fields, Info};
use redis_frag::model::malloc_stats::Build;
use redis_frag::model::sample::Sample;
use redis_frag::model::thresholds::Thresholds;
use redis_frag::model::verdict::Severity;

use super::holds_together;
use super::made_up::{Case, MEGABYTE, Memory};

const TEXTS: &[&str] = &[
    "redis_version",
    "valkey_version",
    "dragonfly_version",
    "server_name",
    "mem_allocator",
    "run_id",
    "db0",
];

/// Values that servers print, and values that none should.
fn value() -> impl Strategy<Value = String> {
    let odd = select(vec![
        "-nan",
        "nan",
        "inf",
        "-inf",
        "0",
        "1",
        "-1",
        "100",
        "",
        "libc",
        "jemalloc-5.3.0",
        "8.2.3",
        "7.2.5",
        "6.2.5",
        "1e308",
        "1e-308",
        "18446744073709551615",
        "9223372036854775808",
        "1152921504606846975",
        "keys=9,expires=18446744073709551615",
        "101.77%",
        "valkey",
    ]);
    prop_oneof![
        4 => odd.prop_map(str::to_owned),
        2 => any::<u64>().prop_map(|number| number.to_string()),
        4 => (0u64..1 << 40).prop_map(|number| number.to_string()),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        2 => any::<f64>().prop_map(|number| number.to_string()),
        3 => (0.0..10.0).prop_map(|number: f64| format!("{number:.2}")),
        1 => ".{0,12}",
    ]
}

/// INFO with most of its fields, in any order, with anything in them.
fn info() -> impl Strategy<Value = String> {
    let names: Vec<&str> = Fields::NAMES.iter().chain(TEXTS).copied().collect();
    let line = prop_oneof![
        20 => (select(names), value()).prop_map(|(name, value)| format!("{name}:{value}\r\n")),
        1 => ".{0,20}\n",
    ];
    // The first of a repeated name stands.
    let server = select(vec![
        "",
        "mem_allocator:libc\n",
        "mem_allocator:jemalloc-5.1.0\nredis_version:6.2.5\n",
        "mem_allocator:jemalloc-5.3.0\nredis_version:8.2.0\nallocator_muzzy:0\n",
    ]);
    (server, vec(line, 0..160)).prop_map(|(server, lines)| server.to_owned() + &lines.concat())
}

fn settings() -> impl Strategy<Value = DefragConfig> {
    let number = || option::of(any::<u32>());
    (
        option::of(any::<bool>()),
        option::of(any::<u64>()),
        number(),
        number(),
        number(),
    )
        .prop_map(
            |(enabled, ignore_bytes, lower, upper, cycle_min)| DefragConfig {
                enabled,
                ignore_bytes,
                lower,
                upper,
                cycle_min,
                cycle_max: cycle_min,
            },
        )
}

/// A server that could be, in any state.
fn memory() -> impl Strategy<Value = Memory> {
    let kind = select(vec![
        ("6.2.5", "jemalloc-5.1.0", false),
        ("7.2.5", "jemalloc-5.3.0", false),
        ("8.2.3", "jemalloc-5.3.0", true),
        ("8.2.1", "jemalloc-5.3.0", true),
        ("6.2.14", "libc", false),
        ("8.2.3", "libc", true),
    ]);
    let part = || prop_oneof![0..20 * MEGABYTE, 0..2000 * MEGABYTE];
    let more = (
        select(vec!["", "rdb_bgsave_in_progress:1\n", "loading:1\n"]),
        select(vec![0, 1, 25]),
        (0u64..10_000, 0u64..10_000),
        0..300 * MEGABYTE,
    );
    (
        kind,
        prop_oneof![MEGABYTE..60 * MEGABYTE, MEGABYTE..1000 * MEGABYTE],
        (
            0..50 * MEGABYTE,
            part(),
            part(),
            -20 * MEGABYTE..200 * MEGABYTE,
        ),
        more,
    )
        .prop_map(|(kind, used, parts, more)| {
            let (state, effort, (hits, misses), lua) = more;
            Memory {
                version: kind.0,
                allocator: kind.1,
                small_bins: kind.2,
                used,
                other: parts.0,
                fragmented: parts.1,
                releasable: parts.2,
                process: parts.3,
                more: format!(
                    "{state}active_defrag_running:{effort}\nactive_defrag_hits:{hits}\n\
                     active_defrag_misses:{misses}\nused_memory_lua:{lua}\n"
                ),
            }
        })
}

/// Ways in which more memory is wasted than before: more RSS, more active with the
/// resident above it, more resident with RSS; or active or resident alone, which
/// moves the waste from one part to another.
type More = fn(&mut Memory, i64);
const MORE: &[More] = &[
    |memory, bytes| memory.process += bytes,
    |memory, bytes| memory.fragmented += bytes,
    |memory, bytes| memory.releasable += bytes,
    |memory, bytes| {
        memory.fragmented += bytes;
        memory.releasable -= bytes;
    },
    |memory, bytes| {
        memory.releasable += bytes;
        memory.process -= bytes;
    },
];

fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x5eed),
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn no_input_is_too_much(
        infos in vec(info(), 1..4),
        apart in 0u64..400,
        config in settings(),
        quantum in option::of(any::<u32>()),
    ) {
        let thresholds = Thresholds::default();
        let mut history = History::default();
        for (number, info) in (0u64..).zip(&infos) {
            let at = Duration::from_secs(number * apart);
            let mut sample = Sample::new(at, &Info::parse(info.as_bytes()), None);
            sample.config = config;
            sample.build = quantum.map(|quantum| Build { quantum });
            let derived = Derived::new(&sample, &thresholds, &mut history);
            let found = diagnose(&derived);
            holds_together(&derived, &found);
            prop_assert_eq!(verdict(&derived), Some(found.verdict));
            prop_assert!(!swap_suspected(&derived) || derived.sample.ratio().is_some());
            for text in found.advice.iter().flat_map(|advice| [&advice.why, &advice.caution]) {
                prop_assert!(!text.contains("NaN") && !text.contains("inf%"), "{}", text);
            }
        }
    }

    #[test]
    fn no_bytes_are_too_much(bytes in vec(any::<u8>(), 0..400)) {
        let sample = Sample::new(Duration::ZERO, &Info::parse(&bytes), None);
        let thresholds = Thresholds::default();
        let derived = Derived::new(&sample, &thresholds, &mut History::default());
        holds_together(&derived, &diagnose(&derived));
    }

}

proptest! {
    #![proptest_config(config(3000))]

    #[test]
    fn more_waste_is_never_less_severe(
        memory in memory(),
        more in select(MORE),
        bytes in prop_oneof![0..MEGABYTE, 0..500 * MEGABYTE],
        enabled in option::of(any::<bool>()),
        past in any::<bool>(),
    ) {
        let waste = memory.other + memory.fragmented + memory.releasable + memory.process;
        prop_assume!(waste >= 0);
        let severity = |memory: &Memory, before: &Memory| {
            let mut case = Case::of(memory.info());
            case.enabled = enabled;
            if past {
                case.infos.insert(0, before.info());
            }
            case.diagnose().severity
        };
        let mut worse = memory.clone();
        more(&mut worse, bytes);
        let (now, then) = (severity(&worse, &memory), severity(&memory, &memory));
        prop_assert!(now >= then, "{:?} after {:?}: {:?}", now, then, worse);
    }
}

#[test]
fn severities_are_ordered() {
    let order = [
        Severity::Fine,
        Severity::Unknown,
        Severity::Warning,
        Severity::Critical,
    ];
    assert!(order.is_sorted());
    assert_eq!(
        order.map(Severity::name),
        ["fine", "unknown", "warning", "critical"]
    );
}
