//! Two real agents: a child that collects and streams, and a parent that keeps and
//! judges. What the child knows of each instance is on the parent, through a restart
//! of either.
//!
//! The usual roles: the child keeps a little in memory and raises nothing, the alerts
//! are the parent's.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use redis_frag::model::charts::{CHARTS, LABELS};
use redis_frag::model::thresholds::Thresholds;
use serde_json::Value;

use crate::agent::made_up;
use crate::support::{Agent, Fake, Kind, Received, Server, becomes_true, health};

const SHIPPED: &str = include_str!("../health.d/redis_frag.conf");

/// Long enough for two cores that others use too; what is measured takes seconds.
const LIMIT: Duration = Duration::from_secs(40);

const USED: i64 = 100_000_000;

/// A server that never changes a figure by itself, so that a variable is sent once.
fn still(rss: i64) -> String {
    made_up("6.2.5", [USED, USED, rss, rss, rss], "")
}

fn parent() -> Agent {
    Agent::builder()
        .hostname("parent")
        .health("redis_frag.conf", &health::hurried(SHIPPED))
        .takes_streams("ram")
        .start()
}

fn child(parent: &Agent, jobs: &[(&str, String)]) -> Agent {
    let job = |(name, address): &(&str, String)| {
        format!("  - {{name: {name}, address: '{address}', labels: {{team: {name}-team}}}}\n")
    };
    let jobs: String = jobs.iter().map(job).collect();
    Agent::builder()
        .hostname("child")
        .plugin(Path::new(env!("CARGO_BIN_EXE_redis-frag")))
        .user_config("redis-frag.conf", &format!("jobs:\n{jobs}"))
        .setting("health", "enabled", "no")
        .streams_to(parent)
        .start()
}

/// What a chart is: all that does not change with time.
fn definition(chart: &Value) -> Value {
    let names = |dimensions: &Value| -> Vec<(String, Value)> {
        let dimensions = dimensions.as_object().into_iter().flatten();
        let named = dimensions.map(|(id, dimension)| (id.clone(), dimension["name"].clone()));
        named.collect()
    };
    let same = [
        "name",
        "type",
        "title",
        "family",
        "context",
        "units",
        "chart_type",
        "update_every",
        "priority",
        "plugin",
        "module",
        "chart_labels",
    ];
    let mut definition: serde_json::Map<String, Value> = same
        .iter()
        .map(|key| ((*key).to_string(), chart[*key].clone()))
        .collect();
    definition.insert(
        "dimensions".to_string(),
        serde_json::json!(names(&chart["dimensions"])),
    );
    Value::Object(definition)
}

/// The plugin's charts by their id.
fn ours(charts: &Value) -> BTreeMap<String, Value> {
    let charts = charts.as_object().into_iter().flatten();
    let ours = charts.filter(|(id, _)| id.starts_with("redis_frag_"));
    ours.map(|(id, chart)| (id.clone(), definition(chart)))
        .collect()
}

/// `redis_frag.ratio` of a definition: `ratio`.
fn context(definition: &Value) -> &str {
    let context = definition["context"].as_str().unwrap();
    context.strip_prefix("redis_frag.").unwrap()
}

/// The alerts that the shipped file puts on a context.
fn alerts_on(context: &str) -> Vec<&'static str> {
    let value = |line: &'static str, key: &str| -> Option<&'static str> {
        let (found, value) = line.split_once(':')?;
        (found.trim() == key).then_some(value.trim())
    };
    let mut template = "";
    let mut found = Vec::new();
    for line in SHIPPED.lines() {
        if let Some(name) = value(line, "template") {
            template = name;
        }
        if value(line, "on").is_some_and(|on| on == format!("redis_frag.{context}")) {
            found.push(template);
        }
    }
    found
}

