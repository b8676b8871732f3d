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
/// machine that slept costs one odd wait, never a burst.
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

/// The wait behind the first collection. One that came just before its time is followed
/// by that of the next interval: two samples too near each other make a poor rate.
#[must_use]
pub fn second_wait(wall: Duration, every: Duration, slot: Duration) -> Duration {
    let wait = wait(wall, every, slot);
    if wait < every / 2 { wait + every } else { wait }
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
            let wait = second_wait(ms(wall), SECOND, Duration::ZERO);
            assert_eq!(wait, ms(want), "{wall}");
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
