//! The text of a configuration file to jobs and problems.
//!
//! Pure. A mistake costs its job and is told with line and column; what is told
//! never repeats a value, which may be a secret. Must not read files.

use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::Arc;
use std::time::Duration;

use serde_saphyr::{Location, Spanned};

use crate::model::charts::LABELS;
use crate::model::families::Families;
use crate::model::thresholds::Thresholds;

use super::address::{Address, Options};
use super::job::{Credentials, Job, Secret};
use super::login;
use super::problem::in_order;
use super::raw::{RawDiscovery, RawFile, RawJob, RawLabels, RawThresholds, Text};
use super::reference::{Reference, Template};
use super::tls::{self, Tls};
use super::values::{interval, or_default, positive, timeout, whole, yes_or_no};
use super::vnodes::{self, Vnode};
use super::{known, salvage, units, yaml};

pub use super::problem::{Problem, Severity};

/// Begins a key at the margin that holds a shared part for anchors, as in
/// compose files.
const SHARED: &str = "x-";

/// Longer than the alert on an instance that does not answer waits, so that a crash
/// is told before it is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// Where a job without an address leads: go.d's default.
const DEFAULT_ADDRESS: &str = "redis://localhost:6379";

/// What a file says.
#[derive(Debug)]
pub struct Parsed {
    /// Jobs that can be run.
    pub jobs: Vec<Job>,
    /// What is wrong, in the order of the lines.
    pub problems: Vec<Problem>,
    /// Whether to look for instances on this machine: said, or for want of jobs.
    pub discover: bool,
    /// How long an instance that was found is missed before it is forgotten.
    pub forget_after: Duration,
    /// Whether the jobs of go.d's redis.conf are taken too.
    pub import_go_d: bool,
}

impl Default for Parsed {
    fn default() -> Self {
        Self {
            jobs: Vec::new(),
            problems: Vec::new(),
            discover: false,
            forget_after: FORGET_AFTER,
            import_go_d: false,
        }
    }
}

/// What a reference stands for, or why that is not known.
pub type Resolve<'a> = &'a dyn Fn(&Reference) -> Result<Secret, String>;

/// Reads a file's text, of which only credentials may refer to secrets. `vnodes` are
/// those that a job may name.
#[must_use]
pub fn parse(text: &str, vnodes: &[Arc<Vnode>]) -> Parsed {
    let nobody = |reference: &Reference| Err(format!("{reference} has no meaning here"));
    parse_with(text, vnodes, &nobody)
}

/// The same; credentials stay references, and those elsewhere are resolved.
#[must_use]
pub fn parse_with(text: &str, vnodes: &[Arc<Vnode>], resolve: Resolve<'_>) -> Parsed {
    let text = &yaml::plain(text);
    let mut reader = Reader::new(vnodes, resolve);
    match yaml::read(text) {
        Ok(raw) => reader.file(raw.unwrap_or_default()),
        Err(unread) => {
            let (raw, problems) = salvage::read(text, unread.problem);
            reader.broken = true;
            reader.parsed.problems = problems;
            reader.file(raw.unwrap_or_default());
        }
    }
    reader.done()
}

/// What every job of a file inherits.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Defaults {
    update_every: Option<u32>,
    autodetection_retry: Option<u32>,
    priority: Option<u32>,
    charts: Option<Families>,
}

