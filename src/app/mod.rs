//! What the program does: the plugin, and what a person runs at a shell.
//!
//! Puts configuration, source, model and the agent's language together; nothing
//! below knows of it.

mod askers;
pub mod check;
mod classes;
mod configured;
pub mod diagnose;
mod discovery;
mod dyncfg;
pub mod explain;
mod fleet;
mod functions;
mod given;
mod inbox;
mod live;
pub mod logging;
mod members;
mod outage;
pub mod panics;
pub mod plugin;
mod post;
mod progress;
pub mod record;
mod registry;
pub mod replay;
pub mod report;
mod roster;
pub mod schedule;
pub mod screen;
mod shared;
pub mod size_classes;
mod target;
mod tellers;
mod trial;
mod watch;

use thiserror::Error;

use crate::model::verdict::Severity;

/// Why a person's command did not come to a result.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// The command line is right, and nothing could be told.
    #[error("{0}")]
    Unable(String),
}

impl Failure {
    /// `EX_USAGE` of sysexits.h, apart from what a diagnosis can end with.
    pub const USAGE: u8 = 64;

    /// What the program ends with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => Self::USAGE,
            Self::Unable(_) => exit_code(Severity::Unknown),
        }
    }
}

/// What the program ends with after a diagnosis.
#[must_use]
pub fn exit_code(severity: Severity) -> u8 {
    match severity {
        Severity::Fine => 0,
        Severity::Warning => 1,
        Severity::Critical => 2,
        Severity::Unknown => 3,
    }
}

/// Takes a piece of the output; says whether anybody still reads.
pub type Out<'a> = &'a mut dyn FnMut(&str) -> bool;

/// Runs a person's command that asks servers, in this thread.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::Unable(format!(
                "cannot start: {error}; check the limits of processes and open files"
            ))
        })?;
    runtime.block_on(work)
}
