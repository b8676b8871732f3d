//! Log lines to stderr, in the form that the agent asks for.
//!
//! stdout is never touched. What a line says may be anybody's words, which are cleaned
//! and shortened here, whatever the form. Must not decide what is worth a line.

mod queue;

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::event::{PollFd, PollFlags, poll};

use crate::model::text;
use crate::netdata::agent::Agent;

use queue::Queue;

/// Whose lines are written: our own, not those of libraries.
const OURS: &str = "redis_frag";

/// Longest line, in characters. The longest of ours tell which commands a user lacks.
const LONGEST: usize = 2_000;

/// How long the end of the program waits for the log to be written. All must be over
/// within a second.
pub const PATIENCE: Duration = Duration::from_millis(200);

/// Most lines that are held back: the newest.
const MOST_HELD: usize = 100;

static LINES: OnceLock<Lines> = OnceLock::new();

/// Lines that are held back, while they are.
static HELD: Mutex<Option<VecDeque<String>>> = Mutex::new(None);

/// Starts logging. Agents from 2.0 on say in which form and from which severity
/// on (`NETDATA_LOG_FORMAT`, `NETDATA_LOG_LEVEL`); for older ones and for a
/// person a line begins with its time. Each line is written at once.
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
        _ => Form::Plain,
    };
    let lines = LINES.get_or_init(|| Lines {
        form,
        queue: OnceLock::new(),
    });
    if log::set_logger(lines).is_ok() {
        log::set_max_level(level);
    }
}

/// From now on nobody who logs waits for whoever reads stderr.
///
/// # Errors
/// There is no thread to be had.
pub fn detach() -> io::Result<()> {
    let Some(lines) = LINES.get() else {
        return Ok(());
    };
    let form = lines.form;
    let lost = move |count| form.line(Level::Warn, module_path!(), &lost(count));
    // Where it was called before, the thread is one too many and sleeps.
    let _ = lines.queue.set(Queue::start(Stderr, lost)?);
    Ok(())
}

/// Waits until the log is written, but no longer than `patience`.
pub fn drain(patience: Duration) {
    if let Some(queue) = LINES.get().and_then(|lines| lines.queue.get()) {
        queue.drain(patience);
    }
}

/// From now on lines are held back, if a terminal shows them: another picture stands there.
pub fn hold() {
    if io::stderr().is_terminal() {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        held.get_or_insert_default();
    }
}

/// Writes what was held back, and holds nothing back any more.
pub fn release() {
    let held = HELD.lock().unwrap_or_else(PoisonError::into_inner).take();
    for line in held.into_iter().flatten() {
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

/// Writes a line, or holds it back.
fn write(line: String) {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    match held.as_mut() {
        Some(held) => {
            if held.len() >= MOST_HELD {
                held.pop_front();
            }
            held.push_back(line);
        }
        // One write, so that lines of others do not come in between.
        None => {
            let _ = io::stderr().write_all(line.as_bytes());
        }
    }
}

fn lost(count: u64) -> String {
    format!("{count} lines of this log were lost: nobody read it")
}

#[derive(Debug, Clone, Copy)]
enum Form {
    /// With the time, the severity and where it comes from.
    Plain,
    /// Names and values; the agent adds the time.
    Logfmt,
    /// The same.
    Json,
}

impl Form {
    /// A line with its end; `message` is one of [`shown`].
    fn line(self, level: Level, target: &str, message: &str) -> String {
        match self {
            Self::Plain => plain(SystemTime::now(), level, target, message),
            Self::Logfmt => logfmt(level.as_str(), message),
            Self::Json => json(level.as_str(), message),
        }
    }
}

/// Whatever is logged, in one line each.
struct Lines {
    form: Form,
    /// Where they wait to be written; before there is one, they are written at once.
    queue: OnceLock<Queue>,
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(OURS)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let message = shown(&record.args().to_string());
        let line = self.form.line(record.level(), record.target(), &message);
        match self.queue.get() {
            Some(queue) => queue.put(line),
            None => write(line),
        }
    }

    fn flush(&self) {
        drain(PATIENCE);
    }
}

/// The process' own stderr, which others may have set to refuse instead of waiting: the
/// agent and all of its plugins share it.
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut stderr = io::stderr();
        loop {
            match stderr.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], None)?;
                }
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells a person on stderr why there is no result.
pub fn complain(message: &str) {
    complain_of(&format!("redis-frag: {message}"));
}

/// The same without a name before it. Where stderr cannot be written nobody is told.
pub fn complain_of(message: &str) {
    let _ = writeln!(io::stderr(), "{}", shown(message));
}

/// A message on one line that does nothing to a terminal.
#[must_use]
pub fn shown(message: &str) -> String {
    text::line(message, LONGEST)
}

fn plain(now: SystemTime, level: Level, target: &str, message: &str) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (second, micros) = (text::utc(since.as_secs()), since.subsec_micros());
    let second = second.trim_end_matches('Z').replace(' ', "T");
    format!("{second}.{micros:06}Z [{level}] {target}: {message}\n")
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
        let now = UNIX_EPOCH + Duration::from_micros(1_795_440_280_000_042);
        assert_eq!(
            plain(now, Level::Warn, "redis_frag::app", &hostile),
            "2026-11-23T13:24:40.000042Z [WARN] redis_frag::app: a \"b\" \\  [0m\n"
        );
        assert_eq!(shown(&"x".repeat(4 << 20)).len(), LONGEST);
    }
}
