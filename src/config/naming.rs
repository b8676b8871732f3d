//! What jobs are called, and which of them mean one instance.
//!
//! Pure. Must not know what else a job says.

use serde_saphyr::Location;

use super::file::Reader;
use super::job::{self, Job};
use super::problem::Severity;
use super::raw::Text;

/// What a job without a name is called: as the collector, as go.d has it.
const DEFAULT_NAME: &str = "redis";

impl Reader<'_> {
    pub(super) fn name(&mut self, name: Option<&Text>, job: Location) -> Option<String> {
        let Some(text) = name else {
            let told =
                format!("no name, so {DEFAULT_NAME} is taken; write name: and what to call it");
            self.problem(Severity::Warning, job, told);
            DEFAULT_NAME.clone_into(&mut self.said);
            return Some(DEFAULT_NAME.to_owned());
        };
        if text.value.trim().is_empty() {
            self.error(text.referenced, "no name; write name: and what to call it");
            return None;
        }
        self.said = as_go_d_has_it(&text.value);
        self.value(Some(text), |text| match job::clean_name(text) {
            name if name.is_empty() => Err("its value is empty; give the job a name".to_owned()),
            name => Ok(name),
        })
    }

    /// Jobs of one name are ways to one instance, as in go.d's files. That none of them
    /// is there is no outage: they say where it may be.
    pub(super) fn take(&mut self, mut job: Job, at: Location) {
        self.tell_apart(&mut job, at);
        let mut before = self.parsed.jobs.iter_mut();
        let Some(first) = before.find(|first| first.name == job.name) else {
            self.parsed.jobs.push(job);
            return;
        };
        if first.sentinel.is_some() || job.sentinel.is_some() {
            let told = "a job with sentinel: cannot share its name; give each its own name";
            self.error(at, told);
            return;
        }
        // More nodes of one cluster that can be asked who belongs to it.
        first.cluster |= job.cluster;
        first.quiet = true;
        job.quiet = true;
        let told = format!(
            "another job above is called {} too: the first of them that answers is watched; if \
             they are different instances, give each its own name",
            job.name
        );
        first.alternatives.push(job);
        self.problem(Severity::Note, at, told);
    }

    /// Two names that only chart ids cannot tell apart are two instances.
    fn tell_apart(&mut self, job: &mut Job, at: Location) {
        let said = std::mem::take(&mut self.said);
        let known = self.names.iter().find(|(_, other)| **other == said);
        if let Some((name, _)) = known {
            job.name.clone_from(name);
            return;
        }
        let wanted = job.name.clone();
        let mut number = 1;
        while self.names.contains_key(&job.name) {
            number += 1;
            job.name = format!("{wanted}_{number}");
        }
        if number > 1 {
            let told = format!(
                "another job's name differs from this only in what chart ids cannot hold, so this \
                 is called {}; give it a name of letters, digits, - and _",
                job.name
            );
            self.problem(Severity::Warning, at, told);
        }
        self.names.insert(job.name.clone(), said);
    }
}

/// A name as go.d cleans it (`cleanName` of confgroup/config.go, 2.10): runs of white
/// space, of dots and of colons become `_`.
fn as_go_d_has_it(name: &str) -> String {
    let kind = |c: char| match c {
        '.' | ':' => Some(c),
        c if c.is_whitespace() => Some(' '),
        _ => None,
    };
    let mut clean = String::new();
    let mut run = None;
    for c in name.chars() {
        match kind(c) {
            None => clean.push(c),
            kind if kind == run => continue,
            _ => clean.push('_'),
        }
        run = kind(c);
    }
    clean
}
