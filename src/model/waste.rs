//! Where the bytes beyond used memory are, and what each remedy would bring back.
//!
//! A decomposition that adds up, in every meaning of the server's fields. Must
//! not know thresholds or verdicts: bytes only.

use super::defrag::State;
use super::sample::Sample;
use super::server::FragMeaning;

/// Metadata of jemalloc in an empty process, and the little that thread caches
/// and clients' buffers take again: resident whatever is purged. Metadata alone
/// was 2.4 MB (6.2.5), 2.8 MB (7.0.15) and 3.0 MB (8.2.3) in fresh servers.
const METADATA_BASE: i64 = 2_900_000;

/// One part in so many of the largest dataset ever held is metadata too: jemalloc
/// keeps a note of each run of pages and never gives the notes back. 1/57 to 1/72
/// for strings of 16 to 2000 bytes and 80 for collections, from 100 to 1000 MB, on
/// 6.2.5, 7.0.15 and 8.2.3. Values of 4 to 40 KB need less (1/214), so that what
/// a purge gives is then told a little low.
const METADATA_SHARE: i64 = 62;

/// One scan of active defrag leaves one part in so many of what was fragmented:
/// 1/6 to 1/10 where 15 to 35% of the keys had been deleted (6.2.5 and 8.2.3).
const SCAN_LEAVES: i64 = 7;

/// What is left when one scan does not do and more follow, where `allocator_frag_*`
/// is active over allocated: slabs begun and not full. 6.2.5 left 0.8 MB of 60 MB
/// allocated, 1.1 of 37 and 4.8 of 353.
const ACTIVE_RESIDUE: Residue = Residue {
    base: 800_000,
    share: 100,
};

/// The same where it is of small bins. 8.2.3 left 2.4 MB of 37 MB allocated, 2.1 of
/// 58, 4.7 of 175 and 11.7 of 348.
const SMALL_BINS_RESIDUE: Residue = Residue {
    base: 1_500_000,
    share: 35,
};

/// The most that a fresh process has resident outside of the allocator: code,
/// libraries, stacks. 1.2 MB (6.2.5), 4.0 MB (8.2.3), 7.7 MB (Debian's 7.0.15).
const FRESH_CODE: i64 = 10_000_000;

/// RSS beyond used memory in a fresh process whose allocator tells nothing: 5.4 MB
/// (Valkey 9.1.2 with libc), 3.4 MB (6.2.14 with libc).
const FRESH_PROCESS: i64 = 5_000_000;

/// Fragmented bytes that defrag does not free.
struct Residue {
    /// Bytes, whatever the size.
    base: i64,
    /// One part in so many of what is allocated.
    share: i64,
}

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
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "sizes are below 2^60 (info.rs): their sums and differences fit"
    )]
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

/// What each remedy would bring back, bytes. Predictions, which
/// `tests/predictions.rs` holds against servers that were given the remedy. None
/// is negative, a purge and a defrag together do not promise more than the waste,
/// and a remedy that the build does not have is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reclaim {
    /// A full run of active defrag, once the freed pages are returned too; on top
    /// of what a purge gives before it.
    pub active_defrag: Option<i64>,
    /// `MEMORY PURGE`, or jemalloc's own decay.
    pub memory_purge: Option<i64>,
    /// A restart with the same dataset.
    pub restart: Option<i64>,
}

impl Reclaim {
    /// Worked out from one sample.
    #[must_use]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "of two that are not negative"
    )]
    pub fn of(sample: &Sample) -> Self {
        let Some(waste) = Waste::of(sample) else {
            return Self::default();
        };
        let most = waste.total.max(0);
        let memory_purge = memory_purge(sample).map(|bytes| bytes.clamp(0, most));
        let left = most - memory_purge.unwrap_or(0);
        Self {
            active_defrag: active_defrag(sample).map(|bytes| bytes.clamp(0, left)),
            memory_purge,
            restart: restart(sample, waste).map(|bytes| bytes.clamp(0, most)),
        }
    }
}

/// The free regions that the server counts, less what defrag leaves. Of pages in
/// use only those can be returned that are resident: 6.2.5 was captured with 471 MB
/// active in an RSS of 5 MB.
///
/// It promises too much for sorted sets, of which both 6.2.5 and 8.2.3 left a fifth
/// however long they ran, and, where the fields mean active over allocated, for
/// values above 16 KB: jemalloc 5.1 pads each with 4 KB, which nothing returns.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "sizes are below 2^60 (info.rs): their sums and differences fit"
)]
fn active_defrag(sample: &Sample) -> Option<i64> {
    let server = sample.server.as_ref()?;
    let residue = match server.frag_meaning {
        FragMeaning::MadeUp => return None,
        _ if State::of(sample) == Some(State::Unsupported) => return None,
        FragMeaning::ActiveOverAllocated => ACTIVE_RESIDUE,
        FragMeaning::SmallBins => SMALL_BINS_RESIDUE,
    };
    let (allocated, active, _) = signed(sample.allocator()?);
    let rss = sample.fields.used_memory_rss?.cast_signed();
    let fragmented = sample.frag_bytes()?.min(active.min(rss) - allocated);
    let lower = sample.config.or(server.default_settings()).lower;

    // A run ends with the first scan that leaves less than the lower threshold.
    let after_one_scan = fragmented / SCAN_LEAVES;
    let enough = (allocated / 100).saturating_mul(i64::from(lower));
    let left = if after_one_scan <= enough {
        after_one_scan
    } else {
        residue.base + allocated / residue.share
    };
    Some(fragmented - left)
}

