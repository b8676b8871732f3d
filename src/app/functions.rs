//! Calls of our functions: each gets exactly one answer.
//!
//! Those that are known at once are answered at once; those that ask a server run
//! beside each other, until they are done, cancelled or late. Must not know the
//! form of requests and answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet, yield_now};
use tokio::time::timeout;

use crate::netdata::functions::{self, About, FUNCTIONS, Function, Question, Refused};
use crate::netdata::link::Writer;
use crate::netdata::reply::{self, Answer};
use crate::netdata::request::{Call, Request};
use crate::netdata::stream::Output;
use crate::netdata::{diagnosis, dyncfg, reasoning};

use super::askers::{Askers, Work};
use super::dyncfg::{Dyncfg, Event};
use super::inbox::{self, BUSY, ENDING, Inbox, Outlet, give, refuse};
use super::panics::caught;
use super::registry::Registry;

/// Calls that may run at once.
const MOST_RUNNING: usize = 64;

/// How long one answer serves all who ask the same: instances are asked no more
/// often than this.
const KEPT: Duration = Duration::from_millis(900);

/// Answers requests.
pub(super) struct Functions {
    requests: Outlet,
    writer: Writer,
    registry: Registry,
    /// Zero of the clock that stamps samples.
    epoch: Instant,
    with_progress: bool,
    askers: Askers,
    offered: Vec<&'static Function>,
    running: Running,
    kept: Option<(Instant, Arc<str>)>,
    /// The function `config`, for agents that know it.
    config: Option<Dyncfg>,
    /// The call that is being answered.
    owed: Option<String>,
}

/// What is to be dealt with.
enum Next {
    /// A request, and when it came.
    Request(Instant, Request),
    /// A call that ran has ended.
    Done(Done),
    /// Something happened to dynamic configuration.
    Config(Event),
}

/// How a call that ran ended.
type Done = Result<(Id, Result<Value, Refused>), JoinError>;

/// The calls under way.
#[derive(Default)]
struct Running {
    work: JoinSet<Result<Value, Refused>>,
    by_id: HashMap<String, AbortHandle>,
    ids: HashMap<Id, String>,
}

impl Functions {
    /// The two ends: where requests are put, and where they are answered.
    /// `with_progress`: whether the agent understands how a call is going.
    pub(super) fn new(
        writer: Writer,
        registry: Registry,
        epoch: Instant,
        with_progress: bool,
        askers: Askers,
    ) -> (Inbox, Self) {
        let (inbox, requests) = inbox::open(writer.clone());
        let functions = Self {
            requests,
            writer,
            registry,
            epoch,
            with_progress,
            offered: offered(&askers),
            askers,
            running: Running::default(),
            kept: None,
            config: None,
            owed: None,
        };
        (inbox, functions)
    }

    /// Answers commands of dynamic configuration too.
    pub(super) fn configure(&mut self, config: Dyncfg) {
        self.config = Some(config);
    }

    /// Answers requests until it is dropped. Ends only when none can come.
    pub(super) async fn serve(&mut self) {
        loop {
            let next = tokio::select! {
                request = self.requests.next() => match request {
                    Some((at, request)) => Next::Request(at, request),
                    None => return,
                },
                Some(done) = self.running.work.join_next_with_id() => Next::Done(done),
                Some(event) = happens(&mut self.config) => Next::Config(event),
            };
            self.take(next).await;
            // However many there are: collections come in between.
            yield_now().await;
        }
    }

    /// A defect met by one must not cost the others: who is owed an answer gets one.
    async fn take(&mut self, next: Next) {
        if caught(self.deal(next)).await.is_none() {
            let of_config = || self.config.as_mut()?.broke();
            if let Some(id) = self.owed.take().or_else(of_config) {
                self.error(&id, &broken());
            }
        }
        self.owed = None;
    }

    async fn deal(&mut self, next: Next) {
        match next {
            Next::Request(at, request) => self.request(at, request).await,
            Next::Done(done) => self.done(done),
            Next::Config(event) => {
                if let Some(config) = &mut self.config {
                    config.happened(event).await;
                }
            }
        }
    }

    /// Nothing more is worked on: who still waits is told so.
    pub(super) fn close(&mut self) {
        self.requests.close();
        if let Some(config) = &mut self.config {
            config.close();
        }
        for (id, work) in std::mem::take(&mut self.running.by_id) {
            work.abort();
            give(&self.writer, &id, Answer::error(&id, 503, ENDING));
        }
        while let Some(request) = self.requests.left() {
            refuse(&self.writer, &request, ENDING);
        }
    }

    async fn request(&mut self, at: Instant, request: Request) {
        match request {
            Request::Call(call) if self.is_open(&call.id) => {
                // Agents drop it too. A second answer would be taken for the first's.
                log::debug!("call {}: there is one of this id already", call.id);
            }
            Request::Call(call) => {
                self.owed = Some(call.id.clone());
                match (&mut self.config, dyncfg::read(&call)) {
                    (Some(config), Some(command)) => {
                        // It knows better what is still owed.
                        self.owed = None;
                        config.command(at, &call.id, command, call.timeout).await;
                    }
                    _ => self.call(at, &call),
                }
            }
            Request::Cancel(id) => {
                if let Some(work) = self.running.by_id.remove(&id) {
                    work.abort();
                    self.error(&id, &Refused::new(499, "cancelled by the caller"));
                } else if let Some(config) = &mut self.config {
                    config.cancel(&id).await;
                }
            }
            Request::Progress(id) => {
                if self.with_progress && self.is_open(&id) {
                    self.writer.send(&Output {
                        // Lost with what is collected, where the agent does not read.
                        values: reply::progress(&id),
                        ..Output::default()
                    });
                }
            }
            refused => refuse(&self.writer, &refused, ENDING),
        }
    }

