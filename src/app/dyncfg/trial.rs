//! A job that is only tried: its server is asked once, and what it is told in a
//! sentence.
//!
//! Must not know who wants to know.

use std::sync::Arc;
use std::time::Instant;

use crate::config::job::Job;
use crate::model::defrag::State;
use crate::model::sample::Sample;
use crate::model::server::Flavour;

use super::super::report::words::clean;
use super::super::trial;

/// Asks the server of a job, or all that it stands for: what answers there, or why
/// nothing does.
pub(super) async fn run(job: Arc<Job>, epoch: Instant) -> Result<String, String> {
    let tried = trial::one(job, epoch).await;
    let outcomes = || tried.iter().map(|tried| &tried.outcome);
    let troubles: Vec<String> = outcomes()
        .filter_map(|outcome| Some(outcome.as_ref().err()?.to_string()))
        .collect();
    let Some(sample) = outcomes().find_map(|outcome| outcome.as_ref().ok()) else {
        let told = troubles.into_iter().next();
        return Err(told.unwrap_or_else(|| "no server is known there".to_owned()));
    };
    let mut told = told(sample);
    if tried.len() > 1 {
        let answer = tried.len() - troubles.len();
        told += &format!("; of {} members {answer} answer", tried.len());
    }
    if let Some(trouble) = troubles.first() {
        told += &format!("; one does not: {trouble}");
    }
    Ok(told)
}

fn told(sample: &Sample) -> String {
    let mut told = "a server".to_owned();
    if let Some(server) = &sample.server {
        told = title(server.flavour).to_owned();
        if let Some(version) = server.version {
            told += &format!(" {version}");
        }
        if let Some(allocator) = &server.allocator {
            told += &format!(" with {}", clean(allocator));
        }
    }
    let defrag = match State::of(sample) {
        Some(State::Unsupported) => "is not supported by its build",
        Some(State::Off) => "is supported and switched off",
        Some(State::Idle) => "is on, with nothing to do",
        Some(State::Running | State::Paused) => "is at work",
        Some(State::Unknown) => "cannot be told: allow +config|get",
        None => "cannot be told",
    };
    format!("{told} answers; active defrag {defrag}")
}

fn title(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::Redis => "Redis",
        Flavour::Valkey => "Valkey",
        Flavour::KeyDb => "KeyDB",
        Flavour::Dragonfly => "Dragonfly",
        Flavour::Garnet => "Garnet",
        Flavour::Unknown => "a server",
    }
}
