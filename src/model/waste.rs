//! Where the bytes beyond used memory are, and what each remedy would bring back.
//!
//! A decomposition that adds up, in every meaning of the server's fields. Must
//! not know thresholds or verdicts: bytes only.

use super::sample::Sample;
use super::server::FragMeaning;

/// Metadata of jemalloc that stays resident whatever is purged, in an empty
/// process: 2.4 MB (6.2.5) to 2.8 MB (8.2.3) in captures of fresh servers.
const METADATA_BASE: i64 = 2_600_000;

/// One part in so many of the largest dataset ever held is metadata too: 5.46 MB
/// at a peak of 185 MB (6.2.5), 6.06 MB at 182 MB (8.2.3), 5.95 MB (7.0.15).
const METADATA_SHARE: i64 = 58;

/// Fragmented bytes that a finished defrag leaves, one part in so many of what is
/// allocated: 2.4% on 6.2.5, 4.7% on 8.2.3.
const DEFRAG_RESIDUE: i64 = 30;

/// What a fresh process holds outside of its dataset: 4 MB (6.2.5) to 11 MB
/// (Debian's 7.0.15), metadata included.
const FRESH_PROCESS: i64 = 8_000_000;

/// The bytes of RSS that are not used memory. May be negative, in whole and in
/// part: memory that was allocated and never touched is not resident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waste {
    /// RSS − used, both of one tick.
    pub total: i64,
    /// Where it is; `None` where the allocator gives no statistics.
    pub parts: Option<Parts>,
}

/// The parts of the waste. They add up to its total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// active − allocated: free regions in pages that hold live ones.
    pub fragmented: i64,
    /// resident − active: free pages that jemalloc keeps, and its metadata.
    pub releasable: i64,
    /// RSS − resident: code, stacks, libraries, memory not from jemalloc.
    pub process: i64,
    /// allocated − used: thread caches, Lua before 7.4, rounding.
    pub other: i64,
}

impl Waste {
    /// `None` where RSS or used memory is missing.
    #[must_use]
    pub fn of(sample: &Sample) -> Option<Self> {
        let rss = sample.fields.used_memory_rss?.cast_signed();
        let used = sample.used_at_tick()?.cast_signed();
        let parts = sample.allocator().map(|(allocated, active, resident)| {
            let (allocated, active) = (allocated.cast_signed(), active.cast_signed());
            let resident = resident.cast_signed();
            Parts {
                fragmented: active - allocated,
                releasable: resident - active,
                process: rss - resident,
                other: allocated - used,
            }
        });
        Some(Self {
            total: rss - used,
            parts,
        })
    }
}

/// What each remedy would bring back, bytes. Predictions; none is negative, and
/// a remedy that the build does not have is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reclaim {
    /// A full run of active defrag, once the freed pages are returned too.
    pub active_defrag: Option<i64>,
    /// `MEMORY PURGE`, or jemalloc's own decay.
    pub memory_purge: Option<i64>,
    /// A restart with the same dataset.
    pub restart: Option<i64>,
}

impl Reclaim {
    /// Worked out from one sample.
    #[must_use]
    pub fn of(sample: &Sample) -> Self {
        let Some(waste) = Waste::of(sample) else {
            return Self::default();
        };
        let used = sample.used_at_tick().unwrap_or(0).cast_signed();
        let restart = waste.total - FRESH_PROCESS - used / METADATA_SHARE;
        Self {
            active_defrag: active_defrag(sample),
            memory_purge: memory_purge(sample),
            restart: Some(restart.max(0)),
        }
    }
}

/// Only small bins can be defragmented, which servers from 7.4 on tell apart.
fn active_defrag(sample: &Sample) -> Option<i64> {
    let server = sample.server.as_ref()?;
    if server.cannot_defrag() || server.frag_meaning == FragMeaning::MadeUp {
        return None;
    }
    let (allocated, active, _) = sample.allocator()?;
    let resident = sample.fields.used_memory_rss?.cast_signed() - allocated.cast_signed();
    let fragmented = sample
        .frag_bytes()?
        .min(active.cast_signed() - allocated.cast_signed());
    let residue = allocated.cast_signed() / DEFRAG_RESIDUE;
    Some((fragmented - residue).min(resident).max(0))
}

/// jemalloc counts pages as resident that were never touched, so RSS bounds what
/// can come back: 6.2.5 was captured with 474 MB "releasable" in an RSS of 5 MB.
fn memory_purge(sample: &Sample) -> Option<i64> {
    let (_, active, resident) = sample.allocator()?;
    let rss = sample.fields.used_memory_rss?;
    let peak = sample
        .fields
        .used_memory_peak
        .unwrap_or(active)
        .cast_signed();
    let metadata = METADATA_BASE + peak / METADATA_SHARE;
    let free_pages = resident.min(rss).cast_signed() - active.cast_signed();
    Some((free_pages - metadata).max(0))
}
