//! Lines that the agent writes, whatever they are: no panic, and what comes of them is
//! answered in lines that no agent stumbles over.
//!
//! Answers and names go to a strict reader.

use redis_frag::netdata::dyncfg::{self, Source, Status};
use redis_frag::netdata::functions::{self, FUNCTIONS};
use redis_frag::netdata::reply::{self, Answer};
use redis_frag::netdata::request::{Reader, Request};

use crate::support::checker::Checker;

/// Bytes are what comes by stdin.
pub fn body(bytes: &[u8]) {
    // The strict reader takes that character for bytes that are no text.
    let text = String::from_utf8_lossy(bytes).replace(char::REPLACEMENT_CHARACTER, "?");
    let mut reader = Reader::default();
    let mut requests: Vec<Request> = Vec::new();
    for line in text.lines() {
        requests.extend(reader.feed(line, true));
    }
    requests.extend(reader.end());
    let mut agent = Checker::new("2.10.0");
    let mut template = String::new();
    dyncfg::template(&mut template);
    agent.feed_all(&template);
    for request in requests {
        answered(request, &text, &mut agent);
    }
    agent.finish();
    agent.assert_clean();
}

fn answered(request: Request, text: &str, agent: &mut Checker) {
    let mut told = text.to_owned();
    let mut lines = String::new();
    let id = match request {
        Request::Call(call) => {
            if let Err(refused) = functions::read(&call, FUNCTIONS) {
                told = refused.message;
            }
            match dyncfg::read(&call) {
                Some(Ok(command)) if dyncfg::is_name(&command.name) => {
                    dyncfg::create(
                        &mut lines,
                        &command.name,
                        Status::Accepted,
                        &Source::Dynamic,
                    );
                    dyncfg::status(&mut lines, &command.name, Status::Running);
                    dyncfg::delete(&mut lines, &command.name);
                }
                Some(Err(refused)) => told = refused.message,
                _ => {}
            }
            call.id
        }
        Request::Refused { id, .. } => id,
        Request::Progress(id) => {
            assert_eq!(reply::progress(&id).matches('\n').count(), 1);
            return;
        }
        Request::Quit | Request::Cancel(_) => return,
    };
    let answer = Answer::error(&id, 404, &told).then(&lines);
    assert_eq!(answer.head.lines().count(), 1, "{:?}", answer.head);
    let begins = |line: &str| line.starts_with(['{', ',']);
    assert!(answer.body.lines().all(begins), "{:?}", answer.body);
    agent.feed_all(&[&*answer.head, &answer.body, &answer.tail].concat());
}
