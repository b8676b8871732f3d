//! How far an instance is from the memory that would kill it: RSS and
//! copy-on-write against the effective limit.
//!
//! Knows which limit counts for what: cgroup and machine for all that is charged,
//! `maxmemory` for the data alone. Must not judge, nor fetch anything.

use std::sync::Arc;

use super::host::{Cgroup, View};
use super::sample::Sample;

/// Who sets a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitedBy {
    /// A cgroup: its path.
    Cgroup(Arc<str>),
    /// The memory of the machine.
    Machine,
    /// `total_system_memory` of INFO: the machine's as the server sees it, whatever
    /// a cgroup allows (zmalloc.c `zmalloc_get_memory_size`).
    ServersView,
    /// `maxmemory`: there the server evicts or refuses writes, and nobody is killed.
    Maxmemory,
}

impl LimitedBy {
    /// Name in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cgroup(_) => "cgroup",
            Self::Machine => "machine",
            Self::ServersView => "total_system_memory",
            Self::Maxmemory => "maxmemory",
        }
    }
}

/// RSS and copy-on-write of one moment against the limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Headroom {
    /// What the memory of the process may not pass: the least of the limits that
    /// kill, bytes.
    pub limit: u64,
    /// Whose limit that is.
    pub limited_by: LimitedBy,
    /// Resident bytes of the process.
    pub rss: u64,
    /// Bytes that a running child holds beside it, as copies made on write. They
    /// are charged to the cgroup and the machine, not to the parent's RSS.
    pub cow: u64,
    /// Bytes until the first limit, that of the data included.
    pub free: u64,
    /// Whose limit is met first.
    pub first_met: LimitedBy,
    /// Bytes that a child would copy if every page with data changed while it runs.
    pub copy_bound: u64,
    /// Bytes that the running child and the last ones have copied: what is usual.
    pub copy_usual: Option<u64>,
    /// RSS when the data reaches `maxmemory`, at the ratio of now, bytes.
    pub rss_at_maxmemory: Option<u64>,
}

impl Headroom {
    /// Works it out. `None` where no limit is known, or no RSS.
    #[must_use]
    pub fn of(sample: &Sample) -> Option<Self> {
        let fields = &sample.fields;
        let rss = fields.used_memory_rss?;
        let cow = sample.copied_by_child().unwrap_or(0);
        let (limit, limited_by) = limit(sample)?;
        let rooms = [
            Some((
                limit.saturating_sub(rss.saturating_add(cow)),
                limited_by.clone(),
            )),
            cgroup_room(sample),
            machine_room(sample),
            data_room(sample),
        ];
        let (free, first_met) = rooms.into_iter().flatten().min_by_key(|(free, _)| *free)?;
        Some(Self {
            limit,
            limited_by,
            rss,
            cow,
            free,
            first_met,
            copy_bound: copy_bound(sample, rss),
            copy_usual: copy_usual(sample),
            rss_at_maxmemory: rss_at_maxmemory(sample),
        })
    }

    /// What is taken of the limit now, percent.
    #[must_use]
    pub fn now(&self) -> f64 {
        percent(self.rss.saturating_add(self.cow), self.limit)
    }

    /// What would be taken of it if a child copied all that it can, percent.
    #[must_use]
    pub fn worst_case(&self) -> f64 {
        percent(self.rss.saturating_add(self.copy_bound), self.limit)
    }
}

/// The least limit that kills.
fn limit(sample: &Sample) -> Option<(u64, LimitedBy)> {
    let machine = match &sample.host {
        View::Here(host) => host.machine.total.map(|total| (total, LimitedBy::Machine)),
        View::Elsewhere | View::Unsure(_) => None,
    };
    let told = sample.fields.total_system_memory;
    let machine = machine.or(told.map(|total| (total, LimitedBy::ServersView)));
    let host = sample.host.host();
    let cgroups = host.iter().flat_map(|host| &host.cgroups);
    let cgroups = cgroups.map(|group| (group.limit, LimitedBy::Cgroup(Arc::clone(&group.path))));
    // Of equal ones the machine's is named: a cgroup as large limits nothing.
    machine
        .into_iter()
        .chain(cgroups)
        .min_by_key(|(limit, _)| *limit)
}

/// What the fullest of the cgroups leaves, whoever fills it.
fn cgroup_room(sample: &Sample) -> Option<(u64, LimitedBy)> {
    let groups = &sample.host.host()?.cgroups;
    let room = |group: &Cgroup| Some((group.free()?, LimitedBy::Cgroup(Arc::clone(&group.path))));
    groups.iter().filter_map(room).min_by_key(|(free, _)| *free)
}

fn machine_room(sample: &Sample) -> Option<(u64, LimitedBy)> {
    let available = sample.host.host()?.machine.available?;
    Some((available, LimitedBy::Machine))
}

/// Eviction compares used memory, less what it does not count, with `maxmemory`
/// (evict.c `getMaxmemoryState`).
fn data_room(sample: &Sample) -> Option<(u64, LimitedBy)> {
    let fields = &sample.fields;
    let not_counted = fields.mem_not_counted_for_evict.unwrap_or(0);
    let counted = fields.used_memory?.saturating_sub(not_counted);
    let free = fields.maxmemory?.saturating_sub(counted);
    Some((free, LimitedBy::Maxmemory))
}

/// A child shares every page with its parent, and one that changes is copied whole,
/// holes and all: so it is the pages with data that bound the copies, and not the
/// data. Where no allocator tells these it is all that is resident.
fn copy_bound(sample: &Sample, rss: u64) -> u64 {
    let swapped = sample.host.host().and_then(|host| host.process.swap);
    let there = rss.saturating_add(swapped.unwrap_or(0));
    let active = sample.allocator().map(|(_, active, _)| active);
    active.map_or(there, |active| active.min(there))
}

