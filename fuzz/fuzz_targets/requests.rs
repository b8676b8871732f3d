//! Lines that the agent writes, whatever they are: no panic, and what comes of them is
//! answered in lines that no agent stumbles over.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_frag::netdata::functions::{self, FUNCTIONS};
use redis_frag::netdata::reply::Answer;
use redis_frag::netdata::request::{Reader, Request};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let mut reader = Reader::default();
    let mut requests: Vec<Request> = Vec::new();
    for line in text.lines() {
        requests.extend(reader.feed(line, true));
    }
    requests.extend(reader.end());
    for request in requests {
        let id = match request {
            Request::Call(call) => {
                let _ = functions::read(&call, FUNCTIONS);
                call.id
            }
            Request::Refused { id, .. } => id,
            Request::Quit | Request::Cancel(_) | Request::Progress(_) => continue,
        };
        let answer = Answer::error(&id, 404, &text);
        assert_eq!(answer.head.lines().count(), 1, "{:?}", answer.head);
        let begins = |line: &str| line.starts_with(['{', ',']);
        assert!(answer.body.lines().all(begins), "{:?}", answer.body);
    }
});