/// What is not yet as it should be on the parent; empty once all of it is there.
fn missing(parent: &Agent, child: &Agent, jobs: &[&str]) -> Vec<String> {
    let mut missing = Vec::new();
    let there = parent.received_from(child);
    let here = match child.try_get("/api/v1/charts") {
        Ok(answer) => ours(&answer["charts"]),
        Err(why) => return vec![why],
    };
    for job in jobs {
        let status = format!("redis_frag_{job}.status");
        let ratio = format!("redis_frag_{job}.ratio");
        for chart in [status, ratio] {
            if !here.contains_key(&chart) {
                missing.push(format!("the child has no {chart}"));
            }
        }
    }
    let received = ours(&there.charts());
    for (id, definition) in &here {
        if received.get(id) != Some(definition) {
            missing.push(format!("{id}: {definition} became {:?}", received.get(id)));
        }
    }
    for id in received.keys().filter(|id| !here.contains_key(*id)) {
        missing.push(format!("{id} is on the parent alone"));
    }
    let alarms = there.alarms();
    for (id, definition) in &here {
        for alarm in alerts_on(context(definition)) {
            if alarms[format!("{id}.{alarm}")].is_null() {
                missing.push(format!("{id}: no alert {alarm}"));
            }
        }
    }
    missing
}

/// Charts whose gates the parent does not see, or sees otherwise than they are.
fn ungated(there: &Received<'_>, jobs: &[&str]) -> Vec<String> {
    let charts = ours(&there.charts());
    let least = Thresholds::default().min_used_memory;
    let mut wrong = Vec::new();
    for (id, definition) in &charts {
        let chart = CHARTS.iter().find(|chart| chart.id == context(definition));
        let gates: Vec<&str> = chart.unwrap().variables.iter().map(|v| v.name).collect();
        if gates.is_empty() {
            continue;
        }
        let seen = there.variables(id);
        for gate in gates {
            match (gate, seen[gate].as_f64()) {
                // Only where a limit is known, as of a machine it is.
                ("limit", None) if id.starts_with("redis_frag_still.") => {}
                (_, None) => wrong.push(format!("{id}: ${gate} is {}", seen[gate])),
                ("min_used_memory", Some(bytes)) if bytes != least as f64 => {
                    wrong.push(format!("{id}: ${gate} is {bytes}"));
                }
                ("used_memory", Some(bytes))
                    if id.starts_with("redis_frag_still.") && bytes != USED as f64 =>
                {
                    wrong.push(format!("{id}: ${gate} is {bytes}"));
                }
                (_, Some(_)) => {}
            }
        }
    }
    for job in jobs {
        if !charts.contains_key(&format!("redis_frag_{job}.ratio")) {
            wrong.push(format!("{job} has no ratio"));
        }
    }
    wrong
}

/// Waits for nothing to be left; panics with what is.
#[track_caller]
fn until_none(what: &str, mut left: impl FnMut() -> Vec<String>) {
    let mut last = Vec::new();
    let began = std::time::Instant::now();
    let done = becomes_true(LIMIT, || {
        last = left();
        last.is_empty()
    });
    assert!(done, "not within {LIMIT:?}: {what}: {last:#?}");
    eprintln!("{what}: {:.1} s", began.elapsed().as_secs_f64());
}

/// Waits for a status of an alert on the parent.
#[track_caller]
fn wait_status(there: &Received<'_>, chart: &str, alarm: &str, wanted: &str) {
    until_none(&format!("{alarm} {wanted} on {chart}"), || {
        let status = there.alarm_status(chart, alarm);
        let there = status.as_deref() == Some(wanted);
        (!there)
            .then(|| format!("{status:?}"))
            .into_iter()
            .collect()
    });
}

/// Seconds (Unix) of the last two minutes of which the parent has a value.
fn times(there: &Received<'_>, job: &str) -> Vec<u64> {
    let points = there.series(&format!("redis_frag_{job}.status"), 120);
    let valued = points
        .into_iter()
        .filter(|(_, values)| values.values().any(Option::is_some));
    valued.map(|(time, _)| time).collect()
}

/// Seconds (Unix).
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs()
}

