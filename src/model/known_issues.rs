//! Versions whose active defrag has a known defect, as one table.
//!
//! Every row was checked against the server's source, release notes or threads
//! named in `source`; `fixed` is the first version without it. Must not advise:
//! that is `advice.rs`.

use super::defrag::State;
use super::derive::Derived;
use super::server::{Flavour, Server, Version};

/// Keys with a time to live from which on they are many: at one step of the
/// expires table a tick, a scan of this many takes minutes.
const MANY_VOLATILE_KEYS: u64 = 1000;

/// What a defect does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The server may crash or corrupt its data.
    Crash,
    /// Active defrag makes no or too little progress.
    Stall,
    /// Something else goes wrong beside active defrag.
    Side,
    /// Figures of INFO are wrong; redis-frag knows and drops them.
    Figures,
}

/// What must hold beside the version for a defect to strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Active defrag is switched on.
    Defrag,
    /// And many keys have a time to live.
    ManyVolatileKeys,
    /// And its lower and upper thresholds are equal.
    EqualThresholds,
}

/// One known defect.
#[derive(Debug, Clone, Copy)]
pub struct KnownIssue {
    /// Short name.
    pub id: &'static str,
    /// Whose versions these are.
    pub flavour: Flavour,
    /// First version with it.
    pub since: Version,
    /// First version without it; `None` while none is known.
    pub fixed: Option<Version>,
    /// What it does, in a word.
    pub kind: Kind,
    /// When it strikes.
    pub condition: Condition,
    /// What it does.
    pub effect: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
    /// Where this is known from.
    pub source: &'static str,
}

const fn v(major: u16, minor: u16, patch: u16) -> Version {
    Version::new(major, minor, patch)
}

