//! What the live view knows of each instance: its last report, since when it is silent,
//! and its past as far as it is drawn.
//!
//! Pure: times come as spans since the view began. Must not know how a row is drawn.

use std::collections::VecDeque;
use std::time::Duration;

use crate::app::report::Report;
use crate::model::verdict::{Severity, Verdict};

/// Moments that are kept of each: as many as the widest line of them has columns.
pub const MOMENTS: usize = 120;

/// One moment of an instance; a gap where it did not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moment {
    /// Resident over used memory.
    pub ratio: Option<f64>,
    /// Resident bytes.
    pub rss: Option<u64>,
    /// Used bytes.
    pub used: Option<u64>,
}

/// One instance.
#[derive(Debug)]
pub struct Row {
    /// The job's name, or the address; unique.
    pub name: String,
    /// What was reported last, of one that answers or not; `None` before the first time.
    pub report: Option<Report>,
    /// When it last answered.
    pub heard: Option<Duration>,
    /// Since when it does not.
    pub silent: Option<Duration>,
    /// Its past, the oldest first.
    pub past: VecDeque<Moment>,
}

impl Row {
    /// One of which nothing is known yet.
    #[must_use]
    pub fn new(name: String) -> Self {
        Self {
            name,
            report: None,
            heard: None,
            silent: None,
            past: VecDeque::new(),
        }
    }

    /// Takes what was reported at a time.
    pub fn take(&mut self, report: Report, now: Duration) {
        let moment = match &report.found {
            Ok(found) => {
                self.heard = Some(now);
                self.silent = None;
                Moment {
                    ratio: found.ratio,
                    rss: found.rss,
                    used: found.used,
                }
            }
            Err(_) => {
                self.silent.get_or_insert(now);
                Moment::default()
            }
        };
        if self.past.len() >= MOMENTS {
            self.past.pop_front();
        }
        self.past.push_back(moment);
        self.report = Some(report);
    }

    /// How bad it is; of one not asked yet, nothing.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.report
            .as_ref()
            .map_or(Severity::Fine, Report::severity)
    }

    /// What it is found to be.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.report.as_ref().map(Report::verdict)
    }

    /// Bytes beyond used memory.
    #[must_use]
    pub fn wasted(&self) -> i64 {
        self.report.as_ref().map_or(0, Report::wasted)
    }

    /// Resident over used memory.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let found = self.report.as_ref()?.found.as_ref().ok()?;
        found.ratio
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_bounded_and_a_silence_is_a_gap() {
        let mut row = Row::new("a".to_owned());
        for second in 0..500 {
            row.take(
                Report::unreachable("a", "gone"),
                Duration::from_secs(second + 3),
            );
        }
        assert_eq!(row.past.len(), MOMENTS);
        assert!(row.past.iter().all(|moment| *moment == Moment::default()));
        assert_eq!(
            row.silent,
            Some(Duration::from_secs(3)),
            "since the first time"
        );
        assert_eq!(row.heard, None);
    }
}
