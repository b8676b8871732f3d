//! What the rules ask of a moment: yes or no, and how much.
//!
//! Must not know the order of the rules, nor how a reason is worded.

use super::derive::Derived;
use super::history;
use super::waste::Parts;

/// What every rule rests on; Dragonfly, Garnet and proxies lack some of it.
pub(super) fn needed_but_missing(derived: &Derived<'_>) -> impl Iterator<Item = &'static str> {
    let fields = &derived.sample.fields;
    [
        ("used_memory", fields.used_memory.is_none()),
        ("used_memory_rss", fields.used_memory_rss.is_none()),
        (
            "mem_fragmentation_ratio",
            fields.mem_fragmentation_ratio.is_none(),
        ),
    ]
    .into_iter()
    .filter_map(|(name, missing)| missing.then_some(name))
}

/// Before the server's first cron tick RSS is 0 and every ratio `-nan`.
pub(super) fn is_starting(derived: &Derived<'_>) -> bool {
    let sample = derived.sample;
    let young = sample
        .fields
        .uptime_in_seconds
        .is_some_and(|seconds| seconds < 10);
    sample.loading() == Some(true) || (young && sample.ratio().is_none())
}

/// Bytes of the process in swap, where its kernel can be asked.
pub(super) fn swapped(derived: &Derived<'_>) -> Option<u64> {
    derived.sample.host.host()?.process.swap
}

/// Share of used memory, one part in so many, above which the process is in swap.
/// What a server has touched once and never again goes there without harm.
pub(super) const SWAPPED_SHARE: u64 = 100;

/// Whether part of the dataset is in swap: the kernel says so.
pub(super) fn swap_confirmed(derived: &Derived<'_>) -> bool {
    is_large(derived) && swapped(derived).is_some_and(|swap| swap > used(derived) / SWAPPED_SHARE)
}

/// Whether it is of a size at which figures mean something.
pub(super) fn is_large(derived: &Derived<'_>) -> bool {
    used(derived) >= derived.thresholds.min_used_memory
}

/// Whether swap would explain the ratio, if it could be read.
pub(super) fn may_swap(derived: &Derived<'_>) -> bool {
    ratio(derived) < 1.0 && used(derived) > derived.thresholds.swap_min_used_memory
}

/// Whether the ratio suggests swap, and no kernel can be asked: some memory is not resident, and no buffer
/// that was allocated and never touched explains it (a client that announced a
/// 400 MB value brought the ratio to 0.01 on every version, without swap).
pub(super) fn swap_suspected(derived: &Derived<'_>) -> bool {
    let (Some(rss), Some(at_tick)) = (
        derived.sample.fields.used_memory_rss,
        derived.sample.used_at_tick(),
    ) else {
        return false;
    };
    may_swap(derived)
        && swapped(derived).is_none()
        && at_tick.saturating_sub(rss) > buffers(derived)
}

/// Bytes of buffers that may be allocated and not touched yet, and those of script
/// engines: Lua grows its tables by doubling them. 8.2.3, which counts them as used,
/// came to a ratio of 0.95 by 168 MB of cached scripts, without swap.
pub(super) fn buffers(derived: &Derived<'_>) -> u64 {
    let fields = &derived.sample.fields;
    [
        fields.mem_clients_normal,
        fields.mem_clients_slaves,
        fields.mem_aof_buffer,
        fields.mem_replication_backlog,
        fields.used_memory_vm_total.or(fields.used_memory_lua),
    ]
    .into_iter()
    .flatten()
    .fold(0, u64::saturating_add)
}

/// A run is judged after five minutes: a low hit rate alone proves nothing (runs
/// that mended all ended at 23% to 31%), fragmented bytes that do not fall do.
/// Before that only a hopeless hit rate counts (one that stagnated stood at 2%).
pub(super) fn is_ineffective(derived: &Derived<'_>) -> bool {
    let lately = derived.rates.efficiency.map(|percent| percent / 100.0);
    let long = derived
        .rates
        .running_for
        .is_some_and(|time| time >= history::PATIENCE);
    if long && derived.rates.frag_falling.is_some() {
        return derived.rates.frag_falling == Some(false)
            && lately.is_some_and(|rate| rate < derived.thresholds.defrag_hit_rate);
    }
    let hopeless = |rate: f64| rate < HOPELESS_HIT_RATE;
    hit_rate(derived).is_some_and(hopeless) && lately.is_none_or(hopeless)
}

/// A hit rate from a single sample below which active defrag does nothing.
const HOPELESS_HIT_RATE: f64 = 0.1;

/// Allocations that must have been examined for a hit rate to mean anything.
const ENOUGH_EXAMINED: u64 = 1000;

/// Moved of examined allocations since the server's counters began.
#[allow(
    clippy::cast_precision_loss,
    reason = "a share of counters needs few digits"
)]
pub(super) fn hit_rate(derived: &Derived<'_>) -> Option<f64> {
    let fields = &derived.sample.fields;
    let (hits, misses) = (fields.active_defrag_hits?, fields.active_defrag_misses?);
    let examined = hits
        .checked_add(misses)
        .filter(|examined| *examined >= ENOUGH_EXAMINED)?;
    Some(hits as f64 / examined as f64)
}

/// Where most of the waste is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Fragmented,
    Releasable,
    Outside,
}

pub(super) fn most(derived: &Derived<'_>) -> Option<Part> {
    let parts = derived.waste?.parts?;
    let (holes, pages, beyond) = (parts.fragmented, parts.releasable, outside(&parts));
    Some(if holes >= pages && holes >= beyond {
        Part::Fragmented
    } else if pages >= beyond {
        Part::Releasable
    } else {
        Part::Outside
    })
}

/// What neither defrag nor a purge reaches. Lua of servers before 7.4 is here: in
/// `other` where all of the process uses one jemalloc (Debian), else in `process`.
pub(super) fn outside(parts: &Parts) -> i64 {
    parts.process.saturating_add(parts.other)
}

/// Lua's memory where it is a part of the waste worth naming, under the name of the
/// field that tells it: since 7.0 `used_memory_lua` leaves functions out.
pub(super) fn lua(derived: &Derived<'_>) -> Option<(&'static str, u64)> {
    let fields = &derived.sample.fields;
    let worth = |lua: u64| signed(lua) > waste(derived) / 10;
    let named = |name, lua: Option<u64>| lua.filter(|lua| worth(*lua)).map(|lua| (name, lua));
    named("used_memory_lua", fields.used_memory_lua)
        .or_else(|| named("used_memory_vm_total", fields.used_memory_vm_total))
}

/// The ratio; of a sample that has none 1, which no rule takes for a fact: the
/// first two rules hold then.
pub(super) fn ratio(derived: &Derived<'_>) -> f64 {
    derived.sample.ratio().unwrap_or(1.0)
}

/// Bytes in use both now and at the tick that the ratio and the waste are of, or
/// else a large value that comes or goes between the two would make a small
/// instance a large one with an absurd ratio (seen on all servers).
pub(super) fn used(derived: &Derived<'_>) -> u64 {
    let now = derived.sample.fields.used_memory.unwrap_or(0);
    derived.sample.used_at_tick().unwrap_or(now).min(now)
}

pub(super) fn waste(derived: &Derived<'_>) -> i64 {
    derived.waste.map_or(0, |waste| waste.total)
}

pub(super) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
