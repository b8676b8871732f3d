//! Virtual nodes: machines without an agent, of which a job's charts can be told.
//!
//! Pure: the text of Netdata's vnodes files to nodes, as go.d reads them
//! (framework/vnodes/vnodes.go of 2.10). Must not read files.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_saphyr::{Location, Spanned};

use super::problem::{Problem, Severity, in_order};
use super::raw::{RawVnode, Text};
use super::{known, yaml};

/// A machine that is charted here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vnode {
    /// What jobs call it.
    pub name: String,
    /// What the dashboard calls it.
    pub hostname: String,
    /// What agents know it by: a UUID in lower case.
    pub guid: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// The node that a job means: by its name, else by its hostname.
#[must_use]
pub fn named(vnodes: &[Arc<Vnode>], name: &str) -> Option<Arc<Vnode>> {
    let name = name.trim();
    let by_name = vnodes.iter().find(|node| node.name == name);
    let found = by_name.or_else(|| vnodes.iter().find(|node| node.hostname == name));
    found.map(Arc::clone)
}

/// Reads the text of one file.
#[must_use]
pub fn parse(text: &str) -> (Vec<Vnode>, Vec<Problem>) {
    let (mut nodes, mut problems) = (Vec::new(), Vec::new());
    match yaml::read::<Vec<Spanned<RawVnode>>>(&yaml::plain(text)) {
        Ok(raw) => {
            for entry in raw.unwrap_or_default() {
                match node(&entry.value, entry.referenced, &mut problems) {
                    Ok(node) => nodes.push(node),
                    Err(problem) => problems.push(problem),
                }
            }
        }
        Err(unread) => problems.push(unread.problem),
    }
    (nodes, in_order(problems))
}

fn problem(severity: Severity, at: Location, text: impl Into<String>) -> Problem {
    Problem {
        severity,
        line: at.line().max(1),
        column: at.column().max(1),
        text: text.into(),
    }
}

fn node(raw: &RawVnode, at: Location, problems: &mut Vec<Problem>) -> Result<Vnode, Problem> {
    for key in &raw.unknown {
        let told = known::unknown(&key.value, RawVnode::KEYS, &[]);
        problems.push(problem(Severity::Warning, key.defined, told));
    }
    let wanted = |text: &Option<Text>, told: &str| {
        let said = text.as_ref().filter(|text| !text.value.trim().is_empty());
        said.cloned()
            .ok_or_else(|| problem(Severity::Error, at, told))
    };
    let hostname = wanted(
        &raw.hostname,
        "no hostname; write hostname: and what to call the node",
    )?;
    let guid = wanted(&raw.guid, "no guid; write guid: and what uuidgen prints")?;
    let Some(guid_text) = uuid(&guid.value) else {
        let told = "not a UUID; write what uuidgen prints";
        return Err(problem(Severity::Error, guid.defined, told));
    };
    let hostname = hostname.value.trim().to_owned();
    let name = raw.name.as_ref().map(|name| name.value.trim());
    let labels = raw.labels.iter().flat_map(|labels| &labels.0);
    Ok(Vnode {
        name: name
            .filter(|name| !name.is_empty())
            .unwrap_or(&hostname)
            .to_owned(),
        hostname,
        guid: guid_text,
        labels: labels
            .filter_map(|(name, value)| Some((name.value.clone(), value.as_ref()?.value.clone())))
            .collect(),
    })
}

/// A UUID as agents take it (`uuid_parse` of libuuid): 8-4-4-4-12 hexadecimal digits.
/// Anything else ends the plugin.
fn uuid(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let mut parts = text.split('-');
    let right = [8, 4, 4, 4, 12].iter().all(|length| {
        parts.next().is_some_and(|part| {
            part.len() == *length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    });
    (right && parts.next().is_none()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_go_d_are_read() {
        let text = "- hostname: first\n  guid: 4ea21e84-93b4-418b-b83e-79397610cd6e\n  labels:\n    \
                    area: \"41\"\n- name: n\n  hostname: second\n  guid: 9486B0E1-b391-4d9a-bd88-\
                    5c703183f9b6\n";
        let (nodes, problems) = parse(text);
        assert_eq!(problems, []);
        assert_eq!(nodes[0].name, "first");
        assert_eq!(nodes[0].labels["area"], "41");
        assert_eq!(nodes[1].guid, "9486b0e1-b391-4d9a-bd88-5c703183f9b6");
        let nodes: Vec<Arc<Vnode>> = nodes.into_iter().map(Arc::new).collect();
        let found = |name| named(&nodes, name).map(|node| node.hostname.clone());
        assert_eq!(found("n").as_deref(), Some("second"));
        assert_eq!(found("second").as_deref(), Some("second"));
        assert_eq!(found("third"), None);
    }

    #[test]
    fn a_mistake_costs_its_node() {
        let text = "- hostname: a\n- hostname: b\n  guid: 7\n- guid: x\n- hostname: good\n  guid: \
                    4ea21e84-93b4-418b-b83e-79397610cd6e\n  colour: red\n";
        let (nodes, problems) = parse(text);
        assert_eq!(nodes.len(), 1);
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        for (place, start) in [
            "1:3: error: no guid",
            "3:9: error: not a UUID",
            "4:3: error: no hostname",
            "7:3: warning: unknown key colour",
        ]
        .iter()
        .enumerate()
        {
            assert!(told[place].starts_with(start), "{told:?}");
        }
        assert_eq!(parse("").0, []);
        assert_eq!(parse("jobs: 1").1.len(), 1);
    }
}