fn copy_usual(sample: &Sample) -> Option<u64> {
    let last = [
        sample.copied_by_child(),
        sample.fields.rdb_last_cow_size,
        sample.fields.aof_last_cow_size,
    ];
    // 0 is what a server prints that has not saved yet.
    last.into_iter()
        .flatten()
        .max()
        .filter(|copied| *copied > 0)
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate of a positive size far below 2^60"
)]
fn rss_at_maxmemory(sample: &Sample) -> Option<u64> {
    let maxmemory = sample.fields.maxmemory?;
    let ratio = sample.ratio().filter(|ratio| *ratio >= 1.0)?;
    let rss = maxmemory as f64 * ratio;
    (rss < 1e18).then_some(rss as u64)
}

#[allow(clippy::cast_precision_loss, reason = "a percentage needs few digits")]
fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::host::{Host, Machine};
    use super::super::info::Info;
    use super::*;

    const GIB: u64 = 1 << 30;

    fn sample(text: &str) -> Sample {
        Sample::new(Duration::ZERO, &Info::parse(text.as_bytes()), None)
    }

    fn here(text: &str, groups: &[(&str, u64, u64)], total: u64, available: u64) -> Sample {
        let group = |(path, limit, used): &(&str, u64, u64)| Cgroup {
            path: (*path).into(),
            limit: *limit,
            used: Some(*used),
            cache: Some(0),
            swap: None,
        };
        let machine = Machine {
            total: Some(total),
            available: Some(available),
            ..Machine::default()
        };
        let host = Host {
            cgroups: groups.iter().map(group).collect(),
            machine,
            ..Host::default()
        };
        Sample {
            host: View::Here(Box::new(host)),
            ..sample(text)
        }
    }

    const USED: &str = "redis_version:7.0.0\nused_memory:300000000\nused_memory_rss:400000000\n\
                        total_system_memory:8589934592\nmem_fragmentation_ratio:1.33\n";

    #[test]
    fn the_least_of_cgroups_and_machine_is_the_limit() {
        let both = [("/a/b", 2 * GIB, GIB), ("/a", GIB, GIB / 2)];
        let headroom = Headroom::of(&here(USED, &both, 8 * GIB, 7 * GIB)).unwrap();
        assert_eq!(headroom.limit, GIB);
        assert_eq!(headroom.limited_by, LimitedBy::Cgroup("/a".into()));
        assert_eq!(
            (headroom.free, headroom.first_met),
            (GIB / 2, LimitedBy::Cgroup("/a".into()))
        );
        let none = Headroom::of(&here(USED, &[], 8 * GIB, GIB / 4)).unwrap();
        assert_eq!((none.limit, none.limited_by), (8 * GIB, LimitedBy::Machine));
        assert_eq!((none.free, none.first_met), (GIB / 4, LimitedBy::Machine));
        let wide = Headroom::of(&here(USED, &[("/a", 9 * GIB, 0)], 8 * GIB, GIB)).unwrap();
        assert_eq!(wide.limited_by, LimitedBy::Machine);
    }

    #[test]
    fn from_afar_it_is_the_machine_as_the_server_sees_it() {
        let headroom = Headroom::of(&sample(USED)).unwrap();
        assert_eq!(
            (headroom.limit, headroom.limited_by),
            (8 * GIB, LimitedBy::ServersView)
        );
        assert_eq!(headroom.free, 8 * GIB - 400_000_000);
        let unlimited = USED.replace("total_system_memory", "x");
        assert_eq!(Headroom::of(&sample(&unlimited)), None);
    }

    /// A cache that is full has no room, and nothing to fear.
    #[test]
    fn maxmemory_ends_the_room_of_the_data_and_kills_nobody() {
        let full = format!("{USED}maxmemory:310000000\nmem_not_counted_for_evict:5000000\n");
        let headroom = Headroom::of(&sample(&full)).unwrap();
        assert_eq!(
            (headroom.free, headroom.first_met.clone()),
            (15_000_000, LimitedBy::Maxmemory)
        );
        assert!(headroom.now() < 5.0, "{}", headroom.now());
        assert_eq!(headroom.rss_at_maxmemory, Some(413_333_333));
    }

    #[test]
    fn copies_are_beside_the_rss_and_bounded_by_the_pages_with_data() {
        let child = format!(
            "{USED}rdb_bgsave_in_progress:1\ncurrent_cow_size:50000000\nrdb_last_cow_size:70000000\n"
        );
        let headroom = Headroom::of(&here(&child, &[("/a", 500_000_000, 0)], GIB, GIB)).unwrap();
        assert_eq!(
            (headroom.cow, headroom.copy_usual),
            (50_000_000, Some(70_000_000))
        );
        assert!((headroom.now() - 90.0).abs() < 1e-9, "{}", headroom.now());
        assert_eq!(
            headroom.copy_bound, 400_000_000,
            "no allocator tells: all of it"
        );
        assert!((headroom.worst_case() - 160.0).abs() < 1e-9);
        let jemalloc = format!(
            "{USED}mem_allocator:jemalloc-5.2.1\nallocator_allocated:301000000\n\
             allocator_active:320000000\nallocator_resident:390000000\n"
        );
        let headroom = Headroom::of(&sample(&jemalloc)).unwrap();
        assert_eq!(
            (headroom.copy_bound, headroom.copy_usual),
            (320_000_000, None)
        );
    }
}
