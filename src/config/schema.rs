//! The schema of a job, from which the dashboard makes its form: one table.
//!
//! Pure. In the form of go.d's `config_schema.json` (netdata/netdata v2.9.0). What is
//! told is the committed `schema.json`; a test holds it to the table.

use serde_json::{Map, Value, json};

/// What is told to an agent.
pub const SCHEMA: &str = include_str!("schema.json");

/// A key of a job.
struct Field {
    key: &'static str,
    title: &'static str,
    /// What it means, for who fills in the form.
    description: &'static str,
    kind: Kind,
    /// What stands below the field.
    help: Option<&'static str>,
}

enum Kind {
    /// Whole numbers: least, most, default.
    Whole(u32, Option<u32>, u32),
    /// Numbers: least, most, default.
    Number(f64, Option<f64>, f64),
    /// A size in bytes, and its default.
    Size(&'static str),
    Text,
    /// A list of texts.
    Texts,
    /// A text that is not shown.
    Secret,
    Switch(bool),
    /// Names and values of the operator's own.
    Labels,
    Group(&'static [Field]),
}

/// A page of the form.
struct Tab {
    title: &'static str,
    fields: &'static [Field],
}

const fn field(
    key: &'static str,
    title: &'static str,
    kind: Kind,
    description: &'static str,
) -> Field {
    Field {
        key,
        title,
        description,
        kind,
        help: None,
    }
}

impl Field {
    const fn help(mut self, text: &'static str) -> Self {
        self.help = Some(text);
        self
    }
}

/// Longest interval, a day.
const DAY: Option<u32> = Some(86_400);

const TABS: &[Tab] = &[
    Tab {
        title: "Base",
        fields: &[
            field(
                "update_every",
                "Update every",
                Kind::Whole(1, DAY, 1),
                "Data collection interval, in seconds.",
            ),
            field(
                "autodetection_retry",
                "Detection retry",
                Kind::Whole(0, None, 0),
                "Seconds between tries while the server was never reached. Zero leaves it to \
                 a back-off that slows down by itself.",
            ),
            field(
                "address",
                "URI",
                Kind::Text,
                "Where the server listens; redis://localhost:6379 where nothing is said.",
            )
            .help("TCP: `redis://host:port`. Unix socket: `unix:///path/to/redis.sock`."),
            field(
                "timeout",
                "Timeout",
                Kind::Number(0.01, Some(60.0), 1.0),
                "Longest wait for a connection, and for a reply, in seconds.",
            )
            .help("Accepts decimals: 0.5 is half a second."),
            field(
                "priority",
                "Priority",
                Kind::Whole(0, None, 70_000),
                "Place of the charts on the dashboard: lower is further up.",
            ),
            field(
                "vnode",
                "Vnode",
                Kind::Text,
                "The virtual node whose charts these are, by its name or hostname.",
            )
            .help("Virtual nodes are defined in the folder vnodes of Netdata's configuration."),
            field(
                "labels",
                "Labels",
                Kind::Labels,
                "Labels of your own on all charts of this server.",
            ),
        ],
    },
    Tab {
        title: "Thresholds",
        fields: &[field(
            "thresholds",
            "Thresholds",
            Kind::Group(&[
                field(
                    "ratio",
                    "Ratio",
                    Kind::Number(0.0, None, 1.5),
                    "Fragmentation ratio that is called healthy below.",
                ),
                field(
                    "allocator_frag_ratio",
                    "Allocator ratio",
                    Kind::Number(0.0, None, 4.0),
                    "Ratio of the allocator's fragmentation above which a diagnosis is critical.",
                ),
                field(
                    "min_used_memory",
                    "Least used memory",
                    Kind::Size("50mb"),
                    "Used memory below which ratios are noise, and no alert about them is raised.",
                ),
                field(
                    "swap_min_used_memory",
                    "Least used memory for swap",
                    Kind::Size("100mb"),
                    "Used memory below which a ratio under 1 is not taken for a sign of swap.",
                ),
                field(
                    "peak_factor",
                    "Peak factor",
                    Kind::Number(0.0, None, 2.0),
                    "How many times the used memory a past peak was, to explain pages that are \
                     kept.",
                ),
                field(
                    "defrag_hit_rate",
                    "Defrag hit rate",
                    Kind::Number(0.0, None, 0.5),
                    "Share of what active defrag examines that it must move to be called working.",
                ),
            ]),
            "From where on a figure matters.",
        )],
    },
    Tab {
        title: "Allocator",
        fields: &[
            field(
                "malloc_stats_every",
                "Allocator statistics every",
                Kind::Whole(0, None, 0),
                "Seconds between readings of the allocator's own statistics (MEMORY \
                 MALLOC-STATS), which block the server for about a millisecond; at least 10. \
                 Zero never reads them.",
            ),
            field(
                "size_classes",
                "Size classes on request",
                Kind::Switch(true),
                "Whether the same statistics may be read when somebody asks for the size \
                 classes of this server.",
            ),
        ],
    },
    Tab {
        title: "Fleet",
        fields: &[
            field(
                "cluster",
                "Cluster",
                Kind::Switch(false),
                "Whether all nodes of the cluster that the server belongs to are followed.",
            ),
            field(
                "sentinel",
                "Sentinel",
                Kind::Group(&[
                    field(
                        "addresses",
                        "Addresses",
                        Kind::Texts,
                        "Where Sentinels listen; one that answers is enough.",
                    )
                    .help("As `redis://host:26379`."),
                    field(
                        "username",
                        "Username",
                        Kind::Text,
                        "ACL user at the Sentinels.",
                    ),
                    field(
                        "password",
                        "Password",
                        Kind::Secret,
                        "Password at the Sentinels. The servers have those of the page Auth.",
                    ),
                    field(
                        "masters",
                        "Masters",
                        Kind::Texts,
                        "Names of the primaries to follow; without any, all that they know.",
                    ),
                ]),
                "Sentinels that tell which servers there are. The address stays empty then.",
            ),
        ],
    },
    Tab {
        title: "Auth",
        fields: &[
            field(
                "username",
                "Username",
                Kind::Text,
                "ACL user. Without one it is the user `default`.",
            ),
            field(
                "password",
                "Password",
                Kind::Secret,
                "Password of the user. It is kept by the agent and never given out again.",
            ),
        ],
    },
];

/// The schema, made of the table.
#[must_use]
pub fn made() -> Value {
    let mut properties = Map::new();
    let mut ui = Map::new();
    let mut tabs = Vec::new();
    for tab in TABS {
        let names: Vec<&str> = tab.fields.iter().map(|field| field.key).collect();
        tabs.push(json!({ "title": tab.title, "fields": names }));
        for field in tab.fields {
            properties.insert(field.key.to_owned(), field.schema());
            field.ui().map(|said| ui.insert(field.key.to_owned(), said));
        }
    }
    ui.insert("uiOptions".to_owned(), json!({ "fullPage": true }));
    ui.insert("ui:flavour".to_owned(), json!("tabs"));
    ui.insert("ui:options".to_owned(), json!({ "tabs": tabs }));
    json!({
        "jsonSchema": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "title": "redis-frag job configuration.",
            // Not even the address is required: Sentinels stand in its place, and one that
            // the form filled in by itself would stand beside them.
            "properties": properties,
        },
        "uiSchema": ui,
    })
}

impl Field {
    fn schema(&self) -> Value {
        let mut said = json!({ "title": self.title, "description": self.description });
        let mut say = |name: &str, value: Value| {
            said[name] = value;
        };
        match &self.kind {
            Kind::Whole(least, most, default) => {
                say("type", json!("integer"));
                say("minimum", json!(least));
                most.iter().for_each(|most| say("maximum", json!(most)));
                say("default", json!(default));
            }
            Kind::Number(least, most, default) => {
                say("type", json!("number"));
                // Zero is no threshold.
                let bound = if *least == 0.0 {
                    "exclusiveMinimum"
                } else {
                    "minimum"
                };
                say(bound, json!(least));
                most.iter().for_each(|most| say("maximum", json!(most)));
                say("default", json!(default));
            }
            Kind::Size(default) => {
                say("type", json!("string"));
                say(
                    "pattern",
                    json!("^ *[0-9]+ *([kKmMgG]([iI]?[bB])?|[bB])? *$"),
                );
                say("default", json!(default));
            }
            Kind::Text => say("type", json!("string")),
            Kind::Texts => {
                say("type", json!(["array", "null"]));
                say("items", json!({ "type": "string" }));
            }
            Kind::Secret => {
                say("type", json!("string"));
                say("sensitive", json!(true));
            }
            Kind::Switch(default) => {
                say("type", json!("boolean"));
                say("default", json!(default));
            }
            Kind::Labels => {
                say("type", json!(["object", "null"]));
                say("additionalProperties", json!({ "type": "string" }));
            }
            Kind::Group(fields) => {
                let each = fields.iter();
                let each = each.map(|field| (field.key.to_owned(), field.schema()));
                say("type", json!(["object", "null"]));
                say("properties", Value::Object(each.collect()));
            }
        }
        said
    }

    /// How its field of the form differs from others of its type.
    fn ui(&self) -> Option<Value> {
        let mut said = Map::new();
        if let Some(text) = self.help {
            said.insert("ui:help".to_owned(), json!(text));
        }
        match &self.kind {
            Kind::Secret => {
                said.insert("ui:widget".to_owned(), json!("password"));
            }
            Kind::Group(fields) => {
                let each = fields.iter();
                said.extend(each.filter_map(|field| Some((field.key.to_owned(), field.ui()?))));
            }
            _ => {}
        }
        (!said.is_empty()).then_some(Value::Object(said))
    }
}

#[cfg(test)]
mod tests {
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
        if std::env::var_os("WRITE_SCHEMA").is_some() {
            std::fs::write(PATH, made).unwrap();
            return;
        }
        assert!(
            made == SCHEMA,
            "src/config/schema.json is not what the table says; write it anew: \
             WRITE_SCHEMA=1 cargo test --lib committed_schema"
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
        let (address, _) = Address::parse("redis://localhost:6379").unwrap();
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
                "sensitive" => said.is_boolean(),
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
}
