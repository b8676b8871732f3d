//! What an agent was told of the jobs, and what it is owed: commands and changes in,
//! answers, lines and deeds out.
//!
//! Pure. A command is answered once, at once or when its outcome is known. Codes are
//! those of go.d (netdata/netdata v2.9.0, jobmgr), where they do not make an agent keep
//! something that is not so. Must not know how a deed is done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::job::Job;
use crate::config::vnodes::Vnode;
use crate::config::{payload, shown};
use crate::netdata::dyncfg::{self, Command, Source, Status, Verb};

use super::deed::{
    Body, Deed, Seen, Standing, Waiting, answer, nobody, patience, refuse, say, settle,
};

/// What the agent knows.
#[derive(Debug)]
pub(in crate::app) struct Book {
    jobs: BTreeMap<String, Entry>,
    /// Calls of jobs that are being tried.
    trials: BTreeSet<String>,
    /// Least seconds between collections.
    interval: u32,
    /// The nodes that a job may name.
    vnodes: Vec<Arc<Vnode>>,
}

#[derive(Debug)]
struct Entry {
    seen: Seen,
    /// What the agent was told last.
    told: Status,
    /// Words that the agent owes: each time a job is named it enables or disables it
    /// without anybody asking for that, whatever name it gives for who asks.
    echoes: u32,
    waiting: Vec<Waiting>,
}

impl Entry {
    fn create(&mut self, lines: &mut String) {
        self.told = self.seen.standing.status();
        self.echoes += 1;
        dyncfg::create(lines, &self.seen.job.name, self.told, &self.seen.source);
    }

    /// The line that tells how it stands: said behind every answer that may have made
    /// the agent believe something else.
    fn status(&mut self) -> String {
        self.told = self.seen.standing.status();
        let mut line = String::new();
        dyncfg::status(&mut line, &self.seen.job.name, self.told);
        line
    }
}

impl Book {
    /// An empty one. `interval`: seconds, the least between collections.
    pub(in crate::app) fn new(interval: u32) -> Self {
        Self {
            jobs: BTreeMap::new(),
            trials: BTreeSet::new(),
            interval,
            vnodes: Vec::new(),
        }
    }

    /// The nodes that a job may name from now on.
    pub(in crate::app) fn nodes(&mut self, vnodes: Vec<Arc<Vnode>>) {
        self.vnodes = vnodes;
    }

    /// Takes how all jobs stand now.
    pub(in crate::app) fn seen(&mut self, all: Vec<Seen>) -> Vec<Deed> {
        let mut deeds = Vec::new();
        let names: BTreeSet<String> = all.iter().map(|seen| seen.job.name.clone()).collect();
        let known: Vec<String> = self.jobs.keys().cloned().collect();
        for gone in known.into_iter().filter(|name| !names.contains(name)) {
            let Some(entry) = self.jobs.remove(&gone) else {
                continue;
            };
            settle(&mut deeds, entry.waiting, 404, "the job is gone");
            let mut lines = String::new();
            dyncfg::delete(&mut lines, &gone);
            deeds.push(Deed::Lines(lines));
        }
        for seen in all {
            self.see(&mut deeds, seen);
        }
        deeds
    }

    fn see(&mut self, deeds: &mut Vec<Deed>, seen: Seen) {
        let name = seen.job.name.clone();
        if !dyncfg::is_name(&name) {
            // The agent cannot hear of it, and so will not enable it.
            if seen.standing == Standing::Held {
                deeds.push(Deed::Begin(name));
            }
            return;
        }
        let mut lines = String::new();
        let Some(entry) = self.jobs.get_mut(&name) else {
            let mut entry = Entry {
                told: Status::Accepted,
                seen,
                echoes: 0,
                waiting: Vec::new(),
            };
            entry.create(&mut lines);
            self.jobs.insert(name, entry);
            deeds.push(Deed::Lines(lines));
            return;
        };
        let other_source = entry.seen.source != seen.source;
        entry.seen = seen;
        match &entry.seen.standing {
            Standing::Held | Standing::Starting => {}
            outcome => {
                let outcome = outcome.clone();
                for waiting in std::mem::take(&mut entry.waiting) {
                    let (code, told) = ended(waiting.verb, &outcome);
                    deeds.push(Deed::Answer {
                        call: waiting.call,
                        code,
                        body: Body::Told(told),
                        lines: entry.status(),
                    });
                }
            }
        }
        if other_source {
            entry.create(&mut lines);
        } else if entry.told != entry.seen.standing.status() {
            lines = entry.status();
        }
        if !lines.is_empty() {
            deeds.push(Deed::Lines(lines));
        }
    }

