//! Dynamic configuration, as an agent speaks of it: ids, commands, statuses, and the
//! `CONFIG` lines.
//!
//! Pure. Facts are of netdata/netdata: pluginsd_dyncfg.c and dyncfg-intercept.c of
//! v1.45.0 and v2.9.0. Must not know which jobs there are.

use std::fmt::Write;

use super::functions::Refused;
use super::request::{Call, Payload, Quotes, words};
use super::wire::push_text;

/// The id of what jobs are added to. A job's has its name behind another colon.
pub const TEMPLATE: &str = "redis-frag:redis";

/// Where the dashboard shows them.
const PATH: &str = "/collectors/redis-frag/jobs";

/// The name that go.d has for a job that is tried and has none.
const NAMELESS: &str = "test";

/// Longest name of a job: chart ids hold no more.
const LONGEST_NAME: usize = 100;

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Taken, and not known yet to work.
    Accepted,
    /// Its server answers.
    Running,
    /// Its server does not.
    Failed,
    /// Switched off by a person.
    Disabled,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Running => "running",
            Self::Failed => "failed",
            Self::Disabled => "disabled",
        }
    }
}

/// Who named a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file that came with the plugin, by its path.
    Stock(String),
    /// A file of the operator's, by its path.
    User(String),
    /// It was found.
    Discovered,
    /// A person, in the dashboard.
    Dynamic,
}

