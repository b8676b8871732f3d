//! `redis-frag check-config --connect`: each job tried once, and what came of it.
//!
//! Pure but for the tries. Must not know how a job was configured.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;

use crate::config::job::Job;
use crate::model::defrag::State;
use crate::model::sample::Sample;
use crate::source::poll::Poller;
use crate::source::trouble::Trouble;

use super::progress::{Progress, Waiting};
use super::report::words::{clean, length};
use super::tellers;

/// What came of trying one way to an instance.
#[derive(Debug)]
pub(super) struct Tried {
    job: Arc<Job>,
    pub(super) outcome: Result<Sample, Trouble>,
}

/// Whether of each job at least one way leads to an answer.
pub(super) fn each_answers(tried: &[Tried]) -> bool {
    tried.iter().all(|one| {
        let mut ways = tried.iter().filter(|other| other.job.name == one.job.name);
        ways.any(|way| way.outcome.is_ok())
    })
}

/// Tries all ways of all jobs at once; in their order. A job that stands for several
/// instances is tried with each of them.
pub(super) async fn all<'a>(jobs: impl Iterator<Item = &'a Job>) -> Vec<Tried> {
    let epoch = Instant::now();
    let mut tries = JoinSet::new();
    let jobs: Vec<Arc<Job>> = jobs.cloned().map(Arc::new).collect();
    let waiting = Waiting::new(jobs.iter().map(|job| clean(&job.name)));
    let waiting = Arc::new(waiting);
    for (place, job) in jobs.into_iter().enumerate() {
        let (waiting, name) = (Arc::clone(&waiting), clean(&job.name));
        tries.spawn(async move {
            let tried = one(job, epoch).await;
            waiting.done(&name);
            (place, tried)
        });
    }
    let told = |time| waiting.told(time);
    let mut tried = Progress::new().during(tries.join_all(), told).await;
    tried.sort_by_key(|(place, _)| *place);
    tried.into_iter().flat_map(|(_, tried)| tried).collect()
}

/// All ways of a job, or all members of a fleet.
pub(super) async fn one(job: Arc<Job>, epoch: Instant) -> Vec<Tried> {
    let ways = if tellers::is_fleet(&job) {
        match tellers::members(&job).await {
            Ok(members) => members,
            Err(trouble) => {
                let outcome = Err(trouble);
                return vec![Tried { job, outcome }];
            }
        }
    } else {
        let ways = std::iter::once(&*job).chain(&job.alternatives);
        ways.cloned().collect()
    };
    let mut tries = JoinSet::new();
    for (place, job) in ways.into_iter().map(Arc::new).enumerate() {
        tries.spawn(async move {
            let mut poller = Poller::new(Arc::clone(&job), epoch);
            if job.size_classes {
                poller.ask_build();
            }
            let outcome = poller.collect(job.timeout).await;
            (place, Tried { job, outcome })
        });
    }
    let mut tried = tries.join_all().await;
    tried.sort_by_key(|(place, _)| *place);
    tried.into_iter().map(|(_, tried)| tried).collect()
}

/// Titles of the columns.
const TITLES: [&str; 9] = [
    "job",
    "address",
    "reachable",
    "authenticated",
    "permitted",
    "server",
    "version",
    "allocator",
    "defrag",
];

/// The table, and below it what is wrong with those that do not answer.
pub(super) fn table(tried: &[Tried]) -> String {
    let rows: Vec<[String; 9]> = tried.iter().map(cells).collect();
    let mut widths = TITLES.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = length(cell).max(*width);
        }
    }
    let mut out = String::new();
    for row in [TITLES.map(str::to_owned)].iter().chain(&rows) {
        let padded = row.iter().zip(&widths).map(|(cell, width)| {
            let gap = width.saturating_sub(length(cell));
            format!("{cell}{}", " ".repeat(gap))
        });
        let line = padded.collect::<Vec<_>>().join("  ");
        let _ = writeln!(out, "{}", line.trim_end());
    }
    for tried in tried {
        if let Err(trouble) = &tried.outcome {
            let (name, address) = (&tried.job.name, clean(&tried.job.url()));
            let _ = writeln!(out, "\n{name} ({address}): {}", clean(&trouble.to_string()));
        }
    }
    out
}

fn cells(tried: &Tried) -> [String; 9] {
    let [reachable, authenticated, permitted] = steps(&tried.outcome);
    let sample = tried.outcome.as_ref().ok();
    let server = sample.and_then(|sample| sample.server.as_ref());
    let known = |text: Option<String>| text.filter(|t| !t.is_empty()).unwrap_or("-".to_owned());
    [
        tried.job.name.clone(),
        clean(&tried.job.url()),
        reachable.to_owned(),
        authenticated.to_owned(),
        permitted.to_owned(),
        known(server.map(|server| server.flavour.name().to_owned())),
        known(server.and_then(|server| Some(server.version?.to_string()))),
        known(server.and_then(|server| Some(clean(server.allocator.as_deref()?)))),
        defrag(sample).to_owned(),
    ]
}

/// How far the way leads: connected, let in, allowed.
fn steps(outcome: &Result<Sample, Trouble>) -> [&'static str; 3] {
    match outcome {
        Ok(sample) if sample.config.enabled.is_none() => ["yes", "yes", "INFO, no CONFIG GET"],
        Ok(_) => ["yes", "yes", "yes"],
        Err(Trouble::NoPassword | Trouble::WrongPassword) => ["yes", "no", "-"],
        Err(Trouble::NotAllowed | Trouble::ClusterNotAllowed | Trouble::SentinelNotAllowed) => {
            ["yes", "yes", "no"]
        }
        Err(
            Trouble::NoCluster
            | Trouble::NoSentinel
            | Trouble::NoMaster(_)
            | Trouble::NoMembers
            | Trouble::NotTopology,
        ) => ["yes", "yes", "-"],
        Err(Trouble::Refused(_) | Trouble::NotInfo) => ["yes", "-", "-"],
        Err(Trouble::Secret(_)) => ["-", "-", "-"],
        Err(
            Trouble::Silent
            | Trouble::Connect(_)
            | Trouble::NoDescriptor(_)
            | Trouble::NoThread(_)
            | Trouble::Defect(_)
            | Trouble::Lost(_)
            | Trouble::NoHandshake
            | Trouble::BrokenHandshake(_)
            | Trouble::Tls(_),
        ) => ["no", "-", "-"],
    }
}

/// Whether active defrag can be had.
fn defrag(sample: Option<&Sample>) -> &'static str {
    let Some((sample, state)) = sample.and_then(|s| Some((s, State::of(s)?))) else {
        return "-";
    };
    match state {
        State::Unsupported => "no",
        State::Idle | State::Running | State::Paused => "yes, on",
        State::Off if sample.build.is_some() => "yes, off",
        State::Off => "off",
        State::Unknown if sample.build.is_some() => "yes",
        State::Unknown => "unknown",
    }
}
