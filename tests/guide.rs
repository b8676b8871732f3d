//! The guide: that it is whole, that it names nothing that is not there, and that what it
//! says to type can be typed.

mod commands;

use std::collections::BTreeSet;

use redis_frag::app::explain::pages::{CHARTS_PAGE, Kind, PAGES, SAME_AS, alerts_on, section};
use redis_frag::app::explain::text;
use redis_frag::app::explain::topics::{self, Topic};
use redis_frag::app::report::markdown;
use redis_frag::app::report::page::Style;
use redis_frag::model::charts::CHARTS;
use redis_frag::model::risks;
use redis_frag::model::verdict::Verdict;

/// What each page tells, in this order.
const PARTS: [&str; 4] = [
    "What it means",
    "How to confirm",
    "What to do",
    "What not to do",
];

fn pages(kind: Kind) -> Vec<&'static str> {
    let of_kind = PAGES.iter().filter(|page| page.kind == kind);
    of_kind.map(|page| page.name).collect()
}

fn every_text() -> impl Iterator<Item = (String, &'static str)> {
    let pages = PAGES.iter().map(|page| (page.name.to_owned(), page.text));
    pages.chain([("charts".to_owned(), CHARTS_PAGE)])
}

#[test]
fn every_verdict_alert_and_risk_has_a_page_in_order() {
    let verdicts: Vec<&str> = Verdict::ALL.iter().map(|verdict| verdict.name()).collect();
    assert_eq!(pages(Kind::Verdict), verdicts);
    let health = include_str!("../health.d/redis_frag.conf");
    let alerts: Vec<&str> = health
        .lines()
        .filter_map(|line| line.trim().strip_prefix("template: "))
        .collect();
    assert_eq!(pages(Kind::Alert), alerts);
    let mut told: BTreeSet<&str> = pages(Kind::Risk).into_iter().collect();
    told.extend(SAME_AS.iter().map(|(risk, _)| *risk));
    assert_eq!(told, risks::names().collect());
}

#[test]
fn every_page_has_its_parts_and_is_short() {
    for page in PAGES {
        let name = page.name;
        assert!(page.text.starts_with(&format!("# {name}\n\n")), "{name}");
        let parts: Vec<&str> = page
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .collect();
        assert_eq!(parts, PARTS, "{name}");
        for (part, next) in PARTS
            .iter()
            .zip(PARTS.iter().skip(1).map(Some).chain([None]))
        {
            let rest = page.text.split(&format!("## {part}\n")).nth(1).unwrap();
            let end = next.and_then(|next| rest.find(&format!("## {next}\n")));
            let said = &rest[..end.unwrap_or(rest.len())];
            assert!(said.trim().len() > 10, "{name}: {part}");
        }
        assert!(
            page.summary().ends_with('.') && page.summary().len() < 150,
            "{name}"
        );
        assert!(page.text.lines().count() < 60, "{name} is no short page");
    }
}

/// What the report says of a verdict in a line, its page says too.
#[test]
fn a_verdict_s_page_begins_with_what_the_report_says() {
    for verdict in Verdict::ALL {
        let page = PAGES
            .iter()
            .find(|page| page.name == verdict.name())
            .unwrap();
        let said = page.summary().to_lowercase();
        let meaning = verdict.meaning();
        let words = meaning.split([' ', ':', ',']).filter(|word| word.len() > 5);
        for word in words {
            let stem = &word[..5];
            assert!(
                said.contains(stem),
                "{}: {said:?} without {word}",
                page.name
            );
        }
    }
}

#[test]
fn every_chart_has_a_section_that_names_all_its_dimensions() {
    let headings: Vec<String> = CHARTS_PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(str::to_owned)
        .collect();
    let contexts: Vec<String> = CHARTS.iter().map(topics::context).collect();
    assert_eq!(headings, contexts);
    for chart in CHARTS {
        let text = section(&topics::context(chart)).unwrap();
        let told: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("- **"))
            .filter_map(|line| line.split_once("**"))
            .map(|(name, _)| name)
            .collect();
        let names: Vec<&str> = chart.dimensions.iter().map(|d| d.name).collect();
        // One for each size class there can be: the first is named, and the last.
        let names = if names.len() > 20 {
            names[..1].to_vec()
        } else {
            names
        };
        assert_eq!(told, names, "{}", chart.id);
    }
}

/// The word behind each occurrence of some words.
fn behind<'a>(text: &'a str, words: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(words).skip(1).map(|rest| {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || "_.-".contains(c)));
        rest[..end.unwrap_or(rest.len())].trim_end_matches('.')
    })
}

/// A chart, an alert, another page: what a text sends its reader to is there.
#[test]
fn what_the_guide_sends_its_reader_to_is_there() {
    let mut seen = 0;
    for (name, text) in every_text() {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for topic in
            behind(&text, "redis-frag explain ").filter(|word| *word != "ID" && *word != "VERDICT")
        {
            assert!(
                !topics::meant(topic).is_empty(),
                "{name}: nothing is called {topic}"
            );
            seen += 1;
        }
        for words in ["the chart ", "chart: "] {
            for chart in behind(&text, words) {
                let there = CHARTS.iter().any(|known| known.id == chart);
                assert!(there, "{name}: no chart {chart}");
                seen += 1;
            }
        }
        for alert in behind(&text, " redis_frag_") {
            let alert = format!("redis_frag_{alert}");
            assert!(
                PAGES.iter().any(|page| page.name == alert),
                "{name}: no alert {alert}"
            );
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} references were found");
}

#[test]
fn every_alert_tells_where_its_guide_is() {
    let health = include_str!("../health.d/redis_frag.conf");
    let told = behind(health, "What to do: redis-frag explain ");
    assert_eq!(told.collect::<Vec<_>>(), pages(Kind::Alert));
}

#[test]
fn every_alert_is_told_with_its_chart() {
    let told: Vec<&str> = CHARTS
        .iter()
        .flat_map(|chart| alerts_on(&topics::context(chart)).collect::<Vec<_>>())
        .collect();
    let told: BTreeSet<&str> = told.into_iter().collect();
    assert_eq!(told, pages(Kind::Alert).into_iter().collect());
    assert_eq!(
        alerts_on("redis_frag.headroom_used").collect::<Vec<_>>(),
        ["redis_frag_headroom", "redis_frag_fork_headroom"]
    );
}

/// Only what must be copied whole, or cannot be broken, is wider than a screen.
#[test]
fn every_topic_fits_the_screen_and_leaves_no_markup() {
    for topic in topics::all() {
        let text = text(&topic);
        for (width, colour) in [(40, false), (80, true)] {
            let shown = markdown::render(&text, &Style { width, colour });
            for line in shown.lines() {
                let plain = line.replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
                let broken = plain.split_whitespace().count() < 3;
                let copied = plain.starts_with("    ");
                assert!(
                    plain.chars().count() <= width || broken || copied,
                    "{} at {width}: {line:?}",
                    topic.name()
                );
                for markup in ["**", "```", "## ", "]("] {
                    assert!(!line.contains(markup), "{}: {line:?}", topic.name());
                }
            }
        }
        if let Topic::Page(page) = topic {
            assert!(
                text.matches('`').count().is_multiple_of(2),
                "{}: a lone quote",
                page.name
            );
        }
    }
}
