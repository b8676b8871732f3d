//! Whom to ask who the members of a job are: the nodes of a cluster, or Sentinels.
//!
//! Must not know how a reply is read (`source/inquiry.rs`), nor what follows from it
//! (`members.rs`).

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::config::address::Address;
use crate::config::job::{Job, Sentinel};
use crate::source::inquiry::{Habits, Question, Teller, View};
use crate::source::topology::Place;
use crate::source::trouble::Trouble;

use super::members::{Members, Start, Step};

/// How many are asked at once where the one that answered last does not, or is doubted.
const AT_ONCE: usize = 4;

/// Whether a job stands for several instances.
pub(super) fn is_fleet(job: &Job) -> bool {
    job.cluster || job.sentinel.is_some()
}

/// The jobs of the members of a fleet, as they are told now.
///
/// # Errors
/// Why they are not to be had.
pub(super) async fn members(job: &Arc<Job>) -> Result<Vec<Job>, Trouble> {
    let mut members = Members::new(&job.name, &job.labels, Box::new(|_| false));
    let view = Tellers::new(Arc::clone(job)).look(&members).await?;
    let steps = members.see(&view.members).into_iter();
    let starts = steps.filter_map(|step| match step {
        Step::Start(start) => Some(member(job, start)),
        _ => None,
    });
    Ok(starts.collect())
}

/// The job of a member: as its fleet's says, elsewhere.
pub(super) fn member(job: &Job, start: Start) -> Job {
    Job {
        name: start.name,
        labels: start.labels,
        quiet: start.quiet,
        ..at(job, start.place)
    }
}

/// Those who can tell the members of one job.
pub(super) struct Tellers {
    job: Arc<Job>,
    question: Question,
    /// Those who were named.
    seeds: Vec<Arc<Job>>,
    /// Whom to ask next where there is a choice.
    turn: usize,
    /// Who answered last.
    last: Option<Teller>,
    habits: Habits,
}

impl Tellers {
    /// Those that a job names.
    pub(super) fn new(job: Arc<Job>) -> Self {
        let (question, seeds) = match &job.sentinel {
            Some(sentinel) => {
                let seed = |address| Arc::new(watcher(&job, sentinel, address));
                let seeds = sentinel.addresses.iter().map(seed).collect();
                (Question::Sentinel(sentinel.masters.clone()), seeds)
            }
            None => {
                let named = std::iter::once(&*job).chain(&job.alternatives);
                let seeds = named.map(|job| Arc::new(alone(job))).collect();
                (Question::Cluster, seeds)
            }
        };
        Self {
            job,
            question,
            seeds,
            turn: 0,
            last: None,
            habits: Habits::default(),
        }
    }

    /// The first that was named, as one instance; the others are ways to it.
    pub(super) fn stand_in(&self) -> Option<Job> {
        let (first, others) = self.seeds.split_first()?;
        let mut job = Job::clone(first);
        job.alternatives = others.iter().map(|other| Job::clone(other)).collect();
        Some(job)
    }

    /// Asks who the members are: the one that answered last, and others where it does
    /// not answer or may be the one that is cut off.
    pub(super) async fn look(&mut self, members: &Members) -> Result<View, Trouble> {
        let mut answers = Vec::new();
        let mut trouble = None;
        if let Some(mut teller) = self.last.take() {
            match teller.ask(&self.question, &mut self.habits).await {
                Ok(view) if !members.doubts(&view.members) => {
                    self.last = Some(teller);
                    return Ok(view);
                }
                Ok(view) => answers.push((teller, view)),
                Err(error) => trouble = Some(error),
            }
        }
        let asked = answers.first().map(|(teller, _)| teller.address().clone());
        for answer in self.ask_others(members, asked.as_ref()).await {
            match answer {
                Ok(answer) => answers.push(answer),
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        answers.retain(|(_, view)| !members.has_left(&view.members));
        // Of several alike the first: who answered last stays asked.
        let by_weight = |(_, view): &(Teller, View)| members.weight(&view.members);
        match answers.into_iter().rev().max_by_key(by_weight) {
            Some((teller, view)) => {
                self.last = Some(teller);
                Ok(view)
            }
            None => Err(trouble.unwrap_or(Trouble::NoMembers)),
        }
    }

    /// The next few of those who could tell, all at once: each may take its time.
    async fn ask_others(
        &mut self,
        members: &Members,
        but: Option<&Address>,
    ) -> Vec<Result<(Teller, View), Trouble>> {
        let mut asked = JoinSet::new();
        for (place, way) in self.choice(members, but).into_iter().enumerate() {
            let question = self.question.clone();
            let mut habits = self.habits;
            asked.spawn(async move {
                let mut teller = Teller::new(way);
                let view = teller.ask(&question, &mut habits).await;
                (place, habits, view.map(|view| (teller, view)))
            });
        }
        let (mut answers, mut told) = (Vec::new(), Vec::new());
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(answer) => answers.push(answer),
                // A defect met in the words of one must not cost what others tell.
                Err(_) => told.push(Err(Trouble::Defect("asking for its members"))),
            }
        }
        answers.sort_by_key(|(place, ..)| *place);
        for (_, habits, answer) in answers {
            self.habits.learn(habits);
            told.push(answer);
        }
        told
    }

    /// Takes turns among all who could tell, so that none is left out for long.
    fn choice(&mut self, members: &Members, but: Option<&Address>) -> Vec<Arc<Job>> {
        let mut ways = self.seeds.clone();
        if self.question == Question::Cluster {
            let places = members.places().into_iter();
            ways.extend(places.map(|place| Arc::new(at(&self.job, place))));
        }
        let mut seen: Vec<&Address> = but.into_iter().collect();
        let mut choice: Vec<Arc<Job>> = Vec::new();
        for way in &ways {
            if !seen.contains(&&way.address) {
                seen.push(&way.address);
                choice.push(Arc::clone(way));
            }
        }
        if !choice.is_empty() {
            let first = self.turn % choice.len();
            choice.rotate_left(first);
            choice.truncate(AT_ONCE);
            self.turn = self.turn.wrapping_add(choice.len());
        }
        choice
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

/// The same at another place.
fn at(job: &Job, place: Place) -> Job {
    let Place { host, port } = place;
    Job {
        address: Address::Tcp { host, port },
        ..alone(job)
    }
}

/// A Sentinel: it has its own credentials.
fn watcher(job: &Job, sentinel: &Sentinel, address: &Address) -> Job {
    Job {
        address: address.clone(),
        credentials: sentinel.credentials.clone(),
        ..alone(job)
    }
}
