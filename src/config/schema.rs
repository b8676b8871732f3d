//! The schema of a job, from which the dashboard makes its form: one table.
//!
//! Pure. In the form of go.d's `config_schema.json` (netdata/netdata v2.9.0). What is
//! told is the committed `schema.json`; a test holds it to the table.

use serde_json::{Map, Value, json};

use crate::model::families::FAMILIES;

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
    /// A list of some of these.
    Some(&'static [&'static str]),
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
            .help(
                "TCP: `redis://host:port`. TLS: `rediss://host:port`. Unix socket: \
                 `unix:///path/to/redis.sock`.",
            ),
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
                "charts",
                "Charts",
                Kind::Some(&FAMILIES),
                "Families of charts; without any, all. An alert needs the family that its chart \
                 is of. The collector's is always there.",
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
    Tab {
        title: "TLS",
        fields: &[
            field(
                "tls_skip_verify",
                "Skip TLS verification",
                Kind::Switch(false),
                "Whether any certificate will do: whoever stands in between can read along.",
            ),
            field(
                "tls_ca",
                "TLS CA",
                Kind::Text,
                "Path of the file with the CAs that are trusted; without one, the system's.",
            ),
            field(
                "tls_cert",
                "TLS certificate",
                Kind::Text,
                "Path of the file with the certificate to show to the server.",
            ),
            field(
                "tls_key",
                "TLS key",
                Kind::Text,
                "Path of the file with the key of that certificate.",
            ),
            field(
                "tls_server_name",
                "TLS server name",
                Kind::Text,
                "Name that the server's certificate must be for; without one, the address's host.",
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
        let mut said = Map::new();
        let mut say = |name: &str, value: Value| {
            said.insert(name.to_owned(), value);
        };
        say("title", json!(self.title));
        say("description", json!(self.description));
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
            Kind::Some(names) => {
                say("type", json!(["array", "null"]));
                say("items", json!({ "type": "string", "enum": names }));
                say("uniqueItems", json!(true));
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
        Value::Object(said)
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
#[path = "schema_tests.rs"]
mod tests;
