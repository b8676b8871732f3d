//! The schema against the reader of jobs, and against the rules of JSON Schema.

use std::collections::BTreeSet;

use super::*;
use crate::config::address::Address;
use crate::config::job::Job;
use crate::config::raw::{RawJob, RawSentinel, RawThresholds};
use crate::config::{payload, shown};

/// Where the committed schema lies.
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/schema.json");

#[test]
fn the_committed_schema_is_the_table() {
    let made = serde_json::to_string_pretty(&made()).unwrap() + "\n";
    if std::env::var_os("REDIS_FRAG_WRITE").is_some() {
        std::fs::write(PATH, made).unwrap();
        return;
    }
    assert!(
        made == SCHEMA,
        "src/config/schema.json is not what the table says; write it anew: make generated"
    );
}

fn keys(of: &Value) -> BTreeSet<&str> {
    of.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn its_keys_are_those_of_a_job() {
    let made = made();
    let properties = &made["jsonSchema"]["properties"];
    let mut known: BTreeSet<&str> = RawJob::KEYS.iter().copied().collect();
    // The dashboard asks for it apart.
    assert!(known.remove("name"));
    assert_eq!(keys(properties), known);
    for (group, known) in [
        ("thresholds", RawThresholds::KEYS),
        ("sentinel", RawSentinel::KEYS),
    ] {
        let known: BTreeSet<&str> = known.iter().copied().collect();
        assert_eq!(keys(&properties[group]["properties"]), known, "{group}");
    }
    let tabs = made["uiSchema"]["ui:options"]["tabs"].as_array().unwrap();
    let fields = tabs
        .iter()
        .flat_map(|tab| tab["fields"].as_array().unwrap());
    let fields: Vec<&str> = fields.map(|name| name.as_str().unwrap()).collect();
    let each: BTreeSet<&str> = fields.iter().copied().collect();
    assert_eq!(
        (fields.len(), each),
        (keys(properties).len(), keys(properties))
    );
}

/// The form that somebody fills in with what stands there already.
#[test]
fn its_defaults_are_those_of_a_job() {
    let made = made();
    fn filled(schema: &Value) -> Value {
        let properties = schema["properties"].as_object().unwrap();
        let each = properties.iter().filter_map(|(key, of)| {
            let value = match of.get("properties") {
                Some(_) => filled(of),
                None => of.get("default")?.clone(),
            };
            Some((key.clone(), value))
        });
        Value::Object(each.collect())
    }
    let form = filled(&made["jsonSchema"]).to_string();
    let job = payload::read(&form, true, "x", &[]).unwrap();
    let address = Address::parse("redis://localhost:6379").unwrap().0;
    assert_eq!(job, Job::new("x", address), "{form}");
    let shown = shown::stored(&job);
    assert_eq!(keys(&shown), BTreeSet::from(["address"]), "{shown}");
}

/// The rules of draft-07 for the words that are used here.
fn assert_valid(schema: &Value, at: &str) {
    const TYPES: &[&str] = &[
        "object", "string", "integer", "number", "boolean", "array", "null",
    ];
    let object = schema
        .as_object()
        .unwrap_or_else(|| panic!("{at}: no object"));
    for (word, said) in object {
        let sound = match word.as_str() {
            "title" | "description" | "$schema" | "pattern" => said.is_string(),
            "sensitive" | "uniqueItems" => said.is_boolean(),
            "enum" => !said.as_array().unwrap().is_empty(),
            "minimum" | "maximum" | "exclusiveMinimum" => said.is_number(),
            "type" => {
                let types = said
                    .as_array()
                    .cloned()
                    .unwrap_or_else(|| vec![said.clone()]);
                types.iter().all(|t| TYPES.contains(&t.as_str().unwrap()))
            }
            "default" => said.is_string() || said.is_number() || said.is_boolean(),
            "required" => said
                .as_array()
                .unwrap()
                .iter()
                .all(|name| schema["properties"].get(name.as_str().unwrap()).is_some()),
            "properties" => {
                for (key, of) in said.as_object().unwrap() {
                    assert_valid(of, &format!("{at}.{key}"));
                    assert!(of.get("title").is_some() && of.get("description").is_some());
                }
                true
            }
            "additionalProperties" | "items" => {
                assert_valid(said, &format!("{at}.*"));
                true
            }
            _ => false,
        };
        assert!(sound, "{at}: {word}: {said}");
    }
    if let (Some(default), Some(of)) = (object.get("default"), object.get("type")) {
        let fits = match of.as_str().unwrap() {
            "integer" => default.is_u64(),
            "number" => default.is_number(),
            "boolean" => default.is_boolean(),
            _ => default.is_string(),
        };
        assert!(fits, "{at}: default {default} of {of}");
    }
}

#[test]
fn it_is_a_schema_of_draft_07_and_hides_secrets() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    assert_valid(&schema["jsonSchema"], "");
    let properties = &schema["jsonSchema"]["properties"];
    let of_sentinel = &properties["sentinel"]["properties"];
    let ui = &schema["uiSchema"];
    for (field, ui) in [
        (&properties["password"], &ui["password"]),
        (&of_sentinel["password"], &ui["sentinel"]["password"]),
    ] {
        assert_eq!(field["sensitive"], true);
        assert_eq!(ui["ui:widget"], "password");
    }
}
