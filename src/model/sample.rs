//! One moment of one instance, and the ratios that follow from it alone.
//!
//! Knows which of the server's numbers belong together. Must not know other
//! moments (that is `history.rs`) nor where a sample came from.

use std::sync::Arc;
use std::time::Duration;

use super::defrag::DefragConfig;
use super::host::View;
use super::info::{Fields, Info};
use super::malloc_stats::Build;
use super::server::{FragMeaning, Server};
use super::size_classes::SizeClasses;

/// How far a ratio worked out from bytes may lie from the two decimals that the
/// server printed: half a unit of the last, and a little for its own rounding.
const PRINTED_TOLERANCE: f64 = 0.0051;

/// One moment of one instance. Of an instance that did not answer, everything
/// but `at` is missing.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// When it was taken, on a clock that never goes back.
    pub at: Duration,
    /// Who answered; `None` when nobody did.
    pub server: Option<Arc<Server>>,
    /// INFO's numbers.
    pub fields: Fields,
    /// Keys with a time to live, in all databases.
    pub volatile_keys: Option<u64>,
    /// The instance's own defrag settings, where they could be read.
    pub config: DefragConfig,
    /// How the allocator was built, where MEMORY MALLOC-STATS was asked.
    pub build: Option<Build>,
    /// The allocator's size classes as they were last, where they are asked for.
    pub size_classes: Option<Arc<SizeClasses>>,
    /// What the kernel of its machine tells, where that is this one.
    pub host: View,
    /// How long the question took.
    pub round_trip: Option<Duration>,
}

impl Sample {
    /// A sample from a reply. `known` is the server of the sample before; it is
    /// kept when the same process answered.
    #[must_use]
    pub fn new(at: Duration, info: &Info<'_>, known: Option<&Arc<Server>>) -> Self {
        let server = match known {
            Some(server) if server.answers(info) => Arc::clone(server),
            _ => Arc::new(Server::of(info)),
        };
        Self::of_server(at, info, server)
    }

    /// A sample from a reply of a server that is known, whatever the reply tells of it.
    #[must_use]
    pub fn of_server(at: Duration, info: &Info<'_>, server: Arc<Server>) -> Self {
        Self {
            at,
            server: Some(server),
            fields: info.fields,
            volatile_keys: info.volatile_keys,
            ..Self::default()
        }
    }

    /// A sample of an instance that did not answer.
    #[must_use]
    pub fn unreachable(at: Duration) -> Self {
        Self {
            at,
            ..Self::default()
        }
    }

    /// Whether the instance answered.
    #[must_use]
    pub fn answered(&self) -> bool {
        self.server.is_some()
    }

    /// Bytes in use at the cron tick in which RSS was read. The live
    /// `used_memory` of the same reply is up to 100 ms younger: 6.2.14 was
    /// captured at 957 360 live and 421 438 608 at the tick. Before 5.0 the
    /// server itself divides by the live figure (zmalloc.c, 4.0.14).
    #[must_use]
    pub fn used_at_tick(&self) -> Option<u64> {
        let rss = self.fields.used_memory_rss?.cast_signed();
        let live = self.fields.used_memory.filter(|used| *used > 0);
        match self.fields.mem_fragmentation_bytes {
            // More than all that is resident is no value.
            Some(bytes) if bytes > rss => live,
            Some(bytes) => u64::try_from(rss.saturating_sub(bytes))
                .ok()
                .filter(|used| *used > 0),
            None => live,
        }
    }

