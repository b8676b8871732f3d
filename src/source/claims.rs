//! Which job charts which server process, so that one reached in two ways is charted
//! once.
//!
//! Must not ask anybody: it only keeps what it is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who may chart a process before whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Somebody configured the job. Two such jobs for one process are the operator's
    /// wish.
    Configured,
    /// It was configured for another collector.
    Imported,
    /// It was found.
    Discovered,
}

/// A process of this machine: its pid and when it was started.
pub type ProcessId = (u32, u64);

#[derive(Debug, Default)]
struct Owners {
    /// By `run_id`, which a server has wherever it runs.
    runs: HashMap<String, (String, Rank)>,
    /// By job, where it runs here.
    processes: HashMap<String, ProcessId>,
}

/// The claims of all jobs. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    owners: Arc<Mutex<Owners>>,
}

impl Claims {
    /// Claims the server `run_id` for a job and says whether the job has it.
    #[must_use]
    pub fn claim(&self, run_id: &str, job: &str, rank: Rank) -> bool {
        let runs = &mut self.lock().runs;
        match runs.get(run_id) {
            Some((owner, _)) if owner == job => true,
            Some((_, other)) if rank == *other => rank == Rank::Configured,
            Some((_, other)) if rank > *other => false,
            _ => {
                // The process that it had before is gone, and its run_id with it.
                runs.retain(|_, (owner, _)| owner != job);
                runs.insert(run_id.to_owned(), (job.to_owned(), rank));
                true
            }
        }
    }

    /// Notes which process of this machine a job charts.
    pub fn runs_here(&self, job: &str, process: ProcessId) {
        let processes = &mut self.lock().processes;
        if processes.get(job) != Some(&process) {
            processes.insert(job.to_owned(), process);
        }
    }

    /// The process of this machine that a job charts.
    #[must_use]
    pub fn process_of(&self, job: &str) -> Option<ProcessId> {
        self.lock().processes.get(job).copied()
    }

    /// Whether some job charts this process.
    #[must_use]
    pub fn charts(&self, process: ProcessId) -> bool {
        self.lock()
            .processes
            .values()
            .any(|known| *known == process)
    }

    /// Gives up what a job has claimed: its instance is gone or another now.
    pub fn release(&self, job: &str) {
        let mut owners = self.lock();
        owners.runs.retain(|_, (owner, _)| owner != job);
        owners.processes.remove(job);
    }

    fn lock(&self) -> MutexGuard<'_, Owners> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_is_charted_once_and_configured_jobs_go_first() {
        let claims = Claims::default();
        let found = Rank::Discovered;
        assert!(claims.claim("r1", "socket", found));
        assert!(claims.claim("r1", "socket", found), "still its own");
        assert!(!claims.claim("r1", "local", found), "the first has it");
        assert!(
            claims.claim("r1", "mine", Rank::Configured),
            "configured goes first"
        );
        assert!(!claims.claim("r1", "socket", found), "and the other yields");
        assert!(
            claims.claim("r1", "mine_too", Rank::Configured),
            "both configured: both charted"
        );
        assert!(!claims.claim("r1", "go_d", Rank::Imported));
        assert!(claims.claim("r2", "socket", found));
        assert!(claims.claim("r2", "go_d", Rank::Imported));
        assert!(!claims.claim("r2", "socket", found), "the other's file");
        assert!(!claims.claim("r2", "go_d_too", Rank::Imported), "once");
        assert!(claims.claim("r2", "mine_as_well", Rank::Configured));
        assert!(
            !claims.claim("r2", "go_d", Rank::Imported),
            "ours goes first"
        );
        claims.release("mine");
        assert!(claims.claim("r1", "local", found), "free again");
        assert!(
            claims.claim("r3", "local", found),
            "its server is started anew"
        );
        assert!(
            claims.claim("r1", "socket", found),
            "one claim for each job"
        );
    }

    #[test]
    fn a_process_is_charted_while_its_job_has_it() {
        let claims = Claims::default();
        claims.runs_here("a", (7, 100));
        assert!(
            claims.charts((7, 100)) && !claims.charts((7, 101)),
            "the pid was used again"
        );
        claims.runs_here("a", (8, 200));
        assert!(!claims.charts((7, 100)) && claims.charts((8, 200)));
        claims.release("a");
        assert!(!claims.charts((8, 200)));
    }
}