    /// Whether a call of this id waits for its answer.
    fn is_open(&self, id: &str) -> bool {
        let config = self.config.as_ref();
        self.running.by_id.contains_key(id) || config.is_some_and(|config| config.is_open(id))
    }

    fn call(&mut self, at: Instant, call: &Call) {
        let question = match functions::read(call, &self.offered) {
            Ok(question) => question,
            Err(refused) => return self.error(&call.id, &refused),
        };
        let seconds = u64::from(question.function.offer.timeout);
        let allowed = call.timeout.unwrap_or(Duration::from_secs(seconds));
        let left = allowed.saturating_sub(at.elapsed());
        if left.is_zero() {
            return self.error(&call.id, &late(allowed));
        }
        match (
            &question.about,
            self.askers.get(question.function.offer.name),
        ) {
            (About::One(name), Some(asker)) => {
                let asker = Arc::clone(asker);
                self.start(&call.id, asker(&self.registry, name), left, allowed);
            }
            _ => match self.known(&question) {
                Ok(body) => self.table(&call.id, body),
                Err(refused) => self.error(&call.id, &refused),
            },
        }
    }

    /// Answers what is known at once.
    fn known(&mut self, question: &Question) -> Result<Arc<str>, Refused> {
        let now = self.epoch.elapsed();
        let help = question.function.offer.help;
        match &question.about {
            About::Info => {
                let info = functions::info(question.function, &self.registry.names());
                Ok(reply::lines(&info).into())
            }
            About::One(name) => {
                let row = self.registry.row(name, now);
                let row = row.ok_or_else(|| Refused::no_instance(name))?;
                Ok(reply::lines(&reasoning::answer(&row, help)).into())
            }
            About::All => {
                if let Some((at, body)) = &self.kept
                    && at.elapsed() < KEPT
                {
                    return Ok(Arc::clone(body));
                }
                let answer = diagnosis::answer(&self.registry.rows(now), help);
                let body: Arc<str> = reply::lines(&answer).into();
                self.kept = Some((Instant::now(), Arc::clone(&body)));
                Ok(body)
            }
        }
    }

    fn start(&mut self, id: &str, work: Work, left: Duration, allowed: Duration) {
        if self.running.by_id.len() >= MOST_RUNNING {
            return self.error(id, &Refused::new(503, BUSY));
        }
        let in_time = async move { timeout(left, work).await.unwrap_or(Err(late(allowed))) };
        let handle = self.running.work.spawn(in_time);
        self.running.ids.insert(handle.id(), id.to_owned());
        self.running.by_id.insert(id.to_owned(), handle);
    }

    fn done(&mut self, done: Done) {
        let (task, result) = match done {
            Ok((task, result)) => (task, result),
            Err(error) => (error.id(), Err(broken())),
        };
        let Some(id) = self.running.ids.remove(&task) else {
            return;
        };
        // Gone where it was cancelled; another where the id was used again.
        if self.running.by_id.get(&id).is_none_or(|h| h.id() != task) {
            return;
        }
        self.running.by_id.remove(&id);
        self.owed = Some(id.clone());
        match result {
            Ok(value) => self.table(&id, reply::lines(&value).into()),
            Err(refused) => self.error(&id, &refused),
        }
    }

    fn table(&self, id: &str, body: Arc<str>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let expires = now.unwrap_or_default().as_secs() + 1;
        give(&self.writer, id, Answer::new(id, 200, body, expires));
    }

    fn error(&self, id: &str, refused: &Refused) {
        let answer = Answer::error(id, refused.code, &refused.message);
        give(&self.writer, id, answer);
    }
}

/// What happens next to dynamic configuration; `None` without.
async fn happens(config: &mut Option<Dyncfg>) -> Option<Event> {
    Some(config.as_mut()?.next().await)
}

/// The functions that can be answered.
fn offered(askers: &Askers) -> Vec<&'static Function> {
    let all = FUNCTIONS.iter().copied();
    all.filter(|f| !f.needs_instance || askers.contains_key(f.offer.name))
        .collect()
}

/// The lines that offer the functions that can be answered.
pub(super) fn offers(askers: &Askers) -> String {
    let mut lines = String::new();
    for function in offered(askers) {
        reply::offer(&mut lines, &function.offer);
    }
    lines
}

fn late(allowed: Duration) -> Refused {
    let seconds = allowed.as_secs();
    Refused::new(
        504,
        format!("no answer within {seconds} s: allow more time"),
    )
}

fn broken() -> Refused {
    Refused::new(
        500,
        "this call met a defect of redis-frag, which is in its log",
    )
}

#[cfg(test)]
mod tests;
