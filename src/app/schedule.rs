//! When an instance is asked.
//!
//! Pure: times in, times out. Must not sleep or read a clock.

use std::time::Duration;

/// Instances that share one slot of the second. Waking up costs more than
/// asking, so they wake up together.
const PER_SLOT: usize = 50;

/// Slots of a second. Those beyond fill the first ones again.
const SLOTS: usize = 10;

/// How often an instance is tried again whose tries cost more than a collection: its
/// values are back two seconds after it is.
const DEAR_EVERY: Duration = Duration::from_secs(2);

/// How far two clocks may go apart between two collections: the one is read a moment after
/// the other. A wall clock that is set right gently runs up to half a thousandth fast or
/// slow (adjtimex(2)).
const CLOCKS_APART: Duration = Duration::from_millis(250);

/// Pause between looks for instances that nobody named.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Pause between looks for who belongs to a cluster, or to what Sentinels follow.
pub const FOLLOW_EVERY: Duration = Duration::from_secs(5);

/// The same where the question was refused: what the user may do, and whether a server
/// is in a cluster, changes rarely.
pub const FOLLOW_REFUSED_EVERY: Duration = Duration::from_secs(60);

/// Pause between looks whether a server that another job charts is free again.
pub const YIELDED_EVERY: Duration = Duration::from_secs(15);

/// Where in the second the instance with this number is asked.
#[must_use]
pub fn slot(number: usize) -> Duration {
    let slot = (number / PER_SLOT) % SLOTS;
    Duration::from_secs(1) * u32::try_from(slot).unwrap_or(0) / u32::try_from(SLOTS).unwrap_or(1)
}

/// How long to wait until the next collection: to the next multiple of the
/// interval on the wall clock, plus the slot. A clock that was stepped or a
/// machine that slept costs one odd wait, never a burst and never a stall.
#[must_use]
pub fn wait(wall: Duration, every: Duration, slot: Duration) -> Duration {
    let every = every.as_nanos().max(1);
    let shifted = wall.as_nanos() + every - slot.as_nanos() % every;
    let left = every - shifted % every;
    Duration::from_nanos(u64::try_from(left).unwrap_or(u64::MAX))
}

/// How long to wait before the first collection: not for the second to be full, for an
/// operator who waits for the first values. Many that begin at once are spread as they
/// are later.
#[must_use]
pub fn first_wait(every: Duration, slot: Duration) -> Duration {
    slot.min(every / 2)
}

/// How long to wait behind a collection that was begun so long ago. One that would come
/// too soon after it is left to the next interval: two samples too near each other make a
/// poor rate. So it is behind the first collection, and where the clock was stepped.
#[must_use]
pub fn next_wait(wall: Duration, every: Duration, slot: Duration, since: Duration) -> Duration {
    let wait = wait(wall, every, slot);
    if since.saturating_add(wait) < every / 2 {
        wait + every
    } else {
        wait
    }
}

/// One moment by both clocks of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Time since some start, by the clock that nobody sets and that stands still while
    /// the machine is suspended (`CLOCK_MONOTONIC`, clock_gettime(2)).
    pub steady: Duration,
    /// Time since 1970, by the clock on the wall.
    pub wall: Duration,
}

/// How two clocks went on between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// Alike.
    Alike,
    /// The wall clock went ahead: it was set, or the machine was suspended. Nobody can tell
    /// how long it really was.
    Ahead,
    /// The wall clock was set back.
    Back,
}

impl Moment {
    /// How the clocks went on since then.
    #[must_use]
    pub fn since(self, then: Self) -> Passed {
        let steady = self.steady.saturating_sub(then.steady);
        let reached = then.wall + steady;
        if self.wall.abs_diff(reached) < CLOCKS_APART + steady / 1000 {
            Passed::Alike
        } else if self.wall > reached {
            Passed::Ahead
        } else {
            Passed::Back
        }
    }
}

/// How long one collection may take: the job's timeout, but where that would
/// reach the next collection a little less, so that a silent instance is told
/// down every second. A timeout longer than the interval is the operator's wish
/// and skips collections.
#[must_use]
pub fn patience(timeout: Duration, every: Duration) -> Duration {
    if timeout > every {
        timeout
    } else {
        timeout.min(every * 9 / 10)
    }
}

