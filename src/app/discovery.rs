//! Instances of this machine that nobody named: looked for again and again, watched
//! while they are there, taken off the dashboard some time after they are gone.
//!
//! Must not know how a process is found (`source/discover.rs`), nor what is written
//! of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::config::address::Address;
use crate::config::job::Job;
use crate::source::claims::{ProcessId, Rank};
use crate::source::discover::{self, Candidate, Reached};
use crate::source::processes::ServerProcess;
use crate::source::trouble::Trouble;

use super::report::words::clean;
use super::roster::{Roster, Source};
use super::schedule;
use super::shared::Shared;

/// Longest wait for an answer of one that was found.
const PATIENCE: Duration = Duration::from_secs(1);

/// Pause before the first look where jobs are configured: theirs is the claim.
const HEAD_START: Duration = Duration::from_secs(2);

/// How soon one that wants a password, or cannot be reached, or is another job's, is
/// tried again: every try leaves a trace in the server.
const REFUSED_EVERY: Duration = Duration::from_secs(300);
const UNREACHABLE_EVERY: Duration = Duration::from_secs(60);

/// Looks in a row after which a process to which no way leads is told of.
const MISSED: u32 = 3;

/// Looks for instances until the task is ended.
pub(super) struct Discovery {
    shared: Shared,
    roster: Roster,
    /// Seconds between collections.
    interval: u32,
    /// Who lets nobody in, and when they are tried again.
    rested: HashMap<Who, Duration>,
    /// How often in a row no way led to a process: one that has only just started does
    /// not listen yet.
    missed: HashMap<ProcessId, u32>,
    /// Whether it was told that looks are not done.
    broken: bool,
}

/// Whom a try was about: a process, or who is at an address without a process that
/// could be seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    Process(ProcessId),
    At(Address),
}

impl Discovery {
    pub(super) fn new(roster: Roster, interval: u32) -> Self {
        Self {
            shared: roster.shared().clone(),
            roster,
            interval,
            rested: HashMap::new(),
            missed: HashMap::new(),
            broken: false,
        }
    }

    pub(super) async fn run(mut self) {
        if !self.roster.is_empty() {
            sleep(HEAD_START).await;
        }
        if self.shared.kernel.hides_processes() {
            log::info!(
                "processes of other users are hidden here (hidepid), so instances are looked for \
                 at the usual addresses alone; name others in redis-frag.conf"
            );
        }
        let mut looking = None;
        loop {
            let next_look = Instant::now() + schedule::LOOK_EVERY;
            let (kernel, claims) = (Arc::clone(&self.shared.kernel), self.shared.claims.clone());
            let known = move |process| claims.charts(process);
            let look = looking.get_or_insert_with(|| {
                let looks = Arc::clone(&kernel);
                looks.look(move || discover::candidates(&kernel, known))
            });
            // One that takes longer is awaited by the next round: whatever hangs in the
            // kernel must not be asked again and again.
            if let Ok(looked) = timeout(schedule::LOOK_EVERY, look).await {
                looking = None;
                match looked {
                    Ok(candidates) => {
                        self.broken = false;
                        self.meet(candidates).await;
                    }
                    Err(_) if std::mem::replace(&mut self.broken, true) => {}
                    Err(undone) => {
                        log::error!("a look for instances: {undone}; others follow");
                    }
                }
            }
            sleep(next_look.saturating_duration_since(Instant::now())).await;
        }
    }

    async fn meet(&mut self, candidates: Vec<Candidate>) {
        let alive: HashSet<ProcessId> = candidates.iter().filter_map(id).collect();
        self.rested.retain(|who, _| match who {
            Who::Process(process) => alive.contains(process),
            Who::At(_) => true,
        });
        self.missed.retain(|process, _| alive.contains(process));
        // All at once, for one may hang; but taken in their order: of two ways to one
        // server it is always the same that is watched.
        let (mut tries, mut whose) = (JoinSet::new(), HashMap::new());
        for (place, candidate) in candidates.into_iter().enumerate() {
            if self.is_wanted(&candidate) {
                let (kernel, epoch) = (Arc::clone(&self.shared.kernel), self.shared.epoch);
                let tried = candidate.clone();
                let task = tries.spawn(async move {
                    let reached = discover::reach(&tried, &kernel, epoch, PATIENCE).await;
                    (place, tried, reached)
                });
                whose.insert(task.id(), candidate);
            }
        }
        let mut tried = Vec::new();
        while let Some(done) = tries.join_next().await {
            match done {
                Ok(done) => tried.push(done),
                Err(error) => {
                    if let Some(candidate) = whose.get(&error.id()) {
                        let told = "trying an instance that was found broke down, which is a \
                                    defect; it is left alone for a while";
                        self.rest(candidate, REFUSED_EVERY, told);
                    }
                }
            }
        }
        tried.sort_by_key(|(place, ..)| *place);
        for (_, candidate, reached) in tried {
            self.take(&candidate, reached).await;
        }
    }

