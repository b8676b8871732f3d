//! Dynamic configuration: jobs told to the agent, its commands done to the roster.
//!
//! What is due is decided in [`book`]; here it is done. Must not know the form of
//! requests and lines.

mod book;
mod deed;
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::config::schema::SCHEMA;
use crate::netdata::dyncfg::{self, Command, Source, Verb};
use crate::netdata::functions::Refused;
use crate::netdata::link::Writer;
use crate::netdata::reply::{self, Answer, Content};

use super::inbox::{BUSY, ENDING, give};
use super::roster::{self, Listed, Roster, State};
use book::Book;
use deed::{Body, Deed, Seen, Standing};

/// How long a job waits for the agent's first word, which comes at once where one
/// listens.
const HELD: Duration = Duration::from_secs(2);

/// How long a call may take that says nothing of it, as the agent's own.
const ALLOWED: Duration = Duration::from_secs(10);

/// How much sooner a call is answered than the agent gives up.
const MARGIN: Duration = Duration::from_millis(500);

/// Tries of what a person filled in that may run at once.
const MOST_TRIALS: usize = 16;

/// Keeps the agent and the roster in step.
pub(super) struct Dyncfg {
    book: Book,
    roster: Roster,
    changes: Receiver<u64>,
    /// Where the files lie that came with the plugin.
    stock: Option<PathBuf>,
    trials: JoinSet<(String, Result<String, String>)>,
    /// When the open calls are answered at the latest.
    ends: BTreeMap<String, Instant>,
    /// Until when jobs wait for the agent's first word.
    held: BTreeMap<String, Instant>,
    schema: Arc<str>,
    /// The call that is being dealt with, until it is answered or waits.
    owed: Option<String>,
}

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    /// The roster changed.
    Changed,
    /// A trial ended: its call, and what it told.
    Tried(String, Result<String, String>),
    /// Somebody has waited long enough.
    Due,
}

impl Dyncfg {
    /// Offers the template; jobs of the roster follow with the first event. `interval`:
    /// seconds, the least between collections.
    pub(super) fn new(roster: Roster, interval: u32, stock: Option<PathBuf>) -> Self {
        let schema = serde_json::from_str(SCHEMA).unwrap_or_default();
        let mut changes = roster.changes();
        changes.mark_changed();
        let dyncfg = Self {
            book: Book::new(interval),
            changes,
            stock,
            trials: JoinSet::new(),
            ends: BTreeMap::new(),
            held: BTreeMap::new(),
            owed: None,
            schema: reply::lines(&schema).into(),
            roster,
        };
        let mut lines = String::new();
        dyncfg::template(&mut lines);
        dyncfg.write(lines);
        dyncfg
    }

    /// Waits for what happens next. May be dropped at any time.
    pub(super) async fn next(&mut self) -> Event {
        let waits = self.ends.values().chain(self.held.values());
        let due = waits.min().copied();
        tokio::select! {
            Ok(()) = self.changes.changed() => Event::Changed,
            Some(done) = self.trials.join_next() => match done {
                Ok((call, told)) => Event::Tried(call, told),
                // Its call ends when its time is over.
                Err(_) => {
                    log::error!("a trial broke down, which is a defect");
                    Event::Due
                }
            },
            () = until(due) => Event::Due,
        }
    }

    /// Does what an event makes due. Must not be dropped.
    pub(super) async fn happened(&mut self, event: Event) {
        match event {
            Event::Changed => {}
            Event::Tried(call, told) => {
                self.owe(&call);
                let deeds = self.book.tried(&call, told);
                self.act(deeds, Instant::now(), ALLOWED).await;
            }
            Event::Due => {
                let now = Instant::now();
                let late = self.ends.iter().filter(|(_, end)| **end <= now);
                let late: Vec<String> = late.map(|(call, _)| call.clone()).collect();
                for call in late {
                    self.owe(&call);
                    self.ends.remove(&call);
                    let deeds = self.book.late(&call);
                    self.act(deeds, now, ALLOWED).await;
                }
                let held = self.held.iter().filter(|(_, until)| **until <= now);
                let held: Vec<String> = held.map(|(name, _)| name.clone()).collect();
                for name in held {
                    // Where it breaks down, it waits anew.
                    self.held.remove(&name);
                    log::debug!("job {name}: the agent says nothing of it: beginning");
                    self.roster.enable(&name).await;
                }
            }
        }
        self.keep_step().await;
    }

