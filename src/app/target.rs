//! What a person at a shell means by a job, an address or nothing at all, and one
//! such instance asked.
//!
//! Must not know what becomes of a sample.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::cli::Access;
use crate::cli::alike::alike;
use crate::config::address::Address;
use crate::config::job::{Credentials, Job, clean_name};
use crate::config::login;
use crate::config::reference::Template;
use crate::config::same::is_same;
use crate::config::tls::{self, Tls};
use crate::model::history::History;
use crate::model::sample::Sample;
use crate::netdata::agent::Agent;
use crate::source::claims::ProcessId;
use crate::source::discover;
use crate::source::host::Kernel;
use crate::source::poll::Poller;
use crate::source::trouble::Trouble;

use super::report::words::clean;
use super::tellers;
use super::{Failure, block_on, check, configured, given};

/// Variable with a password, for where none is given otherwise.
const PASSWORD: &str = "REDIS_FRAG_PASSWORD";

/// A longer password file is none.
const LONGEST_PASSWORD: u64 = 4096;

/// How an instance came to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is a job of the configuration.
    Job,
    /// Its address was given.
    Address,
    /// A word was given that is no job, so it was taken for a host.
    Host,
    /// It was looked for.
    Discovered,
}

/// One instance to be asked, with what is known of it from before.
pub(super) struct Target {
    pub(super) job: Arc<Job>,
    pub(super) origin: Origin,
    /// The process that was found, where one was: there may be several ways to it.
    pub(super) process: Option<ProcessId>,
    pub(super) poller: Poller,
    pub(super) history: History,
    /// The job that may be meant by a word that is none.
    alike: Option<String>,
    /// Other ways to it, as long as none has worked.
    others: Vec<Job>,
}

impl Target {
    fn new(
        mut job: Job,
        origin: Origin,
        access: &Access,
        (kernel, epoch): (&Arc<Kernel>, Instant),
    ) -> Self {
        if let Some(timeout) = access.timeout {
            job.timeout = timeout;
        }
        let job = Arc::new(job);
        let poller = Poller::new(Arc::clone(&job), epoch).on_kernel(Arc::clone(kernel));
        let poller = poller.patiently().closely();
        Self {
            poller,
            others: job.alternatives.clone(),
            job,
            origin,
            process: None,
            history: History::default(),
            alike: None,
        }
    }

    /// Takes a sample within the job's timeout, over the first of its ways that works.
    pub(super) async fn ask(&mut self) -> Result<Sample, Trouble> {
        let first = match self.poller.collect(self.job.timeout).await {
            Ok(sample) => {
                self.others.clear();
                return Ok(sample);
            }
            Err(trouble) => trouble,
        };
        for other in std::mem::take(&mut self.others) {
            let other = Arc::new(other);
            self.poller.turn_to(Arc::clone(&other));
            if let Ok(sample) = self.poller.collect(other.timeout).await {
                self.job = other;
                return Ok(sample);
            }
        }
        self.poller.turn_to(Arc::clone(&self.job));
        Err(first)
    }

    /// A trouble in words that tell what to change at a shell.
    pub(super) fn told(&self, trouble: &Trouble) -> String {
        let secret = matches!(trouble, Trouble::NoPassword | Trouble::WrongPassword);
        let hint = match (self.origin, trouble) {
            (Origin::Address | Origin::Host | Origin::Discovered, _) if secret => {
                format!("; at a shell: --password-file FILE or the variable {PASSWORD}, --username")
            }
            (Origin::Address | Origin::Host, Trouble::Tls(_) | Trouble::BrokenHandshake(_)) => {
                "; at a shell the keys are options, as --tls-ca FILE".to_owned()
            }
            (Origin::Host, Trouble::Connect(_)) => {
                let alike = self.alike.as_ref();
                let meant = alike.map_or(String::new(), |name| format!("; did you mean {name}?"));
                format!(
                    "; no job of the configuration has this name, so it was taken for a host{meant}"
                )
            }
            _ => String::new(),
        };
        clean(&format!("{trouble}{hint}"))
    }

    /// How `redis-cli` reaches it, as typed at a shell.
    pub(super) fn client(&self) -> String {
        client(&self.job)
    }
}

/// How `redis-cli` reaches the instance of a job, as typed at a shell.
pub(super) fn client(job: &Job) -> String {
    let mut words = vec!["redis-cli".to_owned()];
    words.extend(job.tls.as_ref().map(by_tls).into_iter().flatten());
    let mut option = |name: &str, value: &str| words.extend([name.to_owned(), quoted(value)]);
    match &job.address {
        Address::Tcp { host, port } => {
            if !["127.0.0.1", "localhost"].contains(&host.as_str()) {
                option("-h", host);
            }
            if *port != 6379 {
                option("-p", &port.to_string());
            }
        }
        Address::Unix(path) => option("-s", &path.display().to_string()),
    }
    let credentials = &job.credentials;
    if credentials.password.is_some() {
        if let Some(name) = &credentials.username {
            // Nobody here knows what a reference stands for.
            option("--user", name.reveal().unwrap_or("USERNAME"));
        }
        words.push("--askpass".to_owned());
    }
    words.join(" ")
}

