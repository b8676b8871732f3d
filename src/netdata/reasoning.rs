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
    let mut answer = table::answer((COLUMNS, &steps), colour, ("step", 1), help);
    answer["group_by"] = json!({ "part": { "name": "Part", "columns": ["part"] } });
    answer
}

/// The reasoning, in order.
fn steps(row: &Row) -> Vec<Step> {
    let mut steps = Steps::default();
    let verdict = steps.add("verdict", row.verdict().name(), row.verdict().meaning());
    verdict.colour = diagnosis::colour(row);
    let status = match &row.known {
        None => "it never answered: nothing is known of it".to_owned(),
        Some(known) if row.up => format!("answered {} seconds ago", known.age.as_secs()),
        Some(known) => format!(
            "does not answer: all of this is {} seconds old",
            known.age.as_secs()
        ),
    };
    let status = steps.add("data", diagnosis::status(row), &status);
    if !row.up {
        status.colour = Colour::Error;
    }
    if let Some(known) = &row.known {
        reasoning(&mut steps, row, known);
    }
    steps.0
}

fn reasoning(steps: &mut Steps, row: &Row, known: &Known) {
    let found = &known.diagnosis;
    for evidence in &found.evidence {
        steps.evidence(evidence);
    }
    for ruled in &found.ruled_out {
        steps.add("ruled out", ruled.verdict.name(), &ruled.reason);
    }
    for what in &found.missing {
        steps.add("missing", what, "could not be had and would have helped");
    }
    if let Some(state) = known.defrag {
        steps.add("active defrag", state.name(), &found.defrag_reason);
    }
    for risk in &found.risks {
        let name = risk.name.replace('_', " ");
        let step = steps.add("risk", &name, &risk.why);
        step.colour = diagnosis::colour_of(risk.severity);
    }
    for issue in &found.known_issues {
        let step = steps.add("known issue", issue, "a defect of this version");
        step.colour = Colour::Warning;
    }
    let (refused, given): (Vec<&Advice>, _) = found.advice.iter().partition(|a| a.refused);
    for advice in given {
        let step = steps.advice("advice", advice);
        step.gain = known.gain(advice.action);
        step.command = row.command(advice);
    }
    for advice in refused {
        steps.advice("not advised", advice);
    }
}

#[derive(Default)]
struct Steps(Vec<Step>);

impl Steps {
    fn add(&mut self, part: &'static str, subject: &str, text: &str) -> &mut Step {
        self.0.push(Step {
            number: self.0.len() + 1,
            part,
            subject: subject.to_owned(),
            value: None,
            threshold: None,
            relation: None,
            gain: None,
            command: None,
            text: text.to_owned(),
            colour: Colour::Normal,
        });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    fn evidence(&mut self, evidence: &Evidence) {
        let step = self.add("evidence", evidence.field, "");
        step.value = evidence.value;
        step.threshold = evidence.threshold;
        step.relation = Some(evidence.relation.name());
    }

    fn advice(&mut self, part: &'static str, advice: &Advice) -> &mut Step {
        let name = advice.action.name().replace('_', " ");
        let text = [advice.why.as_str(), advice.caution.as_str()];
        let text: Vec<&str> = text.into_iter().filter(|text| !text.is_empty()).collect();
        self.add(part, &name, &text.join("; "))
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
