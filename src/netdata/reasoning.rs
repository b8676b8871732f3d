//! `redis-frag:diagnosis instance:NAME`: the whole reasoning about one instance,
//! a line of it a row.
//!
//! The rows stand in the order in which a person would tell them.

use serde_json::{Value, json};

use crate::model::advice::Advice;
use crate::model::verdict::{Evidence, Figure};

use super::diagnosis;
use super::row::{Known, Row};
use super::table::{self, Colour, Column, Kind, column, number, text};

/// One line of the reasoning.
#[derive(Debug, Clone)]
pub struct Step {
    number: usize,
    part: &'static str,
    subject: String,
    value: Option<Figure>,
    threshold: Option<Figure>,
    relation: Option<&'static str>,
    gain: Option<i64>,
    command: Option<String>,
    text: String,
    colour: Colour,
}

/// The columns, as they stand from left to right.
#[rustfmt::skip]
pub const COLUMNS: &[Column<Step>] = &[
    column("step", "#", Kind::Key, true, |s| text(&format!("{:02}", s.number))),
    column("part", "Part", Kind::Badge, true, |s| text(s.part)),
    column("subject", "What", Kind::Text, true, |s| text(&s.subject)),
    column("value", "Value", Kind::Text, true, |s| figure(s.value)),
    column("relation", "Is", Kind::Word, true, |s| s.relation.map_or(Value::Null, |word| text(&word.replace('_', " ")))),
    column("threshold", "Threshold", Kind::Text, true, |s| figure(s.threshold)),
    column("gain", "Brings back", Kind::Size, true, |s| table::size(s.gain)),
    column("command", "Command", Kind::Text, true, |s| s.command.as_deref().map_or(Value::Null, text)),
    column("text", "Explanation", Kind::Long, true, |s| text(&s.text)),
];

/// The answer for one instance.
#[must_use]
pub fn answer(row: &Row, help: &str) -> Value {
    let steps = steps(row);
    let colour = |step: &Step| step.colour;
    let group_by = json!({ "part": { "name": "Part", "columns": ["part"] } });
    let more = [("group_by", group_by)];
    table::answer((COLUMNS, &steps), colour, ("step", 1), help, &more)
}

/// The reasoning, in order.
fn steps(row: &Row) -> Vec<Step> {
    let status = match &row.known {
        None => "it never answered: nothing is known of it".to_owned(),
        Some(known) if row.up => format!("answered {} seconds ago", known.age.as_secs()),
        Some(known) => format!(
            "does not answer: all of this is {} seconds old",
            known.age.as_secs()
        ),
    };
    let verdict = row.verdict();
    let mut steps = vec![
        Step {
            colour: diagnosis::colour(row),
            ..Step::of("verdict", verdict.name(), verdict.meaning())
        },
        Step {
            colour: if row.up {
                Colour::Normal
            } else {
                Colour::Error
            },
            ..Step::of("data", diagnosis::status(row), &status)
        },
    ];
    if let Some(known) = &row.known {
        reasoning(&mut steps, row, known);
    }
    for (step, number) in steps.iter_mut().zip(1..) {
        step.number = number;
    }
    steps
}

fn reasoning(steps: &mut Vec<Step>, row: &Row, known: &Known) {
    let found = &known.diagnosis;
    steps.extend(found.evidence.iter().map(Step::evidence));
    for ruled in &found.ruled_out {
        steps.push(Step::of("ruled out", ruled.verdict.name(), &ruled.reason));
    }
    for what in &found.missing {
        let told = "could not be had and would have helped";
        steps.push(Step::of("missing", what, told));
    }
    if let Some(state) = known.defrag {
        steps.push(Step::of(
            "active defrag",
            state.name(),
            &found.defrag_reason,
        ));
    }
    for risk in &found.risks {
        let name = risk.name.replace('_', " ");
        steps.push(Step {
            colour: diagnosis::colour_of(risk.severity),
            ..Step::of("risk", &name, &risk.why)
        });
    }
    for issue in &found.known_issues {
        steps.push(Step {
            colour: Colour::Warning,
            ..Step::of("known issue", issue, "a defect of this version")
        });
    }
    let (refused, given): (Vec<&Advice>, _) = found.advice.iter().partition(|a| a.refused);
    for advice in given {
        steps.push(Step {
            gain: known.gain(advice.action),
            command: row.command(advice),
            ..Step::advice("advice", advice)
        });
    }
    for advice in refused {
        steps.push(Step::advice("not advised", advice));
    }
}

impl Step {
    /// Its number comes when all are there.
    fn of(part: &'static str, subject: &str, text: &str) -> Self {
        Self {
            number: 0,
            part,
            subject: subject.to_owned(),
            value: None,
            threshold: None,
            relation: None,
            gain: None,
            command: None,
            text: text.to_owned(),
            colour: Colour::Normal,
        }
    }

    fn evidence(evidence: &Evidence) -> Self {
        Self {
            value: evidence.value,
            threshold: evidence.threshold,
            relation: Some(evidence.relation.name()),
            ..Self::of("evidence", evidence.field, "")
        }
    }

    fn advice(part: &'static str, advice: &Advice) -> Self {
        let name = advice.action.name().replace('_', " ");
        let text = [advice.why.as_str(), advice.caution.as_str()];
        let text: Vec<&str> = text.into_iter().filter(|text| !text.is_empty()).collect();
        Self::of(part, &name, &text.join("; "))
    }
}

/// A figure as people read it: each row has units of its own.
fn figure(figure: Option<Figure>) -> Value {
    match figure {
        None => Value::Null,
        Some(Figure::Bytes(bytes)) => text(&crate::model::text::bytes(bytes)),
        Some(Figure::Ratio(ratio)) => text(&number(Some(ratio)).to_string()),
        Some(Figure::Percent(percent)) => text(&format!("{}%", number(Some(percent)))),
        Some(Figure::Count(count)) => text(&count.to_string()),
    }
}
