//! A job that stands for several instances: the members of a cluster, or what Sentinels
//! follow. Asks who they are again and again, and keeps a watch on each.
//!
//! Must not know whom to ask (`tellers.rs`), nor decide what follows from an answer
//! (`members.rs`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Receiver;
use tokio::time::sleep;

use crate::config::job::Job;
use crate::source::inquiry::View;
use crate::source::trouble::Trouble;

use super::members::{Members, Step};
use super::post::{Orders, Post, Report, State};
use super::schedule;
use super::shared::Shared;
use super::tellers::{self, Tellers};

/// Follows a job's members until it is ordered to end.
pub(super) async fn follow(
    job: Arc<Job>,
    shared: Shared,
    report: Report,
    mut orders: Receiver<Orders>,
) {
    let mut fleet = Fleet::new(job, shared, Arc::clone(&report));
    loop {
        let looked = tokio::select! {
            biased;
            () = Orders::end(&mut orders) => break,
            looked = fleet.look() => looked,
        };
        let pause = fleet.take(looked).await;
        tokio::select! {
            biased;
            () = Orders::end(&mut orders) => break,
            () = sleep(pause) => {}
        }
    }
    fleet.end().await;
    report(State::Ended);
}

struct Fleet {
    job: Arc<Job>,
    shared: Shared,
    report: Report,
    tellers: Tellers,
    members: Members,
    /// Name and watch of each.
    watches: HashMap<String, (String, Post)>,
    /// The watch of the named instance itself, while nobody said who belongs to it.
    stand_in: Option<Post>,
    /// The trouble that was told.
    told: Option<Trouble>,
    /// Whether any view was ever read.
    reached: bool,
    /// Names of primaries that were told to be unknown.
    unknown: Vec<String>,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for (name, _) in self.watches.values() {
            self.shared.names.free(name);
        }
    }
}

impl Fleet {
    fn new(job: Arc<Job>, shared: Shared, report: Report) -> Self {
        Self {
            tellers: Tellers::new(Arc::clone(&job)),
            members: Members::new(&job.name, &job.labels, {
                let names = shared.names.clone();
                Box::new(move |name| names.has(name))
            }),
            job,
            shared,
            report,
            watches: HashMap::new(),
            stand_in: None,
            told: None,
            reached: false,
            unknown: Vec::new(),
        }
    }

    async fn look(&mut self) -> Result<View, Trouble> {
        self.tellers.look(&self.members).await
    }

    /// Does what follows, and says how long to wait until the next look.
    async fn take(&mut self, looked: Result<View, Trouble>) -> Duration {
        match looked {
            Ok(view) => {
                self.over(&view);
                if let Some(stand_in) = self.stand_in.take() {
                    stand_in.end().await;
                }
                for step in self.members.see(&view.members) {
                    self.step(step).await;
                }
                schedule::FOLLOW_EVERY
            }
            Err(trouble) => {
                if !self.reached && self.stand_in.is_none() {
                    self.stand_in = self.tellers.stand_in().map(|job| self.post(job));
                }
                let refused = trouble.is_refusal()
                    || matches!(
                        trouble,
                        Trouble::NoCluster
                            | Trouble::ClusterNotAllowed
                            | Trouble::SentinelNotAllowed
                            | Trouble::Secret(_)
                    );
                self.failed(trouble);
                // Every try leaves a line in the server's ACL LOG, or runs a program.
                if refused {
                    schedule::FOLLOW_REFUSED_EVERY
                } else {
                    schedule::FOLLOW_EVERY
                }
            }
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::End(id) => {
                if let Some((name, watch)) = self.watches.remove(&id) {
                    watch.end().await;
                    self.shared.names.free(&name);
                }
            }
            Step::Relabel(id, labels) => {
                if let Some((_, watch)) = self.watches.get(&id) {
                    watch.relabel(labels);
                }
            }
            Step::Start(start) => {
                let id = start.id.clone();
                let job = tellers::member(&self.job, start);
                self.shared.names.take(&job.name);
                self.watches.insert(id, (job.name.clone(), self.post(job)));
            }
        }
    }

    /// How it goes with each is told by its own charts.
    fn post(&self, job: Job) -> Post {
        Post::start(Arc::new(job), &self.shared, Arc::new(|_| {}))
    }

    fn over(&mut self, view: &View) {
        let name = &self.job.name;
        if !self.reached {
            log::info!("job {name}: following {} members", view.members.len());
        } else if self.told.is_some() {
            log::info!("job {name}: the members are told again");
        }
        if view.unknown != self.unknown {
            if !view.unknown.is_empty() {
                log::warn!(
                    "job {name}: the Sentinel follows no primary named {}; correct masters: below \
                     sentinel:",
                    view.unknown.join(", ")
                );
            }
            self.unknown.clone_from(&view.unknown);
        }
        if !self.reached || self.told.is_some() {
            (self.report)(State::Running);
        }
        self.reached = true;
        self.told = None;
    }

    fn failed(&mut self, trouble: Trouble) {
        let name = &self.job.name;
        if self
            .told
            .as_ref()
            .is_some_and(|told| told.is_like(&trouble))
        {
            log::debug!("job {name}: {trouble}");
            return;
        }
        let goes_on = if self.reached {
            "its members are watched as they were known last"
        } else {
            "its address is watched as one instance meanwhile"
        };
        log::warn!("job {name}: who its members are is not to be had: {trouble}; {goes_on}");
        (self.report)(State::Failed(trouble.clone()));
        self.told = Some(trouble);
    }

    /// Takes all charts off the dashboard.
    async fn end(&mut self) {
        for (_, (name, watch)) in self.watches.drain() {
            watch.end().await;
            self.shared.names.free(&name);
        }
        if let Some(watch) = self.stand_in.take() {
            watch.end().await;
        }
    }
}
