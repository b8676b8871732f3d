//! A job as the dashboard sends it: JSON of a form, or YAML.
//!
//! Pure. Read by the same reader as the file; what is wrong becomes one sentence that
//! names keys and never repeats a value, which may be a secret.

use std::fmt::Write;
use std::sync::Arc;

use serde_json::{Map, Value};
use serde_saphyr::{Location, Spanned};

use super::file::{Defaults, Reader};
use super::job::{Job, Secret};
use super::known::named;
use super::problem::{Problem, Severity};
use super::raw::RawJob;
use super::reference::Reference;
use super::vnodes::Vnode;
use super::yaml;

/// Problems that are told; a form shows one line.
const MOST_TOLD: usize = 5;

/// Reads a job that is called `name`, whatever the text itself says. `vnodes` are those
/// that it may name.
///
/// # Errors
/// All that is wrong, in one sentence for each.
pub fn read(text: &str, is_json: bool, name: &str, vnodes: &[Arc<Vnode>]) -> Result<Job, String> {
    let text = &if is_json {
        plain(text)?
    } else {
        yaml::plain(text)
    };
    let raw = match yaml::read::<Spanned<RawJob>>(text) {
        Ok(Some(raw)) => raw,
        Ok(None) => Spanned::new(RawJob::default(), Location::UNKNOWN, Location::UNKNOWN),
        Err(unread) => return Err(told(text, &[unread.problem])),
    };
    let (job, problems) = called(raw, name, vnodes);
    job.ok_or_else(|| told(text, &problems))
}

/// Reads one job that stands alone and is called by another's word.
fn called(
    mut raw: Spanned<RawJob>,
    name: &str,
    vnodes: &[Arc<Vnode>],
) -> (Option<Job>, Vec<Problem>) {
    let (at, placed) = (raw.referenced, raw.defined);
    raw.value.name = Some(Spanned::new(name.to_owned(), at, placed));
    let mut reader = Reader::new(vnodes, &elsewhere);
    let job = reader.job(raw, Defaults::default());
    let job = job.filter(|_| !reader.broken);
    (job, reader.done().problems)
}

/// What a login refers to is read when it is needed. Anything else would have to be read
/// now, and be shown with the job.
fn elsewhere(_: &Reference) -> Result<Secret, String> {
    Err("references are for username, password and the user in an address".to_owned())
}

/// JSON as YAML reads it. Forms send every field: what is empty is not set.
fn plain(text: &str) -> Result<String, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("no JSON from line {line}, column {column} on")
    })?;
    let Value::Object(members) = value else {
        return Err("a JSON object is wanted, with keys such as address".to_owned());
    };
    let members = Value::Object(filled(members));
    let text = serde_json::to_string_pretty(&members).unwrap_or_default();
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        // Inside of quotes alone, where YAML knows both of these.
        let _ = match u32::from(c) {
            ..0x7f => plain.write_char(c),
            code @ 0x7f..=0xffff => write!(plain, "\\u{code:04x}"),
            code => write!(plain, "\\U{code:08x}"),
        };
    }
    Ok(plain)
}

