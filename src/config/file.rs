//! The text of a configuration file to jobs and problems.
//!
//! Pure. A mistake costs its job and is told with line and column; what is told
//! never repeats a value, which may be a secret. Must not read files.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_saphyr::{Location, Spanned};

use crate::model::thresholds::Thresholds;

use super::address::Address;
use super::job::{self, Job, Secret};
use super::raw::{RawDiscovery, RawFile, RawJob, RawThresholds, Text};
use super::{salvage, units};

/// Keys that Netdata's collectors know and this version does not act on.
const NOT_YET: &[&str] = &[
    "tls_ca",
    "tls_cert",
    "tls_key",
    "tls_skip_verify",
    "tls_server_name",
    "vnode",
    "malloc_stats_every",
    "cluster",
    "sentinel",
    "import_go_d",
];

/// Longest wait for a server: an hour is a mistake, and so is nothing.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);

/// Whether a problem costs its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// What it stands at is not used.
    Error,
    /// It is used all the same.
    Warning,
}

/// Something wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether it costs its job.
    pub severity: Severity,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// What is wrong and what to write instead.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(
            f,
            "{}:{}: {severity}: {}",
            self.line, self.column, self.text
        )
    }
}

/// What a file says.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Jobs that can be run.
    pub jobs: Vec<Job>,
    /// What is wrong, in the order of the lines.
    pub problems: Vec<Problem>,
    /// Whether to look for instances on this machine: said, or for want of jobs.
    pub discover: bool,
}

/// Reads a file's text.
#[must_use]
pub fn parse(text: &str) -> Parsed {
    let mut reader = Reader::default();
    match read(text) {
        Ok(raw) => reader.file(raw),
        Err(problem) => {
            reader.problem(problem);
            // The mistake costs the whole text, so each job is read as if it
            // stood alone.
            for alone in salvage::jobs(text) {
                match read(&alone) {
                    Ok(raw) => reader.file(raw),
                    Err(problem) => reader.problem(problem),
                }
            }
        }
    }
    reader.done()
}

fn read(text: &str) -> Result<RawFile, Problem> {
    // Snippets would print the lines around a mistake, passwords and all.
    let options = serde_saphyr::options! { with_snippet: false };
    let raw = serde_saphyr::from_str_with_options::<Option<RawFile>>(text, options);
    raw.map(Option::unwrap_or_default).map_err(|error| {
        let (line, column) = error
            .location()
            .map_or((1, 1), |at| (at.line(), at.column()));
        let told = error.to_string();
        let text = told.split(" at line ").next().unwrap_or(&told).to_owned();
        Problem {
            severity: Severity::Error,
            line,
            column,
            text,
        }
    })
}

fn problem(severity: Severity, at: Location, text: impl Into<String>) -> Problem {
    Problem {
        severity,
        line: at.line(),
        column: at.column(),
        text: text.into(),
    }
}

/// What every job of a file inherits.
#[derive(Debug, Default, Clone, Copy)]
struct Defaults {
    update_every: Option<u32>,
    autodetection_retry: Option<u32>,
    priority: Option<u32>,
}

#[derive(Default)]
struct Reader {
    parsed: Parsed,
    local: Option<bool>,
    jobs_listed: bool,
}

impl Reader {
    fn problem(&mut self, problem: Problem) {
        if !self.parsed.problems.contains(&problem) {
            self.parsed.problems.push(problem);
        }
    }

    /// The value, or the problem told.
    fn value<T>(
        &mut self,
        text: Option<&Text>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = text?;
        match read(&text.value) {
            Ok(value) => Some(value),
            Err(told) => {
                self.problem(problem(Severity::Error, text.referenced, told));
                None
            }
        }
    }

    fn unknown(&mut self, keys: &[Text], known: &[&str]) {
        for key in keys {
            let told = if NOT_YET.contains(&key.value.as_str()) {
                format!("{} has no effect in this version", key.value)
            } else {
                format!("unknown key; known here: {}", known.join(", "))
            };
            self.problem(problem(Severity::Warning, key.referenced, told));
        }
    }

    fn file(&mut self, raw: RawFile) {
        self.unknown(&raw.unknown, RawFile::KEYS);
        let defaults = Defaults {
            update_every: self.value(raw.update_every.as_ref(), interval),
            autodetection_retry: self.value(raw.autodetection_retry.as_ref(), whole),
            priority: self.value(raw.priority.as_ref(), whole),
        };
        if let Some(discovery) = raw.discovery {
            self.discovery(&discovery);
        }
        for job in raw.jobs.unwrap_or_default() {
            self.jobs_listed = true;
            self.job(job, defaults);
        }
    }

    fn discovery(&mut self, raw: &RawDiscovery) {
        self.unknown(&raw.unknown, RawDiscovery::KEYS);
        if let Some(local) = self.value(raw.local.as_ref(), yes_or_no) {
            self.local = Some(local);
        }
    }