    /// Whether a call of this id waits for its answer.
    pub(in crate::app) fn is_open(&self, call: &str) -> bool {
        let mut waiting = self.jobs.values().flat_map(|entry| &entry.waiting);
        self.trials.contains(call) || waiting.any(|waiting| waiting.call == call)
    }

    /// Takes a command. `call` is none that is open.
    pub(in crate::app) fn command(&mut self, call: &str, command: Command) -> Vec<Deed> {
        match command.verb {
            Verb::Schema => vec![answer(call, 200, Body::Schema)],
            Verb::Test => self.test(call, &command),
            Verb::Userconfig => match self.read(&command) {
                Ok(job) => vec![answer(call, 200, Body::Yaml(shown::yaml(&job)))],
                Err(told) => vec![refuse(call, 400, told)],
            },
            Verb::Add => self.add(call, &command),
            Verb::Update => self.update(call, &command),
            Verb::Get | Verb::Remove | Verb::Enable | Verb::Disable | Verb::Restart => {
                let Some(entry) = self.jobs.get_mut(&command.name) else {
                    return vec![nobody(call, &command.name)];
                };
                match command.verb {
                    Verb::Enable => enable(entry, call, command.by_agent),
                    Verb::Disable => disable(entry, call),
                    Verb::Restart => restart(entry, call),
                    Verb::Remove => self.remove(call, &command.name),
                    _ => {
                        let shown = shown::stored(&entry.seen.job);
                        vec![answer(call, 200, Body::Json(shown))]
                    }
                }
            }
        }
    }

    fn read(&self, command: &Command) -> Result<Job, String> {
        let payload = &command.payload;
        let is_json = payload.content_type == "application/json";
        let mut job = payload::read(&payload.text, is_json, &command.name, &self.vnodes)?;
        job.update_every = job.update_every.max(self.interval);
        Ok(job)
    }

    /// A job that the agent will keep as it was sent.
    fn kept(&self, command: &Command) -> Result<Arc<Job>, String> {
        let job = self.read(command)?;
        if shown::hides(&job) {
            let told = "password: write it again, or better a reference: what is sent here \
                        is kept by the agent, and the plugin gives no password out";
            return Err(told.to_owned());
        }
        Ok(Arc::new(job))
    }

    fn test(&mut self, call: &str, command: &Command) -> Vec<Deed> {
        let mut job = match self.read(command) {
            Ok(job) => job,
            Err(told) => return vec![refuse(call, 400, told)],
        };
        let known = self.jobs.get(&command.name);
        let revealed = known.is_some_and(|known| shown::reveal(&mut job, &known.seen.job));
        if !revealed && shown::hides(&job) {
            let told = "password: write it again; it goes to no other address than it was \
                        given for";
            return vec![refuse(call, 400, told.to_owned())];
        }
        let at_most = patience(&job);
        self.trials.insert(call.to_owned());
        let (job, call) = (Arc::new(job), call.to_owned());
        vec![
            Deed::Try {
                call: call.clone(),
                job,
            },
            Deed::Wait { call, at_most },
        ]
    }

    /// A job was tried: what it told of itself, or why it did not.
    pub(in crate::app) fn tried(&mut self, call: &str, told: Result<String, String>) -> Vec<Deed> {
        if !self.trials.remove(call) {
            return Vec::new();
        }
        match told {
            Ok(told) => vec![answer(call, 200, Body::Told(told))],
            Err(told) => vec![refuse(call, 422, told)],
        }
    }

