//! What was collected last of every watched instance, for those who ask.
//!
//! A collection leaves its figures here; everything that is told of them is worked out
//! when somebody asks. Must not know how they ask.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::config::job::Job;
use crate::model::derive::Derived;
use crate::model::history::Rates;
use crate::model::sample::Sample;
use crate::model::verdict::Verdict;
use crate::netdata::link::Writer;
use crate::netdata::reply::Answer;
use crate::netdata::row::{Known, Row};
use crate::source::size_classes::Desk;

use super::target;

/// All watched instances by name. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Registry(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    entries: BTreeMap<String, Entry>,
    /// What the agent is told when the first instance comes.
    announcement: Option<(Writer, String)>,
}

struct Entry {
    job: Arc<Job>,
    desk: Arc<Desk>,
    up: bool,
    last: Option<Last>,
}

/// The last answer, and what of it depends on those before.
struct Last {
    sample: Sample,
    rates: Rates,
    verdict: Option<Verdict>,
    /// When the verdict began to hold, on the clock of samples.
    since: Duration,
}

impl Registry {
    /// An empty one. `lines` are written when the first instance comes: on a
    /// machine without any, nothing is offered that would have no answer.
    pub(super) fn announcing(writer: Writer, lines: String) -> Self {
        let inner = Inner {
            announcement: Some((writer, lines)),
            ..Inner::default()
        };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// A thread that panicked while holding it left it whole: every change is one
    /// insertion or removal.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was collected of an instance, and what of it depends on those before.
    pub(super) fn update(
        &self,
        job: &Arc<Job>,
        desk: &Arc<Desk>,
        sample: Sample,
        rates: Rates,
        verdict: Option<Verdict>,
    ) {
        let mut inner = self.lock();
        if let Some(entry) = inner.entries.get_mut(&job.name) {
            entry.take(sample, rates, verdict);
            return;
        }
        if let Some((writer, definitions)) = inner.announcement.take() {
            // Told once, so it must not get lost with what is collected.
            let again = definitions.clone();
            writer.answer(Answer::none(definitions), || Answer::none(again));
        }
        let mut entry = Entry {
            job: Arc::clone(job),
            desk: Arc::clone(desk),
            up: false,
            last: None,
        };
        entry.take(sample, rates, verdict);
        inner.entries.insert(job.name.clone(), entry);
    }

    /// The instance is watched no more.
    pub(super) fn forget(&self, name: &str) {
        self.lock().entries.remove(name);
    }

    /// The way to an instance's size classes, and how long they may take.
    pub(super) fn desk(&self, name: &str) -> Option<(Arc<Desk>, Duration)> {
        let inner = self.lock();
        let entry = inner.entries.get(name)?;
        Some((Arc::clone(&entry.desk), entry.job.timeout))
    }

    /// Names of all instances.
    pub(super) fn names(&self) -> Vec<String> {
        self.lock().entries.keys().cloned().collect()
    }

    /// All instances at `now`, on the clock of samples: worst first.
    pub(super) fn rows(&self, now: Duration) -> Vec<Row> {
        let inner = self.lock();
        let mut rows: Vec<Row> = inner.entries.values().map(|e| e.row(now)).collect();
        rows.sort_by_key(|row| Reverse((row.severity(), row.wasted())));
        rows
    }

    /// The instance of this name.
    pub(super) fn row(&self, name: &str, now: Duration) -> Option<Row> {
        Some(self.lock().entries.get(name)?.row(now))
    }
}

impl Entry {
    fn take(&mut self, sample: Sample, rates: Rates, verdict: Option<Verdict>) {
        self.up = sample.answered();
        if !self.up {
            return;
        }
        let same = self.last.as_ref().filter(|last| last.verdict == verdict);
        self.last = Some(Last {
            since: same.map_or(sample.at, |last| last.since),
            sample,
            rates,
            verdict,
        });
    }

