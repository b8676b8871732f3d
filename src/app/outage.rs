//! The outages of one instance: when they are told to whoever reads the log.
//!
//! Must not know how an instance is asked, nor when.

use std::time::Duration;

use crate::config::job::Job;
use crate::source::trouble::Trouble;

/// How soon the same reason is told of an instance that answered in between.
const SAME_AGAIN: Duration = Duration::from_secs(300);

/// An outage that lasts is told all the same.
const LASTS: Duration = Duration::from_secs(15);

/// Reasons of one instance that are told within [`SAME_AGAIN`]: a server that shows another
/// certificate each time has another reason each time.
const MOST_SAID: usize = 8;

/// Each outage is told once when it begins, again when the reason becomes another, and
/// once when it ends. Of an instance that comes and goes the same is told every few
/// minutes, with the number of outages that were not told in between.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// Failures in a row.
    pub(super) failures: u32,
    /// Before this time it is left alone.
    pub(super) next_try: Duration,
    /// Whether the instance ever answered.
    pub(super) reached: bool,
    /// When the first of the failures was.
    since: Duration,
    /// The reasons told lately, and when.
    said: Vec<(Trouble, Duration)>,
    /// When the outage was told first; `None` where it was not.
    told_since: Option<Duration>,
    /// Outages that passed and were not told since the last line.
    untold: u32,
    /// The reason that whoever asks is told.
    pub(super) reported: Option<Trouble>,
}

impl Outage {
    /// Whether this is the reason that was reported.
    pub(super) fn is_of(&self, trouble: &Trouble) -> bool {
        (self.reported.as_ref()).is_some_and(|reported| reported.is_like(trouble))
    }

    /// Takes a failure in, and tells it where it is news.
    pub(super) fn told(&mut self, job: &Job, trouble: Trouble, now: Duration) {
        if self.failures == 0 {
            self.since = now;
        }
        self.failures = self.failures.saturating_add(1);
        if self.is_known(&trouble, now) {
            log::debug!("job {}: {trouble}", job.name);
            return;
        }
        let level = if job.quiet && !self.reached {
            log::Level::Debug
        } else {
            log::Level::Warn
        };
        let before = match std::mem::take(&mut self.untold) {
            0 => String::new(),
            untold => format!(" (and {untold} times shortly since the last such line)"),
        };
        log::log!(level, "job {} ({}): {trouble}{before}", job.name, job.url());
        self.told_since.get_or_insert(now);
        self.said
            .retain(|(said, at)| !said.is_like(&trouble) && now.saturating_sub(*at) < SAME_AGAIN);
        self.said.push((trouble, now));
    }

    /// Whether this was told in this outage, or a short while ago in another and this one
    /// has not lasted yet.
    fn is_known(&self, trouble: &Trouble, now: Duration) -> bool {
        let is_late = |at: Duration| now.saturating_sub(at) >= SAME_AGAIN;
        if self.said.len() >= MOST_SAID && !self.said.iter().any(|(_, at)| is_late(*at)) {
            return true;
        }
        let lasts = self.failures > 0 && now.saturating_sub(self.since) >= LASTS;
        self.said.iter().any(|(said, at)| {
            let here = self.told_since.is_some_and(|since| *at >= since);
            let lately = !is_late(*at) && !lasts;
            said.is_like(trouble) && (here || lately)
        })
    }

    /// The instance answers: tells the end of what was told.
    pub(super) fn over(&mut self, job: &Job) {
        if !self.reached {
            log::info!("job {}: watching {}", job.name, job.url());
        } else if self.told_since.is_some() {
            log::info!(
                "job {}: answers again after {} failed collections",
                job.name,
                self.failures
            );
        } else if self.failures > 0 {
            self.untold = self.untold.saturating_add(1);
        }
        self.reached = true;
        self.failures = 0;
        self.next_try = Duration::ZERO;
        self.told_since = None;
        self.reported = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::address::Address;

    /// Whether each failure, at its second, is told; `None` is an answer.
    fn told(course: &[(u64, Option<Trouble>)]) -> Vec<usize> {
        let job = Job::new("x", Address::Unix("/x".into()));
        let (mut outage, mut lines) = (Outage::default(), Vec::new());
        for (number, (second, trouble)) in course.iter().enumerate() {
            let Some(trouble) = trouble else {
                outage.over(&job);
                continue;
            };
            let now = Duration::from_secs(*second);
            if !outage.is_known(trouble, now) {
                lines.push(number);
            }
            outage.told(&job, trouble.clone(), now);
        }
        lines
    }

    #[test]
    fn an_outage_is_told_once_and_another_reason_is_told() {
        let (silent, wrong) = (|| Some(Trouble::Silent), || Some(Trouble::WrongPassword));
        let course = [
            (1, silent()),
            (2, silent()),
            (3, wrong()),
            (4, silent()),
            (9999, wrong()),
        ];
        assert_eq!(told(&course), [0, 2]);
    }

    #[test]
    fn an_instance_that_comes_and_goes_is_told_now_and_then() {
        let course: Vec<_> = (0..1200)
            .map(|second| (second, (second % 2 == 0).then_some(Trouble::Silent)))
            .collect();
        assert_eq!(told(&course), [0, 300, 600, 900]);
        let stays = [
            (0, Some(Trouble::Silent)),
            (1, None),
            (2, Some(Trouble::Silent)),
            (16, Some(Trouble::Silent)),
            (17, Some(Trouble::Silent)),
            (18, Some(Trouble::Silent)),
        ];
        assert_eq!(told(&stays), [0, 4], "one that lasts is told, and once");
    }

    #[test]
    fn what_passed_untold_is_counted_and_reasons_without_end_are_not_kept() {
        let job = Job::new("x", Address::Unix("/x".into()));
        let mut outage = Outage::default();
        let mut untold = Vec::new();
        for second in (0..20).step_by(2) {
            outage.told(&job, Trouble::Silent, Duration::from_secs(second));
            outage.over(&job);
            untold.push(outage.untold);
        }
        assert_eq!(untold, (0..10).collect::<Vec<_>>());
        outage.told(&job, Trouble::Silent, Duration::from_secs(400));
        assert_eq!(outage.untold, 0, "it is told now");
        let expired = |second| Some(Trouble::Tls(format!("expired on day {second}")));
        let course: Vec<_> = (0..1200).map(|second| (second, expired(second))).collect();
        let lines = told(&course);
        assert!(lines.len() <= 4 * MOST_SAID, "{lines:?}");
    }
}
