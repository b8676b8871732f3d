//! Calls of a dispatcher whose servers are made up.

use std::io::{self, Write};
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Waker};

use tokio::time::sleep;

use super::super::askers::Asker;
use super::super::roster::{Roster, Source};
use super::super::shared::Shared;
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
        "broken-at-once" => panic!("a defect"),
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
            call("d-broken-at-once", "instance:broken-at-once", 5000),
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
        until(10, writer, out).await;
        inbox.take(Request::Cancel(id("a-quick")));
        inbox.take(call("k-last", "info", 5000));
        until(11, writer, out).await;
    });
    let want = [
        ("0-after-the-end", 503),
        ("a-quick", 200),
        ("b-hanging", 504),
        ("c-nobody", 404),
        ("d-broken", 500),
        ("d-broken-at-once", 500),
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

/// What comes of work that waits for nobody, outside of a runtime: no watch can begin
/// there, which is a defect.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(work).as_mut().poll(&mut context) {
        std::task::Poll::Ready(done) => done,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

/// A dispatcher with this roster's jobs, which the agent knows.
fn configured(held: bool) -> (Functions, Writer, Out) {
    let out = Out::default();
    let writer = Writer::start(out.clone(), |_| {}).unwrap();
    let roster = Roster::new(Shared::made_up(writer.clone()), held);
    if held {
        let nowhere = crate::config::address::Address::Unix("/nonexistent/s".into());
        let job = Arc::new(crate::config::job::Job::new("x", nowhere));
        assert!(at_once(roster.add(job, Source::Dynamic)));
    }
    let registry = Registry::default();
    let begun = Instant::now();
    let (_, mut functions) =
        Functions::new(writer.clone(), registry, begun, true, Askers::default());
    functions.configure(Dyncfg::new(roster, 1, None));
    at_once(functions.take(Next::Config(Event::Changed)));
    (functions, writer, out)
}

fn command(id: &str, function: &str) -> Next {
    let call = Call {
        id: id.to_owned(),
        function: format!("config redis-frag:redis{function}"),
        source: "user=me".to_owned(),
        payload: Some(crate::netdata::request::Payload {
            content_type: "application/json".to_owned(),
            text: r#"{"address": "unix:///nonexistent/s"}"#.to_owned(),
        }),
        ..Call::default()
    };
    Next::Request(Instant::now(), Request::Call(call))
}

#[test]
fn a_command_that_breaks_down_is_answered_once() {
    // Before its answer was written, which would come with the outcome.
    let (mut functions, writer, out) = configured(true);
    at_once(functions.take(command("a", ":x restart")));
    assert!(!functions.is_open("a"));
    assert_eq!(out.answers(&writer), [(id("a"), 500)]);
    functions.close();
    assert_eq!(out.answers(&writer), [(id("a"), 500)]);
    // Behind it.
    let (mut functions, writer, out) = configured(false);
    at_once(functions.take(command("b", " add y")));
    functions.close();
    assert_eq!(out.answers(&writer), [(id("b"), 202)]);
}
