//! A strict reader of what a plugin prints: it takes the text protocol of
//! Netdata's external plugins line by line, as the agent of a given version
//! would, and notes everything an agent would refuse, drop or misread.
//!
//! Written from the protocol, not from the plugin: it shares no code with it.

mod blocks;
mod configs;
mod definitions;
mod fields;
mod others;
mod seen;
mod words;

pub use configs::ConfigSeen;
pub use seen::{AnswerSeen, ChartSeen, DimensionSeen};

use std::collections::{BTreeMap, BTreeSet};

use seen::Latest;
use words::Token;

/// Old agents cut longer lines.
const LONGEST_LINE: usize = 15_000;

type Version = (u32, u32);
/// A line's verdict: what is wrong with it.
type Verdict = Result<(), String>;

/// Keyword and the first version that knows it.
const KEYWORDS: &[(&str, Version)] = &[
    ("CHART", (0, 0)),
    ("DIMENSION", (0, 0)),
    ("BEGIN", (0, 0)),
    ("SET", (0, 0)),
    ("END", (0, 0)),
    ("FLUSH", (0, 0)),
    ("DISABLE", (0, 0)),
    ("VARIABLE", (0, 0)),
    ("CLABEL", (1, 29)),
    ("CLABEL_COMMIT", (1, 29)),
    ("FUNCTION", (1, 37)),
    ("FUNCTION_RESULT_BEGIN", (1, 37)),
    ("FUNCTION_RESULT_END", (1, 37)),
    ("HOST_DEFINE", (1, 39)),
    ("HOST_LABEL", (1, 39)),
    ("HOST_DEFINE_END", (1, 39)),
    ("HOST", (1, 39)),
    ("CONFIG", (1, 45)),
    ("FUNCTION_DEL", (2, 0)),
    ("FUNCTION_PROGRESS", (1, 45)),
];

/// Feed it a plugin's standard output; then ask what it saw, and what was
/// wrong.
pub struct Checker {
    version: Version,
    lines: usize,
    violations: Vec<String>,
    keywords: BTreeMap<String, usize>,
    charts: Vec<ChartSeen>,
    answers: Vec<AnswerSeen>,
    hosts: BTreeSet<String>,
    configs: BTreeMap<String, ConfigSeen>,
    /// The host that charts belong to now; empty is the agent's own.
    host: String,
    at: At,
    disabled: bool,
}

/// What the stream is in the middle of.
enum At {
    Nothing,
    /// After CHART: its dimensions, labels and variables.
    Chart {
        chart: usize,
        dimensions: BTreeSet<String>,
        names: BTreeSet<String>,
        labels: BTreeMap<String, String>,
    },
    /// Between BEGIN and END.
    Block {
        chart: usize,
        microseconds: Option<u64>,
        values: Latest,
    },
    /// Between FUNCTION_RESULT_BEGIN and FUNCTION_RESULT_END.
    Answer,
    /// Between HOST_DEFINE and HOST_DEFINE_END.
    Host,
}

impl At {
    fn name(&self) -> &'static str {
        match self {
            At::Nothing => "no chart and no block",
            At::Chart { .. } => "a chart's definition",
            At::Block { .. } => "a BEGIN…END block",
            At::Answer => "a function's answer",
            At::Host => "a host's definition",
        }
    }
}

impl Checker {
    /// For the agent of this version: `1.37.1`, `v2.10.0`, …
    pub fn new(version: &str) -> Checker {
        let mut numbers = version
            .trim_start_matches('v')
            .split(['.', '-'])
            .map_while(|part| part.parse().ok());
        let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else {
            panic!("'{version}' is no version of Netdata");
        };
        Checker {
            version: (major, minor),
            lines: 0,
            violations: Vec::new(),
            keywords: BTreeMap::new(),
            charts: Vec::new(),
            answers: Vec::new(),
            hosts: BTreeSet::new(),
            configs: BTreeMap::new(),
            host: String::new(),
            at: At::Nothing,
            disabled: false,
        }
    }

    /// Takes one line, without its newline.
    pub fn feed(&mut self, line: &str) {
        self.lines += 1;
        if let Err(why) = self.line(line) {
            self.object(line, &why);
        }
    }

