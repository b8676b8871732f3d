//! One moment of one instance, and the ratios that follow from it alone.
//!
//! Knows which of the server's numbers belong together. Must not know other
//! moments (that is `history.rs`) nor where a sample came from.

use std::sync::Arc;
use std::time::Duration;

use super::defrag::DefragConfig;
use super::info::{Fields, Info};
use super::malloc_stats::Build;
use super::server::{FragMeaning, Server};

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
        Self {
            at,
            server: Some(server),
            fields: info.fields,
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
        match self.fields.mem_fragmentation_bytes {
            Some(bytes) => u64::try_from(rss - bytes).ok().filter(|used| *used > 0),
            None => self.fields.used_memory.filter(|used| *used > 0),
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
                Some(active - self.fields.allocator_allocated?.cast_signed())
            }
            FragMeaning::SmallBins => self.fields.allocator_frag_bytes.filter(|bytes| *bytes != 0),
        }
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