    /// What was being done broke down: gives the call that is owed an answer for it, and
    /// forgets it.
    pub(super) fn broke(&mut self) -> Option<String> {
        let call = self.owed.take()?;
        let _ = self.book.cancelled(&call);
        self.ends.remove(&call);
        Some(call)
    }

    /// A call that waits is owed its answer now.
    fn owe(&mut self, call: &str) {
        self.owed = self.is_open(call).then(|| call.to_owned());
    }

    /// Takes a command that came at `at` and may take so long. Must not be dropped.
    pub(super) async fn command(
        &mut self,
        at: Instant,
        call: &str,
        command: Result<Command, Refused>,
        allowed: Option<Duration>,
    ) {
        let command = match command {
            Ok(command) => command,
            Err(refused) => return self.refuse(call, refused.code, &refused.message),
        };
        self.owed = Some(call.to_owned());
        // What came before is told first: an answer may not be about what the agent does
        // not know.
        if self.changes.has_changed().unwrap_or_default() {
            self.keep_step().await;
        }
        if command.verb == Verb::Test && self.trials.len() >= MOST_TRIALS {
            let told = "too many jobs are tried at once: try again in a second";
            return self.refuse(call, 503, told);
        }
        log::debug!("{:?} of job {:?}, by the agent", command.verb, command.name);
        self.book.nodes(self.roster.shared().nodes.all());
        let deeds = self.book.command(call, command);
        self.act(deeds, at, allowed.unwrap_or(ALLOWED)).await;
    }

    fn refuse(&mut self, call: &str, code: u16, told: &str) {
        self.owed = None;
        give(self.writer(), call, Answer::error(call, code, told));
    }

    /// Whether a call of this id waits for its answer.
    pub(super) fn is_open(&self, call: &str) -> bool {
        self.book.is_open(call)
    }

    /// Nobody waits for this call any more.
    pub(super) async fn cancel(&mut self, call: &str) {
        self.owe(call);
        let deeds = self.book.cancelled(call);
        self.act(deeds, Instant::now(), ALLOWED).await;
    }

    /// Nothing more is done: who still waits is told so.
    pub(super) fn close(&mut self) {
        self.trials.abort_all();
        for deed in self.book.close(ENDING) {
            self.say(deed);
        }
    }

    /// Tells the agent how the jobs stand.
    async fn keep_step(&mut self) {
        self.changes.mark_unchanged();
        let now = Instant::now();
        let all = self.roster.all();
        let held = all.iter().filter(|listed| listed.state == State::Held);
        let held: BTreeSet<&str> = held.map(|listed| &*listed.job.name).collect();
        self.held.retain(|name, _| held.contains(&**name));
        for name in held {
            if !self.held.contains_key(name) {
                self.held.insert(name.to_owned(), now + HELD);
            }
        }
        let all = all.into_iter().map(|listed| self.seen(listed)).collect();
        let deeds = self.book.seen(all);
        self.act(deeds, now, ALLOWED).await;
    }

    fn seen(&self, listed: Listed) -> Seen {
        Seen {
            job: listed.job,
            source: match listed.source {
                roster::Source::File(path) => self.file(&path),
                roster::Source::Discovered => Source::Discovered,
                roster::Source::Dynamic => Source::Dynamic,
            },
            standing: match listed.state {
                State::Held => Standing::Held,
                State::Starting | State::Ended => Standing::Starting,
                State::Running => Standing::Running,
                State::Failed(trouble) => Standing::Failed(trouble.to_string()),
                State::Disabled => Standing::Disabled,
            },
        }
    }

    fn file(&self, path: &Path) -> Source {
        let stock = self.stock.as_deref();
        let shown = path.display().to_string();
        if stock.is_some_and(|stock| path.starts_with(stock)) {
            Source::Stock(shown)
        } else {
            Source::User(shown)
        }
    }

