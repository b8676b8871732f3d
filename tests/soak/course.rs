//! What goes wrong when, from a seed. Knows no clock.

use std::time::Duration;

use fastrand::Rng;

use crate::support::Fault;
use crate::table;

/// Seconds between two faults of one instance, on average.
const APART: f64 = 50.0;
/// Seconds that a fault stays.
const LENGTH: std::ops::Range<f64> = 0.5..12.0;
/// Least time in which an instance is well between two faults.
const WELL: Duration = Duration::from_secs(4);

/// A time in which nothing is to be expected of an instance.
#[derive(Clone, Debug)]
pub struct Spell {
    pub job: usize,
    pub what: &'static str,
    pub from: Duration,
    /// Until when nothing can have come: taken before it is undone.
    pub held: Duration,
    /// When it was over: taken when it is undone.
    pub to: Duration,
}

/// A fault that comes, or one that goes: [`Fault::None`].
#[derive(Clone, Debug)]
pub struct Turn {
    pub at: Duration,
    pub job: usize,
    pub what: &'static str,
    pub fault: Fault,
}

/// Turns of instances between two times, in their order; of each it is said whether it is
/// reached by TLS.
pub fn turns(seed: u64, by_tls: &[bool], from: Duration, to: Duration) -> Vec<Turn> {
    let (plain, tls) = (table::rows(), table::rows_of_tls());
    let mut turns = Vec::new();
    for (job, by_tls) in by_tls.iter().enumerate() {
        let faults = if *by_tls { &tls } else { &plain };
        let mut random = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(job as u64));
        let mut at = from;
        loop {
            at += Duration::from_secs_f64(-APART * (1.0 - random.f64()).ln());
            let length = LENGTH.start + random.f64() * (LENGTH.end - LENGTH.start);
            let end = at + Duration::from_secs_f64(length);
            if end >= to {
                break;
            }
            let row = &faults[random.usize(..faults.len())];
            let turn = |at, fault| Turn {
                at,
                job,
                what: row.name,
                fault,
            };
            turns.push(turn(at, row.fault.clone()));
            turns.push(turn(end, Fault::None));
            at = end + WELL;
        }
    }
    turns.sort_by_key(|turn| turn.at);
    turns
}