/// The options of `redis-cli` for TLS.
fn by_tls(tls: &Tls) -> Vec<String> {
    let file = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let mut words = vec!["--tls".to_owned()];
    for (name, value) in [
        ("--cacert", file(&tls.ca)),
        ("--cert", file(&tls.cert)),
        ("--key", file(&tls.key)),
        ("--sni", tls.server_name.clone()),
    ] {
        if let Some(value) = value {
            words.extend([name.to_owned(), quoted(&value)]);
        }
    }
    if tls.skip_verify {
        words.push("--insecure".to_owned());
    }
    words
}

/// A word for a shell.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The instances that are meant: those named, or all jobs, or what listens here;
/// with `malloc_stats` each is asked how it was built.
pub(super) fn all(
    agent: &Agent,
    named: &[String],
    access: &Access,
    malloc_stats: bool,
) -> Result<Vec<Target>, Failure> {
    let (given, tls) = (given(access)?, given_tls(access)?);
    let epoch = Instant::now();
    let kernel = Arc::new(Kernel::new(agent.host_prefix.as_deref()));
    let target = |(job, origin)| {
        let mut target = Target::new(job, origin, access, (&kernel, epoch));
        if malloc_stats || target.job.malloc_stats_every > 0 {
            target.poller.ask_build();
        }
        target
    };
    // An address needs no configuration, and none of its mistakes told.
    if !named.is_empty() && named.iter().all(|word| is_address(word)) {
        let jobs: Result<Vec<Job>, Failure> = named
            .iter()
            .enumerate()
            .map(|(place, word)| by_address(place, word, &given, tls.as_ref()))
            .collect();
        return Ok(jobs?
            .into_iter()
            .map(|job| target((job, Origin::Address)))
            .collect());
    }
    let loaded = check::load(agent);
    configured::tell(&loaded);
    let jobs: Vec<Job> = loaded.jobs().map(|(job, _)| job.clone()).collect();
    if named.is_empty() {
        let local = loaded.parsed.discover || jobs.is_empty();
        let found = if local {
            found(&kernel, &given)
        } else {
            Vec::new()
        };
        let named = |found: &Job| {
            let same = |job: &Job| is_same(&job.address, &found.address);
            jobs.iter().any(same)
        };
        let found = found.into_iter().filter(|(job, _)| !named(job));
        let found: Vec<Target> = found
            .map(|(job, process)| Target {
                process,
                ..target((job, Origin::Discovered))
            })
            .collect();
        let jobs = expanded(jobs)?.into_iter().map(|job| (job, Origin::Job));
        return Ok(jobs.map(target).chain(found).collect());
    }
    let mut targets = Vec::new();
    for (place, word) in named.iter().enumerate() {
        let is_meant = |job: &&Job| job.name == *word || job.name == clean_name(word);
        let meant = if is_address(word) {
            (
                by_address(place, word, &given, tls.as_ref())?,
                Origin::Address,
            )
        } else if let Some(job) = jobs.iter().find(is_meant) {
            let meant = expanded(vec![job.clone()])?.into_iter();
            targets.extend(meant.map(|job| target((job, Origin::Job))));
            continue;
        } else if let Some(job) = member(&jobs, is_meant)? {
            (job, Origin::Job)
        } else if let Some(job) = by_found_name(&kernel, &given, is_meant) {
            (job, Origin::Address)
        } else {
            (by_address(place, word, &given, tls.as_ref())?, Origin::Host)
        };
        let mut meant = target(meant);
        if meant.origin == Origin::Host {
            let names = jobs.iter().map(|job| job.name.as_str());
            let likest = alike(word, names).first().copied();
            meant.alike = likest.map(str::to_owned);
        }
        targets.push(meant);
    }
    Ok(targets)
}

/// The one instance that is meant, where there must be one.
pub(super) fn only(mut targets: Vec<Target>) -> Result<Target, Failure> {
    if targets.len() > 1 {
        let names: Vec<String> = targets
            .iter()
            .map(|target| clean(&target.job.name))
            .collect();
        let told = format!(
            "these are several instances; name one: {}",
            names.join(", ")
        );
        return Err(Failure::Usage(told));
    }
    let none = || Failure::Usage("no instance named".to_owned());
    targets.pop().ok_or_else(none)
}

/// Jobs, with all members in the place of one that stands for several. Where they are not
/// to be had, what was named stands for them.
fn expanded(jobs: Vec<Job>) -> Result<Vec<Job>, Failure> {
    if !jobs.iter().any(tellers::is_fleet) {
        return Ok(jobs);
    }
    block_on(async {
        let mut all = Vec::new();
        for job in jobs {
            if !tellers::is_fleet(&job) {
                all.push(job);
                continue;
            }
            match tellers::members(&Arc::new(job.clone())).await {
                Ok(members) => all.extend(members),
                Err(trouble) => {
                    let name = &job.name;
                    log::warn!("job {name}: who its members are is not to be had: {trouble}");
                    all.push(job);
                }
            }
        }
        Ok(all)
    })
}

