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
use crate::source::host::Kernel;
use crate::source::poll::Poller;

use super::super::report::words::clean;

/// Asks the server of a job: what answers there, or why nothing does.
pub(super) async fn run(
    job: Arc<Job>,
    kernel: Arc<Kernel>,
    epoch: Instant,
) -> Result<String, String> {
    let patience = job.timeout;
    let mut poller = Poller::new(job, epoch).on_kernel(kernel);
    match poller.collect(patience).await {
        Ok(sample) => Ok(told(&sample)),
        Err(trouble) => Err(trouble.to_string()),
    }
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
