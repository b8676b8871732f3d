//! Calls of our functions: each gets exactly one answer.
//!
//! Those that are known at once are answered at once; those that ask a server run
//! beside each other, until they are done, cancelled or late. Must not know the
//! form of requests and answers.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
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
}

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
            tokio::select! {
                request = self.requests.next() => match request {
                    Some((at, request)) => {
                        self.request(at, request).await;
                        // However many there are: collections come in between.
                        yield_now().await;
                    }
                    None => return,
                },
                Some(done) = self.running.work.join_next_with_id() => self.done(done),
                Some(event) = happens(&mut self.config) => if let Some(config) = &mut self.config {
                    config.happened(event).await;
                },
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
            Request::Call(call) => match (&mut self.config, dyncfg::read(&call)) {
                (Some(config), Some(command)) => {
                    config.command(at, &call.id, command, call.timeout).await;
                }
                _ => self.call(at, &call),
            },
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
                        definitions: String::new(),
                        // Lost with what is collected, where the agent does not read.
                        values: reply::progress(&id),
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
            // A defect met by one call must not cost the others.
            _ => match catch_unwind(AssertUnwindSafe(|| self.known(&question))) {
                Ok(Ok(body)) => self.table(&call.id, body),
                Ok(Err(refused)) => self.error(&call.id, &refused),
                Err(_) => self.error(&call.id, &broken()),
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

    fn done(&mut self, done: Result<(Id, Result<Value, Refused>), JoinError>) {
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
mod tests {
    use std::io::{self, Write};
    use std::sync::Mutex;

    use tokio::time::sleep;

    use super::super::askers::Asker;
    use super::*;

    /// What the agent would have read.
    #[derive(Clone, Default)]
    struct Out(Arc<Mutex<Vec<u8>>>);

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Out {
        /// Id and code of each answer, in the order of ids.
        fn answers(&self, writer: &Writer) -> Vec<(String, u16)> {
            writer.drain(Duration::from_secs(5));
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            let heads = text
                .lines()
                .filter_map(|l| l.strip_prefix("FUNCTION_RESULT_BEGIN "));
            let mut answers: Vec<(String, u16)> = heads
                .map(|head| {
                    let words: Vec<&str> = head.split(' ').collect();
                    (words[0].to_owned(), words[1].parse().unwrap())
                })
                .collect();
            answers.sort();
            answers
        }
    }

    const SIZES: &Function = &Function {
        offer: functions::DIAGNOSIS.offer,
        needs_instance: true,
    };

    /// Runs a dispatcher whose one function asks instances that are called `quick`,
    /// `hanging` or `broken`, while `test` puts requests in.
    fn served(test: impl AsyncFnOnce(&Inbox, &Writer, &Out)) -> Vec<(String, u16)> {
        let out = Out::default();
        let writer = Writer::start(out.clone(), |_| {}).unwrap();
        let asker: Asker = Arc::new(|_: &Registry, instance: &str| match instance {
            "quick" => Box::pin(async { Ok(serde_json::json!({ "status": 200 })) }),
            "hanging" => Box::pin(std::future::pending()),
            "broken" => Box::pin(async { panic!("a defect") }),
            other => {
                let refused = Refused::no_instance(other);
                Box::pin(async { Err(refused) })
            }
        });
        let askers = Askers::from([(SIZES.offer.name, asker)]);
        let registry = Registry::default();
        let (inbox, mut functions) =
            Functions::new(writer.clone(), registry, Instant::now(), true, askers);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            tokio::select! {
                () = test(&inbox, &writer, &out) => {}
                () = functions.serve() => {}
            }
            functions.close();
        });
        inbox.take(call("0-after-the-end", "x", 1000));
        out.answers(&writer)
    }

    fn call(id: &str, about: &str, millis: u64) -> Request {
        Request::Call(Call {
            id: id.to_owned(),
            timeout: Some(Duration::from_millis(millis)),
            function: format!("{} {about}", SIZES.offer.name),
            ..Call::default()
        })
    }

    /// Lets the dispatcher work until so many answers are there.
    async fn until(count: usize, writer: &Writer, out: &Out) {
        for _ in 0..500 {
            if out.answers(writer).len() >= count {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn id(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn every_request_gets_one_answer_with_its_own_code() {
        let got = served(async |inbox, writer, out| {
            for request in [
                call("a-quick", "instance:quick", 5000),
                call("b-hanging", "instance:hanging", 20),
                call("c-nobody", "instance:x", 5000),
                call("d-broken", "instance:broken", 5000),
                call("e-cancelled", "instance:hanging", 5000),
                call("e-cancelled", "instance:quick", 5000),
                call("f-left", "instance:hanging", 5000),
                call("g-info", "info", 5000),
                call("h-wrong", "colour:red", 5000),
                call("i-late", "info", 0),
                Request::Refused {
                    id: id("j-cut"),
                    why: crate::netdata::request::Refusal::LongPayload,
                },
                Request::Cancel(id("e-cancelled")),
                Request::Cancel(id("e-cancelled")),
                Request::Cancel(id("a-quick-never-there")),
            ] {
                inbox.take(request);
            }
            until(9, writer, out).await;
            inbox.take(Request::Cancel(id("a-quick")));
            inbox.take(call("k-last", "info", 5000));
            until(10, writer, out).await;
        });
        let want = [
            ("0-after-the-end", 503),
            ("a-quick", 200),
            ("b-hanging", 504),
            ("c-nobody", 404),
            ("d-broken", 500),
            ("e-cancelled", 499),
            ("f-left", 503),
            ("g-info", 200),
            ("h-wrong", 400),
            ("i-late", 504),
            ("j-cut", 413),
            ("k-last", 200),
        ];
        let got: Vec<(&str, u16)> = got.iter().map(|(id, code)| (id.as_str(), *code)).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn an_id_that_was_cancelled_may_come_again() {
        let got = served(async |inbox, writer, out| {
            inbox.take(call("a", "instance:hanging", 5000));
            inbox.take(Request::Cancel(id("a")));
            inbox.take(call("a", "instance:quick", 5000));
            until(2, writer, out).await;
        });
        assert_eq!(got[1..], [(id("a"), 200), (id("a"), 499)]);
    }

    #[test]
    fn what_waits_and_what_runs_is_bounded() {
        let got = served(async |inbox, writer, out| {
            for number in 0..2000 {
                inbox.take(call(&format!("{number:04}"), "instance:hanging", 60_000));
            }
            // All but those that run.
            until(2000 - MOST_RUNNING, writer, out).await;
        });
        assert_eq!(got.len(), 2001);
        assert!(got.iter().all(|(_, code)| *code == 503));
        let got = served(async |inbox, writer, out| {
            for number in 0..8 {
                let Request::Call(mut call) = call(&number.to_string(), "info", 5000) else {
                    return;
                };
                let text = " ".repeat(1_000_000);
                call.payload = Some(crate::netdata::request::Payload {
                    text,
                    ..Default::default()
                });
                inbox.take(Request::Call(call));
            }
            until(8, writer, out).await;
        });
        let taken = got.iter().filter(|(_, code)| *code == 200).count();
        assert_eq!((taken, got.len()), (4, 9));
    }

    #[test]
    fn progress_is_told_of_what_runs() {
        served(async |inbox, writer, out| {
            inbox.take(call("a", "instance:hanging", 5000));
            inbox.take(Request::Progress(id("a")));
            inbox.take(Request::Progress(id("b")));
            inbox.take(call("b", "info", 5000));
            until(1, writer, out).await;
            let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
            assert_eq!(text.matches("FUNCTION_PROGRESS").count(), 1);
            assert!(text.starts_with("FUNCTION_PROGRESS a 0 1\n"), "{text}");
        });
    }
}
