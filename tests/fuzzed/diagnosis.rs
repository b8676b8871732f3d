//! Moments that no server gave and some that one could have, with any host beneath, any
//! settings and any thresholds: what holds of every diagnosis holds of these.
//!
//! Built of the bytes; what they say of INFO goes through its reader, as all does.

use std::time::Duration;

use redis_frag::model::defrag::DefragConfig;
use redis_frag::model::host::{Cgroup, Host, HugePages, Machine, Overcommit, Process, View};
use redis_frag::model::info::{Fields, Info};
use redis_frag::model::malloc_stats::Build;
use redis_frag::model::sample::Sample;
use redis_frag::model::thresholds::Thresholds;

use super::bytes::Bytes;
use super::watched::{AGENTS, Fate, Watched};

const TEXTS: &[&str] = &[
    "redis_version",
    "valkey_version",
    "dragonfly_version",
    "garnet_version",
    "server_name",
    "mem_allocator",
    "run_id",
    "executable",
    "db0",
];

const SERVERS: &[&str] = &[
    "",
    "mem_allocator:libc\nredis_version:6.2.14\n",
    "mem_allocator:jemalloc-5.1.0\nredis_version:6.2.5\n",
    "mem_allocator:jemalloc-5.3.0\nredis_version:7.0.15\n",
    "mem_allocator:jemalloc-5.3.0\nredis_version:8.2.0\nallocator_muzzy:0\n",
    "mem_allocator:jemalloc-5.3.0\nredis_version:7.2.4\nvalkey_version:8.1.2\n\
     server_name:valkey\nallocator_muzzy:0\n",
];

/// Values that servers print, and some that none should.
const VALUES: &[&str] = &[
    "-nan",
    "inf",
    "0",
    "1",
    "-1",
    "100",
    "",
    "1.50",
    "0.99",
    "4.01",
    "1e308",
    "-0.0",
    "101.77%",
    "keys=9,expires=18446744073709551615",
];

/// Most moments of one input.
const MOST: usize = 4;

/// Bytes are moments, one behind the other.
pub fn body(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let thresholds = bytes.maybe(thresholds).unwrap_or_default();
    let agent = bytes.pick(&AGENTS);
    let mut watched = Watched::plain(thresholds, agent);
    let mut at = Duration::ZERO;
    for _ in 0..MOST {
        at += Duration::from_secs(1 + u64::from(bytes.byte()) * 3);
        let sample = sample(&mut bytes, at, &watched);
        watched.moment(&sample, Fate::Read);
        if bytes.is_empty() {
            break;
        }
    }
    watched.done();
}

fn sample(bytes: &mut Bytes<'_>, at: Duration, watched: &Watched) -> Sample {
    if bytes.byte() == 255 {
        return Sample::unreachable(at);
    }
    let text = reply(bytes);
    let mut sample = Sample::new(at, &Info::parse(text.as_bytes()), watched.known.as_ref());
    sample.config = settings(bytes);
    sample.build = bytes.maybe(|bytes| Build {
        quantum: bytes.pick(&[8, 16, 0, u32::MAX]),
    });
    sample.round_trip = bytes.maybe(|bytes| Duration::from_micros(bytes.number()));
    sample.host = match bytes.byte() % 4 {
        0 | 1 => View::Elsewhere,
        2 => View::Unsure(bytes.text().into()),
        _ => View::Here(Box::new(host(bytes))),
    };
    sample
}

