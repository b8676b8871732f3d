//! How one server is set up: its defrag settings, read once a minute, and how its
//! allocator was built, asked once a start where the job allows it. Doing without them is
//! normal.
//!
//! Must not know when INFO is asked, nor what becomes of a sample.

use std::time::Duration;

use redis::Value;

use crate::model::defrag::DefragConfig;
use crate::model::malloc_stats::Build;
use crate::model::sample::Sample;
use crate::model::server::Server;

use super::connect::Connection;
use super::permissions::{self, Command};
use super::poll::{REFUSED_EVERY, Replies};

/// How often the instance's settings are read.
const SETTINGS_EVERY: Duration = Duration::from_secs(60);

/// How soon they are read again when what the server does contradicts them.
const SETTINGS_AGAIN: Duration = Duration::from_secs(5);

/// Whose set-up it is, for whom, and where the replies are kept.
pub(super) struct Asked<'a> {
    /// The job's name.
    pub job: &'a str,
    /// Who answers.
    pub server: Option<&'a Server>,
    /// The replies, where they are kept.
    pub replies: Option<&'a mut Replies>,
}

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Setup {
    settings: DefragConfig,
    settings_due: Duration,
    settings_refused: bool,
    build: Option<Build>,
    /// Whether the allocator's build is to be asked for.
    asks_build: bool,
    build_asked: bool,
}

impl Setup {
    /// Asks each server process once how its allocator was built.
    pub(super) fn ask_build(&mut self) {
        self.asks_build = true;
    }

    /// Another process may be set up otherwise.
    pub(super) fn forget(&mut self) {
        let asks_build = self.asks_build;
        *self = Self {
            asks_build,
            ..Self::default()
        };
    }

    /// Adds what is known to a sample.
    pub(super) fn fill(&self, sample: &mut Sample) {
        (sample.config, sample.build) = (self.settings, self.build);
    }

    /// Whether something is to be asked.
    pub(super) fn is_due(&self, sample: &Sample) -> bool {
        self.wants_settings(sample) || self.wants_build(sample)
    }

    fn wants_settings(&self, sample: &Sample) -> bool {
        sample.at >= self.settings_due || self.contradicts(sample)
    }

    fn wants_build(&self, sample: &Sample) -> bool {
        self.asks_build && !self.build_asked && sample.loading() != Some(true)
    }

    /// Defrag is at work and was off when the settings were read: they changed.
    fn contradicts(&self, sample: &Sample) -> bool {
        let running = sample
            .fields
            .active_defrag_running
            .is_some_and(|effort| effort > 0);
        let read = self.settings_due.saturating_sub(SETTINGS_EVERY);
        running
            && self.settings.enabled == Some(false)
            && sample.at.saturating_sub(read) >= SETTINGS_AGAIN
    }

    /// Asks what is due. Says whether the connection can be used on.
    pub(super) async fn ask(
        &mut self,
        sample: &Sample,
        connection: &mut Connection,
        mut of: Asked<'_>,
    ) -> bool {
        (!self.wants_settings(sample) || self.read_settings(sample.at, connection, &mut of).await)
            && (!self.wants_build(sample) || self.read_build(connection, &mut of).await)
    }

    /// Asked once of each server process: the report blocks it for a millisecond.
    async fn read_build(&mut self, connection: &mut Connection, of: &mut Asked<'_>) -> bool {
        self.build_asked = true;
        let mut command = redis::cmd("MEMORY");
        command.arg("MALLOC-STATS");
        match connection.ask(&command).await {
            Ok(reply) => {
                let text = texts(&reply).first().copied();
                self.build = text.and_then(Build::parse);
                if let Some(kept) = &mut of.replies {
                    kept.malloc_stats = text.map(str::to_owned);
                }
                true
            }
            Err(trouble) => {
                let remedy = permissions::remedy(Command::MallocStats, &trouble, of.server);
                log::info!(
                    "job {}: MEMORY MALLOC-STATS is not to be had; {remedy}",
                    of.job
                );
                trouble.is_answer()
            }
        }
    }

    async fn read_settings(
        &mut self,
        now: Duration,
        connection: &mut Connection,
        of: &mut Asked<'_>,
    ) -> bool {
        // Also where no reply ever comes.
        self.settings_due = now.saturating_add(SETTINGS_EVERY);
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg("*defrag*");
        match connection.ask(&command).await {
            Ok(reply) => {
                let texts = texts(&reply);
                let pairs = texts.as_chunks().0.iter();
                let pairs = pairs.map(|[name, value]| (*name, *value));
                if let Some(kept) = &mut of.replies {
                    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
                    kept.settings = pairs.clone().map(owned).collect();
                }
                self.settings = DefragConfig::from_pairs(pairs);
                self.settings_refused = false;
                true
            }
            Err(trouble) if trouble.is_passing() => true,
            Err(trouble) => {
                self.settings = DefragConfig::default();
                self.settings_due = now.saturating_add(REFUSED_EVERY);
                if !std::mem::replace(&mut self.settings_refused, true) {
                    let remedy = permissions::remedy(Command::ConfigGet, &trouble, of.server);
                    log::info!(
                        "job {}: CONFIG GET is not to be had, so the defaults of this version stand \
                         in for the defrag thresholds; {remedy}",
                        of.job
                    );
                }
                trouble.is_answer()
            }
        }
    }
}

/// The texts of a flat list (RESP2) or a map (RESP3), in order.
fn texts(reply: &Value) -> Vec<&str> {
    match reply {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Map(pairs) => pairs
            .iter()
            .flat_map(|(name, value)| [texts(name), texts(value)].concat())
            .collect(),
        Value::BulkString(bytes) => std::str::from_utf8(bytes).into_iter().collect(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => vec![text.as_str()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_as_a_list_or_a_map() {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let list = Value::Array(vec![bulk("activedefrag"), bulk("yes")]);
        let map = Value::Map(vec![(bulk("activedefrag"), bulk("yes"))]);
        assert_eq!(texts(&list), ["activedefrag", "yes"]);
        assert_eq!(texts(&map), texts(&list));
        assert_eq!(texts(&Value::Nil), Vec::<&str>::new());
    }
}