    fn add(&mut self, call: &str, command: &Command) -> Vec<Deed> {
        let name = &command.name;
        if !dyncfg::is_name(name) {
            let told = "the name may have letters, digits, - and _, 100 at most";
            return vec![refuse(call, 400, told.to_owned())];
        }
        let job = match self.kept(command) {
            Ok(job) => job,
            Err(told) => return vec![refuse(call, 400, told)],
        };
        let before = self.jobs.remove(name);
        let mut deeds = Vec::new();
        let (standing, echoes) = before.map_or((Standing::Held, 0), |before| {
            settle(
                &mut deeds,
                before.waiting,
                404,
                "another job has its name now",
            );
            (anew(before.seen.standing), before.echoes)
        });
        let seen = Seen {
            job: Arc::clone(&job),
            source: Source::Dynamic,
            standing,
        };
        let mut entry = Entry {
            told: Status::Accepted,
            seen,
            echoes,
            waiting: Vec::new(),
        };
        let mut lines = String::new();
        entry.create(&mut lines);
        self.jobs.insert(name.clone(), entry);
        deeds.push(Deed::Answer {
            call: call.to_owned(),
            code: 202,
            body: Body::Told("accepted".to_owned()),
            lines,
        });
        deeds.push(Deed::Put(job));
        deeds
    }

    fn update(&mut self, call: &str, command: &Command) -> Vec<Deed> {
        let job = self.kept(command);
        let Some(entry) = self.jobs.get_mut(&command.name) else {
            return vec![nobody(call, &command.name)];
        };
        let job = match job {
            Ok(job) => job,
            Err(told) => {
                let lines = entry.status();
                return vec![say(call, 400, told, lines)];
            }
        };
        let mut deeds = Vec::new();
        let was_dynamic = entry.seen.source == Source::Dynamic;
        if !was_dynamic || entry.seen.job != job {
            entry.seen.standing = anew(entry.seen.standing.clone());
            entry.seen.job = Arc::clone(&job);
            entry.seen.source = Source::Dynamic;
            deeds.push(Deed::Put(job));
        } else if !command.by_agent && matches!(entry.seen.standing, Standing::Failed(_)) {
            entry.seen.standing = Standing::Starting;
            deeds.push(Deed::Restart(command.name.clone()));
        }
        if !was_dynamic {
            let mut lines = String::new();
            entry.create(&mut lines);
            deeds.push(Deed::Lines(lines));
        }
        // The agent's own come without anybody waiting, and an outcome of what does not
        // begin would not come at all.
        let at_once = command.by_agent || entry.seen.standing == Standing::Held;
        deeds.extend(outcome(entry, call, Verb::Update, at_once));
        deeds
    }

    fn remove(&mut self, call: &str, name: &str) -> Vec<Deed> {
        let Some(entry) = self.jobs.get_mut(name) else {
            return vec![nobody(call, name)];
        };
        if entry.seen.source != Source::Dynamic {
            let told = "only what was added in the dashboard can be removed there; take this \
                        job out of its file, or disable it";
            return vec![refuse(call, 405, told.to_owned())];
        }
        let mut deeds = Vec::new();
        let waiting = std::mem::take(&mut entry.waiting);
        settle(&mut deeds, waiting, 404, "the job was removed");
        self.jobs.remove(name);
        let mut lines = String::new();
        dyncfg::delete(&mut lines, name);
        deeds.push(Deed::Answer {
            call: call.to_owned(),
            code: 200,
            body: Body::Told("removed".to_owned()),
            lines,
        });
        deeds.push(Deed::Remove(name.to_owned()));
        deeds
    }

    /// A call has waited long enough.
    pub(in crate::app) fn late(&mut self, call: &str) -> Vec<Deed> {
        if self.trials.remove(call) {
            let told = "no answer in time; the server is stuck or timeout is too short";
            return vec![refuse(call, 504, told.to_owned())];
        }
        let Some((entry, _)) = self.waiting(call) else {
            return Vec::new();
        };
        let lines = entry.status();
        let told = "accepted; there is no answer of the server yet".to_owned();
        vec![say(call, 202, told, lines)]
    }

    /// Nobody waits for a call any more. What it asked for is done all the same.
    pub(in crate::app) fn cancelled(&mut self, call: &str) -> Vec<Deed> {
        if !self.trials.remove(call) && self.waiting(call).is_none() {
            return Vec::new();
        }
        vec![refuse(call, 499, "cancelled by the caller".to_owned())]
    }

