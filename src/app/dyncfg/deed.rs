//! What dynamic configuration has to do: answers, lines, and deeds to jobs.
//!
//! Pure: data, and the few ways to make it. Must not know when which is due.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::config::job::Job;
use crate::netdata::dyncfg::{Source, Status, Verb};

/// How it goes with a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) enum Standing {
    /// It waits for the agent's first word.
    Held,
    /// Begun, and not answered yet.
    Starting,
    /// Its server answers.
    Running,
    /// Its server does not, and why.
    Failed(String),
    /// Switched off.
    Disabled,
}

impl Standing {
    /// Its word to the agent.
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Held | Self::Starting => Status::Accepted,
            Self::Running => Status::Running,
            Self::Failed(_) => Status::Failed,
            Self::Disabled => Status::Disabled,
        }
    }
}

/// A job as it stands.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::app) struct Seen {
    pub(in crate::app) job: Arc<Job>,
    pub(in crate::app) source: Source,
    pub(in crate::app) standing: Standing,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::app) enum Deed {
    /// Answer a call, with lines right behind.
    Answer {
        call: String,
        code: u16,
        body: Body,
        lines: String,
    },
    /// Write lines, behind all answers before.
    Lines(String),
    /// Begin to watch the job of this name.
    Begin(String),
    /// Watch it no more, and keep it.
    End(String),
    /// End it and begin it again.
    Restart(String),
    /// Put this job in the place of the one of its name, if there is one.
    Put(Arc<Job>),
    /// Forget it.
    Remove(String),
    /// Ask the server of this job once.
    Try { call: String, job: Arc<Job> },
    /// Say [`super::book::Book::late`] when so much time has gone.
    Wait { call: String, at_most: Duration },
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::app) enum Body {
    /// How it went, in words.
    Told(String),
    /// A job's keys.
    Json(Value),
    /// A piece of a configuration file.
    Yaml(String),
    /// The schema of a job.
    Schema,
}

/// Somebody who waits for an outcome.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) call: String,
    pub(super) verb: Verb,
}

/// How long a first try may take: until the job's turn comes, then to connect, then for
/// the reply.
pub(super) fn patience(job: &Job) -> Duration {
    const LONGEST_TURN: u32 = 10;
    let turn = Duration::from_secs(u64::from(job.update_every.min(LONGEST_TURN) + 1));
    turn + 2 * job.timeout
}

/// Refuses all who wait.
pub(super) fn settle(deeds: &mut Vec<Deed>, waiting: Vec<Waiting>, code: u16, told: &str) {
    deeds.extend(
        waiting
            .iter()
            .map(|w| refuse(&w.call, code, told.to_owned())),
    );
}

/// There is no such job.
pub(super) fn nobody(call: &str, name: &str) -> Deed {
    refuse(call, 404, format!("no job {name:?}"))
}

/// An answer in words.
pub(super) fn refuse(call: &str, code: u16, told: String) -> Deed {
    say(call, code, told, String::new())
}

/// An answer.
pub(super) fn answer(call: &str, code: u16, body: Body) -> Deed {
    Deed::Answer {
        call: call.to_owned(),
        code,
        body,
        lines: String::new(),
    }
}

/// An answer in words, with lines behind.
pub(super) fn say(call: &str, code: u16, told: String, lines: String) -> Deed {
    Deed::Answer {
        call: call.to_owned(),
        code,
        body: Body::Told(told),
        lines,
    }
}