/// The free pages that jemalloc keeps, without its metadata. It counts pages as
/// resident that were never touched, so RSS bounds what can come back: 6.2.5 was
/// captured with 474 MB "releasable" in an RSS of 5 MB.
///
/// One purge may not be enough: while jemalloc's background thread returns pages
/// itself, the command leaves them to it and is over at once (6.2.5 and 8.2.3).
#[expect(
    clippy::arithmetic_side_effects,
    reason = "sizes are below 2^60 (info.rs): their sums and differences fit"
)]
fn memory_purge(sample: &Sample) -> Option<i64> {
    let (_, active, resident) = signed(sample.allocator()?);
    let rss = sample.fields.used_memory_rss?.cast_signed();
    let peak = sample.fields.used_memory_peak?.cast_signed();
    Some(resident.min(rss) - active - METADATA_BASE - peak / METADATA_SHARE)
}

/// All but what the new process needs: its code, and metadata for the dataset of
/// now. Without statistics of the allocator only the sum of these is known, which
/// grows like them: 5.9 MB at 33 MB and 10.1 MB at 321 MB (Valkey 9.1.2, libc).
#[expect(
    clippy::arithmetic_side_effects,
    reason = "sizes are below 2^60 (info.rs): their sums and differences fit"
)]
fn restart(sample: &Sample, waste: Waste) -> Option<i64> {
    let used = sample.used_at_tick()?.cast_signed();
    let overhead = match waste.parts {
        Some(parts) => METADATA_BASE + parts.process.clamp(0, FRESH_CODE),
        None => FRESH_PROCESS,
    };
    Some(waste.total - overhead - used / METADATA_SHARE)
}

