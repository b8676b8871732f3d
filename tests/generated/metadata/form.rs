//! The form of metadata.yaml, and that nothing of the tables is missing from it.
//!
//! Must not know how it is written.

use std::path::Path;

use redis_frag::model::charts::{CHARTS, LABELS};
use redis_frag::netdata::functions::FUNCTIONS;
use redis_frag::netdata::wire::{self, ChartLine};
use serde_json::{Map, Value};

use super::{LABELS_SAY, made, nameless, read};
use crate::documents::checked;

/// Keys that must be there, and those that may, at the places of the schema that are used.
const FORM: &[(&str, &[&str], &[&str])] = &[
    ("", &["plugin_name", "modules"], &[]),
    (
        "modules/0",
        &[
            "meta",
            "overview",
            "setup",
            "troubleshooting",
            "alerts",
            "metrics",
        ],
        &["functions"],
    ),
    (
        "modules/0/meta",
        &[
            "plugin_name",
            "module_name",
            "monitored_instance",
            "keywords",
            "related_resources",
            "info_provided_to_referring_integrations",
        ],
        &["community"],
    ),
    (
        "modules/0/meta/monitored_instance",
        &["name", "link", "categories", "icon_filename", "description"],
        &[],
    ),
    (
        "modules/0/overview",
        &[
            "data_collection",
            "supported_platforms",
            "multi_instance",
            "additional_permissions",
            "default_behavior",
        ],
        &[],
    ),
    (
        "modules/0/overview/default_behavior",
        &["auto_detection", "limits", "performance_impact"],
        &[],
    ),
    ("modules/0/setup", &["prerequisites", "configuration"], &[]),
    (
        "modules/0/setup/configuration",
        &["file", "options", "examples"],
        &[],
    ),
    (
        "modules/0/setup/configuration/options/list/*",
        &["name", "description", "default_value", "required"],
        &["group"],
    ),
    (
        "modules/0/setup/configuration/examples/list/*",
        &["name", "description", "config"],
        &[],
    ),
    (
        "modules/0/troubleshooting/problems/list/*",
        &["name", "description"],
        &[],
    ),
    (
        "modules/0/alerts/*",
        &["name", "link", "metric", "info"],
        &[],
    ),
    (
        "modules/0/functions/list/*",
        &[
            "id",
            "name",
            "description",
            "parameters",
            "returns",
            "performance",
            "security",
            "availability",
        ],
        &[],
    ),
    (
        "modules/0/functions/list/*/returns/columns/*",
        &["name", "type", "unit"],
        &["visibility"],
    ),
    (
        "modules/0/functions/list/*/parameters/*",
        &[
            "id",
            "name",
            "description",
            "type",
            "required",
            "default",
            "options",
        ],
        &[],
    ),
    (
        "modules/0/metrics",
        &["folding", "description", "availability", "scopes"],
        &[],
    ),
    (
        "modules/0/metrics/scopes/*",
        &["name", "description", "labels", "metrics"],
        &[],
    ),
    (
        "modules/0/metrics/scopes/*/labels/*",
        &["name", "description"],
        &[],
    ),
    (
        "modules/0/metrics/scopes/*/metrics/*",
        &["name", "description", "unit", "chart_type", "dimensions"],
        &[],
    ),
];

/// What is at a path; `*` are all of a list.
fn at<'a>(value: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![value];
    for step in path.split('/').filter(|step| !step.is_empty()) {
        found = found
            .into_iter()
            .flat_map(|value| match step {
                "*" => value.as_array().unwrap().iter().collect(),
                _ => match value {
                    Value::Array(list) => vec![&list[step.parse::<usize>().unwrap()]],
                    _ => vec![&value[step]],
                },
            })
            .collect();
    }
    found
}

/// What integrations/gen_integrations.py and descriptions.py ask for beyond the schema: a
/// page with a category that is none, or a description that it would have to cut, is not made.
#[test]
fn the_metadata_make_a_page() {
    // integrations/categories.yaml
    const CATEGORIES: &[&str] = &[
        "data-collection.databases",
        "data-collection.web-servers-and-proxies",
        "data-collection.containers-and-vms",
        "data-collection.operating-systems",
        "data-collection.networking",
        "data-collection.cloud-and-devops",
        "data-collection.hardware-and-sensors",
        "data-collection.applications",
        "data-collection.storage",
        "data-collection.synthetic-testing",
    ];
    let read = read(&made());
    let about = "modules/0/meta/monitored_instance";
    let categories = at(&read, &format!("{about}/categories/*"));
    assert!(!categories.is_empty());
    for category in categories {
        assert!(
            CATEGORIES.contains(&category.as_str().unwrap()),
            "{category}"
        );
    }
    let description = at(&read, &format!("{about}/description"))[0];
    let description = description.as_str().unwrap();
    let length = description.chars().count();
    assert!((50..=160).contains(&length), "{length}: {description}");
    assert!(!description.contains(['*', '_', '[', ']', '<', '>', '#', '`', '~', '"', '\\']));
}

