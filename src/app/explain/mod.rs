//! `redis-frag explain`: the guide at a shell, from the very files of docs/guide.
//!
//! Finds what a word means and puts its page together; how Markdown looks on a terminal is
//! `report/markdown.rs`. Printing is main's.

pub mod pages;
pub mod topics;

use crate::cli;
use crate::model::chart::{Chart, Kind as Drawn};
use crate::model::known_issues::{Kind, KnownIssue};

use super::report::markdown;
use super::report::words::clean;
use super::screen::Screen;
use super::{Failure, Out};

use pages::{PAGES, Page};
use topics::Topic;

/// Explains what the arguments name, or lists what can be explained.
///
/// # Errors
/// A word that means nothing here, with what it is like.
pub fn run(args: &cli::Explain, screen: &Screen, out: Out<'_>) -> Result<u8, Failure> {
    let style = screen.style();
    if args.topics.is_empty() {
        out(&markdown::render(&list(), &style));
        return Ok(0);
    }
    let mut texts = Vec::new();
    for word in &args.topics {
        let meant = topics::meant(word);
        if meant.is_empty() {
            return Err(Failure::Usage(unknown(word)));
        }
        texts.extend(meant.iter().map(text));
    }
    for (number, text) in texts.iter().enumerate() {
        let rule = if number > 0 {
            format!("\n{}\n\n", "-".repeat(style.width.min(80)))
        } else {
            String::new()
        };
        if !out(&(rule + &markdown::render(text, &style))) {
            break;
        }
    }
    Ok(0)
}

fn unknown(word: &str) -> String {
    let word = clean(word);
    let alike = topics::suggested(&word);
    let next = match alike.as_slice() {
        [] => "redis-frag explain lists all of them".to_owned(),
        names => format!(
            "did you mean {}? redis-frag explain lists all of them",
            names.join(" or ")
        ),
    };
    format!("{word} is no verdict, alert, context, risk or known defect; {next}")
}

/// A topic as Markdown.
#[must_use]
pub fn text(topic: &Topic) -> String {
    match topic {
        Topic::Page(page) => page.text.to_owned(),
        Topic::Chart(chart) => of_chart(chart),
        Topic::Defect(issue) => of_defect(issue),
    }
}

fn of_chart(chart: &Chart) -> String {
    let context = topics::context(chart);
    let section = pages::section(&context).unwrap_or_default();
    let drawn = match chart.kind {
        Drawn::Line => "line",
        Drawn::Area => "area",
        Drawn::Stacked => "stacked",
    };
    let alerts: Vec<&str> = pages::alerts_on(&context).collect();
    let alerts = match alerts.as_slice() {
        [] => "No alert is on it.".to_owned(),
        names => format!("Alerts on it: {}.", names.join(", ")),
    };
    format!(
        "# {context}\n\n{}\n\n{section}\n\n## Beside it\n\nUnits: {}. Family: {}. Drawn: {drawn}. {alerts}\n",
        chart.title, chart.units, chart.family
    )
}

fn of_defect(issue: &KnownIssue) -> String {
    let what = match issue.kind {
        Kind::Crash => "The server can crash, or its memory be corrupted.",
        Kind::Stall => "Active defrag does not advance.",
        Kind::Side => "Something else suffers while active defrag runs.",
        Kind::Figures => "A figure of INFO is wrong; redis-frag mends it.",
    };
    let until = match issue.fixed {
        Some(fixed) => format!("before {fixed}"),
        None => "to today's, as far as is known".to_owned(),
    };
    format!(
        "# {}\n\n{}.\n\n## What it means\n\n{what} Versions of {}: from {} on, {until}.\n\n## What to do\n\n\
         1. {}.\n\n## Source\n\n{}.\n",
        issue.id,
        issue.effect,
        issue.flavour.name(),
        issue.since,
        issue.remedy,
        issue.source
    )
}

/// Everything that can be explained, a line each.
fn list() -> String {
    let mut text = String::from("# What can be explained\n");
    for (kind, title) in [
        (pages::Kind::Verdict, "Verdicts"),
        (pages::Kind::Alert, "Alerts"),
        (pages::Kind::Risk, "Risks beside a verdict"),
    ] {
        text += &format!("\n## {title}\n\n");
        for page in PAGES.iter().filter(|page| page.kind == kind) {
            text += &item(page.name, &Page::summary(page));
        }
        if kind == pages::Kind::Risk {
            for (risk, alert) in pages::SAME_AS {
                text += &item(risk, &format!("see {alert}"));
            }
        }
    }
    text += "\n## Charts\n\n";
    for topic in topics::all() {
        if let Topic::Chart(chart) = topic {
            text += &item(&topic.name(), chart.title);
        }
    }
    text += "\n## Known defects\n\n";
    for topic in topics::all() {
        if let Topic::Defect(issue) = topic {
            text += &item(issue.id, issue.effect);
        }
    }
    text
}

fn item(name: &str, says: &str) -> String {
    format!("- **{name}**: {says}\n")
}