/// All known defects, oldest first, Redis before Valkey.
pub const KNOWN_ISSUES: &[KnownIssue] = &[
    KnownIssue {
        id: "big-keys-at-once",
        flavour: Flavour::Redis,
        since: v(4, 0, 0),
        fixed: Some(v(5, 0, 0)),
        kind: Kind::Side,
        condition: Condition::Defrag,
        effect: "a big key is defragmented in one go, which stalls the server; streams are not defragmented",
        remedy: "upgrade to 5.0 or later",
        source: "Redis 5.0 release notes, redis#4691",
    },
    KnownIssue {
        id: "effort-stuck",
        flavour: Flavour::Redis,
        since: v(4, 0, 0),
        fixed: Some(v(6, 0, 0)),
        kind: Kind::Figures,
        condition: Condition::Defrag,
        effect: "active_defrag_running stays up when active defrag is switched off in the middle of a cycle",
        remedy: "upgrade to 6.0 or later",
        source: "redis#6559",
    },
    KnownIssue {
        id: "wrong-hash",
        flavour: Flavour::Redis,
        since: v(5, 0, 0),
        fixed: Some(v(5, 0, 5)),
        kind: Kind::Crash,
        condition: Condition::Defrag,
        effect: "active defrag looks keys up by a wrong hash",
        remedy: "upgrade to 5.0.5 or later",
        source: "Redis 5.0.5 release notes",
    },
    KnownIssue {
        id: "script-access-5.0",
        flavour: Flavour::Redis,
        since: v(5, 0, 0),
        fixed: Some(v(5, 0, 10)),
        kind: Kind::Crash,
        condition: Condition::Defrag,
        effect: "invalid memory access while defragmenting cached scripts",
        remedy: "upgrade to 5.0.10 or later",
        source: "redis#7492",
    },
    KnownIssue {
        id: "stagnation",
        flavour: Flavour::Redis,
        since: v(6, 0, 0),
        fixed: Some(v(6, 0, 4)),
        kind: Kind::Stall,
        condition: Condition::Defrag,
        effect: "active defrag can stagnate: it burns CPU and moves nothing",
        remedy: "upgrade to 6.0.4 or later",
        source: "Redis 6.0.4 release notes",
    },
    KnownIssue {
        id: "script-access-6.0",
        flavour: Flavour::Redis,
        since: v(6, 0, 0),
        fixed: Some(v(6, 0, 6)),
        kind: Kind::Crash,
        condition: Condition::Defrag,
        effect: "invalid memory access while defragmenting cached scripts",
        remedy: "upgrade to 6.0.6 or later",
        source: "redis#7492",
    },
    KnownIssue {
        id: "module-leak",
        flavour: Flavour::Redis,
        since: v(6, 2, 0),
        fixed: Some(v(6, 2, 3)),
        kind: Kind::Side,
        condition: Condition::Defrag,
        effect: "defragmenting the globals of modules leaks memory",
        remedy: "upgrade to 6.2.3 or later",
        source: "redis#8853",
    },
    KnownIssue {
        id: "flushdb-crash-7.2",
        flavour: Flavour::Redis,
        since: v(7, 2, 0),
        fixed: Some(v(7, 2, 6)),
        kind: Kind::Crash,
        condition: Condition::Defrag,
        effect: "crash after FLUSHDB ASYNC in a cluster, or after switching active defrag off and on",
        remedy: "upgrade to 7.2.11 or later",
        source: "redis#13205, redis#13307, fixed by redis#13315",
    },
    KnownIssue {
        id: "expires-stall-7.2",
        flavour: Flavour::Redis,
        since: v(7, 2, 0),
        fixed: Some(v(7, 2, 11)),
        kind: Kind::Stall,
        condition: Condition::ManyVolatileKeys,
        effect: "with many keys that expire active defrag hardly advances, and RSS grows all the same",
        remedy: "upgrade to 7.2.11 or to 7.4 or later; until then a planned restart",
        source: "redis#13612, brought by redis#11465, fixed by redis#13058 and redis#14270",
    },
    KnownIssue {
        id: "module-crash-7.4",
        flavour: Flavour::Redis,
        since: v(7, 4, 0),
        fixed: Some(v(7, 4, 2)),
        kind: Kind::Crash,
        condition: Condition::Defrag,
        effect: "crash while defragmenting data of modules",
        remedy: "upgrade to 7.4.6 or later",
        source: "redis#13627",
    },
    KnownIssue {
        id: "lua-crash-7.4",
        flavour: Flavour::Redis,
        since: v(7, 4, 0),
        fixed: Some(v(7, 4, 6)),
        kind: Kind::Crash,
        condition: Condition::Defrag,
        effect: "crash or use after free while defragmenting Lua scripts and pub/sub",
        remedy: "upgrade to 7.4.6 or later",
        source: "redis#14319, redis#14330",
    },
    KnownIssue {
        id: "timers-twice-as-fast",
        flavour: Flavour::Redis,
        since: v(8, 0, 0),
        fixed: Some(v(8, 0, 2)),
        kind: Kind::Side,
        condition: Condition::Defrag,
        effect: "while a defrag cycle runs, timers of the server run at double speed",
        remedy: "upgrade to 8.0.4 or later",
        source: "redis#14081, brought by redis#13814",
    },
    KnownIssue {
        id: "expires-skipped-8.0",
        flavour: Flavour::Redis,
        since: v(8, 0, 0),
        fixed: Some(v(8, 0, 3)),
        kind: Kind::Stall,
        condition: Condition::ManyVolatileKeys,
        effect: "the table of expiry times is not defragmented at all",
        remedy: "upgrade to 8.0.4 or later",
        source: "redis#14092",
    },
    KnownIssue {
        id: "lua-crash-8.0",
        flavour: Flavour::Redis,
        since: v(8, 0, 0),
        fixed: Some(v(8, 0, 4)),
        kind: Kind::Crash,
        condition: Condition::Defrag,
        effect: "crash or use after free while defragmenting Lua scripts and pub/sub",
        remedy: "upgrade to 8.0.4 or later",
        source: "redis#14319, redis#14330",
    },
    KnownIssue {
        id: "replica-flush-crash-8.2",
        flavour: Flavour::Redis,
        since: v(8, 2, 0),
        fixed: Some(v(8, 2, 1)),
        kind: Kind::Crash,
        condition: Condition::Defrag,
        effect: "crash when active defrag runs while a replica empties its database",
        remedy: "upgrade to 8.2.2 or later",
        source: "redis#14274",
    },
    KnownIssue {
        id: "lua-crash-8.2",
        flavour: Flavour::Redis,
        since: v(8, 2, 0),
        fixed: Some(v(8, 2, 2)),
        kind: Kind::Crash,
        condition: Condition::Defrag,
        effect: "crash or use after free while defragmenting Lua scripts, pub/sub and streams",
        remedy: "upgrade to 8.2.2 or later",
        source: "redis#14319, redis#14330, redis#14323",
    },
    KnownIssue {
        id: "equal-thresholds",
        flavour: Flavour::Redis,
        since: v(4, 0, 0),
        fixed: Some(v(8, 10, 0)),
        kind: Kind::Crash,
        condition: Condition::EqualThresholds,
        effect: "active-defrag-threshold-lower and -upper are equal, which the server divides by",
        remedy: "CONFIG SET active-defrag-threshold-upper to more than the lower one",
        source: "redis#15513",
    },
    KnownIssue {
        id: "defrag-time-jump",
        flavour: Flavour::Redis,
        since: v(8, 0, 0),
        fixed: None,
        kind: Kind::Figures,
        condition: Condition::Defrag,
        effect: "CONFIG RESETSTAT in a defrag cycle makes total_active_defrag_time jump by the machine's uptime",
        remedy: "none needed: redis-frag drops such a value",
        source: "defrag.c endDefragCycle of 8.0 to 8.8; seen on 8.2.3",
    },
    KnownIssue {
        id: "expires-stall-valkey-7.2",
        flavour: Flavour::Valkey,
        since: v(7, 2, 4),
        fixed: Some(v(8, 0, 0)),
        kind: Kind::Stall,
        condition: Condition::ManyVolatileKeys,
        effect: "with many keys that expire active defrag hardly advances, and RSS grows all the same",
        remedy: "upgrade to 8.0.2 or later; until then a planned restart",
        source: "defrag.c of Valkey 7.2.5 to 7.2.13; the same as redis#13612",
    },
    KnownIssue {
        id: "flushdb-crash-valkey-7.2",
        flavour: Flavour::Valkey,
        since: v(7, 2, 4),
        fixed: Some(v(7, 2, 9)),
        kind: Kind::Crash,
        condition: Condition::Defrag,
        effect: "crash after FLUSHDB ASYNC in a cluster, or after switching active defrag off and on",
        remedy: "upgrade to 8.0.2 or later",
        source: "valkey#883, valkey#1873",
    },
    KnownIssue {
        id: "script-eviction-crash-valkey-8.0",
        flavour: Flavour::Valkey,
        since: v(8, 0, 0),
        fixed: Some(v(8, 0, 2)),
        kind: Kind::Crash,
        condition: Condition::Defrag,
        effect: "crash when scripts are evicted, and corrupted memory on FLUSHDB, while active defrag runs",
        remedy: "upgrade to 8.0.2 or later",
        source: "valkey#1310, valkey#1512",
    },
    KnownIssue {
        id: "sparse-slabs-valkey-8.1",
        flavour: Flavour::Valkey,
        since: v(8, 1, 0),
        fixed: Some(v(8, 1, 4)),
        kind: Kind::Crash,
        condition: Condition::Defrag,
        effect: "assertion on large allocations; sparse slabs are never defragmented and defrag does not stop",
        remedy: "upgrade to 8.1.4 or later",
        source: "valkey#2353, valkey#2656",
    },
    KnownIssue {
        id: "defrag-time-jump-valkey",
        flavour: Flavour::Valkey,
        since: v(8, 1, 0),
        fixed: None,
        kind: Kind::Figures,
        condition: Condition::Defrag,
        effect: "CONFIG RESETSTAT in a defrag cycle makes total_active_defrag_time jump by the machine's uptime",
        remedy: "none needed: redis-frag drops such a value",
        source: "defrag.c endDefragCycle of Valkey 8.1 to 9.1",
    },
];