/// An agent finds the page by what a chart says of plugin and module.
#[test]
fn a_chart_leads_to_the_page() {
    let line = ChartLine {
        type_id: "t",
        id: "i",
        title: "T",
        units: "u",
        family: "f",
        context: ("c", "x"),
        chart_type: "line",
        priority: 1,
        update_every: 1,
        obsolete: false,
    };
    let mut said = String::new();
    wire::chart(&mut said, &line);
    let read = read(&made());
    let name = |path| at(&read, path)[0].as_str().unwrap();
    let (plugin, module) = (
        name("modules/0/meta/plugin_name"),
        name("modules/0/meta/module_name"),
    );
    assert_eq!(name("plugin_name"), plugin);
    assert!(
        said.ends_with(&format!("'{plugin}' '{module}'\n")),
        "{said}"
    );
}

/// What Netdata reads it with takes these words for true and false (YAML 1.1).
#[test]
fn no_name_is_taken_for_a_truth() {
    for line in made().lines() {
        let value = line.trim().rsplit_once(": ").map(|(_, value)| value);
        // A configuration that is shown is a text of its own, of YAML 1.2.
        let is_name = ["name", "unit", "metric", "id", "type"].iter().any(|key| {
            line.trim()
                .trim_start_matches("- ")
                .starts_with(&format!("{key}: "))
        });
        for word in ["y", "n", "yes", "no", "on", "off"] {
            assert!(!is_name || value != Some(word), "{line}");
        }
    }
}

#[test]
fn the_metadata_have_the_form_of_integrations() {
    let read = read(&made());
    for (path, must, may) in FORM {
        let found = at(&read, path);
        assert!(!found.is_empty(), "nothing at {path}");
        for value in found {
            let map: &Map<String, Value> = value
                .as_object()
                .unwrap_or_else(|| panic!("{path}: {value}"));
            for key in *must {
                assert!(map.contains_key(*key), "{path} misses {key}: {value}");
            }
            for key in map.keys() {
                let known = must.contains(&key.as_str()) || may.contains(&key.as_str());
                assert!(known, "{path} has a {key}: {value}");
            }
        }
    }
    let texts = at(
        &read,
        "modules/0/setup/configuration/options/list/*/description",
    );
    assert!(
        texts
            .iter()
            .all(|text| text.as_str().is_some_and(|text| text.len() > 10))
    );
}

#[test]
fn nothing_that_the_tables_have_is_missing_from_the_metadata() {
    let read = read(&made());
    let count = |path| at(&read, path).len();
    assert_eq!(count("modules/0/metrics/scopes/*/metrics/*"), CHARTS.len());
    assert_eq!(count("modules/0/functions/list/*"), FUNCTIONS.len());
    let health = include_str!("../../../health.d/redis_frag.conf");
    let templates = health
        .lines()
        .filter(|line| line.trim().starts_with("template:"));
    assert_eq!(count("modules/0/alerts/*"), templates.count());
    let defaults = at(
        &read,
        "modules/0/setup/configuration/options/list/*/default_value",
    );
    assert_eq!(*defaults[0], nameless().name, "of the key name");
    let labels: Vec<&str> = LABELS_SAY.iter().map(|(label, _)| *label).collect();
    assert_eq!(labels[..LABELS.len()], *LABELS);
    let examples = at(
        &read,
        "modules/0/setup/configuration/examples/list/*/config",
    );
    assert!(examples.len() > 6, "{examples:?}");
    // Each is a configuration that is understood.
    for example in examples {
        let (sound, said) = checked(example.as_str().unwrap());
        assert!(sound, "{example}\n{said}");
    }
    for option in at(&read, "modules/0/setup/configuration/options/list/*/name") {
        let key = option.as_str().unwrap().rsplit('.').next().unwrap();
        let stock = std::fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("conf.d/redis-frag.conf"),
        );
        assert!(
            stock.unwrap().contains(key),
            "the stock file does not know {key}"
        );
    }
}
