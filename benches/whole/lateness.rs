//! How late values came, and which never did.
//!
//! An instance is due in every second at its slot (`app::schedule`); what is late is
//! counted from there to the moment when the line that ends its values was read from
//! the pipe: so the wake-up, the poll, the reading and the writing are all in it, and
//! the harness's own wake-up too. Pure.

use std::collections::HashMap;
use std::time::Duration;

use redis_frag::app::schedule;

const SECOND: Duration = Duration::from_secs(1);

/// The wall clock is steered: what comes so much too early is not a second late.
const EARLY: Duration = Duration::from_millis(2);

/// An instance was told to be up.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Its number in the configuration.
    pub instance: usize,
    /// When, by the wall clock.
    pub at: Duration,
}

/// How late, over all instances and seconds.
#[derive(Debug, Clone, Default)]
pub struct Lateness {
    /// Half of them came sooner.
    pub p50: Duration,
    /// 99 of a hundred came sooner.
    pub p99: Duration,
    /// The latest of those that came within their second.
    pub max: Duration,
    /// Seconds of an instance without values.
    pub missed: usize,
    /// Seconds of an instance in all.
    pub due: usize,
}

impl Lateness {
    /// Of these instances, of all that was due from `from` on for so long.
    pub fn new(arrivals: &[Arrival], instances: &[usize], from: Duration, long: Duration) -> Self {
        let first = from.as_secs() + 1;
        let seconds = long.as_secs();
        let mut late: HashMap<(usize, u64), Duration> = HashMap::new();
        for arrival in arrivals {
            let since = (arrival.at + EARLY).saturating_sub(schedule::slot(arrival.instance));
            let second = since.as_secs();
            if (first..first + seconds).contains(&second) {
                let lateness = (since - SECOND * u32::try_from(second).unwrap_or(u32::MAX))
                    .saturating_sub(EARLY);
                late.entry((arrival.instance, second)).or_insert(lateness);
            }
        }
        let due = instances.len() * usize::try_from(seconds).unwrap_or(0);
        let mut came: Vec<Duration> = instances
            .iter()
            .flat_map(|instance| (first..first + seconds).map(move |second| (*instance, second)))
            .filter_map(|key| late.get(&key).copied())
            .collect();
        came.sort_unstable();
        let at = |share: f64| {
            let index = (came.len() as f64 * share) as usize;
            came.get(index.min(came.len().saturating_sub(1)))
                .copied()
                .unwrap_or_default()
        };
        Self {
            p50: at(0.5),
            p99: at(0.99),
            max: came.last().copied().unwrap_or_default(),
            missed: due - came.len(),
            due,
        }
    }
}