pub(super) struct Reader<'a> {
    resolve: Resolve<'a>,
    pub(super) parsed: Parsed,
    /// The names of jobs, and each as go.d has it.
    pub(super) names: BTreeMap<String, String>,
    /// The name of the job that is being read, as go.d has it.
    pub(super) said: String,
    vnodes: &'a [Arc<Vnode>],
    local: Option<bool>,
    jobs_listed: bool,
    /// An address stands where none can be.
    stray_address: bool,
    /// Whether there was an error: in the file, and while a job is read in it.
    pub(super) broken: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(vnodes: &'a [Arc<Vnode>], resolve: Resolve<'a>) -> Self {
        Self {
            resolve,
            parsed: Parsed::default(),
            names: BTreeMap::new(),
            said: String::new(),
            vnodes,
            local: None,
            jobs_listed: false,
            stray_address: false,
            broken: false,
        }
    }

    /// The text with the values of its references in their places.
    pub(super) fn filled(&self, text: &str) -> Result<String, String> {
        let filled = Template::parse(text)?.filled(self.resolve)?;
        Ok(filled.reveal().to_owned())
    }

    pub(super) fn error(&mut self, at: Location, text: impl Into<String>) {
        self.broken = true;
        self.problem(Severity::Error, at, text);
    }

    pub(super) fn problem(&mut self, severity: Severity, at: Location, text: impl Into<String>) {
        self.parsed.problems.push(Problem {
            severity,
            line: at.line().max(1),
            column: at.column().max(1),
            text: text.into(),
        });
    }

    /// The value, or the problem told where the value stands.
    pub(super) fn value<T>(
        &mut self,
        text: Option<&Text>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.unfilled(text, |reader, text| read(&reader.filled(text)?))
    }

    /// The value of a text whose references `read` takes care of.
    pub(super) fn unfilled<T>(
        &mut self,
        text: Option<&Text>,
        read: impl Fn(&Self, &str) -> Result<T, String>,
    ) -> Option<T> {
        let text = text?;
        match read(self, &text.value) {
            Ok(value) => Some(value),
            Err(told) => {
                self.error(text.defined, told);
                None
            }
        }
    }

    /// Tells the keys that nobody knows, and the ones that stand twice.
    pub(super) fn keys(
        &mut self,
        unknown: &[Text],
        twice: &[Text],
        known: &[&str],
        deeper: &[&str],
    ) {
        for key in unknown {
            match known::of_go_d(&key.value) {
                Some(told) => self.problem(Severity::Note, key.defined, told),
                None => {
                    let told = known::unknown(&key.value, known, deeper);
                    self.problem(Severity::Warning, key.defined, told);
                }
            }
        }
        for key in twice {
            self.error(key.defined, yaml::twice(&key.value));
        }
    }

    fn file(&mut self, mut raw: RawFile) {
        raw.unknown.retain(|key| !key.value.starts_with(SHARED));
        self.keys(&raw.unknown, &raw.twice, RawFile::KEYS, RawJob::KEYS);
        self.stray_address = raw.unknown.iter().any(is_address);
        let defaults = Defaults {
            update_every: self
                .value(raw.update_every.as_ref(), or_default(1, interval))
                .flatten(),
            autodetection_retry: self
                .value(raw.autodetection_retry.as_ref(), or_default(0, whole))
                .flatten(),
            priority: self
                .value(raw.priority.as_ref(), or_default(1, whole))
                .flatten(),
            charts: self.charts(raw.charts.as_ref()),
        };
        if let Some(discovery) = raw.discovery {
            self.discovery(&discovery);
        }
        let import = self.value(raw.import_go_d.as_ref(), yes_or_no);
        self.parsed.import_go_d = import.unwrap_or_default();
        for job in raw.jobs.unwrap_or_default() {
            self.jobs_listed = true;
            let before = std::mem::take(&mut self.broken);
            let at = job.referenced;
            if let Some(job) = self.job(job, defaults).filter(|_| !self.broken) {
                self.take(job, at);
            }
            self.broken |= before;
        }
    }

    fn discovery(&mut self, raw: &RawDiscovery) {
        self.keys(&raw.unknown, &raw.twice, RawDiscovery::KEYS, &[]);
        self.local = self.value(raw.local.as_ref(), yes_or_no);
        let forget_after = self.value(raw.forget_after.as_ref(), interval);
        if let Some(seconds) = forget_after {
            self.parsed.forget_after = Duration::from_secs(u64::from(seconds));
        }
    }

    /// Reads all of a job, so that all its problems are told at once.
    pub(super) fn job(&mut self, raw: Spanned<RawJob>, defaults: Defaults) -> Option<Job> {
        let (at, raw) = (raw.referenced, raw.value);
        self.keys(&raw.unknown, &raw.twice, RawJob::KEYS, &[]);
        let name = self.name(raw.name.as_ref(), at);
        let sentinel = raw.sentinel.as_ref().map(|raw| self.sentinel(raw, at));
        let cluster = self.value(raw.cluster.as_ref(), yes_or_no);
        self.one_way(&raw);
        let address = match &raw.address {
            Some(text) => self.unfilled(Some(text), |reader, text| {
                login::address(text, |text| reader.filled(text))
            }),
            // Where the first of them is stands for it.
            None if sentinel.is_some() => sentinel.as_ref().and_then(|(sentinel, options)| {
                let address = sentinel.addresses.first()?.clone();
                Some((address, Credentials::default(), options.clone()))
            }),
            // It was meant to have one, so that the default would be another's.
            None if self.stray_address || raw.unknown.iter().any(is_address) => {
                let told = "no address; write address: redis://host:port or unix:///path";
                self.error(at, told);
                None
            }
            None => {
                let told = format!(
                    "no address, so {DEFAULT_ADDRESS} is taken; write address: redis://host:port \
                     or unix:///path"
                );
                self.problem(Severity::Warning, at, told);
                Address::parse(DEFAULT_ADDRESS).ok()
            }
        };
        let vnode = raw.vnode.as_ref().filter(|name| !name.value.is_empty());
        let vnode = self.vnode(vnode);
        let malloc_stats_every = self.value(raw.malloc_stats_every.as_ref(), whole);
        let size_classes = self.value(raw.size_classes.as_ref(), yes_or_no);
        let tls = self.tls(&raw, at);
        let thresholds = self.thresholds(&raw.thresholds.unwrap_or_default());
        let template = |_: &Self, text: &str| Template::parse(text);
        let username = self.unfilled(raw.username.as_ref(), template);
        let password = self.unfilled(raw.password.as_ref(), template);
        let timeout = self.value(raw.timeout.as_ref(), timeout);
        let update_every = self
            .value(raw.update_every.as_ref(), or_default(1, interval))
            .flatten();
        let retry = self
            .value(raw.autodetection_retry.as_ref(), or_default(0, whole))
            .flatten();
        let priority = self
            .value(raw.priority.as_ref(), or_default(1, whole))
            .flatten();
        let charts = self.charts(raw.charts.as_ref());
        let labels = self.labels(raw.labels.unwrap_or_default());
        let (address, credentials, options) = address?;
        let mut job = Job::new(&name?, address);
        job.tls = self.with_tls(&job.address, &options, tls, raw.address.as_ref());
        job.protocol = options.protocol;
        job.credentials = credentials;
        // As go.d has it (collector/redis/init.go): those in the address go first.
        let own = &mut job.credentials;
        own.username = own.username.take().or(username);
        own.password = own.password.take().or(password);
        if let (Some(_), None, Some(at)) = (&own.username, &own.password, &raw.username) {
            let told = "username without password: no user is sent; add password:";
            self.problem(Severity::Warning, at.referenced, told);
        }
        job.timeout = timeout.unwrap_or(job.timeout);
        job.update_every = update_every
            .or(defaults.update_every)
            .unwrap_or(job.update_every);
        job.autodetection_retry = retry.or(defaults.autodetection_retry).unwrap_or_default();
        job.priority = priority.or(defaults.priority).unwrap_or(job.priority);
        job.charts = charts.or(defaults.charts).unwrap_or_default();
        job.labels = labels;
        job.vnode = vnode;
        job.thresholds = thresholds;
        job.malloc_stats_every = malloc_stats_every.unwrap_or(job.malloc_stats_every);
        job.size_classes = size_classes.unwrap_or(job.size_classes);
        job.cluster = cluster.unwrap_or_default();
        job.sentinel = sentinel.map(|(sentinel, _)| sentinel);
        Some(job)
    }

    /// Its charts would be told of another machine: a job whose node is not known is none.
    fn vnode(&mut self, name: Option<&Text>) -> Option<Arc<Vnode>> {
        let text = name?;
        let told = "no virtual node of this name or hostname; add it to a file in the folder \
                    vnodes beside this one, or take the key away";
        let nodes = self.vnodes;
        self.value(Some(text), |name| {
            vnodes::named(nodes, name).ok_or_else(|| told.to_owned())
        })
    }

    /// The keys of TLS; `None` where none says anything.
    fn tls(&mut self, raw: &RawJob, job: Location) -> Option<Tls> {
        let file = |reader: &mut Self, text: &Option<Text>| {
            reader.value(text.as_ref(), tls::file).flatten()
        };
        let mut tls = Tls {
            ca: file(self, &raw.tls_ca),
            cert: file(self, &raw.tls_cert),
            key: file(self, &raw.tls_key),
            skip_verify: self
                .value(raw.tls_skip_verify.as_ref(), yes_or_no)
                .unwrap_or_default(),
            server_name: self
                .value(raw.tls_server_name.as_ref(), tls::server_name)
                .flatten(),
        };
        let said = |text: &&Text| !text.value.trim().is_empty();
        let cert = raw.tls_cert.as_ref().filter(said);
        let key = raw.tls_key.as_ref().filter(said);
        if let Err(told) = tls::pair(cert.is_some(), key.is_some()) {
            // go.d passes over one without the other (tlscfg/config.go).
            (tls.cert, tls.key) = (None, None);
            let at = cert.or(key).map_or(job, |text| text.referenced);
            self.problem(Severity::Warning, at, told);
        }
        Some(tls).filter(|tls| !tls.is_default())
    }

    /// TLS as the address and the keys have it.
    fn with_tls(
        &mut self,
        address: &Address,
        options: &Options,
        keys: Option<Tls>,
        at: Option<&Text>,
    ) -> Option<Tls> {
        match tls::together(address, options.tls.clone(), keys) {
            Ok(tls) => tls,
            Err(told) => {
                self.error(at?.referenced, told);
                None
            }
        }
    }

    fn thresholds(&mut self, raw: &RawThresholds) -> Thresholds {
        self.keys(&raw.unknown, &raw.twice, RawThresholds::KEYS, &[]);
        let mut thresholds = Thresholds::default();
        for (text, size) in [
            (&raw.min_used_memory, &mut thresholds.min_used_memory),
            (
                &raw.swap_min_used_memory,
                &mut thresholds.swap_min_used_memory,
            ),
        ] {
            *size = self.value(text.as_ref(), units::size).unwrap_or(*size);
        }
        for (text, number) in [
            (&raw.ratio, &mut thresholds.ratio),
            (
                &raw.allocator_frag_ratio,
                &mut thresholds.allocator_frag_ratio,
            ),
            (&raw.peak_factor, &mut thresholds.peak_factor),
            (&raw.defrag_hit_rate, &mut thresholds.defrag_hit_rate),
        ] {
            *number = self.value(text.as_ref(), positive).unwrap_or(*number);
        }
        thresholds
    }

    fn labels(&mut self, raw: RawLabels) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for (name, value) in raw.0 {
            if let Some(own) = LABELS
                .iter()
                .find(|own| own.eq_ignore_ascii_case(&name.value))
            {
                let told = format!("the label {own} is redis-frag's own; give yours another name");
                self.problem(Severity::Warning, name.defined, told);
                continue;
            }
            match labels.entry(name.value) {
                Entry::Vacant(free) => {
                    let value = self.value(value.as_ref(), |text| Ok(text.to_owned()));
                    value.map(|value| free.insert(value));
                }
                Entry::Occupied(taken) => self.error(name.defined, yaml::twice(taken.key())),
            }
        }
        labels
    }

    pub(super) fn done(mut self) -> Parsed {
        self.parsed.problems = in_order(self.parsed.problems);
        self.parsed.discover = self.local.unwrap_or(!self.jobs_listed && !self.broken);
        self.parsed
    }
}

fn is_address(key: &Text) -> bool {
    known::closest(&key.value, &["address"]).is_some()
}

#[cfg(test)]
mod tests;
