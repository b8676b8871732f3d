//! A job as it is shown to who may see the configuration: JSON for the dashboard's form,
//! YAML to paste into a file.
//!
//! Pure. Only what differs from the defaults is said. A secret is never shown: in its
//! place stands [`HIDDEN`], which the agent would keep instead of the secret if it were
//! taken back, so that it is refused.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Number, Value, json};

use crate::model::text;
use crate::model::thresholds::Thresholds;

use super::address::{self, Address};
use super::job::{Credentials, Job, Sentinel};
use super::query::Protocol;
use super::reference::Template;

/// What stands in the place of a secret.
pub const HIDDEN: &str = "(not shown: write it again)";

/// Whether a job has what stands in the place of a secret for its secret.
#[must_use]
pub fn hides(job: &Job) -> bool {
    let sentinel = job.sentinel.iter().map(|sentinel| &sentinel.credentials);
    let mut all = sentinel.chain([&job.credentials]);
    all.any(|of| of.username.iter().chain(&of.password).any(is_hidden))
}

fn is_hidden(text: &Template) -> bool {
    text.reveal() == Some(HIDDEN)
}

/// Puts the secrets of a known job in the place of [`HIDDEN`], so that a form that was
/// only looked at can be tried. `false`: the job leads elsewhere, where they must not go.
pub fn reveal(job: &mut Job, known: &Job) -> bool {
    if !hides(job) {
        return true;
    }
    let sentinels = |job: &Job| job.sentinel.as_ref().map(|s| s.addresses.clone());
    let same = job.address == known.address && job.tls == known.tls;
    if !same || sentinels(job) != sentinels(known) {
        return false;
    }
    put_back(&mut job.credentials, &known.credentials);
    if let (Some(own), Some(known)) = (&mut job.sentinel, &known.sentinel) {
        put_back(&mut own.credentials, &known.credentials);
    }
    true
}

fn put_back(own: &mut Credentials, known: &Credentials) {
    for (text, known) in [
        (&mut own.username, &known.username),
        (&mut own.password, &known.password),
    ] {
        if text.as_ref().is_some_and(is_hidden) {
            text.clone_from(known);
        }
    }
}

/// The job's keys as a form has them.
#[must_use]
pub fn stored(job: &Job) -> Value {
    Value::Object(keys(job))
}

/// The job as an entry of a configuration file.
#[must_use]
pub fn yaml(job: &Job) -> String {
    let mut out = format!("jobs:\n  - name: {}\n", Value::from(job.name.as_str()));
    for (key, value) in keys(job) {
        match value {
            Value::Object(members) if members.keys().all(|name| is_plain(name)) => {
                let _ = writeln!(out, "    {key}:");
                for (name, value) in members {
                    let _ = writeln!(out, "      {name}: {value}");
                }
            }
            // One line is YAML, too.
            value => {
                let _ = writeln!(out, "    {key}: {value}");
            }
        }
    }
    unhidden(&out)
}

/// What is hidden stands between quotes alone: there its number means it, and YAML takes
/// most of it no other way.
fn unhidden(yaml: &str) -> String {
    let mut out = String::with_capacity(yaml.len());
    for c in yaml.chars() {
        match u32::from(c) {
            _ if c == '\n' || !text::is_hidden(c) => out.push(c),
            number @ ..=0xffff => out.push_str(&format!("\\u{number:04x}")),
            number => out.push_str(&format!("\\U{number:08x}")),
        }
    }
    out
}

/// Whether it is a key without quotes.
fn is_plain(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(fits)
}

