//! Samples that no server gave, but that one could have: their figures fit
//! together as the server's own do.

use std::time::Duration;

use redis_frag::model::derive::Derived;
use redis_frag::model::diagnosis::{Diagnosis, diagnose};
use redis_frag::model::history::History;
use redis_frag::model::host::{Host, View};
use redis_frag::model::info::Info;
use redis_frag::model::malloc_stats::Build;
use redis_frag::model::sample::Sample;
use redis_frag::model::thresholds::Thresholds;

pub(super) const MEGABYTE: i64 = 1_000_000;

/// Where the memory of an instance is, bytes.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    /// `redis_version`.
    pub(super) version: &'static str,
    /// `mem_allocator`.
    pub(super) allocator: &'static str,
    /// Whether it counts small bins, as from 7.4 on, and prints `allocator_muzzy`.
    pub(super) small_bins: bool,
    /// Used memory.
    pub(super) used: i64,
    /// allocated − used.
    pub(super) other: i64,
    /// active − allocated.
    pub(super) fragmented: i64,
    /// resident − active.
    pub(super) releasable: i64,
    /// RSS − resident.
    pub(super) process: i64,
    /// Lines of INFO beside these.
    pub(super) more: String,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            version: "8.2.3",
            allocator: "jemalloc-5.3.0",
            small_bins: true,
            used: 100 * MEGABYTE,
            other: MEGABYTE,
            fragmented: MEGABYTE,
            releasable: 3 * MEGABYTE,
            process: 4 * MEGABYTE,
            more: String::new(),
        }
    }
}

impl Memory {
    /// As the server prints it, two decimals and all.
    pub(super) fn info(&self) -> String {
        let allocated = self.used + self.other;
        let active = allocated + self.fragmented;
        let resident = active + self.releasable;
        let rss = resident + self.process;
        let ratio = |part: i64, whole: i64| {
            #[allow(clippy::cast_precision_loss, reason = "printed with two decimals")]
            let ratio = part as f64 / whole as f64;
            format!("{ratio:.2}")
        };
        let frag = if self.small_bins {
            ratio(allocated + self.fragmented, allocated)
        } else {
            ratio(active, allocated)
        };
        let muzzy = if self.small_bins {
            "allocator_muzzy:0\n"
        } else {
            ""
        };
        format!(
            "redis_version:{}\nuptime_in_seconds:5000\nused_memory:{}\nused_memory_rss:{rss}\n\
             used_memory_peak:{}\nmem_fragmentation_ratio:{}\nmem_fragmentation_bytes:{}\n\
             allocator_allocated:{allocated}\nallocator_active:{active}\n\
             allocator_resident:{resident}\nallocator_frag_ratio:{frag}\n\
             allocator_frag_bytes:{}\nallocator_rss_ratio:{}\nrss_overhead_ratio:{}\n\
             mem_allocator:{}\n{muzzy}{}",
            self.version,
            self.used,
            self.used * 3,
            ratio(rss, self.used),
            rss - self.used,
            self.fragmented,
            ratio(resident, active),
            ratio(rss, resident),
            self.allocator,
            self.more,
        )
    }
}

/// All that a diagnosis rests on, apart from INFO.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// What INFO says, in order, five minutes apart.
    pub(super) infos: Vec<String>,
    /// `activedefrag`.
    pub(super) enabled: Option<bool>,
    /// `active-defrag-ignore-bytes`.
    pub(super) ignore_bytes: Option<u64>,
    /// `active-defrag-threshold-lower`.
    pub(super) lower: Option<u32>,
    /// The quantum of MEMORY MALLOC-STATS.
    pub(super) quantum: Option<u32>,
    /// What the kernel says, at each answer.
    pub(super) hosts: Vec<Host>,
    /// The operator's own.
    pub(super) thresholds: Thresholds,
}

impl Case {
    /// One answer of a server with active defrag off and its own jemalloc.
    pub(super) fn of(info: impl Into<String>) -> Self {
        Self {
            infos: vec![info.into()],
            enabled: Some(false),
            ignore_bytes: None,
            lower: None,
            quantum: Some(8),
            hosts: Vec::new(),
            thresholds: Thresholds::default(),
        }
    }

    /// The diagnosis of the last answer.
    pub(super) fn diagnose(&self) -> Diagnosis {
        let mut history = History::default();
        let mut found = None;
        let mut hosts = self.hosts.iter();
        for (at, info) in (0..).step_by(300).zip(&self.infos) {
            let at = Duration::from_secs(at);
            let mut sample = Sample::new(at, &Info::parse(info.as_bytes()), None);
            sample.config.enabled = self.enabled;
            sample.config.ignore_bytes = self.ignore_bytes;
            sample.config.lower = self.lower;
            sample.build = self.quantum.map(|quantum| Build { quantum });
            if let Some(host) = hosts.next() {
                sample.host = View::Here(Box::new(host.clone()));
            }
            let derived = Derived::new(&sample, &self.thresholds, &mut history);
            let now = diagnose(&derived);
            super::holds_together(&derived, &now);
            found = Some(now);
        }
        found.unwrap()
    }
}
