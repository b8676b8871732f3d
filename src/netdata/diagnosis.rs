//! `redis-frag:diagnosis`: all instances in a table, the worst first.
//!
//! One table of columns, each with the way from a [`Row`] to its cell.

use serde_json::{Value, json};

use crate::model::defrag::State;
use crate::model::verdict::Severity;

use super::row::{Known, Room, Row};
use super::table::{self, Colour, Column, Kind, column, number, size, text};

const SHOWN: bool = true;
const HIDDEN: bool = false;

/// The columns, as they stand from left to right.
#[rustfmt::skip]
pub const COLUMNS: &[Column<Row>] = &[
    column("instance", "Instance", Kind::Key, SHOWN, |r| text(&r.instance)),
    column("verdict", "Verdict", Kind::Badge, SHOWN, |r| text(r.verdict().name())),
    column("severity", "Severity", Kind::Badge, SHOWN, |r| text(r.severity().name())),
    column("urgency", "Urgency", Kind::Rank, HIDDEN, |r| json!(urgency(r))),
    column("status", "Status", Kind::Word, SHOWN, |r| text(status(r))),
    column("waste", "Wasted", Kind::SizeBar, SHOWN, |r| of(r, |k| size(k.waste))),
    column("used", "Used", Kind::Size, SHOWN, |r| of(r, |k| size(k.used))),
    column("rss", "RSS", Kind::Size, SHOWN, |r| of(r, |k| size(k.rss))),
    column("ratio", "Ratio", Kind::Ratio, SHOWN, |r| of(r, |k| number(k.ratio))),
    column("fragmented", "Fragmented", Kind::Size, HIDDEN, |r| of(r, |k| size(k.parts.map(|p| p.fragmented)))),
    column("releasable", "Releasable", Kind::Size, HIDDEN, |r| of(r, |k| size(k.parts.map(|p| p.releasable)))),
    column("process", "Process", Kind::Size, HIDDEN, |r| of(r, |k| size(k.parts.map(|p| p.process)))),
    column("other", "Other", Kind::Size, HIDDEN, |r| of(r, |k| size(k.parts.map(|p| p.other)))),
    column("remedy", "Remedy", Kind::Word, SHOWN, remedy),
    column("remedy_bytes", "Brings back", Kind::Size, SHOWN, remedy_bytes),
    column("remedy_command", "Command", Kind::Text, SHOWN, remedy_command),
    column("since", "Since", Kind::Time, SHOWN, |r| of(r, |k| json!(k.since))),
    column("age", "Age of the data", Kind::Duration, SHOWN, |r| of(r, |k| json!(k.age.as_secs()))),
    column("defrag", "Active defrag", Kind::Word, SHOWN, |r| of(r, |k| json!(k.defrag.map(State::name)))),
    column("defrag_hit_rate", "Defrag hit rate", Kind::Percent, HIDDEN, |r| of(r, |k| number(k.hit_rate))),
    column("defrag_reason", "Why", Kind::Text, HIDDEN, |r| of(r, |k| text(&k.diagnosis.defrag_reason))),
    column("allocator_frag_ratio", "Allocator fragmentation", Kind::Ratio, HIDDEN, |r| ratio(r, 0)),
    column("allocator_rss_ratio", "Allocator RSS", Kind::Ratio, HIDDEN, |r| ratio(r, 1)),
    column("rss_overhead_ratio", "RSS overhead", Kind::Ratio, HIDDEN, |r| ratio(r, 2)),
    column("headroom", "Headroom", Kind::Size, SHOWN, |r| room(r, |room| size(room.headroom))),
    column("limit", "Memory limit", Kind::Size, HIDDEN, |r| room(r, |room| size(room.limit))),
    column("headroom_used", "Of its limit", Kind::Percent, SHOWN, |r| room(r, |room| number(room.headroom_used))),
    column("worst_case", "Worst case of a fork", Kind::Percent, HIDDEN, |r| room(r, |room| number(room.worst_case))),
    column("swap", "Swap", Kind::Size, SHOWN, |r| room(r, |room| size(room.swap))),
    column("risks", "Risks", Kind::Word, SHOWN, |r| of(r, |k| text(&risks(k)))),
    column("known_issue", "Known issue", Kind::Word, SHOWN, |r| of(r, |k| text(&k.diagnosis.known_issues.join(", ")))),
    column("server", "Server", Kind::Word, SHOWN, |r| of(r, |k| text(&k.server))),
    column("allocator", "Allocator", Kind::Word, HIDDEN, |r| of(r, |k| k.allocator.as_deref().map_or(Value::Null, text))),
    column("address", "Address", Kind::Text, HIDDEN, |r| text(&r.address)),
    column("meaning", "Meaning", Kind::Long, HIDDEN, |r| text(r.verdict().meaning())),
];

