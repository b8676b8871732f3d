//! Processes that the kernel kills for want of memory, as the counters of cgroups tell
//! it over time.
//!
//! Knows that a killed server often takes its cgroup along. Must not judge a kill.

use std::sync::Arc;
use std::time::Duration;

use super::host::Host;

/// How long a kill for want of memory is news.
const KILL_IS_NEWS: Duration = Duration::from_secs(3600);

/// Kills seen, over all restarts.
#[derive(Debug, Default, Clone)]
pub(super) struct Kills {
    cgroup: Option<Arc<str>>,
    /// The counters as read last: of the cgroup, and of what is around it.
    counted: Option<u64>,
    around: Option<u64>,
    /// Whether its process was not read since it restarted.
    unread: bool,
    /// How many in a row within the last hour, and when the last was.
    lately: Option<(u64, Duration)>,
}

impl Kills {
    /// Reads the counters. A server that was killed often takes its cgroup along: then
    /// the one around it tells, where a restart and a kill in it come together. The
    /// first reading of a new process may come with its second sample.
    pub(super) fn follow(&mut self, now: Duration, host: Option<&Host>, restarted: bool) {
        if let Some((_, at)) = self.lately
            && now.saturating_sub(at) > KILL_IS_NEWS
        {
            self.lately = None;
        }
        self.unread |= restarted;
        let Some(host) = host else { return };
        let same = self.cgroup == host.cgroup;
        let grown = |before: Option<u64>, now: Option<u64>| now?.checked_sub(before?);
        let own = grown(self.counted, host.oom_kills).filter(|_| same);
        let around = grown(self.around, host.oom_kills_around).filter(|_| self.unread);
        let kills = own.unwrap_or(0).max(around.unwrap_or(0));
        if kills > 0 {
            let known = self.lately.map_or(0, |(kills, _)| kills);
            self.lately = Some((known.saturating_add(kills), now));
        }
        self.unread = false;
        if !same {
            self.cgroup.clone_from(&host.cgroup);
        }
        self.counted = host.oom_kills;
        self.around = host.oom_kills_around.or(self.around);
    }

    /// How many within the last hour.
    pub(super) fn lately(&self) -> Option<u64> {
        self.lately.map(|(kills, _)| kills)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_news_for_an_hour() {
        let mut seen = Kills::default();
        let mut follow = |second: u64, cgroup: &str, kills: u64, around: u64, restarted| {
            let host = Host {
                cgroup: Some(cgroup.into()),
                oom_kills: Some(kills),
                oom_kills_around: Some(around),
                ..Host::default()
            };
            seen.follow(Duration::from_secs(second), Some(&host), restarted);
            seen.lately()
        };
        assert_eq!(
            follow(1, "/x/1", 7, 7, false),
            None,
            "before anybody looked"
        );
        assert_eq!(follow(2, "/x/1", 8, 8, false), Some(1));
        assert_eq!(follow(3, "/x/1", 8, 9, false), Some(1), "somebody else's");
        assert_eq!(
            follow(4, "/x/2", 0, 10, true),
            Some(2),
            "the server, and its cgroup"
        );
        assert_eq!(follow(3604, "/x/2", 0, 10, false), Some(2));
        assert_eq!(follow(3605, "/x/2", 0, 10, false), None);
        assert_eq!(
            follow(3606, "/y/1", 3, 10, true),
            None,
            "another cgroup's own past"
        );
    }

    #[test]
    fn a_restart_whose_process_is_read_later_is_one() {
        let mut seen = Kills::default();
        let host = |around| Host {
            oom_kills_around: Some(around),
            ..Host::default()
        };
        seen.follow(Duration::from_secs(1), Some(&host(1)), false);
        seen.follow(Duration::from_secs(2), None, true);
        seen.follow(Duration::from_secs(3), Some(&host(2)), false);
        assert_eq!(seen.lately(), Some(1));
    }
}
