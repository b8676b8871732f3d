//! One instance, watched: asked when it is due, derived, written, its outages
//! told once.
//!
//! Each runs as a task of its own; nothing in here can hold up another.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::config::job::Job;
use crate::model::derive::Derived;
use crate::model::history::History;
use crate::model::sample::Sample;
use crate::netdata::stream::{Identity, Node, Stream};
use crate::source::claims::{ProcessId, Rank};
use crate::source::poll::Poller;
use crate::source::trouble::Trouble;

use super::classes::Classes;
use super::outage::Outage;
use super::post::{Orders, Report, State};
use super::schedule::{self, Moment, Passed};
use super::shared::Shared;

/// One instance under watch.
pub(super) struct Watch {
    job: Arc<Job>,
    shared: Shared,
    every: Duration,
    slot: Duration,
    /// When the last round was begun, since the epoch; `None` before the first.
    begun: Option<Duration>,
    /// The round whose values were written last.
    told: Option<Moment>,
    poller: Poller,
    /// Those of other ways to it, by their place, as long as none has led to it: what they
    /// have learned, and the names that they still look up, count at the next try.
    others: Vec<Poller>,
    history: History,
    stream: Stream,
    classes: Classes,
    outage: Outage,
    dropped: u64,
    lost: u64,
    rank: Rank,
    /// When it answered last.
    seen: Duration,
    /// Its process, where it runs on this machine.
    process: Option<ProcessId>,
    /// Who is told how it goes.
    report: Report,
    /// Another job charts its server.
    yields: bool,
}

/// Whether there is more to watch.
#[derive(Debug, PartialEq)]
enum Next {
    Again,
    /// It was found, and is gone or another job's.
    End,
    /// Another way to it works.
    Instead(Arc<Job>),
    /// Another job charts it now, and may do so no more one day.
    Yield,
}

impl Watch {
    /// Prepares the watch of a job. `number` spreads instances over the second.
    pub(super) fn new(job: Arc<Job>, number: usize, shared: Shared, report: Report) -> Self {
        let identity = Identity {
            name: job.name.clone(),
            address: job.url(),
            labels: job.labels.clone(),
            priority: job.priority,
            update_every: job.update_every,
            node: node(&job, shared.with_nodes),
        };
        let poller = Poller::new(Arc::clone(&job), shared.epoch);
        Self {
            every: Duration::from_secs(u64::from(job.update_every)),
            slot: schedule::slot(number),
            begun: None,
            told: None,
            poller: if job.charts.ask_the_kernel() {
                poller.on_kernel(Arc::clone(&shared.kernel))
            } else {
                poller
            },
            others: Vec::new(),
            history: History::default(),
            stream: Stream::new(identity, shared.with_labels).showing(job.charts),
            classes: Classes::new(Arc::clone(&job)),
            outage: Outage::default(),
            dropped: shared.writer.dropped(),
            lost: shared.writer.lost(),
            rank: match (job.discovered, job.imported) {
                (true, _) => Rank::Discovered,
                (_, true) => Rank::Imported,
                _ => Rank::Configured,
            },
            seen: shared.epoch.elapsed(),
            process: None,
            report,
            yields: false,
            job,
            shared,
        }
    }

    /// Watches until it is ordered to end, or what was found is gone for good; gives
    /// the job that is to be watched instead.
    pub(super) async fn run(mut self, mut orders: Receiver<Orders>) -> Option<Arc<Job>> {
        let mut labels = None;
        let next = loop {
            let ordered = orders.borrow().labels.clone();
            if ordered.as_ref().map(Arc::as_ptr) != labels.as_ref().map(Arc::as_ptr) {
                labels = ordered;
                self.stream
                    .relabel(labels.as_deref().cloned().unwrap_or_default());
            }
            tokio::select! {
                biased;
                () = Orders::end(&mut orders) => break Next::End,
                next = self.round() => match next {
                    Next::Again => {}
                    Next::Yield => self.rest(),
                    next => break next,
                },
            }
        };
        self.end_charts();
        match next {
            Next::Instead(job) => Some(job),
            _ => None,
        }
    }

    /// Takes its charts off the dashboard for as long as another job has the server.
    fn rest(&mut self) {
        if !std::mem::replace(&mut self.yields, true) {
            self.end_charts();
            self.shared.registry.forget(&self.job.name);
            (self.report)(State::Running);
        }
    }

    async fn round(&mut self) -> Next {
        if self.yields {
            sleep(schedule::YIELDED_EVERY).await;
        }
        let wait = match self.begun {
            None => schedule::first_wait(self.every, self.slot),
            Some(begun) => {
                let now = self.moment();
                let since = now.steady.saturating_sub(begun);
                schedule::next_wait(now.wall, self.every, self.slot, since)
            }
        };
        sleep(wait).await;
        let begun = self.shared.epoch.elapsed();
        self.begun = Some(begun);
        if begun < self.outage.next_try {
            self.write(Sample::unreachable(begun));
            return Next::Again;
        }
        match self
            .poller
            .collect(schedule::patience(self.job.timeout, self.every))
            .await
        {
            Ok(mut sample) => {
                if !self.is_ours(&sample) {
                    if !self.yields {
                        log::info!(
                            "job {}: the same server is watched by another job",
                            self.job.name
                        );
                    }
                    return if self.job.imported {
                        Next::Yield
                    } else {
                        Next::End
                    };
                }
                self.yields = false;
                self.seen = sample.at;
                if !self.outage.reached || self.outage.failures > 0 {
                    (self.report)(State::Running);
                }
                self.outage.over(&self.job);
                self.classes.fill(&mut sample).await;
                self.write(sample);
            }
            Err(trouble) => {
                let now = self.shared.epoch.elapsed();
                if self.job.discovered && self.is_gone(now) {
                    return Next::End;
                }
                if !self.outage.is_of(&trouble) {
                    (self.report)(State::Failed(trouble.clone()));
                    self.outage.reported = Some(trouble.clone());
                }
                self.outage.next_try = begun + self.pause(&trouble);
                self.outage.told(&self.job, trouble, now);
                self.write(Sample::unreachable(now));
                if !self.outage.reached
                    && let Some(other) = self.other_way().await
                {
                    return Next::Instead(other);
                }
            }
        }
        Next::Again
    }