    /// Takes a whole output.
    pub fn feed_all(&mut self, text: &str) {
        let (whole, rest) = match text.rfind('\n') {
            Some(end) => text.split_at(end + 1),
            None => ("", text),
        };
        // `lines` would hide a carriage return.
        for line in whole.split_terminator('\n') {
            self.feed(line);
        }
        if !rest.is_empty() {
            self.feed_cut(rest);
        }
    }

    /// Takes what came after the last newline before the output ended.
    pub fn feed_cut(&mut self, rest: &str) {
        self.lines += 1;
        self.object(rest, "the output ends in the middle of a line");
    }

    /// The output is over: notes what it left open.
    pub fn finish(&mut self) {
        if matches!(self.at, At::Block { .. } | At::Answer | At::Host) {
            let why = format!("the output ends within {}", self.at.name());
            self.object("", &why);
        }
    }

    /// What was wrong: each with its line's number, its text and the reason.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// Panics with everything that was wrong.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(
            self.violations.is_empty(),
            "the agent would not take this:\n{}",
            self.violations.join("\n")
        );
    }

    /// How many lines came.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// How many lines began with this keyword.
    pub fn count(&self, keyword: &str) -> usize {
        self.keywords.get(keyword).copied().unwrap_or(0)
    }

    /// Whether the plugin has said DISABLE.
    pub fn disabled(&self) -> bool {
        self.disabled
    }

    fn object(&mut self, line: &str, why: &str) {
        let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        let text: String = line.chars().map(visible).take(200).collect();
        self.violations
            .push(format!("line {}: {text}: {why}", self.lines));
    }

    fn line(&mut self, line: &str) -> Verdict {
        if matches!(self.at, At::Answer) {
            return self.answer_line(line);
        }
        if line.len() >= LONGEST_LINE {
            return Err(format!("{} bytes are too long", line.len()));
        }
        if self.disabled {
            return Err("after DISABLE nothing is read".to_string());
        }
        let tokens = words::split(line)?;
        let (keyword, rest) = match tokens.split_first() {
            Some((Token::Word(first), rest)) if !first.quoted => (first.text.as_str(), rest),
            _ => return Err("a line begins with a keyword".to_string()),
        };
        let Some((_, since)) = KEYWORDS.iter().find(|(known, _)| *known == keyword) else {
            return Err(format!(
                "unknown keyword {keyword}: the agent kills the plugin"
            ));
        };
        *self.keywords.entry(keyword.to_string()).or_default() += 1;
        if *since > self.version {
            let (major, minor) = self.version;
            return Err(format!(
                "{major}.{minor} does not know {keyword}: the agent kills the plugin"
            ));
        }
        self.keyword(keyword, rest)
    }

    fn keyword(&mut self, keyword: &str, rest: &[Token]) -> Verdict {
        match keyword {
            // `name = value`
            "SET" => return self.set(rest),
            "VARIABLE" => return self.variable(rest),
            _ => {}
        }
        let is_call = keyword.starts_with("FUNCTION") || keyword == "CONFIG";
        let words = words::plain(rest, is_call)?;
        match keyword {
            "CHART" => self.chart_line(&words),
            "DIMENSION" => self.dimension(&words),
            "CLABEL" => self.label(&words),
            "CLABEL_COMMIT" => self.commit_labels(&words),
            "BEGIN" => self.begin(&words),
            "END" => self.end(&words),
            "FLUSH" => self.flush(&words),
            "DISABLE" => self.disable(&words),
            "HOST_DEFINE" => self.host_define(&words),
            "HOST_LABEL" => self.host_label(&words),
            "HOST_DEFINE_END" => self.host_define_end(&words),
            "HOST" => self.host_switch(&words),
            "FUNCTION_RESULT_BEGIN" => self.answer_begin(&words),
            "FUNCTION_RESULT_END" => Err("no function's answer is open".to_string()),
            "CONFIG" => self.config_line(&words),
            _ => self.function(keyword, &words),
        }
    }

    /// Leaves a chart's definition; fails where no definition may come.
    fn leave_definition(&mut self) -> Verdict {
        match std::mem::replace(&mut self.at, At::Nothing) {
            At::Nothing => Ok(()),
            At::Chart { labels, .. } if labels.is_empty() => Ok(()),
            At::Chart { .. } => Err("the CLABELs before it lack their CLABEL_COMMIT".to_string()),
            other => {
                let why = format!("not allowed within {}", other.name());
                self.at = other;
                Err(why)
            }
        }
    }
}