/// The members that say something.
fn filled(members: Map<String, Value>) -> Map<String, Value> {
    let fill = |(key, value)| {
        let value = match value {
            Value::Object(members) => Value::Object(filled(members)),
            Value::Array(mut items) => {
                items.retain(|item| !is_empty(item));
                Value::Array(items)
            }
            other => other,
        };
        (!is_empty(&value)).then_some((key, value))
    };
    members.into_iter().filter_map(fill).collect()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// All errors in one sentence, each with the key that it is about.
fn told(text: &str, problems: &[Problem]) -> String {
    let errors = problems.iter().filter(|p| p.severity == Severity::Error);
    let mut sentences: Vec<String> = Vec::new();
    for problem in errors {
        let sentence = match key(text, problem.line) {
            Some(key) => format!("{key}: {}", problem.text),
            None => problem.text.clone(),
        };
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    let more = sentences.len().saturating_sub(MOST_TOLD);
    sentences.truncate(MOST_TOLD);
    if more > 0 {
        sentences.push(format!("and {more} more"));
    }
    sentences.join(". ")
}

/// The key that a line is about: its own, or of a list the one above.
fn key(text: &str, line: u64) -> Option<&str> {
    let line = usize::try_from(line).unwrap_or(usize::MAX);
    let above: Vec<&str> = text.lines().take(line).collect();
    above.into_iter().rev().find_map(own_key)
}

fn own_key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once(':')?;
    let key = key.trim_start_matches([' ', '-', '{', ',']).trim();
    let key = key
        .strip_prefix('"')
        .map_or(Some(key), |key| key.strip_suffix('"'))?;
    named(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::address::Address;
    use crate::config::file;
    use crate::config::reference::Template;

    const FULL: &str = include_str!("../../tests/fixtures/dyncfg/full.json");

    fn node() -> Arc<Vnode> {
        let vnode = Vnode::default();
        Arc::new(Vnode {
            name: "db-01".to_owned(),
            ..vnode
        })
    }

    fn json(text: &str) -> Result<Job, String> {
        read(text, true, "x", &[node()])
    }

    #[test]
    fn a_form_is_read_as_the_file_would_be() {
        let job = json(FULL).unwrap();
        assert_eq!(job.name, "x");
        let entry = FULL.replacen('{', "{ name: x,", 1).replace('\n', " ");
        let file = format!("jobs:\n  - {entry}");
        let of_file = file::parse(&file, &[node()]);
        assert_eq!(of_file.problems, [], "{file}");
        assert_eq!(job, of_file.jobs[0]);
    }

    #[test]
    fn what_a_form_leaves_empty_is_not_set() {
        let bare = Job::new("x", Address::parse("h:1").unwrap().0);
        for text in [
            r#"{"address":"redis://h:1"}"#,
            r#"{"address":"redis:\/\/h:1","name":"other","update_every":1,"timeout":1}"#,
            r#"{"address":"redis://h:1","password":"","username":null,"labels":{},
                "thresholds":{"ratio":null,"min_used_memory":""}}"#,
            r#"{"address":"redis://h:1","labels":null,"nobody_knows":[1,{"a":2}]}"#,
        ] {
            assert_eq!(json(text).as_ref(), Ok(&bare), "{text}");
        }
        let text = "address: redis://h:1\n# note\ntimeout: 1\nlabels:\n";
        assert_eq!(read(text, false, "x", &[]), Ok(bare));
    }

    #[test]
    fn all_that_is_wrong_is_told_with_its_key_and_without_its_value() {
        for (text, is_json, says) in [
            (
                "{\"address\":\"hunter2://h\"}",
                true,
                "address: unknown scheme",
            ),
            (
                "{\"address\":\"h\",\"update_every\":1.5,\"timeout\":\"hunter2\"}",
                true,
                "timeout: not a time; write it like 1, 0.5 or 500ms. update_every: not an interval",
            ),
            (
                "{\"address\":\"h\",\"thresholds\":{\"ratio\":-1}}",
                true,
                "ratio: not a number above 0",
            ),
            (
                "{\"address\":[\"hunter2\"]}",
                true,
                "address: one value is wanted",
            ),
            ("{\"adress\":\"h\"}", true, "no address"),
            (
                "{\"address\":\"h\",\"vnode\":\"hunter2\"}",
                true,
                "vnode: no virtual node",
            ),
            ("{", true, "no JSON from line 1, column 1 on"),
            ("[\"hunter2\"]", true, "a JSON object is wanted"),
            ("\"hunter2\"", true, "a JSON object is wanted"),
            (
                "address: h\nupdate_every: hunter2\n",
                false,
                "update_every: not an interval",
            ),
            ("hunter2: [", false, "a bracket that is not closed"),
            ("- hunter2", false, "keys with values are wanted"),
            ("a: &a hunter2\nb: *c", false, "no such anchor"),
        ] {
            let told = read(text, is_json, "x", &[]).unwrap_err();
            assert!(told.contains(says), "{text}: {told}");
            assert!(!told.contains("hunter2"), "{text}: {told}");
        }
    }

    proptest! {
        #[test]
        fn every_text_of_json_arrives(password in any::<String>(), label in ".{1,20}") {
            let value = serde_json::json!({
                "address": "h:1", "password": &password, "labels": { "of": &label },
            });
            let job = read(&value.to_string(), true, "x", &[]);
            if password.contains("${") {
                return Ok(());
            }
            let job = job.unwrap();
            let arrived = job.credentials.password.as_ref().and_then(Template::reveal);
            prop_assert_eq!(arrived.unwrap_or_default(), &password);
            prop_assert_eq!(job.labels.get("of"), Some(&label));
        }

        #[test]
        fn no_text_breaks_the_reader(text in any::<String>(), is_json in any::<bool>()) {
            // Whatever it is, it is a job or somebody is told why not.
            if let Err(told) = read(&text, is_json, "x", &[]) {
                prop_assert!(!told.trim().is_empty());
            }
        }
    }
}