    /// Now, by both clocks.
    fn moment(&self) -> Moment {
        Moment {
            steady: self.shared.epoch.elapsed(),
            wall: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }

    /// The first of the job's alternatives that answers. All are tried at once, for each
    /// may take its time.
    async fn other_way(&mut self) -> Option<Arc<Job>> {
        let mut tries = JoinSet::new();
        let mut known = std::mem::take(&mut self.others).into_iter();
        for (place, other) in self.job.alternatives.iter().enumerate() {
            let other = Arc::new(other.clone());
            let poller = known.next();
            let new = || Poller::new(Arc::clone(&other), self.shared.epoch);
            let mut poller = poller.unwrap_or_else(new);
            tries.spawn(async move {
                let answered = poller.collect(other.timeout).await.is_ok();
                (place, poller, answered.then_some(other))
            });
        }
        let mut tried = Vec::new();
        while let Some(one) = tries.join_next().await {
            tried.extend(one.ok());
        }
        tried.sort_by_key(|(place, ..)| *place);
        let all = tried.len() == self.job.alternatives.len();
        let first = tried.iter().find_map(|(_, _, answered)| answered.clone());
        // By their places: where one broke down they do not fit any more.
        if first.is_none() && all {
            self.others = tried.into_iter().map(|(_, poller, _)| poller).collect();
        }
        first
    }

    fn pause(&self, trouble: &Trouble) -> Duration {
        if !self.outage.reached && self.job.autodetection_retry > 0 {
            Duration::from_secs(u64::from(self.job.autodetection_retry))
        } else {
            let failures = self.outage.failures.saturating_add(1);
            schedule::pause(trouble.is_dear(), failures, self.every)
        }
    }

    /// Whether what was found and does not answer is to be forgotten: it was missed
    /// for long, or was found in another way: its port was changed.
    fn is_gone(&self, now: Duration) -> bool {
        let claims = &self.shared.claims;
        claims.release(&self.job.name);
        if self.process.is_some_and(|process| claims.charts(process)) {
            log::info!(
                "job {}: its server was found at another address",
                self.job.name
            );
            return true;
        }
        let missed = now.saturating_sub(self.seen);
        let own = self.job.forget_after.unwrap_or(Duration::MAX);
        let all = Duration::from_secs(self.shared.forget_after.load(Ordering::Relaxed));
        let forgotten = missed >= all.min(own);
        if forgotten {
            log::info!(
                "job {}: gone for {} s, forgotten",
                self.job.name,
                missed.as_secs()
            );
        }
        forgotten
    }

    /// Whether this instance, which has answered, is charted by this job.
    fn is_ours(&mut self, sample: &Sample) -> bool {
        let claims = &self.shared.claims;
        self.process = self.poller.process();
        if let Some(process) = self.process {
            claims.runs_here(&self.job.name, process);
        }
        let server = sample.server.as_ref();
        let run_id = server.and_then(|server| server.run_id.as_deref());
        run_id.is_none_or(|id| claims.claim(id, &self.job.name, self.rank))
    }

    fn end_charts(&mut self) {
        (self.shared.writer).write(|output| self.stream.end(output));
    }

    fn write(&mut self, sample: Sample) {
        if self.yields || (self.job.quiet && !self.outage.reached) {
            return;
        }
        let now = self.moment();
        let passed = (self.told.replace(now)).map_or(Passed::Alike, |told| now.since(told));
        if passed != Passed::Alike {
            self.history.interrupt();
        }
        let derived = Derived::new(&sample, &self.job.thresholds, &mut self.history);
        let (dropped, lost) = (self.shared.writer.dropped(), self.shared.writer.lost());
        if lost != self.lost {
            self.lost = lost;
            self.stream.define_again();
        }
        // Definitions of all charts wait until the agent has taken those of others.
        if !(self.stream.is_new() && self.shared.writer.is_behind()) {
            let arrived = std::mem::replace(&mut self.dropped, dropped) == dropped;
            // Of a clock that was set back the agent makes the best with our microseconds:
            // without them it takes the step for time that went by (2.x: `dt_usec`).
            let continued = arrived && passed != Passed::Ahead;
            (self.shared.writer).write(|output| {
                output.update_every = self.job.update_every;
                output.continues = continued.then_some(dropped);
                self.stream.write(&derived, continued, output);
            });
        }
        let (rates, verdict) = (derived.rates, derived.verdict);
        let desk = self.classes.desk();
        (self.shared.registry).update(&self.job, desk, sample, rates, verdict);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.claims.release(&self.job.name);
        self.shared.registry.forget(&self.job.name);
    }
}

/// The node that a job names, where the agent takes any.
fn node(job: &Job, with_nodes: bool) -> Option<Node> {
    let vnode = job.vnode.as_ref()?;
    if !with_nodes {
        log::warn!(
            "job {}: this agent has no virtual nodes (Netdata 1.39 and later do), so the charts are \
             told of its own",
            job.name
        );
        return None;
    }
    Some(Node {
        guid: vnode.guid.clone(),
        hostname: vnode.hostname.clone(),
        labels: vnode.labels.clone(),
    })
}
