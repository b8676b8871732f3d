//! metadata.yaml: what Netdata's integrations show of a collector, worked out from the
//! tables of charts, options, alerts and functions. Prose stands in `metadata.in.yaml`.
//!
//! The form is that of integrations/schemas/collector.json and shared.json of netdata/netdata
//! 04b1cf5427.

mod form;

use std::collections::BTreeMap;
use std::fmt::Write;

use redis_frag::config::file;
use redis_frag::config::job::Job;
use redis_frag::config::schema::SCHEMA;
use redis_frag::model::chart::Kind;
use redis_frag::model::charts::{CHARTS, CONTEXT_PREFIX};
use redis_frag::netdata::functions::{self, FUNCTIONS};
use redis_frag::netdata::table::{Colour, table};
use redis_frag::netdata::{classes, diagnosis};
use redis_frag::source::permissions::{FOLLOWING, LINES, RULES};
use serde_json::{Value, json};

use crate::support::generated::hold;
use crate::support::health::templates;

const PROSE: &str = include_str!("metadata.in.yaml");

/// What each label of a chart says, and those of members of a cluster or of Sentinels.
const LABELS_SAY: &[(&str, &str)] = &[
    ("instance", "The job's name."),
    ("address", "Where it listens, without credentials."),
    ("server", "Redis, Valkey, KeyDB or what it calls itself."),
    ("version", "The server's own version."),
    ("allocator", "Its memory allocator, with version."),
    (
        "limited_by",
        "Which limit of memory is the least: a cgroup's or the machine's.",
    ),
    (
        "shard",
        "Of a member of a cluster: the slots of its shard when it was first seen; with Sentinel the primary's name.",
    ),
    ("role", "Of a member: primary or replica."),
    ("node_id", "Of a member of a cluster: its id there."),
];

/// A text as YAML has it between quotes, which is as JSON has it.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// The fields of an entry of a list, each on a line; deeper ones are indented already.
fn entry(fields: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (number, (key, value)) in fields.iter().enumerate() {
        let mark = if number == 0 { "- " } else { "  " };
        let space = if value.starts_with('\n') || value.is_empty() {
            ""
        } else {
            " "
        };
        writeln!(text, "{mark}{key}:{space}{value}").unwrap();
    }
    text
}

/// A text of a list, so much deeper.
fn below(text: &str, spaces: usize) -> String {
    let indent = " ".repeat(spaces);
    let lines = text.lines().map(|line| format!("\n{indent}{line}"));
    lines
        .collect::<String>()
        .replace(&format!("\n{indent}\n"), "\n\n")
}

/// The keys of a job, as the dashboard's form has them: by its pages, in their order.
fn options() -> String {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let properties = schema["jsonSchema"]["properties"].as_object().unwrap();
    let mut text = String::new();
    for tab in schema["uiSchema"]["ui:options"]["tabs"].as_array().unwrap() {
        let group = tab["title"].as_str().unwrap();
        for key in tab["fields"].as_array().unwrap() {
            let key = key.as_str().unwrap();
            text += &option(key, &properties[key], group);
        }
    }
    text
}

/// A job that says nothing.
fn nameless() -> Job {
    let parsed = file::parse("jobs:\n  - {}\n", &[]);
    let [job] = &parsed.jobs[..] else {
        panic!("{parsed:?}");
    };
    job.clone()
}

fn option(name: &str, says: &Value, group: &str) -> String {
    if let Some(deeper) = says["properties"].as_object() {
        let each = deeper
            .iter()
            .map(|(key, says)| option(&format!("{name}.{key}"), says, group));
        return each.collect();
    }
    let default = match &says["default"] {
        // The form must not fill it in: Sentinels may stand in its place.
        Value::Null if name == "address" => nameless().address.to_string(),
        Value::Null => "\"\"".to_owned(),
        value => value.to_string(),
    };
    entry(&[
        ("name", name.to_owned()),
        ("description", quoted(says["description"].as_str().unwrap())),
        ("default_value", default),
        ("required", false.to_string()),
        ("group", group.to_owned()),
    ])
}

/// The examples of the stock file: a comment, and the jobs below it.
fn examples() -> String {
    let stock = include_str!("../../conf.d/redis-frag.conf");
    let (before, jobs) = stock.split_once("\n#jobs:\n").unwrap();
    let shared = before.rsplit_once("\n#x-fleet").unwrap().1;
    let bare = |text: &str| -> String {
        let lines = text.lines().filter_map(|line| {
            let bare = line.trim_start();
            let kept = bare
                .strip_prefix('#')
                .filter(|rest| !rest.starts_with(' '))?;
            Some(" ".repeat(line.len() - bare.len()) + kept + "\n")
        });
        lines.collect()
    };
    let mut text = String::new();
    for block in jobs.split("\n\n") {
        let says = block.lines().filter_map(|line| line.strip_prefix("# "));
        let says = says.collect::<Vec<_>>().join(" ");
        let mut config = format!("jobs:\n{}", bare(block));
        if config.contains("*fleet") {
            config = bare(&format!("#x-fleet{shared}")) + &config;
        }
        let name = says.split([':', '.', ',']).next().unwrap();
        text += &entry(&[
            ("name", quoted(name)),
            ("description", quoted(&says)),
            ("config", format!("|{}", below(&config, 4))),
        ]);
    }
    text
}