fn keys(job: &Job) -> Map<String, Value> {
    let of = Job::new(&job.name, job.address.clone());
    let tls = job.tls.clone().unwrap_or_default();
    let path = |path: Option<PathBuf>| path.map(|path| json!(path.display().to_string()));
    let credentials = &job.credentials;
    let said = [
        (
            "address",
            // Of a job with Sentinels it is the first of these.
            (job.sentinel.is_none()).then(|| json!(written(&job.address, job))),
        ),
        ("username", credentials.username.as_ref().map(name)),
        ("password", credentials.password.as_ref().map(secret)),
        ("timeout", differs(job.timeout, of.timeout, seconds)),
        (
            "update_every",
            differs(job.update_every, of.update_every, Value::from),
        ),
        (
            "autodetection_retry",
            differs(job.autodetection_retry, of.autodetection_retry, Value::from),
        ),
        ("priority", differs(job.priority, of.priority, Value::from)),
        (
            "charts",
            differs(job.charts, of.charts, |charts| charts.names().collect()),
        ),
        (
            "labels",
            (!job.labels.is_empty()).then(|| json!(job.labels)),
        ),
        (
            "malloc_stats_every",
            differs(job.malloc_stats_every, of.malloc_stats_every, Value::from),
        ),
        (
            "size_classes",
            differs(job.size_classes, of.size_classes, Value::from),
        ),
        ("vnode", job.vnode.as_ref().map(|node| json!(node.name))),
        ("cluster", differs(job.cluster, of.cluster, Value::from)),
        (
            "sentinel",
            job.sentinel.as_ref().map(|of| sentinel(of, job)),
        ),
        (
            "tls_skip_verify",
            differs(tls.skip_verify, false, Value::from),
        ),
        ("tls_ca", path(tls.ca)),
        ("tls_cert", path(tls.cert)),
        ("tls_key", path(tls.key)),
        ("tls_server_name", tls.server_name.map(Value::from)),
        ("thresholds", thresholds(&job.thresholds, &of.thresholds)),
    ];
    let said = said.into_iter();
    said.filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
}

fn sentinel(of: &Sentinel, job: &Job) -> Value {
    let addresses = of.addresses.iter().map(|address| written(address, job));
    let addresses: Vec<String> = addresses.collect();
    let said = [
        ("addresses", Some(json!(addresses))),
        ("username", of.credentials.username.as_ref().map(name)),
        ("password", of.credentials.password.as_ref().map(secret)),
        (
            "masters",
            (!of.masters.is_empty()).then(|| json!(of.masters)),
        ),
    ];
    let said = said.into_iter();
    said.filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
}

fn thresholds(job: &Thresholds, of: &Thresholds) -> Option<Value> {
    let number = |value: f64| json!(value);
    let said = [
        ("ratio", differs(job.ratio, of.ratio, number)),
        (
            "allocator_frag_ratio",
            differs(job.allocator_frag_ratio, of.allocator_frag_ratio, number),
        ),
        (
            "min_used_memory",
            differs(job.min_used_memory, of.min_used_memory, size),
        ),
        (
            "swap_min_used_memory",
            differs(job.swap_min_used_memory, of.swap_min_used_memory, size),
        ),
        (
            "peak_factor",
            differs(job.peak_factor, of.peak_factor, number),
        ),
        (
            "defrag_hit_rate",
            differs(job.defrag_hit_rate, of.defrag_hit_rate, number),
        ),
    ];
    let said = said.into_iter();
    let said: Map<String, Value> = said
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect();
    (!said.is_empty()).then_some(Value::Object(said))
}

fn differs<T: PartialEq>(value: T, of: T, say: impl Fn(T) -> Value) -> Option<Value> {
    (value != of).then(|| say(value))
}

/// A username: no secret where it is written out.
fn name(text: &Template) -> Value {
    match text.reveal() {
        Some(name) if text.in_address() => json!(address::decoded(name).unwrap_or_default()),
        Some(name) => json!(name),
        None => secret(text),
    }
}

/// References as they are, where all of one can be shown: some are not, for the arguments
/// of a command may be secrets themselves.
fn secret(text: &Template) -> Value {
    let shown = text.shown(false);
    if text.refers() && Template::parse(&shown).as_ref() == Ok(text) {
        return json!(shown);
    }
    json!(HIDDEN)
}

/// An address of a job as it can be read again.
fn written(address: &Address, job: &Job) -> String {
    let mut text = address.to_string();
    match address {
        // What stands for itself there.
        Address::Unix(_) => text = text.replace('%', "%25").replace('?', "%3F"),
        Address::Tcp { .. } if job.tls.is_some() => text = text.replacen("redis:", "rediss:", 1),
        Address::Tcp { .. } => {}
    }
    if job.protocol == Protocol::Resp3 {
        text.push_str("?protocol=3");
    }
    text
}

fn seconds(time: Duration) -> Value {
    match Number::from_f64(time.as_secs_f64()) {
        Some(number) if time.subsec_nanos() > 0 => Value::Number(number),
        _ => Value::from(time.as_secs()),
    }
}

