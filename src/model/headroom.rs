//! How far an instance is from the memory that would kill it: RSS and
//! copy-on-write against the effective limit.
//!
//! Knows which limit counts for what: cgroup and machine for all that is charged,
//! `maxmemory` for the data alone. Must not judge, nor fetch anything.

use std::sync::Arc;

use super::host::Cgroup;
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
    /// Bytes that a child would copy if every page changed while it runs.
    pub copy_bound: u64,
    /// Bytes that the running child and the last ones have copied: what is usual.
    pub copy_usual: Option<u64>,
    /// RSS when the data reaches `maxmemory`, bytes: an estimate.
    pub rss_at_maxmemory: Option<u64>,
    /// How full the fullest of its cgroups is, page cache left out, percent.
    pub cgroup_used: Option<f64>,
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
            rss_at_maxmemory: rss_at_maxmemory(sample, rss),
            cgroup_used: cgroup_used(sample),
        })
    }

    /// What is taken of the limit now, percent: by RSS and copies, or in its cgroup by
    /// whoever is in it.
    #[must_use]
    pub fn now(&self) -> f64 {
        let own = self.own();
        self.cgroup_used.map_or(own, |used| used.max(own))
    }

    /// What RSS and copies take of it, percent.
    #[must_use]
    pub fn own(&self) -> f64 {
        percent(self.rss.saturating_add(self.cow), self.limit)
    }

    /// What would be taken of it if a child copied all that it can, percent.
    #[must_use]
    pub fn worst_case(&self) -> f64 {
        percent(self.rss.saturating_add(self.copy_bound), self.limit)
    }
}

/// The least limit that kills. Where the cgroups cannot be seen the machine's memory is
/// no more than what the server itself sees: one of them may allow less.
fn limit(sample: &Sample) -> Option<(u64, LimitedBy)> {
    let host = sample.host.host();
    let total = host.and_then(|host| host.machine.total);
    let told = sample.fields.total_system_memory;
    let Some(groups) = cgroups(sample) else {
        return Some((told.or(total)?, LimitedBy::ServersView));
    };
    let machine = total.map(|total| (total, LimitedBy::Machine));
    let machine = machine.or(told.map(|told| (told, LimitedBy::ServersView)));
    let groups = groups.iter().map(|group| (group.limit, by(group)));
    // Of equal ones the machine's is named: a cgroup as large limits nothing.
    machine
        .into_iter()
        .chain(groups)
        .min_by_key(|(limit, _)| *limit)
}

/// The cgroups with a limit; `None` where that is not known.
fn cgroups(sample: &Sample) -> Option<&[Cgroup]> {
    sample.host.host()?.cgroups.as_deref()
}

fn by(group: &Cgroup) -> LimitedBy {
    LimitedBy::Cgroup(Arc::clone(&group.path))
}

/// What the fullest of the cgroups leaves, whoever fills it.
fn cgroup_room(sample: &Sample) -> Option<(u64, LimitedBy)> {
    let room = |group: &Cgroup| Some((group.free()?, by(group)));
    let rooms = cgroups(sample)?.iter().filter_map(room);
    rooms.min_by_key(|(free, _)| *free)
}

/// How full the fullest of the cgroups is, percent: at its limit the kernel kills,
/// whoever filled it, and the largest first.
fn cgroup_used(sample: &Sample) -> Option<f64> {
    let used = |group: &Cgroup| {
        let free = group.free()?;
        Some(percent(group.limit.saturating_sub(free), group.limit))
    };
    cgroups(sample)?.iter().filter_map(used).reduce(f64::max)
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
/// holes and all; free pages that the allocator keeps are shared too, and copied when
/// new data lands in them. So it is what the allocator has resident that bounds the
/// copies, and not the data: 2.8 times the data were copied of servers with 70% of it
/// deleted (6.2.5, 7.0.15, 8.2.3, tests/machine). Where no allocator tells, it is RSS.
fn copy_bound(sample: &Sample, rss: u64) -> u64 {
    let swapped = sample.host.host().and_then(|host| host.process.swap);
    let there = rss.saturating_add(swapped.unwrap_or(0));
    let allocated = sample.allocator().map(|(_, _, resident)| resident);
    allocated.map_or(there, |resident| resident.min(there))
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

/// The data times what its pages are of it now, and what lies outside of the allocator.
/// An instance that holds little of what it may is not judged by its holes: they are
/// filled first, and pages kept from a past peak do not grow with the data.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate of a positive size far below 2^60"
)]
fn rss_at_maxmemory(sample: &Sample, rss: u64) -> Option<u64> {
    let maxmemory = sample.fields.maxmemory?;
    let used = sample.fields.used_memory?;
    let (density, outside) = match sample.allocator() {
        Some((allocated, active, resident)) if allocated > 0 => {
            let outside = rss.saturating_sub(resident);
            (active as f64 / allocated as f64, outside)
        }
        _ => (1.0, 0),
    };
    let density = if used > maxmemory / 2 {
        density.max(1.0)
    } else {
        1.0
    };
    let grown = maxmemory as f64 * density;
    (grown < 1e18).then(|| rss.max((grown as u64).saturating_add(outside)))
}

#[allow(clippy::cast_precision_loss, reason = "a percentage needs few digits")]
fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::host::{Host, Machine, View};
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
            cgroups: Some(groups.iter().map(group).collect()),
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
        assert_eq!(
            headroom.rss_at_maxmemory,
            Some(400_000_000),
            "no allocator tells"
        );
    }

    /// Whoever is in the cgroup, the kernel kills at its limit.
    #[test]
    fn others_in_the_cgroup_count() {
        let shared = here(USED, &[("/a", GIB, GIB - GIB / 16)], 8 * GIB, 7 * GIB);
        let headroom = Headroom::of(&shared).unwrap();
        assert!(
            headroom.own() < 40.0 && headroom.now() > 93.0,
            "{}",
            headroom.now()
        );
        let mut hidden = here(USED, &[], 8 * GIB, 7 * GIB);
        if let View::Here(host) = &mut hidden.host {
            host.cgroups = None;
        }
        let headroom = Headroom::of(&hidden).unwrap();
        assert_eq!(
            headroom.limited_by,
            LimitedBy::ServersView,
            "one may allow less"
        );
    }

    /// Holes and kept pages are not the data's: they do not grow with it.
    #[test]
    fn what_maxmemory_would_take_is_judged_by_the_pages_of_the_data() {
        let fragmented = "redis_version:7.0.0\nused_memory:60000000\nused_memory_rss:180000000\n\
            total_system_memory:8589934592\nmem_fragmentation_ratio:3.00\n\
            mem_allocator:jemalloc-5.2.1\nallocator_allocated:61000000\n\
            allocator_active:170000000\nallocator_resident:176000000\n";
        let at = |maxmemory: u64| {
            let text = format!("{fragmented}maxmemory:{maxmemory}\n");
            Headroom::of(&sample(&text))
                .unwrap()
                .rss_at_maxmemory
                .unwrap()
        };
        assert_eq!(at(3_000_000_000), 3_004_000_000);
        let full = at(100_000_000);
        assert!((282_000_000..284_000_000).contains(&full), "{full}");
    }

    #[test]
    fn copies_are_beside_the_rss_and_bounded_by_what_the_allocator_has() {
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
            (390_000_000, None)
        );
    }
}
