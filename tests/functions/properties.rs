//! The reader of requests, whatever it is fed: no panic, no growth, and every
//! call with an id comes out once, to be run or refused.

use proptest::prelude::*;
use redis_frag::model::text::is_hidden;
use redis_frag::netdata::reply::Answer;
use redis_frag::netdata::request::{Quotes, Reader, Request, words};

/// Pieces of which lines are made that mean something.
fn line() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-f0-9]{1,8}",
        Just("FUNCTION".to_owned()),
        Just("FUNCTION_PAYLOAD".to_owned()),
        Just("FUNCTION_PAYLOAD_END".to_owned()),
        Just("FUNCTION_CANCEL".to_owned()),
        Just("FUNCTION_PROGRESS".to_owned()),
        Just("10".to_owned()),
        Just("\"redis-frag:diagnosis info\"".to_owned()),
        "['\"\\\\ :=a]{0,6}",
        "\\PC{0,9}",
    ];
    prop_oneof![
        prop::collection::vec(word, 0..7).prop_map(|words| words.join(" ")),
        any::<String>(),
    ]
}

/// Whether the agent waits for an answer to this line, and by which id: one that an answer
/// can name, as far as it is looked at.
fn owed(line: &str) -> Option<String> {
    let words = words(line, Quotes::AtWords);
    let keyword = line.split_ascii_whitespace().next()?;
    let call = ["FUNCTION", "FUNCTION_PAYLOAD"].contains(&keyword);
    let id = words.get(1).filter(|_| call)?;
    let mut ends = (0..=200.min(id.len())).rev();
    let id = &id[..ends.find(|at| id.is_char_boundary(*at))?];
    let odd = |c: char| is_hidden(c) || c == '\u{fffd}';
    (!id.trim().is_empty() && !id.contains(odd)).then(|| id.to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_call_comes_out_once(lines in prop::collection::vec((line(), any::<bool>()), 0..40)) {
        let mut reader = Reader::default();
        let (mut owing, mut got) = (Vec::new(), Vec::new());
        let mut take = |requests: Vec<Request>| {
            for request in requests {
                match request {
                    Request::Call(call) => got.push(call.id),
                    Request::Refused { id, .. } => got.push(id),
                    Request::Quit | Request::Cancel(_) | Request::Progress(_) => {}
                }
            }
        };
        for (line, whole) in &lines {
            owing.extend(owed(line));
            take(reader.feed(line, *whole));
        }
        take(reader.end());
        owing.sort();
        got.sort();
        prop_assert_eq!(got, owing);
    }

    #[test]
    fn an_answer_begins_in_one_line_of_five_words(id in any::<String>(), message in any::<String>()) {
        let answer = Answer::error(&id, 400, &message);
        prop_assert_eq!(answer.head.matches('\n').count(), 1);
        prop_assert_eq!(words(&answer.head, Quotes::AtWords).len(), 5, "{}", answer.head);
        prop_assert_eq!(answer.body.matches('\n').count(), 1);
        let plain = !id.is_empty() && id.chars().all(|c| c.is_ascii_hexdigit());
        if plain && id.len() < 200 {
            prop_assert_eq!(&words(&answer.head, Quotes::AtWords)[1], &id);
        }
    }
}