/// A size as redis.conf has it.
fn size(bytes: u64) -> Value {
    let units = [
        (1_u64 << 30, "gb"),
        (1 << 20, "mb"),
        (1 << 10, "kb"),
        (1, ""),
    ];
    let fits = units
        .into_iter()
        .find(|(unit, _)| bytes.is_multiple_of(*unit) && bytes > 0);
    let (unit, name) = fits.unwrap_or((1, ""));
    json!(format!("{}{name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::config::raw::{RawJob, RawSentinel};
    use crate::config::vnodes::Vnode;
    use crate::config::{file, payload};

    /// All keys; two forms, for not all can stand together.
    const FORMS: [&str; 2] = [
        include_str!("../../tests/fixtures/dyncfg/full.json"),
        include_str!("../../tests/fixtures/dyncfg/sentinel.json"),
    ];

    fn node() -> Arc<Vnode> {
        let vnode = Vnode::default();
        Arc::new(Vnode {
            name: "db-01".to_owned(),
            ..vnode
        })
    }

    #[test]
    fn every_key_is_shown_and_comes_back() {
        let mut missing: BTreeSet<&str> = RawJob::KEYS.iter().copied().collect();
        let mut of_sentinel: BTreeSet<&str> = RawSentinel::KEYS.iter().copied().collect();
        missing.remove("name");
        for form in FORMS {
            let job = payload::read(form, true, "x", &[node()]).unwrap();
            let shown = stored(&job);
            missing.retain(|key| shown.get(key).is_none());
            of_sentinel.retain(|key| shown["sentinel"].get(key).is_none());
            assert!(!shown.to_string().contains("never shown"));
            let mut again = payload::read(&shown.to_string(), true, "x", &[node()]).unwrap();
            assert!(hides(&again) && reveal(&mut again, &job));
            assert_eq!(again, job);
            let mut of_file = file::parse(&yaml(&job), &[node()]).jobs.pop().unwrap();
            assert!(hides(&of_file) && reveal(&mut of_file, &job));
            assert_eq!(of_file, job);
        }
        let none = BTreeSet::new();
        assert_eq!(
            (missing, of_sentinel),
            (none.clone(), none),
            "or at a default"
        );
    }

    #[test]
    fn a_secret_is_never_shown_and_goes_nowhere_else() {
        let text = r#"{"address":"redis://me:hunter2@h:1"}"#;
        let job = payload::read(text, true, "x", &[]).unwrap();
        let shown = stored(&job).to_string() + &yaml(&job);
        assert!(
            !shown.contains("hunter2") && shown.contains(HIDDEN),
            "{shown}"
        );
        assert_eq!(stored(&job)["address"], "redis://h:1");
        assert_eq!(stored(&job)["username"], "me");
        for (password, want) in [
            ("${file:/run/pw}", "${file:/run/pw}"),
            (
                "${env+urienc:A}${cmd:/bin/x}",
                "${env+urienc:A}${cmd:/bin/x}",
            ),
            ("${cmd:/bin/x hunter2}", HIDDEN),
            ("hunter2${env:A}", HIDDEN),
            ("***", HIDDEN),
        ] {
            let form = json!({ "address": "h:1", "password": password }).to_string();
            let job = payload::read(&form, true, "x", &[]).unwrap();
            assert_eq!(stored(&job)["password"], want);
        }
        let mut elsewhere = payload::read(&stored(&job).to_string(), true, "x", &[]).unwrap();
        elsewhere.address = Address::parse("h:2").unwrap().0;
        assert!(!reveal(&mut elsewhere, &job) && hides(&elsewhere));
    }

    #[test]
    fn what_is_pasted_is_one_line_for_each_key() {
        let text = r#"{"address":"unix:///a%20%25b%3Fc?protocol=3","timeout":2,"labels":{"a b":"x\ny","c":"'\""},
            "thresholds":{"min_used_memory":"1500"}}"#;
        let job = payload::read(text, true, "x-1", &[]).unwrap();
        let pasted = yaml(&job);
        let want = "jobs:\n  - name: \"x-1\"\n    address: \"unix:///a %25b%3Fc?protocol=3\"\n    \
                    labels: {\"a b\":\"x\\ny\",\"c\":\"'\\\"\"}\n    thresholds:\n      \
                    min_used_memory: \"1500\"\n    timeout: 2\n";
        assert_eq!(pasted, want);
        let again = file::parse(&pasted, &[]);
        assert_eq!((again.problems.len(), &again.jobs[0]), (0, &job));
    }
}