#[test]
fn charts_labels_variables_and_alerts_are_on_the_parent_through_a_restart_of_either() {
    let mut servers = [Kind::Redis62, Kind::Redis82, Kind::Valkey91].map(Server::start);
    let still_server = Fake::start(&still(3 * USED), &[]);
    let names = ["old", "new", "valkey", "still"];
    let mut addresses: Vec<String> = servers.iter().map(Server::unix_address).collect();
    addresses.push(still_server.unix_address());
    let jobs: Vec<(&str, String)> = names.into_iter().zip(addresses).collect();

    let mut parent = parent();
    let mut child = child(&parent, &jobs);
    let all_there = |parent: &Agent, child: &Agent, when: &str| {
        until_none(&format!("charts, labels, alerts {when}"), || {
            missing(parent, child, &names)
        });
        until_none(&format!("variables {when}"), || {
            ungated(&parent.received_from(child), &names)
        });
    };
    all_there(&parent, &child, "at first");
    let before = ours(&parent.received_from(&child).charts());
    for job in names {
        let labels = &before[&format!("redis_frag_{job}.ratio")]["chart_labels"];
        assert_eq!(labels["instance"], job, "{labels}");
        assert_eq!(labels["team"], format!("{job}-team"), "{labels}");
        for name in LABELS {
            assert!(labels[*name].is_string(), "{job}: no {name} in {labels}");
        }
    }

    let (chart, alarm) = ("redis_frag_still.ratio", "redis_frag_ratio");
    wait_status(&parent.received_from(&child), chart, alarm, "CRITICAL");
    still_server.set_info(&still(USED));
    servers[2].terminate();
    wait_status(&parent.received_from(&child), chart, alarm, "CLEAR");
    let (gone, unreachable) = ("redis_frag_valkey.status", "redis_frag_unreachable");
    wait_status(&parent.received_from(&child), gone, unreachable, "CRITICAL");
    // The script that tells of it runs after the status is set.
    until_none("the parent tells of both", || {
        let told = parent.notifications();
        let untold = [alarm, gone].into_iter();
        let untold = untold.filter(|name| !told.iter().any(|line| line.contains(name)));
        untold.map(str::to_string).collect()
    });
    assert_eq!(child.notifications(), Vec::<String>::new());
    servers[2].restart();
    wait_status(&parent.received_from(&child), gone, unreachable, "CLEAR");

    let plugin = child.plugin_pids();
    parent.stop();
    let stopped = now();
    still_server.set_info(&still(3 * USED));
    parent.start_again();
    all_there(&parent, &child, "after a restart of the parent");
    assert_eq!(ours(&parent.received_from(&child).charts()), before);
    assert_eq!(child.plugin_pids(), plugin, "the plugin did not notice");
    wait_status(&parent.received_from(&child), chart, alarm, "CRITICAL");
    for job in names {
        let seen = times(&parent.received_from(&child), job);
        assert!(
            seen.first().is_some_and(|first| *first < stopped),
            "{job}: the child sends what the parent lost: {seen:?}, {stopped}"
        );
    }

    child.stop();
    let stopped = now();
    assert_eq!(child.plugin_pids(), Vec::<u32>::new(), "left behind");
    still_server.set_info(&still(USED));
    child.start_again();
    all_there(&parent, &child, "after a restart of the child");
    until_none("values after a restart of the child", || {
        let there = parent.received_from(&child);
        let new = |job: &str| {
            times(&there, job)
                .last()
                .is_some_and(|last| *last > stopped)
        };
        let old = names.into_iter().filter(|job| !new(job));
        old.map(str::to_string).collect()
    });
    assert_eq!(ours(&parent.received_from(&child).charts()), before);
    assert_eq!(child.plugin_pids().len(), 1);
    wait_status(&parent.received_from(&child), chart, alarm, "CLEAR");

    child.stop();
    parent.stop();
    assert_eq!(child.plugin_pids(), Vec::<u32>::new(), "left behind");
    assert_eq!(child.complaints(), Vec::<String>::new());
    assert_eq!(parent.complaints(), Vec::<String>::new());
}