impl KnownIssue {
    /// Whether this server's version has it.
    #[must_use]
    pub fn is_in(&self, server: &Server) -> bool {
        let version = server.version.filter(|_| server.flavour == self.flavour);
        version.is_some_and(|version| {
            version >= self.since && self.fixed.is_none_or(|fixed| version < fixed)
        })
    }

    /// Whether an operator should be told: figures that redis-frag mends itself
    /// are no reason to wake anybody.
    #[must_use]
    pub fn matters(&self) -> bool {
        self.kind != Kind::Figures
    }

    /// Whether it would strike with active defrag switched on; never in a build
    /// that cannot defragment.
    #[must_use]
    pub fn would_strike(&self, derived: &Derived<'_>) -> bool {
        if derived.defrag == Some(State::Unsupported) {
            return false;
        }
        let sample = derived.sample;
        let Some(server) = sample.server.as_ref().filter(|server| self.is_in(server)) else {
            return false;
        };
        match self.condition {
            Condition::Defrag => true,
            Condition::ManyVolatileKeys => sample
                .volatile_keys
                .is_some_and(|keys| keys >= MANY_VOLATILE_KEYS),
            Condition::EqualThresholds => {
                let settings = sample.config.or(server.default_settings());
                settings.lower == settings.upper
            }
        }
    }

    /// Whether it strikes: active defrag is on, and the rest holds.
    #[must_use]
    pub fn strikes(&self, derived: &Derived<'_>) -> bool {
        let at_work = matches!(derived.defrag, Some(State::Running | State::Paused));
        let on = derived.sample.config.enabled == Some(true);
        (on || at_work) && self.would_strike(derived)
    }
}

