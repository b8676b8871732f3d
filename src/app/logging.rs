//! Log lines to stderr, in the form that the agent asks for.
//!
//! stdout is never touched. What a line says may be anybody's words, which are cleaned
//! and shortened here, whatever the form. Must not decide what is worth a line.

use std::io::{self, Write};

use log::{LevelFilter, Log, Metadata, Record};
use simplelog::{ConfigBuilder, WriteLogger};

use crate::model::text;

use crate::netdata::agent::Agent;

/// Whose lines are written: our own, not those of libraries.
const OURS: &str = "redis_frag";

/// Longest line, in characters. The longest of ours tell which commands a user lacks.
const LONGEST: usize = 2_000;

/// Starts logging. Agents from 2.0 on say in which form and from which severity
/// on (`NETDATA_LOG_FORMAT`, `NETDATA_LOG_LEVEL`); for older ones and for a
/// person a line begins with its time.
pub fn start(debug: bool, agent: &Agent) {
    let level = match agent.log_level.as_deref() {
        _ if debug => LevelFilter::Debug,
        Some("debug") => LevelFilter::Debug,
        Some("warning") => LevelFilter::Warn,
        Some("error" | "critical" | "alert" | "emergency") => LevelFilter::Error,
        _ => LevelFilter::Info,
    };
    let form = match agent.log_format.as_deref() {
        Some("json") => Form::Json,
        Some("logfmt" | "journal") => Form::Logfmt,
        _ => Form::Plain(plain(level)),
    };
    if log::set_boxed_logger(Box::new(Lines(form))).is_ok() {
        log::set_max_level(level);
    }
}

fn plain(level: LevelFilter) -> Box<dyn Log> {
    let config = ConfigBuilder::new()
        .set_time_format_rfc3339()
        .set_thread_level(LevelFilter::Off)
        .set_target_level(LevelFilter::Error)
        .set_location_level(LevelFilter::Off)
        .add_filter_allow_str(OURS)
        .build();
    WriteLogger::new(level, config, io::stderr())
}

enum Form {
    /// As this one writes them, with the time.
    Plain(Box<dyn Log>),
    /// Names and values; the agent adds the time.
    Logfmt,
    /// The same.
    Json,
}

/// Whatever is logged, in one line each.
struct Lines(Form);

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(OURS)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let message = shown(&record.args().to_string());
        let level = record.level().as_str();
        let line = match &self.0 {
            Form::Plain(log) => {
                let metadata = record.metadata().clone();
                let mut record = Record::builder();
                return log.log(
                    &record
                        .metadata(metadata)
                        .args(format_args!("{message}"))
                        .build(),
                );
            }
            Form::Logfmt => logfmt(level, &message),
            Form::Json => json(level, &message),
        };
        // One write, so that lines of others do not come in between.
        let _ = io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// Tells a person on stderr why there is no result.
pub fn complain(message: &str) {
    eprintln!("redis-frag: {}", shown(message));
}

/// A message on one line that does nothing to a terminal.
#[must_use]
pub fn shown(message: &str) -> String {
    text::line(message, LONGEST)
}

fn logfmt(level: &str, message: &str) -> String {
    let (level, message) = (named(level), escaped(message));
    format!("comm=redis-frag.plugin level={level} msg=\"{message}\"\n")
}

fn json(level: &str, message: &str) -> String {
    let (level, message) = (named(level), escaped(message));
    format!("{{\"comm\":\"redis-frag.plugin\",\"level\":\"{level}\",\"msg\":\"{message}\"}}\n")
}

/// Levels are the agent's: lower case, `warning`.
fn named(level: &str) -> String {
    match level {
        "WARN" => "warning".to_owned(),
        other => other.to_ascii_lowercase(),
    }
}

/// What both forms take within quotes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line_whatever_it_says() {
        let hostile = shown("a \"b\" \\ \n\u{1b}[0m\u{202e}");
        let logfmt = logfmt("WARN", &hostile);
        assert_eq!(
            logfmt,
            "comm=redis-frag.plugin level=warning msg=\"a \\\"b\\\" \\\\  [0m\"\n"
        );
        let json = json("INFO", &hostile);
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&read["level"], &read["msg"]),
            (&"info".into(), &"a \"b\" \\  [0m".into())
        );
        assert_eq!(shown(&"x".repeat(4 << 20)).len(), LONGEST);
    }
}
