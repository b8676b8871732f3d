//! All jobs: who named them, whether they are watched, how it goes with each.
//!
//! The one place where jobs begin and end. Must not know how they are found or read,
//! nor how they are told to the agent.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch::{Receiver, Sender};

use crate::config::address::Address;
use crate::config::job::Job;
use crate::config::same::is_same;

pub(super) use super::post::State;
use super::post::{Post, Report};
use super::shared::Shared;

/// Who named a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// A configuration file: our own, or go.d's.
    File(Arc<Path>),
    /// It was found on this machine.
    Discovered,
    /// The dashboard's dynamic configuration.
    Dynamic,
}

/// A job as it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listed {
    /// The job itself.
    pub(super) job: Arc<Job>,
    /// Who named it.
    pub(super) source: Source,
    /// How it goes.
    pub(super) state: State,
}

/// All jobs by name. Clones share them.
#[derive(Clone)]
pub(super) struct Roster {
    shared: Shared,
    /// Whether jobs wait to be enabled before they begin.
    held: bool,
    inner: Arc<Mutex<BTreeMap<String, Entry>>>,
    changes: Arc<Sender<u64>>,
    /// One change at a time: a job begins only when the one before it has ended.
    order: Arc<tokio::sync::Mutex<()>>,
}

struct Entry {
    listed: Listed,
    post: Option<Post>,
    /// Tells the reports of this watch from those of the one before.
    turn: u64,
    /// The job of a file that the dashboard's stands in for.
    under: Option<(Arc<Job>, Source)>,
}

impl Roster {
    /// An empty one. `held`: jobs wait for [`Self::enable`].
    pub(super) fn new(shared: Shared, held: bool) -> Self {
        Self {
            shared,
            held,
            inner: Arc::default(),
            changes: Arc::new(Sender::new(0)),
            order: Arc::default(),
        }
    }

    /// What all watches share.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Counts up with each change of the list or of a state.
    pub(super) fn changes(&self) -> Receiver<u64> {
        self.changes.subscribe()
    }

    /// Adds a job and begins it, or holds it. `false`: the name is taken.
    pub(super) async fn add(&self, job: Arc<Job>, source: Source) -> bool {
        let _order = self.order.lock().await;
        !self.has(&job.name) && self.enter(job, source)
    }

    /// Enters a job of a file as it is there now: begins what is new, begins anew what
    /// changed, leaves alone what did not. Where the dashboard has one of its name, that
    /// goes before it.
    pub(super) async fn settle(&self, job: Arc<Job>, source: Source) {
        let _order = self.order.lock().await;
        let name = job.name.clone();
        match self.get(&name) {
            Some(listed) if listed.source == Source::Dynamic => {
                log::info!(
                    "job {name}: the dashboard's configuration of it goes before the file's"
                );
                self.cover(&name, Some((job, source)));
            }
            Some(listed) if listed.job == job && listed.source == source => {}
            Some(_) => {
                log::info!("job {name}: changed");
                let begun = self.take_down(&name, State::Held).await;
                self.put(job, source);
                if begun {
                    self.begin(&name);
                }
                self.changed();
            }
            None => {
                self.enter(job, source);
            }
        }
    }

    /// Ends and forgets a job whose source is still as `is` has it.
    pub(super) async fn remove_where(&self, name: &str, is: fn(&Source) -> bool) {
        let _order = self.order.lock().await;
        if self.get(name).is_some_and(|listed| is(&listed.source)) {
            self.take_down(name, State::Disabled).await;
            self.drop_entry(name);
            self.changed();
        }
    }

    /// Puts a job in the place of the one of its name, which ends first. It begins if
    /// that one had begun, or there was none and nothing is held.
    pub(super) async fn replace(&self, job: Arc<Job>, source: Source) {
        let _order = self.order.lock().await;
        let name = job.name.clone();
        if !self.has(&name) {
            self.enter(job, source);
            return;
        }
        let begun = self.take_down(&name, State::Held).await;
        self.put(job, source);
        if begun {
            self.begin(&name);
        }
        self.changed();
    }

    /// Ends a job and forgets it; the job of a file that it stood in for comes back, or is
    /// held. `false`: there is none of this name.
    pub(super) async fn remove(&self, name: &str) -> bool {
        let _order = self.order.lock().await;
        self.take_down(name, State::Disabled).await;
        let gone = self.drop_entry(name);
        let there = gone.is_some();
        if let Some((job, source)) = gone.and_then(|entry| entry.under) {
            self.enter(job, source);
        }
        self.changed();
        there
    }

    /// Changes what comes back when the dashboard's job of this name is removed.
    pub(super) async fn keep_under(&self, name: &str, under: Option<(Arc<Job>, Source)>) {
        let _order = self.order.lock().await;
        self.cover(name, under);
    }

    fn cover(&self, name: &str, under: Option<(Arc<Job>, Source)>) {
        let mut entries = self.lock();
        if let Some(entry) = entries.get_mut(name)
            && entry.listed.source == Source::Dynamic
        {
            entry.under = under;
        }
    }