    /// RSS over used memory, to more digits than the server prints.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let exact = divide(self.fields.used_memory_rss?, self.used_at_tick()?);
        checked(exact, self.fields.mem_fragmentation_ratio)
    }

    /// Fragmentation of the allocator, in the server's own meaning of it.
    #[must_use]
    pub fn allocator_frag(&self) -> Option<f64> {
        let allocated = self.fields.allocator_allocated?;
        let exact = match self.meaning() {
            FragMeaning::MadeUp => return None,
            FragMeaning::ActiveOverAllocated => divide(self.fields.allocator_active?, allocated),
            FragMeaning::SmallBins => 1.0 + to_f64(self.frag_bytes()?) / allocated as f64,
        };
        checked(exact, self.fields.allocator_frag_ratio)
    }

    /// Bytes that the server counts as fragmented, in its own meaning: what
    /// active defrag compares with its threshold.
    ///
    /// Valkey from 8.1.1 on a jemalloc not its own prints a constant 0 here
    /// (allocator_defrag.c): no jemalloc with a dataset has no free region at
    /// all, so that 0 is no value.
    #[must_use]
    pub fn frag_bytes(&self) -> Option<i64> {
        match self.meaning() {
            FragMeaning::MadeUp => None,
            FragMeaning::ActiveOverAllocated => {
                let active = self.fields.allocator_active?.cast_signed();
                Some(active.saturating_sub(self.fields.allocator_allocated?.cast_signed()))
            }
            FragMeaning::SmallBins => self.fields.allocator_frag_bytes.filter(|bytes| *bytes != 0),
        }
    }

    /// Whether this is such a Valkey, which cannot defragment either: live bytes
    /// and not one free region among them.
    #[must_use]
    pub fn counts_no_bins(&self) -> bool {
        let server = self.server.as_ref();
        server.is_some_and(|server| server.counts_own_bins_only())
            && self.meaning() == FragMeaning::SmallBins
            && self.fields.allocator_frag_bytes == Some(0)
            && self.fields.allocator_allocated.is_some()
    }

    /// resident / active: above 1 lie pages that jemalloc could give back.
    #[must_use]
    pub fn allocator_rss(&self) -> Option<f64> {
        let (_, active, resident) = self.allocator()?;
        checked(divide(resident, active), self.fields.allocator_rss_ratio)
    }

    /// RSS / resident: what the process holds outside of the allocator.
    #[must_use]
    pub fn rss_overhead(&self) -> Option<f64> {
        let (_, _, resident) = self.allocator()?;
        checked(
            divide(self.fields.used_memory_rss?, resident),
            self.fields.rss_overhead_ratio,
        )
    }

    /// jemalloc's allocated, active and resident bytes; `None` where the server
    /// makes them up.
    #[must_use]
    pub fn allocator(&self) -> Option<(u64, u64, u64)> {
        if self.meaning() == FragMeaning::MadeUp {
            return None;
        }
        let fields = &self.fields;
        Some((
            fields.allocator_allocated?,
            fields.allocator_active?,
            fields.allocator_resident?,
        ))
    }

    /// Used memory in percent of its peak. May pass 100 a little, since the
    /// peak is sampled.
    #[must_use]
    pub fn percent_of_peak(&self) -> Option<f64> {
        Some(100.0 * divide(self.fields.used_memory?, self.fields.used_memory_peak?))
    }

    /// Whether a child process saves, rewrites or exports. While one does,
    /// active defrag rests and memory figures are in motion.
    #[must_use]
    pub fn forking(&self) -> Option<bool> {
        let fields = &self.fields;
        let children = [
            fields.rdb_bgsave_in_progress,
            fields.aof_rewrite_in_progress,
            fields.module_fork_in_progress,
            fields.slot_migration_fork_in_progress,
        ];
        if children.contains(&Some(true)) {
            return Some(true);
        }
        children.iter().any(Option::is_some).then_some(false)
    }

    /// Whether it ever forks: does, did, or will to rewrite its AOF. What a copy on
    /// write could take is of no matter to others.
    #[must_use]
    pub fn forks(&self) -> bool {
        let fields = &self.fields;
        let counts = [
            fields.total_forks,
            fields.latest_fork_usec,
            fields.rdb_last_cow_size,
            fields.aof_last_cow_size,
        ];
        self.forking() == Some(true)
            || fields.aof_enabled == Some(true)
            || counts.into_iter().flatten().any(|count| count > 0)
    }

    /// Bytes that the running child has copied so far; `None` when none runs.
    #[must_use]
    pub fn copied_by_child(&self) -> Option<u64> {
        self.fields
            .current_cow_size
            .filter(|_| self.forking() == Some(true))
    }

    /// Whether a dataset is being loaded, in either way.
    #[must_use]
    pub fn loading(&self) -> Option<bool> {
        if self.fields.async_loading == Some(true) {
            return Some(true);
        }
        self.fields.loading
    }

    fn meaning(&self) -> FragMeaning {
        self.server
            .as_ref()
            .map_or(FragMeaning::MadeUp, |server| server.frag_meaning)
    }
}

