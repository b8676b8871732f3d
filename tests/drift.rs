//! Holds the files that promise something together with the tables in the code:
//! health.d, README and the charts cannot drift apart.

mod pictures;
mod promises;
mod readme;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use redis_frag::model::chart::Chart;
use redis_frag::model::charts::{CHARTS, CONTEXT_PREFIX};

use crate::support::health::{self, templates};

/// Words that an expression may use beside its chart's dimensions and variables.
const BUILT_IN: &[&str] = &["this", "status", "WARNING", "CRITICAL", "CLEAR"];

fn project_file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn chart_of(template: &BTreeMap<String, String>) -> &'static Chart {
    let context = &template["on"];
    let id = context
        .strip_prefix(CONTEXT_PREFIX)
        .and_then(|rest| rest.strip_prefix('.'));
    let chart = CHARTS.iter().find(|chart| Some(chart.id) == id);
    chart.unwrap_or_else(|| {
        panic!(
            "{}: no chart has the context {context}",
            template["template"]
        )
    })
}

/// The names behind `$` in an expression.
fn names(expression: &str) -> BTreeSet<&str> {
    let name_end = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_');
    let ends = |text| name_end(text).unwrap_or(text.len());
    expression
        .split('$')
        .skip(1)
        .map(|rest| &rest[..ends(rest)])
        .collect()
}

#[test]
fn every_alert_reads_only_what_its_own_chart_has() {
    for template in templates(&project_file("health.d/redis_frag.conf")) {
        let name = &template["template"];
        let chart = chart_of(&template);
        let dimensions: BTreeSet<&str> = chart.dimensions.iter().map(|d| d.name).collect();
        let variables: BTreeSet<&str> = chart.variables.iter().map(|v| v.name).collect();
        let (_, looked_up) = template["lookup"].split_once(" of ").unwrap();
        for dimension in looked_up.split(',') {
            assert!(
                dimensions.contains(dimension),
                "{name}: {} has no {dimension}",
                chart.id
            );
        }
        for key in ["calc", "warn", "crit"] {
            let Some(expression) = template.get(key) else {
                continue;
            };
            for used in names(expression) {
                let known = BUILT_IN.contains(&used)
                    || dimensions.contains(used)
                    || variables.contains(used);
                assert!(
                    known,
                    "{name}: {key} reads ${used}, which {} does not have",
                    chart.id
                );
            }
        }
    }
}

#[test]
fn every_alert_says_who_what_and_where_to_look() {
    let templates = templates(&project_file("health.d/redis_frag.conf"));
    let found: Vec<&str> = templates.iter().map(|t| t["template"].as_str()).collect();
    assert_eq!(
        found,
        [
            "redis_frag_ratio",
            "redis_frag_allocator",
            "redis_frag_wasted",
            "redis_frag_swap",
            "redis_frag_swap_suspected",
            "redis_frag_headroom",
            "redis_frag_fork_headroom",
            "redis_frag_defrag_ineffective",
            "redis_frag_defrag_off",
            "redis_frag_retained_pages",
            "redis_frag_known_issue",
            "redis_frag_thp",
            "redis_frag_unreachable",
        ]
    );
    // What there is no hurry to act upon wakes nobody.
    let silent = [
        "redis_frag_defrag_off",
        "redis_frag_retained_pages",
        "redis_frag_thp",
    ];
    for template in &templates {
        let name = &template["template"];
        assert!(
            ["Utilization", "Errors"].contains(&template["class"].as_str()),
            "{name}"
        );
        assert_eq!(template["type"], "KV Storage", "{name}");
        assert_eq!(template["component"], "Redis", "{name}");
        let to = if silent.contains(&name.as_str()) {
            "silent"
        } else {
            "dba"
        };
        assert_eq!(template["to"], to, "{name}");
        assert!(template["summary"].contains("${label:instance}"), "{name}");
        // 1.37.1 shows a label's place holder as it stands.
        assert!(!template["info"].contains('$'), "{name}");
        assert!(template["info"].contains("Look first at"), "{name}");
        assert!(
            template.contains_key("warn") || template.contains_key("crit"),
            "{name}"
        );
        assert!(
            template["delay"].starts_with("down "),
            "{name}: a raised alert does not flap"
        );
    }
}

/// Agents show the value of an alert as it is: of bytes that would be nine digits and more.
#[test]
fn alerts_on_bytes_are_told_in_mebibytes() {
    let mut told = Vec::new();
    for template in templates(&project_file("health.d/redis_frag.conf")) {
        let name = &template["template"];
        assert_ne!(template["units"], "bytes", "{name}");
        let relative = template["lookup"].contains(" percentage ");
        if chart_of(&template).units == "bytes" && !relative {
            assert_eq!(template["units"], "MiB", "{name}");
            assert_eq!(template["calc"], "$this / 1048576", "{name}");
            told.push(name.clone());
        }
    }
    assert_eq!(told, ["redis_frag_wasted", "redis_frag_swap"]);
}

