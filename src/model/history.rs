//! What needs more than one sample: rates, shares of time, effect of defrag.
//!
//! Keeps the last sample's counters and a thinned ring of the last minutes.
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

/// Marks in the ring are at least this far apart, so that a thousand instances
/// cost a dozen marks each.
const SPACING: Duration = Duration::from_secs(5);

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
    uptime: Option<u64>,
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
            uptime: fields.uptime_in_seconds,
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

/// The recent past of one instance.
#[derive(Debug, Default)]
pub struct History {
    server: Option<Arc<Server>>,
    last: Option<Mark>,
    ring: VecDeque<Mark>,
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
            self.last = None;
            self.end_run();
            return Rates::default();
        };
        let now = Mark::of(sample);
        let restarted = self.restarted(server, &now);
        self.kills.follow(sample.at, sample.host.host(), restarted);
        if restarted {
            *self = Self {
                kills: std::mem::take(&mut self.kills),
                ..Self::default()
            };
        }
        if self.server.is_none() {
            self.server = Some(Arc::clone(server));
        }
        let mut rates = self
            .last
            .map(|last| between(&last, &now))
            .unwrap_or_default();
        self.remember(now);
        rates.oom_killed = self.kills.lately();
        rates.efficiency = self.efficiency(&now);
        self.follow_defrag(sample, &mut rates);
        self.last = Some(now);
        rates
    }

    fn restarted(&self, server: &Arc<Server>, now: &Mark) -> bool {
        let another = self
            .server
            .as_ref()
            .is_some_and(|known| **known != **server);
        let younger = self
            .ring
            .back()
            .is_some_and(|mark| now.uptime < mark.uptime);
        another || younger
    }

    /// Puts a mark into the ring where it is due, and lets the oldest go. A
    /// fallen counter (CONFIG RESETSTAT) empties the ring.
    fn remember(&mut self, now: Mark) {
        if self
            .ring
            .back()
            .is_some_and(|mark| now.hits < mark.hits || now.misses < mark.misses)
        {
            self.ring.clear();
        }
        while self
            .ring
            .get(1)
            .is_some_and(|mark| now.at.saturating_sub(mark.at) >= WINDOW)
        {
            self.ring.pop_front();
        }
        let due = self
            .ring
            .back()
            .is_none_or(|mark| now.at.saturating_sub(mark.at) >= SPACING);
        if due {
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
            self.rested += sample.at.saturating_sub(last.at);
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
            rates.frag_falling = Some(bytes < then - FALL_BYTES.max(then / FALL_SHARE));
        }
        let last = self.fragmented.back();
        if last.is_none_or(|(at, _)| now.saturating_sub(*at) >= LONG_SPACING) {
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
        let hits = grown(start.hits, now.hits)?;
        let misses = grown(start.misses, now.misses)?;
        let examined = hits + misses;
        (examined > 0.0).then(|| 100.0 * hits / examined)
    }
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
mod tests {
    use super::*;
    use crate::model::info::Info;

    fn push(history: &mut History, second: u64, text: &str) -> Rates {
        let text = format!("redis_version:8.2.3\n{text}");
        let at = Duration::from_secs(second);
        history.push(&Sample::new(at, &Info::parse(text.as_bytes()), None))
    }

    fn counters(hits: u64, misses: u64, millis: u64) -> String {
        format!(
            "run_id:a\nactive_defrag_hits:{hits}\nactive_defrag_misses:{misses}\n\
             total_active_defrag_time:{millis}\n"
        )
    }

    #[test]
    fn rates_are_per_second_and_the_first_sample_has_none() {
        let mut history = History::default();
        assert_eq!(
            push(&mut history, 10, &counters(100, 0, 0)),
            Rates::default()
        );
        let rates = push(&mut history, 12, &counters(300, 50, 1000));
        assert_eq!((rates.hits, rates.misses), (Some(100.0), Some(25.0)));
        assert_eq!(rates.defrag_time, Some(50.0));
        assert_eq!(rates.efficiency, Some(80.0));
    }

    #[test]
    fn a_restart_begins_anew() {
        let mut history = History::default();
        push(&mut history, 1, &counters(100, 100, 0));
        let other = counters(900, 900, 0).replace("run_id:a", "run_id:b");
        assert_eq!(push(&mut history, 2, &other), Rates::default());
        let mut history = History::default();
        push(
            &mut history,
            1,
            "uptime_in_seconds:50\nactive_defrag_hits:1\n",
        );
        let rates = push(
            &mut history,
            2,
            "uptime_in_seconds:1\nactive_defrag_hits:9\n",
        );
        assert_eq!(rates, Rates::default(), "no run_id, but a younger process");
    }

    #[test]
    fn a_counter_that_falls_is_a_gap_and_costs_only_itself() {
        let mut history = History::default();
        push(&mut history, 1, &counters(100, 10, 0));
        let rates = push(&mut history, 2, &counters(5, 20, 500));
        assert_eq!((rates.hits, rates.misses), (None, Some(10.0)));
        assert_eq!(rates.efficiency, None, "the minute begins anew");
        assert_eq!(
            push(&mut history, 3, &counters(6, 20, 500)).efficiency,
            Some(100.0)
        );
    }

    #[test]
    fn the_reset_defect_of_defrag_time_is_a_gap() {
        let mut history = History::default();
        push(&mut history, 1, &counters(0, 0, 0));
        assert_eq!(
            push(&mut history, 2, &counters(0, 0, 2_193_392)).defrag_time,
            None
        );
        assert_eq!(
            push(&mut history, 3, &counters(0, 0, 2_194_392)).defrag_time,
            Some(100.0)
        );
    }

    #[test]
    fn an_outage_is_not_a_rate() {
        let mut history = History::default();
        push(&mut history, 1, &counters(0, 0, 0));
        assert_eq!(
            history.push(&Sample::unreachable(Duration::from_secs(2))),
            Rates::default()
        );
        assert_eq!(push(&mut history, 30, &counters(900, 0, 0)).hits, None);
        assert_eq!(push(&mut history, 31, &counters(901, 0, 0)).hits, Some(1.0));
    }

    #[test]
    fn efficiency_looks_back_one_minute_and_the_ring_stays_small() {
        let mut history = History::default();
        for second in 0..200 {
            push(&mut history, second, &counters(1000 * second, 0, 0));
        }
        let mut rates = Rates::default();
        for second in 200..270 {
            rates = push(&mut history, second, &counters(200_000, 10 * second, 0));
        }
        assert_eq!(
            rates.efficiency,
            Some(0.0),
            "the good times are over a minute ago"
        );
        assert!(history.ring.len() <= 14, "{}", history.ring.len());
    }

    fn defragging(history: &mut History, second: u64, fragmented: u64) -> Rates {
        let text = format!(
            "mem_allocator:jemalloc-5.1.0\nactive_defrag_running:5\n\
             allocator_allocated:100000000\nallocator_active:{}\n",
            100_000_000 + fragmented
        );
        push(history, second, &text)
    }

    #[test]
    fn five_minutes_tell_whether_the_fragmented_bytes_fall() {
        for (step, want) in [(0, Some(false)), (100_000, Some(true))] {
            let mut history = History::default();
            for second in 0..300 {
                let rates = defragging(&mut history, second, 200_000_000 - step * second);
                assert_eq!(
                    rates.frag_falling, None,
                    "second {second}: too early to tell"
                );
            }
            let rates = defragging(&mut history, 300, 200_000_000 - step * 300);
            assert_eq!(rates.frag_falling, want, "{step} bytes a second");
            assert_eq!(rates.running_for, Some(PATIENCE));
            assert!(
                history.fragmented.len() <= 12,
                "{}",
                history.fragmented.len()
            );
            push(&mut history, 301, "active_defrag_running:0\n");
            let rates = defragging(&mut history, 302, 1);
            assert_eq!(rates.running_for, Some(Duration::ZERO), "a new run");
        }
    }

    #[test]
    fn a_long_save_does_not_make_a_run_look_ineffective() {
        let mut history = History::default();
        for second in 0..100 {
            defragging(&mut history, second, 200_000_000 - 100_000 * second);
        }
        let paused = |second| {
            let text = "mem_allocator:jemalloc-5.1.0\nactive_defrag_running:5\n\
                        rdb_bgsave_in_progress:1\nallocator_allocated:100000000\n\
                        allocator_active:290000000\n";
            push(&mut history, second, text)
        };
        let rates = (100..700).map(paused).last().unwrap();
        assert_eq!(rates.running_for, Some(Duration::from_secs(99)));
        assert_eq!(rates.frag_falling, None, "the run rested for ten minutes");
        for second in 700..900 {
            let rates = defragging(&mut history, second, 190_000_000);
            assert_eq!(rates.frag_falling, None, "second {second}");
        }
        let rates = defragging(&mut history, 901, 180_000_000);
        assert_eq!(rates.frag_falling, Some(true));
    }

    #[test]
    fn time_that_stands_still_gives_no_rate() {
        let mut history = History::default();
        push(&mut history, 5, &counters(1, 1, 1));
        assert_eq!(push(&mut history, 5, &counters(9, 9, 9)).hits, None);
    }
}
