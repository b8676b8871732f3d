//! A diagnosis in every form that a person or a program gets: none of them may break
//! off, and none may carry what moves a cursor or breaks a line.
//!
//! Knows the forms. Must not know where the diagnosis came from.

use std::time::Duration;

use redis_frag::app::report::page::Style;
use redis_frag::app::report::{Report, json, summary, text};
use redis_frag::model::derive::Derived;
use redis_frag::model::diagnosis::Diagnosis;
use redis_frag::netdata::reply::{self, Answer};
use redis_frag::netdata::row::{Known, Row};
use redis_frag::netdata::{diagnosis, reasoning};
use serde_json::Value;

use crate::support::checker::Checker;

/// As wide as a terminal, and one that is none; with colours and without.
const STYLES: [Style; 2] = [
    Style {
        width: 80,
        colour: true,
    },
    Style {
        width: 0,
        colour: false,
    },
];

/// Shows a moment everywhere; the dashboard's tables go to the agent.
#[track_caller]
pub fn shown(derived: &Derived<'_>, found: &Diagnosis, agent: &mut Checker) {
    let report = Report::of("one", derived);
    let line = json::line(&report);
    let read: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(read["verdict"], found.verdict.name(), "{line}");
    assert_eq!(read["severity"], found.severity.name(), "{line}");
    assert!(!line.trim_end().contains(char::is_control), "{line:?}");
    for style in STYLES {
        let both = [
            text::report(&report, &style),
            summary::all(std::slice::from_ref(&report), &style),
        ];
        for page in both {
            assert!(!page.is_empty());
            let odd = |c: char| c.is_control() && c != '\n' && !(style.colour && c == '\u{1b}');
            assert!(!page.contains(odd), "{page:?}");
        }
    }
    let row = Row {
        instance: "one".to_owned(),
        address: "redis://127.0.0.1:6379".to_owned(),
        client: "redis-cli".to_owned(),
        up: derived.sample.answered(),
        known: derived
            .sample
            .answered()
            .then(|| Known::of(derived, Duration::from_secs(1), 1)),
    };
    let reasoned = reasoning::answer(&row, "help");
    for table in [diagnosis::answer(&[row], "help"), reasoned] {
        answered(&table, agent);
    }
}

/// Sends a table to the agent, which must read it as it was.
#[track_caller]
pub fn answered(table: &Value, agent: &mut Checker) {
    let id = format!("id-{}", agent.answers().len());
    let answer = Answer::new(&id, 200, reply::lines(table).into(), 1);
    agent.feed_all(&[&*answer.head, &answer.body, &answer.tail].concat());
    let read = agent.answer(&id).expect("a whole answer");
    let body: Value = serde_json::from_str(&read.body).unwrap();
    // Read by the same reader, which is off by the last of sixteen digits now and then.
    let again = |name: &str| serde_json::from_str::<Value>(&table[name].to_string()).unwrap();
    for part in ["data", "columns"] {
        assert_eq!(body[part], again(part));
    }
}