    /// Takes a job, unless something in it is wrong.
    fn job(&mut self, raw: Spanned<RawJob>, defaults: Defaults) {
        let (at, raw) = (raw.referenced, raw.value);
        let errors = self.errors();
        self.unknown(&raw.unknown, RawJob::KEYS);
        let name = self.name(raw.name.as_ref(), at);
        let address = self.value(raw.address.as_ref(), Address::parse);
        if raw.address.is_none() {
            let told = "no address; write address: redis://host:port or unix:///path";
            self.problem(problem(Severity::Error, at, told));
        }
        let thresholds = self.thresholds(raw.thresholds.unwrap_or_default());
        let username = self.value(raw.username.as_ref(), credential);
        let password = self.value(raw.password.as_ref(), credential);
        let timeout = self.value(raw.timeout.as_ref(), timeout);
        let update_every = self.value(raw.update_every.as_ref(), interval);
        let retry = self.value(raw.autodetection_retry.as_ref(), whole);
        let priority = self.value(raw.priority.as_ref(), whole);
        let labels = self.labels(raw.labels.unwrap_or_default());
        let (Some(name), Some((address, credentials))) = (name, address) else {
            return;
        };
        if self.errors() > errors {
            return;
        }
        let mut job = Job::new(&name, address);
        job.credentials = credentials;
        job.credentials.username = username.or(job.credentials.username);
        job.credentials.password = password.map(Secret::new).or(job.credentials.password);
        job.timeout = timeout.unwrap_or(job.timeout);
        job.update_every = update_every
            .or(defaults.update_every)
            .unwrap_or(job.update_every);
        job.autodetection_retry = retry.or(defaults.autodetection_retry).unwrap_or_default();
        job.priority = priority.or(defaults.priority).unwrap_or(job.priority);
        job.labels = labels;
        job.thresholds = thresholds;
        self.parsed.jobs.push(job);
    }

    fn name(&mut self, name: Option<&Text>, job: Location) -> Option<String> {
        let Some(text) = name.filter(|name| !name.value.trim().is_empty()) else {
            let at = name.map_or(job, |name| name.referenced);
            self.problem(problem(
                Severity::Error,
                at,
                "no name; write name: and what to call it",
            ));
            return None;
        };
        let name = job::clean_name(&text.value);
        if self.parsed.jobs.iter().any(|job| job.name == name) {
            let told = "another job has this name; give each its own";
            self.problem(problem(Severity::Error, text.referenced, told));
            return None;
        }
        Some(name)
    }

    fn thresholds(&mut self, raw: RawThresholds) -> Thresholds {
        self.unknown(&raw.unknown, RawThresholds::KEYS);
        let mut thresholds = Thresholds::default();
        if let Some(bytes) = self.value(raw.min_used_memory.as_ref(), units::size) {
            thresholds.min_used_memory = bytes;
        }
        thresholds
    }

    fn labels(&mut self, raw: BTreeMap<String, Text>) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for (name, value) in raw {
            if job::OWN_LABELS.contains(&name.as_str()) {
                let told = format!("the label {name} is redis-frag's own; give yours another name");
                self.problem(problem(Severity::Warning, value.referenced, told));
            } else {
                labels.insert(name, value.value);
            }
        }
        labels
    }

    fn errors(&self) -> usize {
        self.parsed
            .problems
            .iter()
            .filter(|p| p.severity == Severity::Error)
            .count()
    }

    fn done(mut self) -> Parsed {
        self.parsed
            .problems
            .sort_by_key(|problem| (problem.line, problem.column));
        let broken = self.errors() > 0;
        self.parsed.discover = self.local.unwrap_or(!self.jobs_listed && !broken);
        self.parsed
    }
}

fn interval(text: &str) -> Result<u32, String> {
    let seconds = text
        .trim()
        .parse()
        .ok()
        .filter(|seconds| (1..=86_400).contains(seconds));
    seconds.ok_or_else(|| "not an interval; write seconds, 1 or more".to_owned())
}

fn whole(text: &str) -> Result<u32, String> {
    text.trim()
        .parse()
        .map_err(|_| "not a whole number; write 0 or more".to_owned())
}

fn timeout(text: &str) -> Result<Duration, String> {
    let time = units::duration(text)?;
    if TIMEOUTS.contains(&time) {
        return Ok(time);
    }
    Err("a timeout is between 10ms and 60 seconds".to_owned())
}

fn credential(text: &str) -> Result<String, String> {
    if text.starts_with("${") {
        let told = "references such as ${env:NAME} are not supported by this version; \
                    write the value itself";
        return Err(told.to_owned());
    }
    Ok(text.to_owned())
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" => Ok(true),
        "no" | "false" | "off" => Ok(false),
        _ => Err("write yes or no".to_owned()),
    }
}