    fn row(&self, now: Duration) -> Row {
        Row {
            instance: self.job.name.clone(),
            address: self.job.url(),
            client: target::client(&self.job),
            up: self.up,
            known: self.last.as_ref().map(|last| last.known(&self.job, now)),
        }
    }
}

impl Last {
    fn known(&self, job: &Job, now: Duration) -> Known {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let since = wall.saturating_sub(now.saturating_sub(self.since));
        let age = now.saturating_sub(self.sample.at);
        let since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let derived = Derived::again(&self.sample, &job.thresholds, self.rates, self.verdict);
        Known::of(&derived, age, since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::report::tests::FRAGMENTED;
    use crate::config::address::Address;
    use crate::model::history::History;
    use crate::model::info::Info;

    const SECOND: Duration = Duration::from_secs(1);

    /// Lets an instance say these texts, one a second; `None` is silence.
    fn watched(registry: &Registry, name: &str, course: &[Option<&str>]) {
        let job = Arc::new(Job::new(name, Address::Unix(format!("/{name}").into())));
        let mut history = History::default();
        for (second, text) in (1..).zip(course) {
            let sample = match text {
                Some(text) => Sample::new(SECOND * second, &Info::parse(text.as_bytes()), None),
                None => Sample::unreachable(SECOND * second),
            };
            let desk = Arc::new(Desk::new(Arc::clone(&job)));
            let derived = Derived::new(&sample, &job.thresholds, &mut history);
            let (rates, verdict) = (derived.rates, derived.verdict);
            registry.update(&job, &desk, sample, rates, verdict);
        }
    }

    /// What functions there are is told once, whatever else an agent that is stuck loses.
    #[test]
    fn the_announcement_outlives_what_is_thrown_away() {
        use std::io::{self, Write};
        use std::sync::mpsc;

        use crate::netdata::queue::MOST_DEFINITIONS;
        use crate::netdata::stream::Output;

        struct Stuck(mpsc::Receiver<()>, mpsc::Sender<String>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                let text = String::from_utf8_lossy(bytes).into_owned();
                self.1.send(text).map_err(io::Error::other)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (let_go, gate) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let writer = Writer::start(Stuck(gate, tell), |_| {}).unwrap();
        let registry = Registry::announcing(writer.clone(), "FUNCTION x\n".to_owned());
        writer.write(|said| said.values.push_str("first\n"));
        // It is in the middle of these.
        while !writer.is_writing() {
            std::thread::yield_now();
        }
        watched(&registry, "a", &[Some(FRAGMENTED)]);
        let lost = writer.lost();
        while writer.lost() == lost {
            writer.send(&Output {
                definitions: "d".repeat(MOST_DEFINITIONS / 2),
                ..Output::default()
            });
        }
        drop(let_go);
        writer.drain(Duration::from_secs(20));
        let told: String = told.try_iter().collect();
        assert_eq!(told, "first\nFUNCTION x\n");
    }

    #[test]
    fn what_hangs_keeps_its_last_words_and_says_how_old_they_are() {
        let registry = Registry::default();
        let fine = FRAGMENTED.replace("ratio:2.65", "ratio:1.10");
        watched(
            &registry,
            "a",
            &[Some(&fine), Some(FRAGMENTED), Some(FRAGMENTED), None],
        );
        watched(&registry, "b", &[Some(FRAGMENTED)]);
        watched(&registry, "c", &[None]);
        let rows = registry.rows(9 * SECOND);
        let names: Vec<&str> = rows.iter().map(|row| row.instance.as_str()).collect();
        assert_eq!(names, ["a", "c", "b"], "what is down comes first");
        let known = rows[0].known.as_ref().unwrap();
        assert!(!rows[0].up && rows[2].up && rows[1].known.is_none());
        assert_eq!(rows[0].verdict(), Verdict::Fragmented);
        assert_eq!(known.age, 6 * SECOND);
        let other = rows[2].known.as_ref().unwrap();
        assert_eq!(other.age, 8 * SECOND);
        // One holds since its second 2, the other since its second 1.
        assert!(known.since.abs_diff(other.since + 1000) < 100);
        assert_eq!(rows[0].client, "redis-cli -s /a");
        registry.forget("a");
        assert_eq!(registry.names(), ["b", "c"]);
        assert!(registry.row("a", SECOND).is_none());
    }
}