/// The defects of this instance's version that are worth telling, oldest first.
pub fn of<'a>(derived: &'a Derived<'_>) -> impl Iterator<Item = &'static KnownIssue> + 'a {
    let server = derived.sample.server.as_ref();
    let ours = move |issue: &&KnownIssue| server.is_some_and(|server| issue.is_in(server));
    KNOWN_ISSUES.iter().filter(ours)
}

/// Whether a defect that matters strikes; `None` where the version is not known.
#[must_use]
pub fn affected(derived: &Derived<'_>) -> Option<bool> {
    derived.sample.server.as_ref()?.version?;
    Some(of(derived).any(|issue| issue.matters() && issue.strikes(derived)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;
    use crate::model::history::History;
    use crate::model::info::Info;
    use crate::model::sample::Sample;
    use crate::model::thresholds::Thresholds;

    fn ids(server: &str, enabled: bool, volatile_keys: u64) -> Vec<&'static str> {
        let text = format!("{server}mem_allocator:jemalloc-5.3.0\nallocator_muzzy:0\n");
        let mut sample = Sample::new(Duration::ZERO, &Info::parse(text.as_bytes()), None);
        sample.config.enabled = Some(enabled);
        sample.volatile_keys = Some(volatile_keys);
        let thresholds = Thresholds::default();
        let derived = Derived::new(&sample, &thresholds, &mut History::default());
        of(&derived)
            .filter(|issue| issue.strikes(&derived))
            .map(|issue| issue.id)
            .collect()
    }

    #[test]
    fn every_row_is_whole_and_told_apart() {
        let mut seen = HashSet::new();
        for issue in KNOWN_ISSUES {
            assert!(seen.insert(issue.id), "{} twice", issue.id);
            assert!(
                issue.fixed.is_none_or(|fixed| fixed > issue.since),
                "{}",
                issue.id
            );
            for text in [issue.effect, issue.remedy, issue.source] {
                assert!(
                    text.len() > 8 && !text.ends_with('.'),
                    "{}: {text}",
                    issue.id
                );
            }
        }
    }

    /// Every row is reached at its first version and at none outside its range.
    #[test]
    fn every_row_strikes_within_its_range_alone() {
        let strikes = |issue: &KnownIssue, version: Version| {
            let own = match issue.flavour {
                Flavour::Valkey => format!("redis_version:7.2.4\nvalkey_version:{version}\n"),
                _ => format!("redis_version:{version}\n"),
            };
            let text = format!("{own}mem_allocator:jemalloc-5.3.0\n");
            let mut sample = Sample::new(Duration::ZERO, &Info::parse(text.as_bytes()), None);
            sample.config.enabled = Some(true);
            sample.config.lower = Some(100);
            sample.volatile_keys = Some(1_000_000);
            let thresholds = Thresholds::default();
            let derived = Derived::new(&sample, &thresholds, &mut History::default());
            issue.strikes(&derived)
        };
        for issue in KNOWN_ISSUES {
            assert!(
                strikes(issue, issue.since),
                "{} at {}",
                issue.id,
                issue.since
            );
            let Version {
                major,
                minor,
                patch,
            } = issue.since;
            let before = if patch > 0 {
                v(major, minor, patch - 1)
            } else {
                v(major - 1, 99, 0)
            };
            assert!(!strikes(issue, before), "{} at {before}", issue.id);
            if let Some(fixed) = issue.fixed {
                assert!(!strikes(issue, fixed), "{} at {fixed}", issue.id);
            }
        }
    }

    #[test]
    fn the_defect_of_7_2_ends_with_7_2_10_and_needs_keys_that_expire() {
        for (version, keys, want) in [
            ("7.2.0", 5000, true),
            ("7.2.5", 5000, true),
            ("7.2.10", 5000, true),
            ("7.2.11", 5000, false),
            ("7.4.0", 5000, false),
            ("7.2.5", 10, false),
        ] {
            let found = ids(&format!("redis_version:{version}\n"), true, keys);
            assert_eq!(
                found.contains(&"expires-stall-7.2"),
                want,
                "{version} {keys}: {found:?}"
            );
        }
        let valkey = "redis_version:7.2.4\nserver_name:valkey\nvalkey_version:7.2.13\n";
        assert_eq!(ids(valkey, true, 5000), ["expires-stall-valkey-7.2"]);
    }

    #[test]
    fn a_defect_does_not_strike_while_active_defrag_is_off() {
        assert_eq!(
            ids("redis_version:8.0.1\n", false, 5000),
            Vec::<&str>::new()
        );
        let found = ids("redis_version:8.0.1\n", true, 5000);
        assert!(found.contains(&"timers-twice-as-fast") && found.contains(&"expires-skipped-8.0"));
    }
}
