//! What is told of values that were thrown away: a line when it begins and one when it is
//! over, and of an agent that is too slow for long a few each minute.
//!
//! Pure. Must not know why values go, nor where the lines go.

use std::time::Duration;

/// How soon the begin is told again. What is thrown away in between is counted.
const AGAIN: Duration = Duration::from_secs(60);

/// Values that were thrown away and not told yet.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// How often.
    times: u64,
    /// When the first went.
    since: Duration,
    /// The begin was told, and the end is to be.
    open: bool,
    /// When the begin was told last.
    told: Option<Duration>,
}

impl Losses {
    /// Some went, at this moment of a clock that never goes back. Whether to tell that it
    /// began.
    pub(super) fn add(&mut self, now: Duration) -> bool {
        if self.times == 0 {
            self.since = now;
        }
        self.times += 1;
        let begins = !self.open && self.is_time(now);
        if begins {
            (self.open, self.told) = (true, Some(now));
        }
        begins
    }

    /// The agent reads: how often some went and for how long, where that is to be told.
    pub(super) fn over(&mut self, now: Duration) -> Option<(u64, Duration)> {
        if self.times == 0 || !(self.open || self.is_time(now)) {
            return None;
        }
        if !self.open {
            self.told = Some(now);
        }
        self.open = false;
        let times = std::mem::take(&mut self.times);
        Some((times, now.saturating_sub(self.since)))
    }

    fn is_time(&self, now: Duration) -> bool {
        let since = self.told.map(|told| now.saturating_sub(told));
        since.is_none_or(|since| since >= AGAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn begin_and_end_are_told_once_with_the_count_between() {
        let mut losses = Losses::default();
        assert_eq!(losses.over(SECOND), None);
        let begins = (10..40).filter(|second| losses.add(*second * SECOND));
        assert_eq!(begins.collect::<Vec<u32>>(), [10]);
        assert_eq!(losses.over(41 * SECOND), Some((30, 31 * SECOND)));
        assert_eq!(losses.over(200 * SECOND), None);
        assert!(losses.add(300 * SECOND));
        assert_eq!(losses.over(301 * SECOND), Some((1, SECOND)));
    }

    /// Which loses some each second, and reads each second.
    #[test]
    fn an_agent_that_is_slow_is_told_of_a_few_times_a_minute_and_none_is_left_out() {
        let mut losses = Losses::default();
        let (mut begins, mut ends, mut times) = (0, 0, 0);
        for second in 0..600 {
            begins += u32::from(losses.add(second * SECOND));
            if let Some((some, _)) = losses.over(second * SECOND + SECOND / 2) {
                ends += 1;
                times += some;
            }
        }
        assert_eq!((begins, ends), (10, 10));
        // What came last is told when it is time, though nothing more goes.
        let (some, length) = losses.over(600 * SECOND).unwrap();
        assert_eq!(times + some, 600);
        assert_eq!(length, 59 * SECOND);
        assert_eq!(losses.over(700 * SECOND), None);
    }
}