    /// Whether nobody watches it yet, and it is not to be left alone.
    fn is_wanted(&self, candidate: &Candidate) -> bool {
        let named = |way: &Job| self.roster.leads_to(&way.address);
        let process = id(candidate);
        let rested = who(candidate).and_then(|who| self.rested.get(&who));
        let now = self.shared.epoch.elapsed();
        !process.is_some_and(|process| self.shared.claims.charts(process))
            && !candidate.ways.iter().any(named)
            && rested.is_none_or(|until| now >= *until)
    }

    async fn take(&mut self, candidate: &Candidate, reached: Reached) {
        match reached {
            Reached::Found(job, sample) => {
                let server = sample.server.as_ref();
                let run_id = server.and_then(|server| server.run_id.as_deref());
                let name = self.free_name(&job.name);
                let claims = &self.shared.claims;
                if run_id.is_none_or(|id| claims.claim(id, &name, Rank::Discovered)) {
                    if let Some(process) = id(candidate) {
                        claims.runs_here(&name, process);
                    }
                    self.watch(Job { name, ..*job }).await;
                } else {
                    // Another job's, by another way.
                    self.leave_alone(candidate, UNREACHABLE_EVERY);
                }
            }
            Reached::Refused(job, trouble) => self.refused(candidate, &job, &trouble),
            Reached::Silent => {}
            Reached::Unreachable { why, taken } => {
                // That nothing is at a usual address is no news.
                let Some(process) = &candidate.process else {
                    log::debug!("nothing there: {why}");
                    if taken {
                        self.leave_alone(candidate, UNREACHABLE_EVERY);
                    }
                    return;
                };
                let missed = self.missed.entry(process.id());
                let missed = missed.or_default();
                *missed += 1;
                if *missed < MISSED {
                    return;
                }
                let told = format!(
                    "found a server, process {} ({}), and cannot reach it: {why}; name its address \
                     in redis-frag.conf",
                    process.pid,
                    clean(&process.title)
                );
                self.rest(candidate, UNREACHABLE_EVERY, &told);
            }
        }
    }

    fn refused(&mut self, candidate: &Candidate, job: &Job, trouble: &Trouble) {
        let (why, keys) = match trouble {
            Trouble::NoPassword | Trouble::WrongPassword => {
                ("it wants a password".to_owned(), ", password: '…'")
            }
            Trouble::NotAllowed => (
                "its default user may not run INFO".to_owned(),
                ", username: …, password: '…'",
            ),
            other => (other.to_string(), ""),
        };
        let told = format!(
            "found a server at {0}, and {why}; to watch it add to redis-frag.conf, below jobs: \
             - name: {1}, address: {0}{keys}",
            job.address, job.name
        );
        self.rest(candidate, REFUSED_EVERY, &told);
    }

    /// Leaves it alone for a while, and tells why once.
    fn rest(&mut self, candidate: &Candidate, pause: Duration, told: &str) {
        if self.leave_alone(candidate, pause) {
            log::debug!("{told}");
        } else {
            log::warn!("{told}");
        }
    }

    /// The same without a word. Whether it was left alone before.
    fn leave_alone(&mut self, candidate: &Candidate, pause: Duration) -> bool {
        let until = self.shared.epoch.elapsed() + pause;
        let who = who(candidate);
        who.is_some_and(|who| self.rested.insert(who, until).is_some())
    }

    async fn watch(&mut self, mut job: Job) {
        job.update_every = job.update_every.max(self.interval);
        let name = job.name.clone();
        if !self.roster.add(Arc::new(job), Source::Discovered).await {
            // Taken in this very moment: the next look finds another name.
            self.shared.claims.release(&name);
        }
    }

    /// A name that no other job has.
    fn free_name(&self, wanted: &str) -> String {
        let numbered = (2..).map(|number| format!("{wanted}_{number}"));
        let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
        names
            .find(|name| !self.roster.has(name))
            .unwrap_or_else(|| wanted.to_owned())
    }
}

fn who(candidate: &Candidate) -> Option<Who> {
    let at = || Some(Who::At(candidate.ways.first()?.address.clone()));
    id(candidate).map(Who::Process).or_else(at)
}

fn id(candidate: &Candidate) -> Option<ProcessId> {
    candidate.process.as_ref().map(ServerProcess::id)
}
