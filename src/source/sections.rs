//! Which sections of INFO are asked for, and when: what changes with every collection
//! each time, what stays as it is for a process now and then.
//!
//! The server's main thread writes a reply, so what is not asked for costs it nothing.
//! Must not know how a question is sent.

use std::num::NonZero;
use std::sync::LazyLock;
use std::time::Duration;

use crate::model::info::Info;
use crate::model::sample::Sample;
use crate::model::server::Server;

/// The sections that hold the fields of `model::info` that move.
pub const EVERY_TIME: &[&str] = &["memory", "persistence", "stats", "cpu"];

/// Those and the ones that tell who answers and what it holds.
pub const SECTIONS: &[&str] = &[
    "server",
    "memory",
    "persistence",
    "stats",
    "cpu",
    "keyspace",
];

/// How often all of them are asked for. A connection that ends is a process that ended,
/// and all are asked for over the next one; only behind a proxy can another server answer
/// over the same connection, which is told by its allocator and its last save.
const WHOLE_EVERY: Duration = Duration::from_secs(10);

/// Age of a process, seconds, below which it is told by what it says each time: whether
/// it is only starting rests on it.
const YOUNG: u64 = 20;

/// The packed questions.
pub(super) static FEW: LazyLock<Vec<u8>> = LazyLock::new(|| packed(EVERY_TIME));
pub(super) static SOME: LazyLock<Vec<u8>> = LazyLock::new(|| packed(SECTIONS));
pub(super) static ALL: LazyLock<Vec<u8>> = LazyLock::new(|| packed(&[]));

fn packed(sections: &[&str]) -> Vec<u8> {
    redis::cmd("INFO").arg(sections).get_packed_command()
}

/// What a server said of itself last, in the sections that are asked for now and then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Remembered {
    /// When they are to be asked for again; `None`: now.
    due: Option<Duration>,
    uptime: Option<u64>,
    process_id: Option<u64>,
    volatile_keys: Option<u64>,
    last_save: Option<NonZero<u64>>,
}

impl Remembered {
    /// Another connection, or another server: nothing is known of it.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether the sections that move do for a collection at `now`.
    pub(super) fn is_fresh(&self, now: Duration) -> bool {
        self.due.is_some_and(|due| now < due)
    }

    /// Notes what a whole reply told.
    pub(super) fn learn(&mut self, sample: &Sample, info: &Info<'_>) {
        let fields = &sample.fields;
        let young = fields
            .uptime_in_seconds
            .is_none_or(|seconds| seconds < YOUNG);
        *self = Self {
            due: (!young).then(|| sample.at.saturating_add(WHOLE_EVERY)),
            uptime: fields.uptime_in_seconds,
            process_id: fields.process_id,
            volatile_keys: sample.volatile_keys,
            last_save: last_save(info),
        };
    }

    /// Whether a reply to [`FEW`] is of the server that is known, as far as it tells: without
    /// its name, with the same allocator, and saved or started when that was. One that tells
    /// all is read as such.
    pub(super) fn is_of(&self, server: &Server, info: &Info<'_>) -> bool {
        !info.names_server()
            && server.allocator.as_deref() == info.texts.mem_allocator
            && self.last_save == last_save(info)
    }

    /// Puts it into a sample of the sections that move.
    pub(super) fn fill(&self, sample: &mut Sample) {
        sample.fields.uptime_in_seconds = self.uptime;
        sample.fields.process_id = self.process_id;
        sample.volatile_keys = self.volatile_keys;
    }
}

/// When it was saved or started: of two servers hardly ever the same.
fn last_save(info: &Info<'_>) -> Option<NonZero<u64>> {
    info.texts.rdb_last_save_time?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn sample(at: Duration, text: &str) -> Sample {
        Sample::new(at, &Info::parse(text.as_bytes()), None)
    }

    fn learn(remembered: &mut Remembered, at: Duration, text: &str) {
        remembered.learn(&sample(at, text), &Info::parse(text.as_bytes()));
    }

    #[test]
    fn what_stays_is_asked_for_every_ten_seconds_and_kept_in_between() {
        let mut remembered = Remembered::default();
        assert!(!remembered.is_fresh(SECOND));
        let text = "redis_version:8.2.3\nuptime_in_seconds:100\nprocess_id:7\n\
                    db0:keys=9,expires=2,avg_ttl=0\n";
        learn(&mut remembered, 5 * SECOND, text);
        assert!(remembered.is_fresh(14 * SECOND) && !remembered.is_fresh(15 * SECOND));
        let mut moved = sample(6 * SECOND, "used_memory:1\n");
        remembered.fill(&mut moved);
        let fields = &moved.fields;
        assert_eq!(
            (
                fields.uptime_in_seconds,
                fields.process_id,
                moved.volatile_keys
            ),
            (Some(100), Some(7), Some(2))
        );
        remembered.forget();
        assert!(!remembered.is_fresh(7 * SECOND));
    }

    #[test]
    fn a_young_process_is_asked_for_its_age_each_time() {
        let mut remembered = Remembered::default();
        for (age, fresh) in [("19", false), ("20", true), ("x", false)] {
            let text = format!("redis_version:8.2.3\nuptime_in_seconds:{age}\n");
            learn(&mut remembered, SECOND, &text);
            assert_eq!(remembered.is_fresh(2 * SECOND), fresh, "{age}");
        }
    }

    #[test]
    fn another_allocator_or_last_save_is_another_server() {
        let text = "redis_version:8.2.3\nmem_allocator:jemalloc-5.3.0\nrdb_last_save_time:5\n";
        let server = Server::of(&Info::parse(text.as_bytes()));
        let mut remembered = Remembered::default();
        learn(&mut remembered, SECOND, text);
        let is_of = |text: &str| remembered.is_of(&server, &Info::parse(text.as_bytes()));
        assert!(is_of(
            "mem_allocator:jemalloc-5.3.0\nused_memory:1\nrdb_last_save_time:5\n"
        ));
        for other in [
            "mem_allocator:libc\nused_memory:1\nrdb_last_save_time:5\n",
            "used_memory:1\nrdb_last_save_time:5\n",
            "mem_allocator:jemalloc-5.3.0\nused_memory:1\nrdb_last_save_time:6\n",
            text,
        ] {
            assert!(!is_of(other), "{other}");
        }
    }
}