    async fn act(&mut self, deeds: Vec<Deed>, at: Instant, allowed: Duration) {
        for deed in deeds {
            match deed {
                Deed::Begin(name) => {
                    self.roster.enable(&name).await;
                }
                Deed::End(name) => {
                    log::info!("job {name}: disabled in the dashboard");
                    self.roster.disable(&name).await;
                }
                Deed::Restart(name) => {
                    self.roster.restart(&name).await;
                }
                Deed::Put(job) => {
                    log::info!("job {}: set in the dashboard", job.name);
                    self.roster.replace(job, roster::Source::Dynamic).await;
                }
                Deed::Remove(name) => {
                    log::info!("job {name}: removed in the dashboard");
                    self.roster.remove(&name).await;
                }
                Deed::Try { call, job } => {
                    let epoch = self.roster.shared().epoch;
                    let trial = async move { (call, trial::run(job, epoch).await) };
                    self.trials.spawn(trial);
                }
                Deed::Wait { call, at_most } => {
                    let answered = allowed.saturating_sub(MARGIN).max(allowed / 2);
                    let end = (at + answered).min(Instant::now() + at_most);
                    self.settled(&call);
                    self.ends.insert(call, end);
                }
                said => self.say(said),
            }
        }
    }

    /// Writes what there is to write.
    fn say(&mut self, deed: Deed) {
        let (call, code, body, lines) = match deed {
            Deed::Answer {
                call,
                code,
                body,
                lines,
            } => (call, code, body, lines),
            Deed::Lines(lines) => return self.write(lines),
            _ => return,
        };
        self.settled(&call);
        self.ends.remove(&call);
        let json = |body: Arc<str>| (Content::Json, body);
        let (content, body) = match body {
            Body::Told(told) if code >= 400 => {
                json(reply::lines(&json!({ "status": code, "errorMessage": told })).into())
            }
            Body::Told(told) => {
                json(reply::lines(&json!({ "status": code, "message": told })).into())
            }
            Body::Json(value) => json(reply::lines(&value).into()),
            Body::Yaml(text) => (Content::Yaml, text.into()),
            Body::Schema => json(Arc::clone(&self.schema)),
        };
        let answer = Answer::of(&call, code, content, body, 0);
        // Where too much waits already, the agent still hears how the jobs stand.
        let short = || Answer::error(&call, 503, BUSY).then(&lines);
        self.writer().answer(answer.then(&lines), short);
    }

    /// This call is answered, or will be when its time is over.
    fn settled(&mut self, call: &str) {
        if self.owed.as_deref() == Some(call) {
            self.owed = None;
        }
    }

    /// Writes lines behind all answers before them.
    fn write(&self, lines: String) {
        if !lines.is_empty() {
            let again = lines.clone();
            self.writer()
                .answer(Answer::none(lines), || Answer::none(again));
        }
    }

    fn writer(&self) -> &Writer {
        &self.roster.shared().writer
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::super::panics::caught;
    use super::super::shared::Shared;
    use super::*;
    use crate::config::address::Address;
    use crate::config::job::Job;

    /// Outside of a runtime no watch can begin, which is a defect.
    fn outside<T>(work: impl Future<Output = T>) -> Option<T> {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(caught(work)).as_mut().poll(&mut context) {
            Poll::Ready(done) => done,
            Poll::Pending => panic!("it waits"),
        }
    }

    #[test]
    fn a_job_whose_beginning_breaks_down_waits_anew_and_not_in_a_busy_loop() {
        let shared = Shared::made_up(Writer::start(io::sink(), |_| {}).unwrap());
        let roster = Roster::new(shared, true);
        let job = Job::new("x", Address::Unix("/nonexistent/s".into()));
        outside(roster.add(Arc::new(job), roster::Source::Dynamic)).unwrap();
        let mut dyncfg = Dyncfg::new(roster, 1, None);
        outside(dyncfg.happened(Event::Changed)).unwrap();
        let now = Instant::now();
        let until = dyncfg.held.get_mut("x").unwrap();
        *until = now;
        assert!(outside(dyncfg.happened(Event::Due)).is_none(), "it began");
        assert!(dyncfg.held.is_empty());
        outside(dyncfg.happened(Event::Changed)).unwrap();
        assert!(dyncfg.held["x"] > now);
    }
}
