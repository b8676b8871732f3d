//! What threatens an instance beside its waste: its limit of memory, a fork that
//! does not fit, the kernel's settings. One table.
//!
//! A verdict says where the memory went; a risk holds beside any verdict. Must not
//! fetch anything, nor know how a risk is shown.

use super::advice::{Action, Advice};
use super::derive::Derived;
use super::facts::{is_large, signed};
use super::headroom::{Headroom, LimitedBy};
use super::host::{HugePageState, Machine, Overcommit};
use super::text::bytes;
use super::verdict::Severity;

/// Percent of the limit from which on an instance is near it, and very near.
const NEAR: f64 = 80.0;
const VERY_NEAR: f64 = 90.0;

/// From this kernel on, `overcommit_memory` 0 refuses only what is larger than all
/// RAM and swap together (mm/util.c `__vm_enough_memory`, since 5.2); before, what is
/// larger than what is free.
const LENIENT_SINCE: (u16, u16) = (5, 2);

/// A risk that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Risk {
    /// Name in JSON.
    pub name: &'static str,
    /// How bad it is; [`Severity::Fine`] is worth telling and no more.
    pub severity: Severity,
    /// What it is, in a few words.
    pub short: &'static str,
    /// The figures behind it.
    pub why: String,
}

struct Row {
    name: &'static str,
    short: &'static str,
    /// Whether it holds, and how bad it is then.
    holds: fn(&Derived<'_>) -> Option<Severity>,
    why: fn(&Derived<'_>) -> String,
    remedy: fn(&Derived<'_>) -> Option<Advice>,
}

/// All risks, the nearest death first.
const RISKS: &[Row] = &[
    Row {
        name: "oom_killed",
        short: "the kernel has killed for want of memory",
        holds: |d| match d.rates.oom_killed {
            Some(_) => Some(Severity::Critical),
            None => (d.sample.host.host()?.oom_kills? > 0).then_some(Severity::Fine),
        },
        why: |d| match (d.rates.oom_killed, d.sample.host.host()) {
            (Some(kills), _) => format!(
                "the kernel has killed {kills} processes for want of memory within the last hour, in \
                 its cgroup or with it: a child that saved, the server itself, or a neighbour; \
                 rdb_last_bgsave_status and the kernel's log tell which"
            ),
            (None, host) => format!(
                "since its cgroup was made the kernel has killed {} of its processes for want of \
                 memory",
                host.and_then(|host| host.oom_kills).unwrap_or(0)
            ),
        },
        remedy: |_| None,
    },
    Row {
        name: "near_limit",
        short: "its memory is near the limit",
        holds: |d| {
            let now = d.headroom.as_ref()?.now();
            let rss = d.sample.fields.used_memory_rss?;
            match now {
                _ if rss < d.thresholds.min_used_memory => None,
                now if now > VERY_NEAR => Some(Severity::Critical),
                now if now > NEAR => Some(Severity::Warning),
                _ => None,
            }
        },
        why: |d| {
            headroom(d, |room| {
                let own = format!(
                    "{} of {} are taken by it, {:.0}%",
                    size(room.rss.saturating_add(room.cow)),
                    size(room.limit),
                    room.own()
                );
                let all = match room.cgroup_used {
                    Some(used) if used > room.own() => {
                        format!(", and its fullest cgroup is full to {used:.0}%")
                    }
                    _ => String::new(),
                };
                format!("{own}{all}; {}", whose(&room.limited_by))
            })
        },
        remedy: |d| {
            let room = d.headroom.as_ref()?;
            let why = format!("{} are left until the first limit", size(room.free));
            let caution = "raise the limit, bring back what is wasted, or keep less data: a lower \
                           maxmemory with an eviction policy";
            Some(Advice::by_hand(Action::MakeRoom, why, caution))
        },
    },
    Row {
        name: "fork_exceeds_limit",
        short: "a save may not fit into the limit",
        holds: |d| {
            let worst = d.headroom.as_ref()?.worst_case();
            (d.sample.forks() && is_large(d) && worst > 100.0).then_some(Severity::Warning)
        },
        why: |d| {
            headroom(d, |room| {
                let usual = match room.copy_usual {
                    Some(usual) => format!("the last copied up to {}", size(usual)),
                    None => "how much is usual is not known yet".to_owned(),
                };
                format!(
                    "a child that saves while every page changes copies {} beside {} \
                     resident: {:.0}% of {}; {usual}",
                    size(room.copy_bound),
                    size(room.rss),
                    room.worst_case(),
                    size(room.limit)
                )
            })
        },
        remedy: |_| {
            let why = "the child's copies are charged to the same limit".to_owned();
            let caution = "save when little is written, save on a replica, or leave room for twice \
                           the pages with data";
            Some(Advice::by_hand(Action::MakeForkRoom, why, caution))
        },
    },
    Row {
        name: "maxmemory_above_limit",
        short: "maxmemory is more than fits",
        holds: |d| {
            let room = d.headroom.as_ref()?;
            (is_large(d) && room.rss_at_maxmemory? > room.limit).then_some(Severity::Warning)
        },
        why: |d| {
            headroom(d, |room| {
                format!(
                    "with data up to maxmemory, {}, it would be about {} resident, more than {}: \
                     killed before it evicts",
                    size(d.sample.fields.maxmemory.unwrap_or(0)),
                    size(room.rss_at_maxmemory.unwrap_or(0)),
                    size(room.limit)
                )
            })
        },
        remedy: lower_maxmemory,
    },
    Row {
        name: "fork_refused",
        short: "the kernel may refuse a fork",
        holds: |d| {
            let machine = d.sample.host.host()?.machine;
            let rss = d.sample.fields.used_memory_rss?;
            let refused = match machine.overcommit? {
                Overcommit::Always => return None,
                Overcommit::Never => machine.committed?.checked_add(rss)? > machine.commit_limit?,
                Overcommit::Heuristic => rss > free_and_swap(&machine)?,
            };
            (refused && is_large(d)).then_some(match d.sample.forks() && !is_lenient(&machine) {
                true => Severity::Warning,
                false => Severity::Fine,
            })
        },
        why: |d| {
            let machine = d.sample.host.host().map(|host| host.machine);
            let machine = machine.unwrap_or_default();
            let rss = size(d.sample.fields.used_memory_rss.unwrap_or(0));
            match machine.overcommit {
                Some(Overcommit::Never) => format!(
                    "vm.overcommit_memory is 2, and of {} that may be promised {} are: a fork of \
                     {rss} is refused, and no save succeeds",
                    size(machine.commit_limit.unwrap_or(0)),
                    size(machine.committed.unwrap_or(0))
                ),
                _ => format!(
                    "vm.overcommit_memory is 0, and {rss} resident are more than the {} that are \
                     free: before Linux 5.2 the kernel refuses the fork of a save, later ones \
                     allow it and may kill",
                    size(free_and_swap(&machine).unwrap_or(0))
                ),
            }
        },
        remedy: overcommit,
    },
    Row {
        name: "huge_pages",
        short: "huge pages are on",
        holds: |d| {
            let always = huge_pages(d) == Some(HugePageState::Always);
            (always && is_large(d)).then_some(Severity::Fine)
        },
        why: |d| {
            let held = d.sample.host.host().and_then(|host| host.process.huge);
            let held = held.map(|held| format!("; {} are in huge pages now", size(held)));
            let waits = d
                .sample
                .host
                .host()
                .and_then(|host| host.machine.huge_pages_wait);
            let waits = match waits {
                Some(true) => "; page faults wait while memory is compacted for them (defrag)",
                _ => "",
            };
            format!(
                "transparent huge pages are on for this process: a write during a save copies 2 MiB \
                 instead of 4 KiB, and a freed page goes back only when its whole huge page is \
                 free{waits}{}",
                held.unwrap_or_default()
            )
        },
        remedy: |_| {
            let mut advice = Advice::by_hand(
                Action::DisableHugePages,
                "copies on write become small again".to_owned(),
                "for the whole machine, until a reboot; pages that are huge already stay so until \
                 the server restarts. Redis 6.2 and later switch them off for themselves at the \
                 start",
            );
            let command = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";
            advice.command = Some(command.to_owned());
            Some(advice)
        },
    },
];

/// Names of all risks, the nearest death first.
pub fn names() -> impl Iterator<Item = &'static str> {
    RISKS.iter().map(|row| row.name)
}

/// The risks that hold, the nearest death first.
pub(super) fn of(derived: &Derived<'_>) -> Vec<Risk> {
    let told = |(row, severity): (&Row, Severity)| Risk {
        name: row.name,
        severity,
        short: row.short,
        why: (row.why)(derived),
    };
    holding(derived).map(told).collect()
}

/// What to do about them, and how bad each is.
pub(super) fn remedies<'a>(
    derived: &'a Derived<'_>,
) -> impl Iterator<Item = (Severity, Advice)> + 'a {
    holding(derived).filter_map(|(row, severity)| Some((severity, (row.remedy)(derived)?)))
}