    /// Enters a job whose name no job has. `false`: a member of a fleet has it.
    fn enter(&self, job: Arc<Job>, source: Source) -> bool {
        let name = job.name.clone();
        if !self.shared.names.take(&name) {
            log::error!(
                "job {name}: a member of a cluster or of Sentinels is called so; give the job \
                 another name"
            );
            return false;
        }
        self.put(job, source);
        if !self.held {
            self.begin(&name);
        }
        self.changed();
        true
    }

    fn drop_entry(&self, name: &str) -> Option<Entry> {
        let gone = self.lock().remove(name)?;
        self.shared.names.free(name);
        self.shared.claims.release(name);
        Some(gone)
    }

    /// Begins a job that is held or was disabled. `false`: there is none of this name.
    pub(super) async fn enable(&self, name: &str) -> bool {
        let _order = self.order.lock().await;
        self.begin(name);
        self.changed();
        self.has(name)
    }

    /// Ends a job and keeps it in the list. `false`: there is none of this name.
    pub(super) async fn disable(&self, name: &str) -> bool {
        let _order = self.order.lock().await;
        let claims = &self.shared.claims;
        let process = claims.process_of(name);
        self.take_down(name, State::Disabled).await;
        // What was switched off is not to be found again under another name.
        if let Some(process) = process {
            claims.runs_here(name, process);
        }
        self.changed();
        self.has(name)
    }

    /// Ends a job and begins it again. `false`: there is none of this name.
    pub(super) async fn restart(&self, name: &str) -> bool {
        let _order = self.order.lock().await;
        self.take_down(name, State::Held).await;
        self.begin(name);
        self.changed();
        self.has(name)
    }

    /// The job of this name.
    pub(super) fn get(&self, name: &str) -> Option<Listed> {
        Some(self.lock().get(name)?.listed.clone())
    }

    /// All jobs, by name.
    pub(super) fn all(&self) -> Vec<Listed> {
        let entries = self.lock();
        entries.values().map(|entry| entry.listed.clone()).collect()
    }

    /// Whether there is no job.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Whether a job has this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.lock().contains_key(name)
    }

    /// Whether a job leads to this address, by whoever named it.
    pub(super) fn leads_to(&self, address: &Address) -> bool {
        let same = |job: &Job| is_same(&job.address, address);
        let entries = self.lock();
        let mut jobs = entries.values().map(|entry| &entry.listed.job);
        jobs.any(|job| same(job) || job.alternatives.iter().any(same))
    }

    /// Enters a job, in place of the one of its name, whose watch has ended.
    fn put(&self, job: Arc<Job>, source: Source) {
        let mut entries = self.lock();
        let before = entries.remove(&job.name);
        let (mut turn, mut state, mut under) = (0, State::Held, None);
        if let Some(before) = before {
            (turn, state) = (before.turn, before.listed.state);
            under = match before.listed.source {
                _ if source != Source::Dynamic => None,
                Source::File(_) => Some((before.listed.job, before.listed.source)),
                Source::Discovered | Source::Dynamic => before.under,
            };
        }
        let name = job.name.clone();
        let entry = Entry {
            listed: Listed { job, source, state },
            post: None,
            turn,
            under,
        };
        entries.insert(name, entry);
    }

    /// Begins the watch of a job that has none.
    fn begin(&self, name: &str) {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(name).filter(|e| e.post.is_none()) else {
            return;
        };
        entry.turn += 1;
        let report = self.report(name, entry.turn);
        let job = Arc::clone(&entry.listed.job);
        // Where this breaks down, it has not begun.
        entry.post = Some(Post::start(job, &self.shared, report));
        entry.listed.state = State::Starting;
    }

    /// Ends the watch of a job, if it has one, and says whether it had.
    async fn take_down(&self, name: &str, state: State) -> bool {
        let post = {
            let mut entries = self.lock();
            let Some(entry) = entries.get_mut(name) else {
                return false;
            };
            entry.turn += 1;
            // One that was disabled stays so, whatever is put in its place.
            if entry.post.is_some() || state == State::Disabled {
                entry.listed.state = state;
            }
            entry.post.take()
        };
        match post {
            Some(post) => {
                post.end().await;
                true
            }
            None => false,
        }
    }

    fn report(&self, name: &str, turn: u64) -> Report {
        let (roster, name) = (self.clone(), name.to_owned());
        Arc::new(move |state| roster.reported(&name, turn, state))
    }

    fn reported(&self, name: &str, turn: u64, state: State) {
        {
            let mut entries = self.lock();
            let Some(entry) = entries.get_mut(name).filter(|entry| entry.turn == turn) else {
                return;
            };
            if state == State::Ended {
                entries.remove(name);
                self.shared.names.free(name);
            } else {
                entry.listed.state = state;
            }
        }
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// A thread that panicked while holding it left it whole.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
