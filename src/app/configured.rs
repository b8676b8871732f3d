//! The jobs that files name: read at the start and at each SIGHUP, changed where their
//! files changed.
//!
//! Must not know what a file looks like, nor how a job is watched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::signal::unix::Signal;
use tokio::task::JoinSet;

use crate::config::exposed;
use crate::config::file::{Problem, Severity};
use crate::config::job::Job;
use crate::config::load::{self, Loaded};
use crate::config::vnodes::{self, Vnode};
use crate::netdata::agent::Agent;
use crate::source::threads;

use super::discovery::Discovery;
use super::panics::{anew, caught};
use super::roster::{Roster, Source};

/// Where the files are, and the agent's own interval.
#[derive(Debug, Clone)]
pub(super) struct Files {
    user: Option<PathBuf>,
    stock: Option<PathBuf>,
    /// Seconds; the least between collections.
    interval: u32,
}

impl Files {
    /// Those of the agent that spawned us.
    pub(super) fn of(agent: &Agent, interval: u32) -> Self {
        Self {
            user: agent.user_config_dir.clone(),
            stock: agent.stock_config_dir.clone(),
            interval,
        }
    }

    /// Reads them and tells their problems.
    pub(super) fn load(&self) -> Loaded {
        let loaded = load::from_dirs(self.user.as_deref(), self.stock.as_deref());
        tell(&loaded);
        exposed::forget();
        // A disk that hangs must not keep the plugin from starting.
        exposed::look_at(exposed::named(loaded.jobs().map(|(job, _)| job)));
        loaded
    }
}

/// Keeps the roster in step with the files.
pub(super) struct Configured {
    files: Files,
    roster: Roster,
    /// The look for instances of this machine, while there is one.
    looking: JoinSet<()>,
}

impl Configured {
    pub(super) fn new(files: Files, roster: Roster) -> Self {
        Self {
            files,
            roster,
            looking: JoinSet::new(),
        }
    }

    /// Reads the files anew at each signal, until the task is ended.
    pub(super) async fn reload_on(mut self, mut signal: Signal) {
        while signal.recv().await.is_some() {
            // Another follows all the same.
            if caught(self.reload()).await.is_none() {
                log::error!("reading the configuration anew broke down, which is a defect");
            }
        }
    }

    async fn reload(&mut self) {
        log::info!("SIGHUP: reading the configuration anew");
        let files = self.files.clone();
        // A folder of files may be on a disk that hangs.
        match threads::all().begin(move || files.load()).await {
            Ok(loaded) => self.apply(loaded).await,
            Err(undone) => log::error!(
                "reading the configuration anew: {undone}; all goes on as before, until the next \
                 SIGHUP"
            ),
        }
    }

    /// Begins what is new, begins anew what has changed, ends what is gone. Jobs that did
    /// not change go on without a gap. A defect met meanwhile costs what was still to be
    /// changed.
    pub(super) async fn apply(&mut self, loaded: Loaded) {
        if caught(self.change(loaded)).await.is_none() {
            log::error!("changing the jobs broke down, which is a defect; the others go on");
        }
    }

    async fn change(&mut self, loaded: Loaded) {
        let wanted = wanted(&loaded, self.files.interval);
        let broken = has_errors(&loaded);
        let seconds = loaded.parsed.forget_after.as_secs();
        let shared = self.roster.shared();
        shared.forget_after.store(seconds, Ordering::Relaxed);
        shared.nodes.set(&loaded.vnodes);
        for listed in self.roster.all() {
            let name = &listed.job.name;
            if wanted.contains_key(name) {
                continue;
            }
            if listed.source == Source::Dynamic && !broken {
                self.roster.keep_under(name, None).await;
            }
            if !matches!(listed.source, Source::File(_)) {
                continue;
            }
            if broken {
                log::warn!(
                    "job {name}: not in the files any more, or one of their mistakes; it goes on \
                     until they have no error"
                );
                continue;
            }
            log::info!("job {name}: not in the files any more: ending");
            let of_file = |source: &Source| matches!(source, Source::File(_));
            self.roster.remove_where(name, of_file).await;
        }
        for (job, source) in wanted.into_values() {
            self.roster.settle(job, source).await;
        }
        self.renew_nodes(&loaded.vnodes).await;
        self.look(loaded.parsed.discover).await;
    }

