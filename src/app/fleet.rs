//! A job that stands for several instances: the members of a cluster, or what Sentinels
//! follow. Asks who they are again and again, and keeps a watch on each.
//!
//! Must not know how a reply is read (`source/inquiry.rs`), nor decide what follows from
//! it (`members.rs`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::config::address::Address;
use crate::config::job::Job;
use crate::source::inquiry::{Habits, Question, Teller, View};
use crate::source::topology::Place;
use crate::source::trouble::Trouble;

use super::members::{Members, Start, Step};
use super::post::{Orders, Post, Report, State};
use super::schedule;
use super::watch::Shared;

/// How many are asked at once where the one that answered last does not, or is doubted.
const AT_ONCE: usize = 4;

/// Whether a job stands for several instances.
pub(super) fn is_fleet(job: &Job) -> bool {
    job.cluster || job.sentinel.is_some()
}

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
    question: Question,
    /// Those who were named.
    seeds: Vec<Arc<Job>>,
    /// Whom to ask next where there is a choice.
    turn: usize,
    /// Who answered last.
    teller: Option<Teller>,
    habits: Habits,
    members: Members,
    watches: HashMap<String, Post>,
    /// The watch of the named instance itself, while nobody said who belongs to it.
    stand_in: Option<Post>,
    /// The trouble that was told.
    told: Option<Trouble>,
    /// Whether any view was ever read.
    reached: bool,
    /// Names of primaries that were told to be unknown.
    unknown: Vec<String>,
}

impl Fleet {
    fn new(job: Arc<Job>, shared: Shared, report: Report) -> Self {
        let (question, seeds) = match &job.sentinel {
            Some(sentinel) => {
                let seed = |address: &Address| {
                    let address = address.clone();
                    let credentials = sentinel.credentials.clone();
                    let named = alone(&job);
                    Arc::new(Job {
                        address,
                        credentials,
                        ..named
                    })
                };
                let seeds = sentinel.addresses.iter().map(seed).collect();
                (Question::Sentinel(sentinel.masters.clone()), seeds)
            }
            None => {
                let named = std::iter::once(&*job).chain(&job.alternatives);
                (
                    Question::Cluster,
                    named.map(|job| Arc::new(alone(job))).collect(),
                )
            }
        };
        Self {
            members: Members::new(&job.name, &job.labels),
            job,
            shared,
            report,
            question,
            seeds,
            turn: 0,
            teller: None,
            habits: Habits::default(),
            watches: HashMap::new(),
            stand_in: None,
            told: None,
            reached: false,
            unknown: Vec::new(),
        }
    }

    /// Asks who the members are: the one that answered last, and others where it does
    /// not answer or may be the one that is cut off.
    async fn look(&mut self) -> Result<View, Trouble> {
        let mut answers = Vec::new();
        let mut trouble = None;
        if let Some(mut teller) = self.teller.take() {
            match teller.ask(&self.question, &mut self.habits).await {
                Ok(view) if !self.members.doubts(&view.members) => {
                    self.teller = Some(teller);
                    return Ok(view);
                }
                Ok(view) => answers.push((teller, view)),
                Err(error) => trouble = Some(error),
            }
        }
        let asked = answers.first().map(|(teller, _)| teller.address().clone());
        for answer in self.ask_others(asked.as_ref()).await {
            match answer {
                Ok(answer) => answers.push(answer),
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        answers.retain(|(_, view)| !self.members.has_left(&view.members));
        // Of several alike the first: who answered last stays asked.
        let weight = |view: &View| self.members.weight(&view.members);
        let best = answers
            .into_iter()
            .rev()
            .max_by_key(|(_, view)| weight(view));
        match best {
            Some((teller, view)) => {
                self.teller = Some(teller);
                Ok(view)
            }
            None => Err(trouble.unwrap_or(Trouble::NoMembers)),
        }
    }

    /// The next few of those who could tell, all at once: each may take its time.
    async fn ask_others(&mut self, but: Option<&Address>) -> Vec<Result<(Teller, View), Trouble>> {
        let mut ways = self.seeds.clone();
        if self.question == Question::Cluster {
            let places = self.members.places().into_iter();
            ways.extend(places.map(|place| Arc::new(self.member_job(&place))));
        }
        let mut seen: Vec<&Address> = but.into_iter().collect();
        let mut choice: Vec<Arc<Job>> = Vec::new();
        for way in &ways {
            if !seen.contains(&&way.address) {
                seen.push(&way.address);
                choice.push(Arc::clone(way));
            }
        }
        if choice.is_empty() {
            return Vec::new();
        }
        let first = self.turn % choice.len();
        choice.rotate_left(first);
        choice.truncate(AT_ONCE);
        self.turn = self.turn.wrapping_add(choice.len());
        let mut asked = JoinSet::new();
        for (place, way) in choice.into_iter().enumerate() {
            let question = self.question.clone();
            let mut habits = self.habits;
            asked.spawn(async move {
                let mut teller = Teller::new(way);
                let view = teller.ask(&question, &mut habits).await;
                (place, habits, view.map(|view| (teller, view)))
            });
        }
        let mut answers = asked.join_all().await;
        answers.sort_by_key(|(place, ..)| *place);
        let mut told = Vec::new();
        for (_, habits, answer) in answers {
            self.habits.learn(habits);
            told.push(answer);
        }
        told
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
                    self.stand_in = self.stand_in();
                }
                let refused = matches!(
                    trouble,
                    Trouble::NoCluster | Trouble::ClusterNotAllowed | Trouble::SentinelNotAllowed
                );
                self.failed(trouble);
                // Every try leaves a line in the server's ACL LOG.
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
                if let Some(watch) = self.watches.remove(&id) {
                    watch.end().await;
                }
            }
            Step::Relabel(id, labels) => {
                if let Some(watch) = self.watches.get(&id) {
                    watch.relabel(labels);
                }
            }
            Step::Start(start) => {
                let Start {
                    id,
                    name,
                    place,
                    labels,
                    quiet,
                } = start;
                let job = Job {
                    name,
                    labels,
                    quiet,
                    ..self.member_job(&place)
                };
                self.watches.insert(id, self.post(job));
            }
        }
    }

    /// The way to a member: as the job says, elsewhere.
    fn member_job(&self, place: &Place) -> Job {
        let Place { host, port } = place.clone();
        Job {
            address: Address::Tcp { host, port },
            ..alone(&self.job)
        }
    }

    fn stand_in(&self) -> Option<Post> {
        let (first, others) = self.seeds.split_first()?;
        let mut job = Job::clone(first);
        job.alternatives = others.iter().map(|other| Job::clone(other)).collect();
        Some(self.post(job))
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
        let watches = self.watches.drain().map(|(_, watch)| watch);
        for watch in watches.chain(self.stand_in.take()) {
            watch.end().await;
        }
    }
}

/// The job of one instance that is watched as a job says.
fn alone(job: &Job) -> Job {
    Job {
        cluster: false,
        sentinel: None,
        alternatives: Vec::new(),
        // Of several ways to one instance it may be missed; a cluster may not.
        quiet: false,
        ..job.clone()
    }
}