/// How long after the begin of a try that failed the next one may come, after so many in
/// a row. What is cheap is tried at each collection; a handshake or a password that is
/// refused is `dear` to either side.
#[must_use]
pub fn pause(is_dear: bool, failures: u32, every: Duration) -> Duration {
    match failures {
        2.. if is_dear => DEAR_EVERY.saturating_sub(every / 2),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_collection_falls_on_the_second_of_the_wall_clock() {
        for (wall, every, slot, want) in [
            (10_300, 1000, 0, 700),
            (10_000, 1000, 0, 1000),
            (10_999, 1000, 0, 1),
            (12_000, 5000, 0, 3000),
            (10_300, 1000, 400, 100),
            (10_400, 1000, 400, 1000),
            (10_500, 1000, 400, 900),
            (0, 1000, 900, 900),
        ] {
            let ms = Duration::from_millis;
            assert_eq!(
                wait(ms(wall), ms(every), ms(slot)),
                ms(want),
                "{wall} {every} {slot}"
            );
        }
    }

    #[test]
    fn the_first_collection_waits_for_no_second_and_the_next_is_half_an_interval_away() {
        let ms = Duration::from_millis;
        assert_eq!(first_wait(SECOND, Duration::ZERO), Duration::ZERO);
        assert_eq!(first_wait(SECOND, ms(300)), ms(300));
        assert_eq!(first_wait(10 * SECOND, ms(900)), ms(900));
        for (wall, want) in [(10_300, 700), (10_600, 1400), (10_499, 501), (10_501, 1499)] {
            let wait = next_wait(ms(wall), SECOND, Duration::ZERO, Duration::ZERO);
            assert_eq!(wait, ms(want), "{wall}");
        }
    }

    #[test]
    fn no_two_collections_are_begun_too_near_each_other() {
        let ms = Duration::from_millis;
        for (wall, since, want) in [
            (10_001, 1, 999),
            (10_900, 900, 100),
            // A clock that was set back a little: this was the collection of the next second.
            (10_999, 1, 1001),
            (10_700, 1, 1300),
            // A slow answer, and the clock was set meanwhile.
            (10_900, 300, 1100),
        ] {
            let wait = next_wait(ms(wall), SECOND, Duration::ZERO, ms(since));
            assert_eq!(wait, ms(want), "{wall} {since}");
        }
    }

    #[test]
    fn a_clock_that_is_set_and_a_machine_that_sleeps_are_told_from_time_that_passes() {
        let moment = |steady, wall| Moment {
            steady: Duration::from_millis(steady),
            wall: Duration::from_millis(wall),
        };
        let then = moment(5_000, 1_000_000);
        for (steady, wall, want) in [
            (6_000, 1_001_000, Passed::Alike),
            (6_000, 1_001_200, Passed::Alike),
            (6_000, 1_000_800, Passed::Alike),
            (95_000, 1_090_045, Passed::Alike),
            (6_000, 1_002_000, Passed::Ahead),
            (6_000, 1_000_500, Passed::Back),
            (6_000, 900_000, Passed::Back),
            (5_100, 999_790, Passed::Back),
            // Suspended for an hour.
            (6_000, 4_601_000, Passed::Ahead),
            // Stopped for an hour.
            (3_606_000, 4_601_000, Passed::Alike),
        ] {
            let now = moment(steady, wall);
            assert_eq!(now.since(then), want, "{now:?}");
        }
    }

    #[test]
    fn instances_share_slots() {
        assert_eq!(slot(0), Duration::ZERO);
        assert_eq!(slot(49), Duration::ZERO);
        assert_eq!(slot(50), Duration::from_millis(100));
        assert_eq!(slot(499), Duration::from_millis(900));
        assert_eq!(slot(500), Duration::ZERO);
    }

    #[test]
    fn a_silent_instance_does_not_reach_into_the_next_collection() {
        assert_eq!(patience(SECOND, SECOND), Duration::from_millis(900));
        assert_eq!(patience(SECOND / 2, SECOND), SECOND / 2);
        assert_eq!(patience(SECOND, 5 * SECOND), SECOND);
        assert_eq!(
            patience(3 * SECOND, SECOND),
            3 * SECOND,
            "as the operator wishes"
        );
    }

    #[test]
    fn what_is_dear_is_tried_every_other_second_and_all_else_each() {
        let ms = Duration::from_millis;
        assert_eq!(pause(true, 1, SECOND), ms(0), "most outages are a restart");
        for failures in [2, 3, 100, u32::MAX] {
            assert_eq!(pause(true, failures, SECOND), ms(1500));
            assert_eq!(pause(false, failures, SECOND), ms(0));
        }
        let rare = pause(true, 9, 10 * SECOND);
        assert_eq!(rare, ms(0), "the interval is pause enough");
    }
}