/// A member by its name, which begins with that of its job.
fn member(jobs: &[Job], is_meant: impl Fn(&&Job) -> bool) -> Result<Option<Job>, Failure> {
    let fleets = jobs.iter().filter(|job| tellers::is_fleet(job)).cloned();
    let members = expanded(fleets.collect())?;
    Ok(members.iter().find(is_meant).cloned())
}

/// What no name of a job can be.
fn is_address(word: &str) -> bool {
    word.contains([':', '/'])
}

/// The ways to all instances of this machine that can be found, and to which process
/// each leads.
fn found(kernel: &Kernel, given: &Credentials) -> Vec<(Job, Option<ProcessId>)> {
    let with = |job: Job| Job {
        credentials: given.clone(),
        ..job
    };
    let candidates = discover::candidates(kernel, |_| false).into_iter();
    let ways = candidates.flat_map(|candidate| {
        let process = candidate.process.map(|process| process.id());
        candidate.ways.into_iter().map(move |way| (way, process))
    });
    ways.map(|(way, process)| (with(way), process)).collect()
}

fn by_found_name(
    kernel: &Kernel,
    given: &Credentials,
    is_meant: impl Fn(&&Job) -> bool,
) -> Option<Job> {
    let mut found = found(kernel, given).into_iter().map(|(job, _)| job);
    found.find(|job| is_meant(&job))
}

fn by_address(
    place: usize,
    word: &str,
    given: &Credentials,
    keys: Option<&Tls>,
) -> Result<Job, Failure> {
    // The word itself may hold a password.
    let wrong = |told: String| Failure::Usage(format!("argument {}: {told}", place + 1));
    let read = login::address(word, |text| Ok(text.to_owned()));
    let (address, own, options) = read.map_err(wrong)?;
    let mut job = Job::new("", address);
    job.tls = tls::together(&job.address, options.tls, keys.cloned()).map_err(wrong)?;
    job.protocol = options.protocol;
    job.name = job.url();
    job.credentials = Credentials {
        username: own.username.or_else(|| given.username.clone()),
        password: own.password.or_else(|| given.password.clone()),
    };
    Ok(job)
}

/// Username and password as options and environment give them.
fn given(access: &Access) -> Result<Credentials, Failure> {
    let password = match &access.password_file {
        Some(path) => Some(password_in(path)?),
        None => std::env::var(PASSWORD).ok(),
    };
    Ok(Credentials {
        username: access.username.as_deref().map(Template::literal),
        password: password
            .filter(|password| !password.is_empty())
            .map(|password| Template::literal(&password)),
    })
}

/// TLS as options give it. A file's path is understood from here on.
fn given_tls(access: &Access) -> Result<Option<Tls>, Failure> {
    let given = &access.tls;
    let file = |path: &Option<PathBuf>| {
        let path = path.as_ref().map(std::path::absolute).transpose();
        path.map_err(|error| Failure::Usage(format!("a file of --tls: {error}")))
    };
    let tls = Tls {
        ca: file(&given.tls_ca)?,
        cert: file(&given.tls_cert)?,
        key: file(&given.tls_key)?,
        skip_verify: given.tls_skip_verify,
        server_name: given.tls_server_name.clone(),
    };
    Ok(Some(tls).filter(|tls| !tls.is_default()))
}

/// The first line of a file.
fn password_in(path: &Path) -> Result<String, Failure> {
    let told = |why: &str| Failure::Usage(format!("--password-file {}: {why}", path.display()));
    let bytes = given::secret(path, LONGEST_PASSWORD).map_err(|error| told(&error))?;
    let text = String::from_utf8(bytes).map_err(|_| told("not UTF-8 text; write it as such"))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(told("its first line is empty; write the password there"));
    }
    Ok(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_reaches_the_instance_it_is_meant_for() {
        for (address, want) in [
            ("127.0.0.1:6379", "redis-cli"),
            ("localhost:6380", "redis-cli -p 6380"),
            ("db.example:6379", "redis-cli -h db.example"),
            (
                "redis://me:pw@[::1]:7",
                "redis-cli -h ::1 -p 7 --user me --askpass",
            ),
            ("unix:///run/r.sock", "redis-cli -s /run/r.sock"),
            ("unix:///tmp/a%20b'$", "redis-cli -s '/tmp/a b'\\''$'"),
            ("rediss://h:6379", "redis-cli --tls -h h"),
            (
                "rediss://h?skip_verify=true",
                "redis-cli --tls --insecure -h h",
            ),
        ] {
            let job = by_address(0, address, &Credentials::default(), None)
                .ok()
                .unwrap();
            let access = Access::default();
            let kernel = Arc::new(Kernel::new(None));
            let place = (&kernel, Instant::now());
            let target = Target::new(job, Origin::Address, &access, place);
            assert_eq!(target.client(), want);
        }
    }
}
