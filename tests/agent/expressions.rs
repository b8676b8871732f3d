//! What the agent makes of the expressions of the alerts: old agents bind
//! operators in ways of their own, and an alert then never fires.

use std::time::Duration;

use super::{SHIPPED, agent};
use crate::support::{Kind, Server, eventually};

/// Every expression means to this agent what its brackets say.
#[test]
fn the_agent_reads_every_alert_as_written() {
    let server = Server::start(Kind::Redis82);
    let agent = agent(&[&server]);
    let found = || -> Vec<serde_json::Value> {
        let alarms = agent.alarms();
        alarms
            .as_object()
            .map(|all| all.values().cloned().collect())
            .unwrap_or_default()
    };
    let shipped = SHIPPED
        .lines()
        .filter(|line| line.trim_start().starts_with("template:"));
    let shipped = shipped.count();
    eventually(Duration::from_secs(15), "all alerts loaded", || {
        found().len() == shipped
    });
    for alarm in found() {
        for key in ["warn", "crit"] {
            let Some(written) = alarm[key].as_str() else {
                continue;
            };
            let parsed = alarm[format!("{key}_parsed")].as_str().unwrap();
            assert_eq!(plain(parsed), plain(written), "{}", alarm["name"]);
        }
    }
    assert_eq!(agent.complaints(), Vec::<String>::new());
}

/// An expression as a tree in brackets, the same however many brackets, blanks
/// and zeros it was written with: `((a) && (b)) && (c)` is `[a && b && c]`.
fn plain(expression: &str) -> String {
    let mut text = expression.to_owned();
    for (from, to) in [
        ("&gt;", ">"),
        ("&lt;", "<"),
        ("&amp;", "&"),
        (" AND ", " && "),
        (" OR ", " || "),
        ("{", ""),
        ("}", ""),
        ("(", " ( "),
        (")", " ) "),
    ] {
        text = text.replace(from, to);
    }
    let mut words = text.split_whitespace();
    group(&mut words)
}

fn group<'a>(words: &mut impl Iterator<Item = &'a str>) -> String {
    let mut items: Vec<String> = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "(" => items.push(group(words)),
            ")" => break,
            _ => items.push(
                word.parse::<f64>()
                    .map_or(word.to_owned(), |n| n.to_string()),
            ),
        }
    }
    if items.len() == 1 {
        return items.remove(0);
    }
    let joins = |text: &str, with: &str| {
        text.starts_with('[') && items.get(1).is_some_and(|word| word == with) && {
            let first = &text[1..text.len() - 1];
            first.contains(&format!(" {with} ")) && outer(first).all(|word| word == with)
        }
    };
    let flat: Vec<String> = items
        .iter()
        .map(|item| {
            let same = joins(item, "&&") || joins(item, "||");
            if same {
                item[1..item.len() - 1].to_owned()
            } else {
                item.clone()
            }
        })
        .collect();
    format!("[{}]", flat.join(" "))
}

/// The operators between the outermost parts of a group.
fn outer(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    text.split(' ').filter(move |word| {
        let opened = word.matches('[').count();
        let closed = word.matches(']').count();
        let at_top = depth == 0 && opened == 0;
        depth += opened;
        depth -= closed;
        at_top && !word.starts_with('$') && word.parse::<f64>().is_err()
    })
}

#[test]
fn brackets_that_change_a_meaning_are_seen() {
    assert_eq!(
        plain("($a > 1) AND ($b > 2.0) AND ($c > 3)"),
        plain("((${a} &gt; 1.0000) && ($b > 2)) && ($c > 3)")
    );
    assert_ne!(plain("$a > ($b / 4)"), plain("($a > $b) / 4"));
    assert_ne!(plain("($a AND $b) OR $c"), plain("$a AND ($b OR $c)"));
}