    /// Everything that is open, at the end.
    pub(in crate::app) fn close(&mut self, told: &str) -> Vec<Deed> {
        let mut deeds = Vec::new();
        for call in std::mem::take(&mut self.trials) {
            deeds.push(refuse(&call, 503, told.to_owned()));
        }
        for entry in self.jobs.values_mut() {
            let waiting = std::mem::take(&mut entry.waiting);
            settle(&mut deeds, waiting, 503, told);
        }
        deeds
    }

    /// Takes a call off the list of those that wait for a job.
    fn waiting(&mut self, call: &str) -> Option<(&mut Entry, Waiting)> {
        for entry in self.jobs.values_mut() {
            if let Some(at) = entry.waiting.iter().position(|w| w.call == call) {
                let waiting = entry.waiting.remove(at);
                return Some((entry, waiting));
            }
        }
        None
    }
}

/// What becomes of a job's standing when another is put in its place.
fn anew(standing: Standing) -> Standing {
    match standing {
        Standing::Running | Standing::Failed(_) | Standing::Starting => Standing::Starting,
        Standing::Held | Standing::Disabled => standing,
    }
}

fn enable(entry: &mut Entry, call: &str, by_agent: bool) -> Vec<Deed> {
    let at_once = by_agent || entry.echoes > 0;
    entry.echoes = entry.echoes.saturating_sub(1);
    let name = entry.seen.job.name.clone();
    let mut deeds = Vec::new();
    match &entry.seen.standing {
        Standing::Running | Standing::Starting => {}
        Standing::Held | Standing::Disabled => deeds.push(Deed::Begin(name)),
        // It is tried again by itself, but a person wants to know now.
        Standing::Failed(_) if !at_once => deeds.push(Deed::Restart(name)),
        Standing::Failed(_) => {}
    }
    if !deeds.is_empty() {
        entry.seen.standing = Standing::Starting;
    }
    deeds.extend(outcome(entry, call, Verb::Enable, at_once));
    deeds
}

fn disable(entry: &mut Entry, call: &str) -> Vec<Deed> {
    entry.echoes = entry.echoes.saturating_sub(1);
    let mut deeds = Vec::new();
    // Before the answer, so that what the agent remembers is the last.
    for waiting in std::mem::take(&mut entry.waiting) {
        let (code, told) = ended(waiting.verb, &Standing::Disabled);
        deeds.push(answer(&waiting.call, code, Body::Told(told)));
    }
    if entry.seen.standing != Standing::Disabled {
        entry.seen.standing = Standing::Disabled;
        deeds.push(Deed::End(entry.seen.job.name.clone()));
    }
    let lines = entry.status();
    deeds.push(say(call, 200, "disabled".to_owned(), lines));
    deeds
}

fn restart(entry: &mut Entry, call: &str) -> Vec<Deed> {
    if entry.seen.standing == Standing::Disabled {
        let lines = entry.status();
        let told = "the job is disabled; enable it instead".to_owned();
        return vec![say(call, 405, told, lines)];
    }
    entry.seen.standing = Standing::Starting;
    let mut deeds = vec![Deed::Restart(entry.seen.job.name.clone())];
    deeds.extend(outcome(entry, call, Verb::Restart, false));
    deeds
}

/// Answers with the outcome where it is known or nobody waits for it, or lets the call
/// wait.
fn outcome(entry: &mut Entry, call: &str, verb: Verb, at_once: bool) -> Option<Deed> {
    let known = !matches!(entry.seen.standing, Standing::Held | Standing::Starting);
    if at_once || known {
        let (code, told) = ended(verb, &entry.seen.standing);
        let lines = entry.status();
        return Some(say(call, code, told, lines));
    }
    entry.waiting.push(Waiting {
        call: call.to_owned(),
        verb,
    });
    Some(Deed::Wait {
        call: call.to_owned(),
        at_most: patience(&entry.seen.job),
    })
}

/// The code and words for a command that came to this. An agent keeps what was sent with
/// a code below 300 alone, so that a job that is tried on is accepted.
fn ended(verb: Verb, standing: &Standing) -> (u16, String) {
    match standing {
        Standing::Running => (200, "running".to_owned()),
        Standing::Held | Standing::Starting => (202, "accepted".to_owned()),
        Standing::Disabled => (298, "accepted; the job is disabled".to_owned()),
        Standing::Failed(why) if verb == Verb::Restart => (422, why.clone()),
        Standing::Failed(why) => (202, format!("accepted, and tried again and again: {why}")),
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
