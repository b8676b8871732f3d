//! What needs more than one sample: rates, shares of time, effect of defrag.
//!
//! Keeps the last sample's counters and a thinned ring of the last minutes: some 350
//! bytes of an instance at rest, 1.1 KB while active defrag works ([`MARKS`]).
//! Knows restarts and resets: a counter that falls or jumps beyond reason gives
//! a gap, never a rate. Must not know what a rate means.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::kills::Kills;
use super::sample::Sample;
use super::server::Server;

/// The span over which the effect of active defrag is judged.
const WINDOW: Duration = Duration::from_secs(60);

/// Marks in the ring are at least this far apart.
const SPACING: Duration = Duration::from_secs(5);

/// Most marks in either ring: those of its span, the one before it, and the newest.
const MARKS: usize = 14;

/// How long active defrag must have run before it is called ineffective.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Marks of the fragmented bytes are this far apart.
const LONG_SPACING: Duration = Duration::from_secs(30);

/// Bytes by which the fragmented bytes must have shrunk to count as falling, and
/// the same as one part in so many.
const FALL_BYTES: i64 = 1 << 20;
const FALL_SHARE: i64 = 100;

/// A millisecond counter may run ahead of our clock by the jitter of two round
/// trips. Beyond that it is the reset defect: CONFIG RESETSTAT in a cycle makes
/// `total_active_defrag_time` jump by the uptime of the machine (seen on 8.2.3).
const TIME_SLACK: Duration = Duration::from_secs(1);

/// What happened between the last sample and this one, per second, and over the
/// last minute.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// Allocations moved by active defrag, per second.
    pub hits: Option<f64>,
    /// Allocations looked at and left, per second.
    pub misses: Option<f64>,
    /// Keys in which something moved, per second.
    pub key_hits: Option<f64>,
    /// Keys in which nothing moved, per second.
    pub key_misses: Option<f64>,
    /// Share of wall time with a defrag cycle under way, percent.
    pub defrag_time: Option<f64>,
    /// User CPU, percent of one core.
    pub cpu_user: Option<f64>,
    /// System CPU, percent of one core.
    pub cpu_system: Option<f64>,
    /// Moved of examined allocations over the last minute, percent; `None` when
    /// none was examined.
    pub efficiency: Option<f64>,
    /// How long active defrag has been seen running without a break, less the time
    /// that it rested while a child process ran.
    pub running_for: Option<Duration>,
    /// Whether the fragmented bytes fell while it ran, over [`PATIENCE`]; `None`
    /// until then.
    pub frag_falling: Option<bool>,
    /// Processes of the instance's cgroup that the kernel was seen to kill for want
    /// of memory in the last hour.
    pub oom_killed: Option<u64>,
}

/// The counters of one moment.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Duration,
    hits: Option<u64>,
    misses: Option<u64>,
    key_hits: Option<u64>,
    key_misses: Option<u64>,
    defrag_millis: Option<u64>,
    cpu_user: Option<f64>,
    cpu_system: Option<f64>,
}

impl Mark {
    fn of(sample: &Sample) -> Self {
        let fields = &sample.fields;
        // The main thread's where the server tells it apart (6.2 and later):
        // active defrag runs there.
        let main = fields
            .used_cpu_user_main_thread
            .zip(fields.used_cpu_sys_main_thread);
        let process = fields.used_cpu_user.zip(fields.used_cpu_sys);
        let cpu = main.or(process);
        Self {
            at: sample.at,
            hits: fields.active_defrag_hits,
            misses: fields.active_defrag_misses,
            key_hits: fields.active_defrag_key_hits,
            key_misses: fields.active_defrag_key_misses,
            defrag_millis: fields.total_active_defrag_time,
            cpu_user: cpu.map(|(user, _)| user),
            cpu_system: cpu.map(|(_, system)| system),
        }
    }
}

/// What active defrag had examined at one moment: allocations moved, and left.
#[derive(Debug, Clone, Copy)]
struct Examined {
    at: Duration,
    hits: u64,
    misses: u64,
}

/// The recent past of one instance.
#[derive(Debug, Default)]
pub struct History {
    server: Option<Arc<Server>>,
    last: Option<Mark>,
    /// `uptime_in_seconds` of the last answer.
    uptime: Option<u64>,
    /// The last minute; one mark alone where nothing was examined in it.
    ring: VecDeque<Examined>,
    running_since: Option<Duration>,
    /// How long this run rested while a child process ran.
    rested: Duration,
    /// When, by the time it worked, and how many bytes were fragmented, while active defrag runs.
    fragmented: VecDeque<(Duration, i64)>,
    kills: Kills,
}

impl History {
    /// Takes a sample in and tells what happened since the one before. A sample
    /// of an instance that did not answer ends the past: what comes after an
    /// outage is not a rate.
    pub fn push(&mut self, sample: &Sample) -> Rates {
        let Some(server) = &sample.server else {
            self.interrupt();
            return Rates::default();
        };
        let now = Mark::of(sample);
        let restarted = self.restarted(server, sample);
        self.kills.follow(sample.at, sample.host.host(), restarted);
        if restarted {
            *self = Self {
                kills: std::mem::take(&mut self.kills),
                ..Self::default()
            };
        }
        if !self.knows(server) {
            self.server = Some(Arc::clone(server));
        }
        self.uptime = sample.fields.uptime_in_seconds;
        let mut rates = self
            .last
            .map(|last| between(&last, &now))
            .unwrap_or_default();
        self.remember(&now);
        rates.oom_killed = self.kills.lately();
        rates.efficiency = self.efficiency(&now);
        self.follow_defrag(sample, &mut rates);
        self.last = Some(now);
        rates
    }