fn holding<'a>(derived: &'a Derived<'_>) -> impl Iterator<Item = (&'static Row, Severity)> + 'a {
    let holds = |row: &'static Row| Some((row, (row.holds)(derived)?));
    RISKS.iter().filter_map(holds)
}

/// What huge pages are to the process.
pub(super) fn huge_pages(derived: &Derived<'_>) -> Option<HugePageState> {
    let server = derived.sample.server.as_ref()?;
    let host = derived.sample.host.host()?;
    host.huge_pages(server.switches_huge_pages_off())
}

/// A machine that never promises too much does so by somebody's wish.
fn overcommit(derived: &Derived<'_>) -> Option<Advice> {
    let machine = derived.sample.host.host()?.machine;
    let why = "a fork is promised a copy of everything and takes little of it".to_owned();
    if machine.overcommit == Some(Overcommit::Never) {
        let caution = "vm.overcommit_memory is 2 by somebody's wish: add swap or raise \
                       vm.overcommit_ratio, so that a fork of this size can be promised";
        return Some(Advice::by_hand(Action::SetOvercommit, why, caution));
    }
    if is_lenient(&machine) {
        return None;
    }
    let caution = "for the whole machine, until a reboot: keep it in /etc/sysctl.d";
    let mut advice = Advice::by_hand(Action::SetOvercommit, why, caution);
    advice.command = Some("sysctl -w vm.overcommit_memory=1".to_owned());
    Some(advice)
}