/// The exact ratio where it agrees with the printed one, else the printed one:
/// its parts are the server's own.
fn checked(exact: f64, printed: Option<f64>) -> Option<f64> {
    match printed {
        Some(printed) if (exact - printed).abs() > PRINTED_TOLERANCE => Some(printed),
        _ => Some(exact).filter(|ratio| ratio.is_finite()),
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "sizes stay below 2^60 and ratios need six digits"
)]
fn divide(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[allow(
    clippy::cast_precision_loss,
    reason = "sizes stay below 2^60 and ratios need six digits"
)]
fn to_f64(bytes: i64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(text: &str) -> Sample {
        Sample::new(Duration::ZERO, &Info::parse(text.as_bytes()), None)
    }

    fn near(got: Option<f64>, want: f64) {
        let got = got.unwrap_or_else(|| panic!("no value where {want} was expected"));
        assert!((got - want).abs() < 1e-6, "{got} for {want}");
    }

    #[test]
    fn the_ratio_goes_by_the_used_memory_of_the_same_tick() {
        let text = "used_memory:957360\nused_memory_rss:4399104\nmem_fragmentation_ratio:0.01\n";
        let tick = format!("{text}mem_fragmentation_bytes:-417039504\n");
        near(sample(&tick).ratio(), 4_399_104.0 / 421_438_608.0);
        let wrapped = format!("{text}mem_fragmentation_bytes:18446744073292512112\n");
        near(sample(&wrapped).ratio(), 4_399_104.0 / 421_438_608.0);
    }

    /// 4.0 prints no bytes, and divides by the live figure itself.
    #[test]
    fn before_5_0_the_ratio_goes_by_the_live_figure() {
        let text = "used_memory:1000000\nused_memory_rss:2345678\nmem_fragmentation_ratio:2.35\n";
        near(sample(text).ratio(), 2.345_678);
        assert_eq!(sample(text).allocator(), None);
    }

    #[test]
    fn a_printed_ratio_that_disagrees_is_the_servers_own_word() {
        let text = "used_memory:1000000\nused_memory_rss:2000000\nmem_fragmentation_ratio:1.50\n";
        near(sample(text).ratio(), 1.5);
        assert_eq!(sample("used_memory:0\nused_memory_rss:9\n").ratio(), None);
    }

    const JEMALLOC: &str = "mem_allocator:jemalloc-5.3.0\nallocator_allocated:1000000\n\
                            allocator_active:1500000\nallocator_resident:1800000\n";

    #[test]
    fn allocator_frag_has_two_meanings() {
        near(sample(JEMALLOC).allocator_frag(), 1.5);
        assert_eq!(sample(JEMALLOC).frag_bytes(), Some(500_000));
        let small_bins = format!("{JEMALLOC}allocator_muzzy:0\nallocator_frag_bytes:40000\n");
        near(sample(&small_bins).allocator_frag(), 1.04);
        assert_eq!(sample(&small_bins).frag_bytes(), Some(40_000));
        near(sample(&small_bins).allocator_rss(), 1.2);
    }

    /// Valkey 8.1.1 and later on a system's jemalloc: the 0 is a constant.
    #[test]
    fn no_fragmentation_at_all_is_no_value() {
        let constant = "allocator_muzzy:0\nallocator_frag_ratio:1.00\nallocator_frag_bytes:0\n";
        let valkey = sample(&format!("{JEMALLOC}{constant}"));
        assert_eq!((valkey.allocator_frag(), valkey.frag_bytes()), (None, None));
        near(valkey.allocator_rss(), 1.2);
    }

    #[test]
    fn what_a_server_without_jemalloc_makes_up_is_not_believed() {
        let made_up = sample(&JEMALLOC.replace("jemalloc-5.3.0", "libc"));
        assert_eq!(made_up.allocator(), None);
        for ratio in [
            made_up.allocator_frag(),
            made_up.allocator_rss(),
            made_up.rss_overhead(),
        ] {
            assert_eq!(ratio, None);
        }
    }

    #[test]
    fn any_child_is_a_fork_and_no_word_of_children_is_no_word() {
        assert_eq!(sample("used_memory:1\n").forking(), None);
        let idle = "rdb_bgsave_in_progress:0\naof_rewrite_in_progress:0\ncurrent_cow_size:7\n";
        assert_eq!(sample(idle).forking(), Some(false));
        assert_eq!(sample(idle).copied_by_child(), None);
        let valkey = sample(&format!("{idle}slot_migration_fork_in_progress:1\n"));
        assert_eq!(
            (valkey.forking(), valkey.copied_by_child()),
            (Some(true), Some(7))
        );
        assert_eq!(sample("loading:0\nasync_loading:1\n").loading(), Some(true));
    }
}