/// The charts that an alert's `info` sends its receiver to are there.
#[test]
fn alerts_send_their_receiver_to_charts_that_exist() {
    for template in templates(&project_file("health.d/redis_frag.conf")) {
        let words: Vec<&str> = template["info"].split([' ', ',', ':', '.']).collect();
        for pair in words.windows(2).filter(|pair| pair[0] == "chart") {
            let there = CHARTS.iter().any(|chart| chart.id == pair[1]);
            assert!(there, "{}: no chart {}", template["template"], pair[1]);
        }
    }
}

#[test]
fn memory_alerts_have_the_floor_and_ratios_rest_while_forking_or_loading() {
    for template in templates(&project_file("health.d/redis_frag.conf")) {
        let floor = match template["template"].as_str() {
            "redis_frag_unreachable" => continue,
            "redis_frag_wasted" | "redis_frag_headroom" => "($rss >= $min_used_memory) AND ",
            "redis_frag_swap" => "($used_memory >= $swap_min_used_memory) AND ",
            "redis_frag_fork_headroom" => {
                "($used_memory >= $min_used_memory) AND ($forks == 1) AND "
            }
            "redis_frag_ratio" | "redis_frag_allocator" => {
                "($used_memory >= $min_used_memory) AND \
                 ((($forking == 0) AND ($loading == 0)) OR ($status >= $WARNING)) AND "
            }
            "redis_frag_swap_suspected" => {
                "($used_memory >= $min_used_memory) AND ((($forking == 0) AND ($loading == 0) AND \
                 ($swap_suspected == 1)) OR ($status >= $WARNING)) AND "
            }
            // Forks and loads are verdicts of their own.
            _ => "($used_memory >= $min_used_memory) AND ",
        };
        for key in ["warn", "crit"] {
            let Some(expression) = template.get(key) else {
                continue;
            };
            assert!(
                expression.starts_with(floor),
                "{}: {key}",
                template["template"]
            );
        }
    }
}

/// 1.37.1 binds `$a > $b / 4` as `($a > $b) / 4`: one operator, or one kind of
/// AND and OR, between two brackets.
fn fully_bracketed(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ");
    let mut levels: Vec<BTreeSet<&str>> = vec![BTreeSet::new()];
    let mut counts = vec![0];
    for word in spaced.split_whitespace() {
        match word {
            "(" => {
                levels.push(BTreeSet::new());
                counts.push(0);
            }
            ")" => {
                let (operators, count) = (levels.pop().unwrap(), counts.pop().unwrap());
                let chain = ["AND", "OR"]
                    .iter()
                    .any(|word| operators == BTreeSet::from([*word]));
                let ternary = operators == BTreeSet::from(["?", ":"]) && count == 2;
                if count > 1 && !chain && !ternary {
                    return false;
                }
            }
            "AND" | "OR" | ">" | "<" | ">=" | "<=" | "==" | "!=" | "+" | "-" | "*" | "/" | "?"
            | ":" => {
                levels.last_mut().unwrap().insert(word);
                *counts.last_mut().unwrap() += 1;
            }
            _ => {}
        }
    }
    let chain = ["AND", "OR"]
        .iter()
        .any(|word| levels[0] == BTreeSet::from([*word]));
    levels.len() == 1 && (counts[0] <= 1 || chain)
}

#[test]
fn every_operation_is_in_brackets() {
    assert!(!fully_bracketed("$this > $rss / 4") && fully_bracketed("$this > ($rss / 4)"));
    for template in templates(&project_file("health.d/redis_frag.conf")) {
        for key in ["calc", "warn", "crit"] {
            let Some(expression) = template.get(key) else {
                continue;
            };
            assert!(
                fully_bracketed(expression),
                "{}: {key}: {expression}",
                template["template"]
            );
        }
    }
}

/// The demo and the tests run the shipped alerts with shorter spans, and nothing
/// else changed.
#[test]
fn hurried_alerts_differ_in_their_spans_alone() {
    let shipped = project_file("health.d/redis_frag.conf");
    let hurried = health::hurried(&shipped);
    let (shipped, hurried) = (templates(&shipped), templates(&hurried));
    assert_eq!(shipped.len(), hurried.len());
    for (shipped, hurried) in shipped.iter().zip(&hurried) {
        for (key, value) in shipped {
            match key.as_str() {
                "lookup" => assert_ne!(value, &hurried[key], "{}", shipped["template"]),
                "delay" | "every" => {}
                "summary" => assert!(!hurried.contains_key("summary"), "1.37.1 does not know it"),
                _ => assert_eq!(value, &hurried[key], "{} {key}", shipped["template"]),
            }
        }
    }
}

/// Rows of a table whose first cell begins with this, cells trimmed.
fn rows(text: &str, first: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let tables = text.lines().filter(|line| line.starts_with('|')).map(cells);
    tables.filter(|row| row[0].starts_with(first)).collect()
}