fn alerts() -> String {
    let templates = templates(include_str!("../../health.d/redis_frag.conf"));
    let alert = |template: &BTreeMap<String, String>| {
        entry(&[
            ("name", template["template"].clone()),
            ("link", "health.d/redis_frag.conf".to_owned()),
            ("metric", template["on"].clone()),
            ("info", quoted(&template["info"])),
        ])
    };
    templates.iter().map(alert).collect()
}

fn functions() -> String {
    let mut text = String::new();
    for function in FUNCTIONS {
        let (columns, performance) = match function.offer.name {
            "redis-frag:diagnosis" => (
                table(diagnosis::COLUMNS, &[], |_| Colour::Normal).0,
                "Asks no server: answers from what was collected last.",
            ),
            "redis-frag:size-classes" => (
                table(classes::COLUMNS, &[], |_| Colour::Normal).0,
                "Asks the server once for MEMORY MALLOC-STATS, which blocks it for about a millisecond, at most once in ten seconds.",
            ),
            other => panic!("which columns has {other}, and what does it cost?"),
        };
        let mut columns: Vec<(&String, &Value)> = columns.as_object().unwrap().iter().collect();
        columns.sort_by_key(|(_, column)| column["index"].as_u64());
        // The colour of a row, which nobody sees as a column.
        columns.retain(|(_, column)| column["type"] != "none");
        let columns: String = columns
            .iter()
            .map(|(_, column)| {
                let mut fields = vec![
                    ("name", quoted(column["name"].as_str().unwrap())),
                    ("type", column["type"].as_str().unwrap().to_owned()),
                    ("unit", quoted(column["units"].as_str().unwrap_or(""))),
                ];
                if column["visible"] == json!(false) {
                    fields.push(("visibility", "hidden".to_owned()));
                }
                entry(&fields)
            })
            .collect();
        let info = functions::info(function, &[]);
        let parameters: String = info["required_params"]
            .as_array()
            .unwrap()
            .iter()
            .map(|parameter| {
                entry(&[
                    ("id", parameter["id"].as_str().unwrap().to_owned()),
                    ("name", quoted(parameter["name"].as_str().unwrap())),
                    ("description", quoted(parameter["help"].as_str().unwrap())),
                    ("type", parameter["type"].as_str().unwrap().to_owned()),
                    ("required", function.needs_instance.to_string()),
                    ("default", quoted("")),
                    ("options", "[]".to_owned()),
                ])
            })
            .collect();
        let name = function.offer.name.rsplit(':').next().unwrap();
        let title = name.replace('-', " ");
        text += &entry(&[
            ("id", name.to_owned()),
            ("name", quoted(&(title[..1].to_uppercase() + &title[1..]))),
            (
                "description",
                quoted(&format!(
                    "`{}`. {}",
                    function.offer.name, function.offer.help
                )),
            ),
            ("parameters", below(&parameters, 4)),
            (
                "returns",
                format!(
                    "\n    description: {}\n    columns:{}",
                    quoted("One row for each, the worst first."),
                    below(&columns, 6)
                ),
            ),
            ("performance", quoted(performance)),
            (
                "security",
                quoted("No keys, values or credentials; names of instances and their addresses."),
            ),
            (
                "availability",
                quoted(
                    "Once there is an instance. Netdata 1.37 shows functions through Netdata Cloud alone.",
                ),
            ),
        ]);
    }
    text
}

fn labels() -> String {
    let one = |(name, says): &(&str, &str)| {
        entry(&[("name", (*name).to_owned()), ("description", quoted(says))])
    };
    LABELS_SAY.iter().map(one).collect()
}

fn metrics() -> String {
    let mut text = String::new();
    for chart in CHARTS {
        let drawn = match chart.kind {
            Kind::Line => "line",
            Kind::Area => "area",
            Kind::Stacked => "stacked",
        };
        let names: Vec<&str> = if chart.dimensions.len() > 20 {
            vec!["a dimension per size class"]
        } else {
            chart.dimensions.iter().map(|d| d.name).collect()
        };
        let names: String = names
            .iter()
            .map(|name| format!("- name: {}\n", quoted(name)))
            .collect();
        text += &entry(&[
            ("name", format!("{CONTEXT_PREFIX}.{}", chart.id)),
            ("description", quoted(chart.title)),
            ("unit", chart.units.to_owned()),
            ("chart_type", drawn.to_owned()),
            ("dimensions", below(&names, 4)),
        ]);
    }
    text
}

/// The file as the tables have it.
fn made() -> String {
    let acl = LINES.iter().filter_map(|line| {
        let user = line.user()?;
        Some(format!("# {}\n{user}\n", line.servers))
    });
    let rules = RULES.iter().chain(FOLLOWING).map(|rule| {
        let allows = rule.allows.replace('|', "\\|");
        format!("| {} | {allows} | {} |\n", rule.name, rule.without)
    });
    let parts = [
        ("@ACL@", acl.collect()),
        ("@RULES@", rules.collect()),
        ("@OPTIONS@", options()),
        ("@EXAMPLES@", examples()),
        ("@ALERTS@", alerts()),
        ("@FUNCTIONS@", functions()),
        ("@LABELS@", labels()),
        ("@METRICS@", metrics()),
    ];
    let mut text = String::new();
    for line in PROSE.lines() {
        let part = parts.iter().find(|(name, _)| line.trim() == *name);
        match part {
            Some((_, part)) => text += &below(part, line.len() - line.trim_start().len())[1..],
            None => text += line,
        }
        text.push('\n');
    }
    text
}

fn read(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn the_metadata_are_those_of_the_tables() {
    hold("metadata.yaml", &made());
}