    /// The time until the next sample is not to be trusted: what comes then is not a rate.
    pub fn interrupt(&mut self) {
        self.last = None;
        self.end_run();
    }

    /// Whether this is the very server of the sample before.
    fn knows(&self, server: &Arc<Server>) -> bool {
        let known = self.server.as_ref();
        known.is_some_and(|known| Arc::ptr_eq(known, server))
    }

    fn restarted(&self, server: &Arc<Server>, sample: &Sample) -> bool {
        let known = self.server.as_ref();
        let another = !self.knows(server) && known.is_some_and(|known| **known != **server);
        another || sample.fields.uptime_in_seconds < self.uptime
    }

    /// Puts a mark into the ring where it is due, and lets the oldest go. A
    /// fallen counter (CONFIG RESETSTAT) empties the ring.
    fn remember(&mut self, now: &Mark) {
        let (Some(hits), Some(misses)) = (now.hits, now.misses) else {
            self.ring.clear();
            return;
        };
        let now = Examined {
            at: now.at,
            hits,
            misses,
        };
        let fallen = |mark: &Examined| now.hits < mark.hits || now.misses < mark.misses;
        if self.ring.back().is_some_and(fallen) {
            self.ring.clear();
        }
        while self
            .ring
            .get(1)
            .is_some_and(|mark| now.at.saturating_sub(mark.at) >= WINDOW)
        {
            self.ring.pop_front();
        }
        // Counters only grow in here, so that all marks are alike where the ends are.
        let at_rest = |mark: &Examined| (mark.hits, mark.misses) == (hits, misses);
        if self.ring.front().is_some_and(at_rest) {
            self.ring.truncate(1);
            return;
        }
        let due = self
            .ring
            .back()
            .is_none_or(|mark| now.at.saturating_sub(mark.at) >= SPACING);
        if due {
            make_room(&mut self.ring);
            self.ring.push_back(now);
        }
    }

    /// A pause by a fork does not end a run: nothing moves, and nothing is undone.
    /// Nor does it count: after a long save every run would look ineffective.
    fn follow_defrag(&mut self, sample: &Sample, rates: &mut Rates) {
        if sample
            .fields
            .active_defrag_running
            .is_none_or(|effort| effort == 0)
        {
            self.end_run();
            return;
        }
        if sample.forking() == Some(true)
            && let Some(last) = self.last
        {
            let rested = sample.at.saturating_sub(last.at);
            self.rested = self.rested.saturating_add(rested);
        }
        let now = sample.at.saturating_sub(self.rested);
        let since = *self.running_since.get_or_insert(now);
        rates.running_for = Some(now.saturating_sub(since));
        let Some(bytes) = sample.frag_bytes() else {
            return;
        };
        let long_ago = |at: &Duration| now.saturating_sub(*at) >= PATIENCE;
        while self.fragmented.get(1).is_some_and(|(at, _)| long_ago(at)) {
            self.fragmented.pop_front();
        }
        if let Some((at, then)) = self.fragmented.front()
            && long_ago(at)
        {
            let fallen = then.saturating_sub(FALL_BYTES.max(then / FALL_SHARE));
            rates.frag_falling = Some(bytes < fallen);
        }
        let last = self.fragmented.back();
        if last.is_none_or(|(at, _)| now.saturating_sub(*at) >= LONG_SPACING) {
            make_room(&mut self.fragmented);
            self.fragmented.push_back((now, bytes));
        }
    }

    fn end_run(&mut self) {
        self.running_since = None;
        self.rested = Duration::ZERO;
        self.fragmented.clear();
    }

    fn efficiency(&self, now: &Mark) -> Option<f64> {
        let start = self.ring.front()?;
        let hits = grown(Some(start.hits), now.hits)?;
        let misses = grown(Some(start.misses), now.misses)?;
        let examined = hits + misses;
        (examined > 0.0).then(|| 100.0 * hits / examined)
    }
}

/// Room for all marks there can be, once there is more than one; no more than that.
fn make_room<T>(ring: &mut VecDeque<T>) {
    let most = if ring.is_empty() { 1 } else { MARKS };
    ring.reserve_exact(most.saturating_sub(ring.len()));
}

fn between(last: &Mark, now: &Mark) -> Rates {
    let seconds = now.at.saturating_sub(last.at).as_secs_f64();
    if seconds <= 0.0 {
        return Rates::default();
    }
    let per_second = |then, now| Some(grown(then, now)? / seconds);
    let share = |then: Option<f64>, now: Option<f64>| {
        let spent = now? - then?;
        (spent >= 0.0).then(|| 100.0 * spent / seconds)
    };
    let defrag_time = grown(last.defrag_millis, now.defrag_millis)
        .map(|millis| millis / 1000.0)
        .filter(|spent| *spent <= seconds + TIME_SLACK.as_secs_f64())
        .map(|spent| (100.0 * spent / seconds).min(100.0));
    Rates {
        hits: per_second(last.hits, now.hits),
        misses: per_second(last.misses, now.misses),
        key_hits: per_second(last.key_hits, now.key_hits),
        key_misses: per_second(last.key_misses, now.key_misses),
        defrag_time,
        cpu_user: share(last.cpu_user, now.cpu_user),
        cpu_system: share(last.cpu_system, now.cpu_system),
        ..Rates::default()
    }
}

/// Growth of a counter; `None` where it is missing or fell.
#[allow(
    clippy::cast_precision_loss,
    reason = "growth between two samples is far below 2^53"
)]
fn grown(then: Option<u64>, now: Option<u64>) -> Option<f64> {
    now?.checked_sub(then?).map(|growth| growth as f64)
}

#[cfg(test)]
mod tests;