impl Source {
    fn words(&self) -> (&'static str, String) {
        let file = |path: &str| format!("file={path}");
        match self {
            Self::Stock(path) => ("stock", file(path)),
            Self::User(path) => ("user", file(path)),
            Self::Discovered => ("discovered", "discovered on this machine".to_owned()),
            Self::Dynamic => ("dyncfg", "dyncfg".to_owned()),
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the commands' own words")]
pub enum Verb {
    Schema,
    Get,
    Update,
    Add,
    Remove,
    Enable,
    Disable,
    Restart,
    Test,
    Userconfig,
}

/// Every command by its word, and whether something is sent along.
const VERBS: &[(&str, Verb, bool)] = &[
    ("schema", Verb::Schema, false),
    ("get", Verb::Get, false),
    ("update", Verb::Update, true),
    ("add", Verb::Add, true),
    ("remove", Verb::Remove, false),
    ("enable", Verb::Enable, false),
    ("disable", Verb::Disable, false),
    ("restart", Verb::Restart, false),
    ("test", Verb::Test, true),
    ("userconfig", Verb::Userconfig, true),
];

/// What the template takes.
const OF_TEMPLATE: &str = "schema add enable disable test userconfig";
/// What a job takes.
const OF_JOB: &str = "schema get update enable disable restart test userconfig";

/// A command, as it was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What is to be done.
    pub verb: Verb,
    /// The job's name; empty where none matters.
    pub name: String,
    /// What was sent along; empty for commands without.
    pub payload: Payload,
    /// Whether the agent speaks for itself; it names nobody then.
    pub by_agent: bool,
}

/// Reads a call of the function `config`; `None` if it is another function's.
#[must_use]
pub fn read(call: &Call) -> Option<Result<Command, Refused>> {
    let words = words(&call.function, Quotes::AtWords);
    let (function, rest) = words.split_first()?;
    (function == "config").then(|| command(call, rest))
}

fn command(call: &Call, words: &[String]) -> Result<Command, Refused> {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let (id, verb, given) = (word(0), word(1), word(2));
    let rest = id.strip_prefix(TEMPLATE);
    let of_job = match rest.map(|rest| (rest, rest.strip_prefix(':'))) {
        Some(("", _)) => None,
        Some((_, Some(name))) => Some(name),
        _ => {
            let told = format!("no configuration {id:?} here; there is {TEMPLATE}");
            return Err(Refused::new(404, told));
        }
    };
    let Some(&(word, verb, with_payload)) = VERBS.iter().find(|(word, ..)| *word == verb) else {
        let told = format!("no command {verb:?}");
        return Err(Refused::new(501, told));
    };
    let name = match (verb, of_job) {
        (Verb::Schema, _) => String::new(),
        (Verb::Test | Verb::Userconfig, of_job) => {
            let named = [given, of_job.unwrap_or_default(), NAMELESS];
            let named = named.into_iter().find(|name| !name.is_empty());
            named.unwrap_or_default().to_owned()
        }
        (Verb::Add, None) if !given.is_empty() => given.to_owned(),
        (Verb::Add, None) => return Err(Refused::new(400, "add needs the new job's name")),
        (Verb::Add, Some(_)) => {
            let told = format!("jobs are added to {TEMPLATE}, not to a job");
            return Err(Refused::new(405, told));
        }
        (_, Some(name)) => name.to_owned(),
        (_, None) => {
            let told = format!("{word} is for a job: {TEMPLATE}:NAME");
            return Err(Refused::new(405, told));
        }
    };
    let payload = call.payload.clone().unwrap_or_default();
    if with_payload && payload.text.trim().is_empty() {
        return Err(Refused::new(400, format!("{word} needs a configuration")));
    }
    Ok(Command {
        verb,
        name,
        payload,
        by_agent: call.source.trim().is_empty(),
    })
}

/// Whether a job of this name can be told to an agent, which keeps it by that name: one
/// that had to be changed for chart ids would be another when it comes back.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(fits)
}

/// Offers the template. It must be the first of all: an agent ends a plugin that names
/// a job without one.
pub fn template(out: &mut String) {
    let _ = writeln!(
        out,
        "CONFIG {TEMPLATE} create accepted template {PATH} internal internal \"{OF_TEMPLATE}\" 0 0"
    );
}

/// Names a job, or names it anew. The agent answers with one `enable` or `disable`.
pub fn create(out: &mut String, name: &str, status: Status, source: &Source) {
    let (kind, text) = source.words();
    let remove = if *source == Source::Dynamic {
        " remove"
    } else {
        ""
    };
    let _ = write!(
        out,
        "CONFIG {} create {} job {PATH} {kind} \"",
        id(name),
        status.word()
    );
    push_text(out, &text);
    let _ = writeln!(out, "\" \"{OF_JOB}{remove}\" 0 0");
}

/// Tells how a job stands.
pub fn status(out: &mut String, name: &str, status: Status) {
    let _ = writeln!(out, "CONFIG {} status {}", id(name), status.word());
}

/// Takes a job back.
pub fn delete(out: &mut String, name: &str) {
    let _ = writeln!(out, "CONFIG {} delete", id(name));
}

/// Agents end a plugin whose ids have blanks or quotes. What is named here is one of
/// [`is_name`]; anything else would be a defect, and breaks no line.
fn id(name: &str) -> String {
    let fits = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().take(LONGEST_NAME).map(fits).collect();
    format!("{TEMPLATE}:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(function: &str, payload: &str) -> Call {
        Call {
            id: "1".into(),
            function: function.into(),
            source: "me".into(),
            payload: (!payload.is_empty()).then(|| Payload {
                content_type: "application/json".into(),
                text: payload.into(),
            }),
            ..Call::default()
        }
    }

    #[test]
    fn commands_are_read_with_the_name_they_are_about() {
        for (function, payload, want) in [
            ("config redis-frag:redis schema", "", Ok((Verb::Schema, ""))),
            (
                "config redis-frag:redis:a schema",
                "",
                Ok((Verb::Schema, "")),
            ),
            (
                "config redis-frag:redis test tj",
                "{}",
                Ok((Verb::Test, "tj")),
            ),
            (
                "config redis-frag:redis test",
                "{}",
                Ok((Verb::Test, "test")),
            ),
            // v1.45.0
            (
                "config redis-frag:redis:a test",
                "{}",
                Ok((Verb::Test, "a")),
            ),
            (
                "config redis-frag:redis:a test b",
                "{}",
                Ok((Verb::Test, "b")),
            ),
            (
                "config redis-frag:redis userconfig 'x y'",
                "a: 1",
                Ok((Verb::Userconfig, "x y")),
            ),
            ("config redis-frag:redis add n", "{}", Ok((Verb::Add, "n"))),
            ("config redis-frag:redis add", "{}", Err(400)),
            ("config redis-frag:redis add n", "", Err(400)),
            ("config redis-frag:redis:a add n", "{}", Err(405)),
            (
                "config redis-frag:redis:a enable",
                "",
                Ok((Verb::Enable, "a")),
            ),
            ("config redis-frag:redis enable", "", Err(405)),
            (
                "config redis-frag:redis:a:b get",
                "",
                Ok((Verb::Get, "a:b")),
            ),
            ("config redis-frag:redis:a update", " ", Err(400)),
            ("config redis-frag:redis:a dance", "", Err(501)),
            ("config redis-frag:redis:a", "", Err(501)),
            ("config redis-frag:redisx get", "", Err(404)),
            ("config go.d:collector:redis:x get", "", Err(404)),
            ("config", "", Err(404)),
        ] {
            let read = read(&call(function, payload)).unwrap();
            let got = read.as_ref().map(|c| (c.verb, c.name.as_str()));
            assert_eq!(got.map_err(|refused| refused.code), want, "{function}");
        }
        assert_eq!(read(&call("redis-frag:diagnosis config", "")), None);
        let mut silent = call("config redis-frag:redis:a enable", "");
        silent.source.clear();
        assert!(read(&silent).unwrap().unwrap().by_agent);
    }

    #[test]
    fn lines_are_as_a_real_agent_took_them() {
        let mut out = String::new();
        template(&mut out);
        let file = Source::User("/etc/netdata/redis-frag.conf".into());
        create(&mut out, "local", Status::Accepted, &file);
        create(&mut out, "newjob", Status::Accepted, &Source::Dynamic);
        status(&mut out, "newjob", Status::Running);
        delete(&mut out, "newjob");
        let recorded = include_str!("../../tests/fixtures/agent/netdata-2.10.0.dialogue.txt");
        for line in out.lines() {
            let written = format!("> {line}");
            assert!(recorded.lines().any(|known| known == written), "{line}");
        }
        assert_eq!(out.lines().count(), 5);
    }

    #[test]
    fn no_text_breaks_a_line() {
        let hostile = "a'b\"c\\\n CONFIG x\r\t\u{7f}";
        let mut out = String::new();
        create(
            &mut out,
            hostile,
            Status::Failed,
            &Source::User(hostile.into()),
        );
        create(
            &mut out,
            &"x".repeat(999),
            Status::Failed,
            &Source::Discovered,
        );
        status(&mut out, hostile, Status::Disabled);
        delete(&mut out, hostile);
        assert_eq!(out.lines().count(), 4, "{out}");
        assert_eq!(out.matches('"').count(), 8, "{out}");
        assert!(!out.contains(['\'', '\\', '\t', '\r']), "{out}");
        for line in out.lines() {
            let words = words(line, Quotes::AtWords);
            let known = ["create", "status", "delete"].contains(&words[2].as_str());
            assert!(known && words[1].len() < 200, "{line}");
        }
        assert!(!is_name(hostile) && !is_name("") && !is_name("a.b") && is_name("a-B_3"));
    }
}