fn reply(bytes: &mut Bytes<'_>) -> String {
    let mut text = bytes.pick(SERVERS).to_owned();
    // Sizes that fit together, as a server's do; what stands first is taken.
    if bytes.chance() {
        let mut grown = u64::from(bytes.byte()) << (bytes.byte() % 36);
        for name in [
            "used_memory",
            "allocator_allocated",
            "allocator_active",
            "allocator_resident",
            "used_memory_rss",
        ] {
            text += &format!("{name}:{grown}\n");
            grown += u64::from(bytes.byte()) << (bytes.byte() % 36);
        }
    }
    for _ in 0..bytes.byte() {
        if bytes.is_empty() {
            break;
        }
        let place = usize::from(bytes.byte());
        let name = Fields::NAMES.iter().chain(TEXTS).cycle().nth(place);
        text += name.unwrap();
        text.push(':');
        match bytes.byte() % 6 {
            0 => text += bytes.pick(VALUES),
            1 => text += &format!("{:.2}", f64::from(bytes.short() % 100_000) / 100.0),
            2 => text += &bytes.text(),
            3 => text += &bytes.number().cast_signed().to_string(),
            _ => text += &bytes.number().to_string(),
        }
        text.push('\n');
    }
    text
}

fn thresholds(bytes: &mut Bytes<'_>) -> Thresholds {
    // What a configuration may say: positive and finite.
    let mut positive = || f64::from(bytes.short().max(1)) / 1000.0;
    Thresholds {
        ratio: positive(),
        allocator_frag_ratio: positive(),
        peak_factor: positive(),
        defrag_hit_rate: positive(),
        min_used_memory: bytes.number(),
        swap_min_used_memory: bytes.number(),
    }
}

fn settings(bytes: &mut Bytes<'_>) -> DefragConfig {
    DefragConfig {
        enabled: bytes.maybe(Bytes::chance),
        ignore_bytes: bytes.maybe(Bytes::number),
        lower: bytes.maybe(Bytes::short),
        upper: bytes.maybe(Bytes::short),
        cycle_min: bytes.maybe(Bytes::short),
        cycle_max: bytes.maybe(Bytes::short),
    }
}

fn host(bytes: &mut Bytes<'_>) -> Host {
    let process = Process {
        pid: bytes.short(),
        rss: bytes.maybe(Bytes::number),
        swap: bytes.maybe(Bytes::number),
        peak: bytes.maybe(Bytes::number),
        huge_pages_enabled: bytes.maybe(Bytes::chance),
        huge: bytes.maybe(Bytes::number),
    };
    let cgroups = bytes.maybe(|bytes| {
        let count = bytes.byte() % 4;
        (0..count).map(|_| cgroup(bytes)).collect()
    });
    Host {
        process,
        cgroups,
        cgroup: bytes.maybe(|bytes| bytes.text().into()),
        oom_kills: bytes.maybe(Bytes::number),
        oom_kills_around: bytes.maybe(Bytes::number),
        machine: machine(bytes),
    }
}

fn cgroup(bytes: &mut Bytes<'_>) -> Cgroup {
    Cgroup {
        path: bytes.text().into(),
        limit: bytes.number(),
        used: bytes.maybe(Bytes::number),
        cache: bytes.maybe(Bytes::number),
        swap: bytes.maybe(Bytes::number),
    }
}

fn machine(bytes: &mut Bytes<'_>) -> Machine {
    let overcommits = [Overcommit::Heuristic, Overcommit::Always, Overcommit::Never];
    let huge = [HugePages::Always, HugePages::Madvise, HugePages::Never];
    Machine {
        total: bytes.maybe(Bytes::number),
        available: bytes.maybe(Bytes::number),
        swap_total: bytes.maybe(Bytes::number),
        swap_free: bytes.maybe(Bytes::number),
        commit_limit: bytes.maybe(Bytes::number),
        committed: bytes.maybe(Bytes::number),
        kernel: bytes.maybe(|bytes| (u16::from(bytes.byte()), u16::from(bytes.byte()))),
        overcommit: bytes.maybe(|bytes| bytes.pick(&overcommits)),
        swappiness: bytes.maybe(Bytes::byte),
        huge_pages: bytes.maybe(|bytes| bytes.pick(&huge)),
        huge_pages_wait: bytes.maybe(Bytes::chance),
    }
}
