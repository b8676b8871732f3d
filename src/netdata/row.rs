//! What is known of one instance when somebody asks.
//!
//! Pure: made of a moment and of what the watch knows about it. Must not know how
//! it is shown.

use std::time::Duration;

use crate::model::advice::{Action, Advice};
use crate::model::defrag::State;
use crate::model::derive::Derived;
use crate::model::diagnosis::{self, Diagnosis};
use crate::model::headroom::Headroom;
use crate::model::verdict::{Severity, Verdict};
use crate::model::waste::{Parts, Reclaim};

/// One watched instance.
#[derive(Debug, Clone)]
pub struct Row {
    /// Name of the job.
    pub instance: String,
    /// Where it listens, without credentials.
    pub address: String,
    /// How `redis-cli` reaches it: what stands before a command.
    pub client: String,
    /// Whether it answered when it was asked last.
    pub up: bool,
    /// What is known from its last answer; `None` where it never gave one.
    pub known: Option<Known>,
}

/// What follows from an instance's last answer.
#[derive(Debug, Clone)]
pub struct Known {
    /// How long ago it answered.
    pub age: Duration,
    /// Since when the verdict holds, milliseconds since 1970.
    pub since: u64,
    /// Flavour and version, as people say them.
    pub server: String,
    /// Its allocator.
    pub allocator: Option<String>,
    /// The reasoning.
    pub diagnosis: Diagnosis,
    /// Used bytes, at the moment of RSS.
    pub used: Option<i64>,
    /// Resident bytes.
    pub rss: Option<i64>,
    /// Bytes of RSS that are not used.
    pub waste: Option<i64>,
    /// Where these are.
    pub parts: Option<Parts>,
    /// RSS over used.
    pub ratio: Option<f64>,
    /// The allocator's own fragmentation, its free pages, what lies outside.
    pub allocator_ratios: [Option<f64>; 3],
    /// What active defrag is doing.
    pub defrag: Option<State>,
    /// Moved of examined allocations over the last minute, percent.
    pub hit_rate: Option<f64>,
    /// What the remedies would bring back.
    pub reclaim: Reclaim,
    /// How far it is from its limits.
    pub room: Room,
}

/// How far an instance is from its limits.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Room {
    /// Bytes until the first limit.
    pub headroom: Option<i64>,
    /// The limit that kills, bytes.
    pub limit: Option<i64>,
    /// Share of that limit in use, percent.
    pub headroom_used: Option<f64>,
    /// Share of it if a child copied all that it can, percent.
    pub worst_case: Option<f64>,
    /// Bytes of the process that are in swap.
    pub swap: Option<i64>,
}

impl Room {
    /// Takes them from a moment.
    #[must_use]
    pub fn of(derived: &Derived<'_>) -> Self {
        let room = derived.headroom.as_ref();
        let host = derived.sample.host.host();
        Self {
            headroom: room.map(|room| room.free.cast_signed()),
            limit: room.map(|room| room.limit.cast_signed()),
            headroom_used: room.map(Headroom::now),
            worst_case: room.map(Headroom::worst_case),
            swap: host
                .and_then(|host| host.process.swap)
                .map(u64::cast_signed),
        }
    }
}

impl Known {
    /// What follows from a moment. `age` and `since` as in [`Known`].
    #[must_use]
    pub fn of(derived: &Derived<'_>, age: Duration, since: u64) -> Self {
        let sample = derived.sample;
        let server = sample.server.as_ref();
        let name = server.map_or("unknown", |server| server.flavour.name());
        let version = server.and_then(|server| server.version);
        let signed = |bytes: Option<u64>| bytes.map(u64::cast_signed);
        Self {
            age,
            since,
            server: version.map_or(name.to_owned(), |version| format!("{name} {version}")),
            allocator: server.and_then(|server| server.allocator.clone()),
            diagnosis: diagnosis::diagnose(derived),
            used: signed(sample.used_at_tick()),
            rss: signed(sample.fields.used_memory_rss),
            waste: derived.waste.map(|waste| waste.total),
            parts: derived.waste.and_then(|waste| waste.parts),
            ratio: sample.ratio(),
            allocator_ratios: [
                sample.allocator_frag(),
                sample.allocator_rss(),
                sample.rss_overhead(),
            ],
            defrag: derived.defrag,
            hit_rate: derived.rates.efficiency,
            reclaim: derived.reclaim,
            room: Room::of(derived),
        }
    }

    /// What a remedy would bring back, bytes.
    #[must_use]
    pub fn gain(&self, action: Action) -> Option<i64> {
        match action {
            Action::ActiveDefrag => self.reclaim.active_defrag,
            Action::MemoryPurge => self.reclaim.memory_purge,
            Action::Restart => self.reclaim.restart,
            _ => None,
        }
    }
}

impl Row {
    /// What it is found to be.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let known = self.known.as_ref();
        known.map_or(Verdict::Unknown, |known| known.diagnosis.verdict)
    }

    /// How bad it is. One that does not answer is not judged by what it was.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match &self.known {
            Some(known) if self.up => known.diagnosis.severity,
            _ => Severity::Critical,
        }
    }

    /// Bytes of RSS that are not used; 0 where that is not known.
    #[must_use]
    pub fn wasted(&self) -> i64 {
        self.known.as_ref().and_then(|k| k.waste).unwrap_or(0)
    }

    /// The best that there is to do.
    #[must_use]
    pub fn remedy(&self) -> Option<&Advice> {
        let advice = &self.known.as_ref()?.diagnosis.advice;
        advice.iter().find(|advice| !advice.refused)
    }

    /// What to type for a piece of advice at this instance.
    #[must_use]
    pub fn command(&self, advice: &Advice) -> Option<String> {
        let command = advice.command.as_deref()?;
        Some(match command.strip_prefix("redis-cli ") {
            Some(words) => format!("{} {words}", self.client),
            None => command.to_owned(),
        })
    }
}