/// The answer: a row an instance, in the order given.
#[must_use]
pub fn answer(rows: &[Row], help: &str) -> Value {
    let group_by = json!({
        "verdict": { "name": "Verdict", "columns": ["verdict"] },
        "server": { "name": "Server", "columns": ["server"] },
        "defrag": { "name": "Active defrag", "columns": ["defrag"] },
    });
    let charts = json!({
        "waste": {
            "name": "Wasted memory",
            "type": "stacked-bar",
            "columns": ["fragmented", "releasable", "process", "other"],
        },
        "memory": {
            "name": "Used and wasted memory",
            "type": "stacked-bar",
            "columns": ["used", "waste"],
        },
    });
    let shown = json!([["waste", "instance"], ["memory", "verdict"]]);
    let more = [
        ("group_by", group_by),
        ("charts", charts),
        ("default_charts", shown),
    ];
    table::answer((COLUMNS, rows), colour, ("urgency", 1), help, &more)
}

/// The colour of a row.
#[must_use]
pub fn colour(row: &Row) -> Colour {
    colour_of(row.severity())
}

/// The colour of what is so bad.
#[must_use]
pub fn colour_of(severity: Severity) -> Colour {
    match severity {
        Severity::Fine => Colour::Normal,
        Severity::Unknown => Colour::Notice,
        Severity::Warning => Colour::Warning,
        Severity::Critical => Colour::Error,
    }
}

fn of(row: &Row, value: impl Fn(&Known) -> Value) -> Value {
    row.known.as_ref().map_or(Value::Null, value)
}

fn room(row: &Row, value: impl Fn(&Room) -> Value) -> Value {
    of(row, |known| value(&known.room))
}

fn ratio(row: &Row, index: usize) -> Value {
    of(row, |known| {
        number(known.allocator_ratios.get(index).copied().flatten())
    })
}

/// How bad it is, as a number to sort by.
fn urgency(row: &Row) -> u8 {
    match row.severity() {
        Severity::Fine => 0,
        Severity::Unknown => 1,
        Severity::Warning => 2,
        Severity::Critical => 3,
    }
}

/// What threatens it beside its waste.
fn risks(known: &Known) -> String {
    // What is only told, as a kill of long ago, stands in the reasoning alone.
    let bad = known
        .diagnosis
        .risks
        .iter()
        .filter(|risk| risk.severity > Severity::Fine);
    let names = bad.map(|risk| risk.name);
    names.collect::<Vec<_>>().join(", ").replace('_', " ")
}

/// Whether it answers.
#[must_use]
pub fn status(row: &Row) -> &'static str {
    match (row.up, &row.known) {
        (true, _) => "up",
        (false, Some(_)) => "down",
        (false, None) => "never reached",
    }
}

fn remedy(row: &Row) -> Value {
    let action = row.remedy().map(|advice| advice.action.name());
    action.map_or(Value::Null, |name| text(&name.replace('_', " ")))
}

fn remedy_bytes(row: &Row) -> Value {
    let gain = row.remedy().map(|advice| advice.action);
    let gain = gain.zip(row.known.as_ref());
    size(gain.and_then(|(action, known)| known.gain(action)))
}

fn remedy_command(row: &Row) -> Value {
    let command = row.remedy().and_then(|advice| row.command(advice));
    command.map_or(Value::Null, |command| text(&command))
}