/// Whether this kernel promises a fork all but the impossible.
fn is_lenient(machine: &Machine) -> bool {
    machine.overcommit == Some(Overcommit::Heuristic)
        && machine.kernel.is_some_and(|kernel| kernel >= LENIENT_SINCE)
}

/// The largest `maxmemory` that leaves a tenth of the limit.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a proposal in whole megabytes"
)]
fn lower_maxmemory(derived: &Derived<'_>) -> Option<Advice> {
    let room = derived.headroom.as_ref()?;
    let maxmemory = derived.sample.fields.maxmemory?;
    let grown = room.rss_at_maxmemory? as f64 / maxmemory as f64;
    let fits = (room.limit as f64 * 0.9 / grown) as u64 >> 20;
    let why = format!("about {fits} MiB of data fit into nine tenths of the limit");
    let caution = "evicts at once down to it, or refuses writes where the policy is noeviction; \
                   rather bring the ratio down first, or raise the limit";
    let command = format!("CONFIG SET maxmemory {fits}mb");
    Some(Advice::new(
        Action::LowerMaxmemory,
        Some(&command),
        why,
        caution,
    ))
}

fn free_and_swap(machine: &Machine) -> Option<u64> {
    machine
        .available?
        .checked_add(machine.swap_free.unwrap_or(0))
}

fn headroom(derived: &Derived<'_>, told: impl Fn(&Headroom) -> String) -> String {
    derived.headroom.as_ref().map_or_else(String::new, told)
}

/// Whose limit it is, in words.
#[must_use]
pub fn whose(limited_by: &LimitedBy) -> String {
    match limited_by {
        LimitedBy::Cgroup(path) => format!("the limit is that of the cgroup {path}"),
        LimitedBy::Machine => "the limit is the machine's memory".to_owned(),
        LimitedBy::ServersView => "the limit is the machine's memory as the server sees it; a \
                                   container may allow less"
            .to_owned(),
        LimitedBy::Maxmemory => "the limit is maxmemory".to_owned(),
    }
}

fn size(size: u64) -> String {
    bytes(signed(size))
}
