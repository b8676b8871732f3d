//! Log lines to stderr, in the form that the agent asks for.
//!
//! stdout is never touched. Must not decide what is worth a line.

use std::io::{self, Write};

use log::{LevelFilter, Log, Metadata, Record};
use simplelog::{ConfigBuilder, WriteLogger};

use crate::netdata::agent::Agent;

/// Whose lines are written: our own, not those of libraries.
const OURS: &str = "redis_frag";

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
        _ => return plain(level),
    };
    if log::set_boxed_logger(Box::new(Structured(form))).is_ok() {
        log::set_max_level(level);
    }
}

fn plain(level: LevelFilter) {
    let config = ConfigBuilder::new()
        .set_time_format_rfc3339()
        .set_thread_level(LevelFilter::Off)
        .set_target_level(LevelFilter::Error)
        .set_location_level(LevelFilter::Off)
        .add_filter_allow_str(OURS)
        .build();
    let _ = WriteLogger::init(level, config, io::stderr());
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Logfmt,
    Json,
}

/// Lines of names and values; the agent adds the time.
struct Structured(Form);

impl Log for Structured {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(OURS)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = line(self.0, record.level().as_str(), &record.args().to_string());
            // One write, so that lines of others do not come in between.
            let _ = io::stderr().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

/// One line. Levels are the agent's: lower case, `warning`.
fn line(form: Form, level: &str, message: &str) -> String {
    let level = match level {
        "WARN" => "warning".to_owned(),
        other => other.to_ascii_lowercase(),
    };
    let message = escaped(message);
    match form {
        Form::Logfmt => format!("comm=redis-frag.plugin level={level} msg=\"{message}\"\n"),
        Form::Json => {
            format!(
                "{{\"comm\":\"redis-frag.plugin\",\"level\":\"{level}\",\"msg\":\"{message}\"}}\n"
            )
        }
    }
}

/// What both forms take within quotes.
fn escaped(text: &str) -> String {
    let clean = |c: char| match c {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        c if c.is_control() => " ".to_owned(),
        c => c.to_string(),
    };
    text.chars().map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line_whatever_it_says() {
        let hostile = "a \"b\" \\ \n\u{1b}[0m";
        let logfmt = line(Form::Logfmt, "WARN", hostile);
        assert_eq!(
            logfmt,
            "comm=redis-frag.plugin level=warning msg=\"a \\\"b\\\" \\\\   [0m\"\n"
        );
        let json = line(Form::Json, "INFO", hostile);
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&read["level"], &read["msg"]),
            (&"info".into(), &"a \"b\" \\   [0m".into())
        );
    }
}
