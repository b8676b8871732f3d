//! The form of metadata.yaml, and that nothing of the tables is missing from it.
//!
//! Must not know how it is written.

use std::path::Path;

use redis_frag::model::charts::{CHARTS, LABELS};
use redis_frag::netdata::functions::FUNCTIONS;
use serde_json::{Map, Value};

use super::{LABELS_SAY, made, read};
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
        &["name", "link", "categories", "icon_filename"],
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
    assert_eq!(count("modules/0/alerts/*"), 13);
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