fn signed((allocated, active, resident): (u64, u64, u64)) -> (i64, i64, i64) {
    (
        allocated.cast_signed(),
        active.cast_signed(),
        resident.cast_signed(),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::info::Info;

    const MEBIBYTE: u64 = 1 << 20;

    fn sample(text: &str) -> Sample {
        Sample::new(Duration::ZERO, &Info::parse(text.as_bytes()), None)
    }

    /// A sample of jemalloc with these bytes; `small_bins` is the new meaning.
    #[derive(Clone, Copy)]
    struct Bytes {
        rss: u64,
        used: u64,
        peak: u64,
        allocated: u64,
        active: u64,
        resident: u64,
        small_bins: Option<u64>,
    }

    impl Bytes {
        fn text(self) -> String {
            let new = self.small_bins.map_or(String::new(), |bytes| {
                format!("allocator_muzzy:0\nallocator_frag_bytes:{bytes}\n")
            });
            format!(
                "redis_version:8.2.3\nmem_allocator:jemalloc-5.3.0\nused_memory:{}\n\
                 used_memory_rss:{}\nmem_fragmentation_bytes:{}\nused_memory_peak:{}\n\
                 allocator_allocated:{}\nallocator_active:{}\nallocator_resident:{}\n{new}",
                self.used,
                self.rss,
                self.rss.cast_signed() - self.used.cast_signed(),
                self.peak,
                self.allocated,
                self.active,
                self.resident,
            )
        }

        fn sample(self) -> Sample {
            sample(&self.text())
        }
    }

    /// 100 MB of strings with 70% of the keys deleted, as 6.2.5 told it.
    const MEASURED_62: Bytes = Bytes {
        rss: 122_568_704,
        used: 36_458_424,
        peak: 116_582_880,
        allocated: 36_806_736,
        active: 103_469_056,
        resident: 121_028_608,
        small_bins: None,
    };

    /// The same, as 8.2.3 told it.
    const MEASURED_82: Bytes = Bytes {
        rss: 124_661_760,
        used: 35_847_664,
        peak: 115_116_952,
        allocated: 36_768_408,
        active: 102_084_608,
        resident: 120_074_240,
        small_bins: Some(65_240_168),
    };

    #[test]
    fn what_was_measured_is_promised() {
        for (bytes, purge, defrag, restart) in [
            (MEASURED_62, 13_062_144, 65_626_112, 82_182_144),
            (MEASURED_82, 13_246_464, 63_229_952, 81_145_856),
        ] {
            let promised = Reclaim::of(&bytes.sample());
            for (promised, returned) in [
                (promised.memory_purge.unwrap(), purge),
                (promised.active_defrag.unwrap(), defrag),
                (promised.restart.unwrap(), restart),
            ] {
                assert!(
                    (promised - returned).abs() < returned / 30,
                    "{promised} for {returned}"
                );
            }
        }
    }

    /// Every order of sizes, the ones that cannot be true included: small ones,
    /// large ones, the largest that INFO's reader lets through.
    fn every_kind(mut check: impl FnMut(Bytes, &Sample)) {
        let sizes = [
            1,
            MEBIBYTE,
            40 * MEBIBYTE,
            41 * MEBIBYTE,
            3000 * MEBIBYTE,
            (1 << 60) - 1,
        ];
        for rss in sizes {
            for used in sizes {
                for allocated in sizes {
                    for active in sizes {
                        for resident in sizes {
                            for small_bins in [None, Some(1), Some(active / 2 + 1), Some(u64::MAX)]
                            {
                                let bytes = Bytes {
                                    rss,
                                    used,
                                    peak: used.max(allocated),
                                    allocated,
                                    active,
                                    resident,
                                    small_bins,
                                };
                                check(bytes, &bytes.sample());
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_parts_add_up_to_the_total() {
        every_kind(|bytes, sample| {
            let waste = Waste::of(sample).unwrap();
            let parts = waste.parts.unwrap();
            assert_eq!(
                waste.total,
                bytes.rss.cast_signed() - bytes.used.cast_signed()
            );
            assert_eq!(
                parts.fragmented + parts.releasable + parts.process + parts.other,
                waste.total
            );
        });
    }

    #[test]
    fn no_remedy_promises_less_than_nothing_or_more_than_the_waste() {
        every_kind(|_, sample| {
            let most = Waste::of(sample).unwrap().total.max(0);
            let promised = Reclaim::of(sample);
            let purge = promised.memory_purge.unwrap();
            let defrag = promised.active_defrag.unwrap();
            let restart = promised.restart.unwrap();
            assert!(purge >= 0 && defrag >= 0 && restart >= 0, "{promised:?}");
            assert!(purge + defrag <= most, "{promised:?} of {most}");
            assert!(restart <= most, "{promised:?} of {most}");
        });
    }

    #[test]
    fn memory_never_touched_comes_back_from_nothing() {
        let untouched = Bytes {
            rss: 5_009_408,
            used: 900_000,
            peak: 475_000_000,
            allocated: 1_120_000,
            active: 1_286_144,
            resident: 475_561_984,
            small_bins: None,
        };
        let promised = Reclaim::of(&untouched.sample());
        assert_eq!(promised.memory_purge, Some(0));
        assert!(promised.active_defrag.unwrap() < 200_000);
    }

    #[test]
    fn a_lower_threshold_lets_defrag_go_further() {
        let mut sample = Bytes {
            allocated: 90_000_000,
            ..MEASURED_62
        }
        .sample();
        let usual = Reclaim::of(&sample).active_defrag;
        sample.config.lower = Some(1);
        let thorough = Reclaim::of(&sample).active_defrag;
        sample.config.lower = Some(u32::MAX);
        let never = Reclaim::of(&sample).active_defrag;
        assert!(usual < thorough, "{usual:?} {thorough:?}");
        assert_eq!(never, usual);
    }

    #[test]
    fn without_statistics_of_the_allocator_only_a_restart_can_be_told() {
        let text = MEASURED_62.text().replace("jemalloc-5.3.0", "libc");
        let sample = sample(&text);
        assert_eq!(Waste::of(&sample).unwrap().parts, None);
        let promised = Reclaim::of(&sample);
        assert_eq!(
            (promised.active_defrag, promised.memory_purge),
            (None, None)
        );
        let restart = promised.restart.unwrap();
        assert!((80_000_000..83_000_000).contains(&restart), "{restart}");
    }

    #[test]
    fn a_field_that_is_missing_costs_what_is_worked_out_from_it() {
        let promised = |name: &str| {
            let text = MEASURED_82.text().replace(&format!("{name}:"), "gone:");
            let got = Reclaim::of(&sample(&text));
            [got.active_defrag, got.memory_purge, got.restart].map(|bytes| bytes.is_some())
        };
        assert_eq!(promised("nothing"), [true, true, true]);
        assert_eq!(promised("used_memory_rss"), [false, false, false]);
        assert_eq!(promised("used_memory_peak"), [true, false, true]);
        assert_eq!(promised("allocator_resident"), [false, false, true]);
        assert_eq!(promised("allocator_frag_bytes"), [false, true, true]);
    }

    #[test]
    fn a_constant_nought_of_fragmented_bytes_is_no_promise() {
        let foreign = Bytes {
            small_bins: Some(0),
            ..MEASURED_82
        };
        let promised = Reclaim::of(&foreign.sample());
        assert_eq!(promised.active_defrag, None);
        assert!(promised.memory_purge.is_some());
    }
}