    /// Gives the dashboard's jobs their virtual nodes as the files have them now.
    async fn renew_nodes(&self, vnodes: &[Arc<Vnode>]) {
        for listed in self.roster.all() {
            let Some(old) = &listed.job.vnode else {
                continue;
            };
            let new = vnodes::named(vnodes, &old.name);
            if listed.source == Source::Dynamic && new.as_ref().is_some_and(|new| new != old) {
                let vnode = new;
                let job = Job {
                    vnode,
                    ..Job::clone(&listed.job)
                };
                self.roster.replace(Arc::new(job), Source::Dynamic).await;
            }
        }
    }

    /// Begins or ends to look for instances of this machine.
    async fn look(&mut self, wanted: bool) {
        if wanted && self.looking.is_empty() {
            let (roster, interval) = (self.roster.clone(), self.files.interval);
            let look = move || Discovery::new(roster.clone(), interval).run();
            self.looking.spawn(anew("looking for instances", look));
        }
        if !wanted && !self.looking.is_empty() {
            self.looking.shutdown().await;
            for listed in self.roster.all() {
                let found = |source: &Source| *source == Source::Discovered;
                self.roster.remove_where(&listed.job.name, found).await;
            }
        }
    }
}

/// The jobs that the files name. The agent's own interval is the least.
fn wanted(loaded: &Loaded, interval: u32) -> BTreeMap<String, (Arc<Job>, Source)> {
    let mut wanted = BTreeMap::new();
    for (job, path) in loaded.jobs() {
        let mut job = job.clone();
        job.update_every = job.update_every.max(interval);
        for other in &mut job.alternatives {
            other.update_every = other.update_every.max(interval);
        }
        let source = Source::File(Arc::from(path));
        wanted
            .entry(job.name.clone())
            .or_insert((Arc::new(job), source));
    }
    wanted
}

fn has_errors(loaded: &Loaded) -> bool {
    let imported = loaded.go_d.iter().map(|(_, parsed)| parsed);
    let mut all = imported.chain([&loaded.parsed]);
    all.any(|parsed| {
        let mut problems = parsed.problems.iter();
        problems.any(|problem| problem.severity == Severity::Error)
    })
}

/// Problems to the log, with their file.
pub(super) fn tell(loaded: &Loaded) {
    if let Some(path) = &loaded.path {
        tell_problems(path, &loaded.parsed.problems);
    }
    for (path, problem) in &loaded.vnode_problems {
        tell_problems(path, std::slice::from_ref(problem));
    }
    if let Some((path, go_d)) = &loaded.go_d {
        tell_problems(path, &go_d.problems);
        let names: Vec<&str> = go_d.jobs.iter().map(|job| job.name.as_str()).collect();
        if !names.is_empty() {
            log::info!("{}: imported {}", path.display(), names.join(", "));
        }
    }
    for (path, told) in &loaded.exposed {
        log::warn!("{}: {told}", path.display());
    }
    let Some(path) = &loaded.path else {
        log::info!("no configuration file: looking for instances on this machine");
        return;
    };
    let count = loaded.parsed.jobs.len();
    let also = if loaded.parsed.discover {
        ", and what listens on this machine"
    } else {
        ""
    };
    log::info!("{}: {count} jobs{also}", path.display());
}

fn tell_problems(path: &Path, problems: &[Problem]) {
    for problem in problems {
        match problem.severity {
            Severity::Error => log::error!("{}:{problem}", path.display()),
            Severity::Warning => log::warn!("{}:{problem}", path.display()),
            Severity::Note => log::debug!("{}:{problem}", path.display()),
        }
    }
}
