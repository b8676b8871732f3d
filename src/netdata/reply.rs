//! Answers to the agent's requests, and the lines that offer functions.
//!
//! Pure. An answer is one block of whole lines, none of which can be taken for a
//! keyword or is long enough to be cut. Must not know what is answered.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::model::text::{self, is_hidden};

/// Length from which on a line of JSON is broken at the next comma. 1.37 cuts
/// lines at 15 kB.
const LONG_LINE: usize = 2_000;

/// Characters of one text that are kept: each may take six bytes in JSON.
const LONGEST_TEXT: usize = 2_000;

/// Characters of an id: agents cut nothing shorter.
const LONGEST_ID: usize = 200;

/// One answer, to be written as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The line that begins it.
    pub head: String,
    /// Its lines; many answers may share them.
    pub body: Arc<str>,
    /// The line that ends it, and lines that must come behind.
    pub tail: Cow<'static, str>,
}

/// The line that ends an answer.
const END: &str = "FUNCTION_RESULT_END\n";

/// What the body of an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

impl Answer {
    /// An answer with a body of [`lines`]. `expires`: seconds since 1970, from
    /// when on it must be asked for anew.
    #[must_use]
    pub fn new(id: &str, code: u16, body: Arc<str>, expires: u64) -> Self {
        Self::of(id, code, Content::Json, body, expires)
    }

    /// An answer whose body is lines of this kind.
    #[must_use]
    pub fn of(id: &str, code: u16, content: Content, body: Arc<str>, expires: u64) -> Self {
        let id = id_word(id);
        let content = match content {
            Content::Json => "application/json",
            Content::Yaml => "application/yaml",
        };
        Self {
            head: format!("FUNCTION_RESULT_BEGIN {id} {code} {content} {expires}\n"),
            body,
            tail: END.into(),
        }
    }

    /// Lines that keep their place among the answers and answer nothing.
    #[must_use]
    pub fn none(lines: String) -> Self {
        Self {
            head: String::new(),
            body: "".into(),
            tail: lines.into(),
        }
    }

    /// Bytes that it shares with no other.
    #[must_use]
    pub fn own(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// The same with lines behind it.
    #[must_use]
    pub fn then(mut self, lines: &str) -> Self {
        self.tail.to_mut().push_str(lines);
        self
    }

    /// The answer to a request that has no better one: a code and the reason.
    #[must_use]
    pub fn error(id: &str, code: u16, message: &str) -> Self {
        // It may repeat what was asked, or what a server or a file says.
        let message = text::line(message, LONGEST_TEXT);
        let body = json!({ "status": code, "errorMessage": message });
        Self::new(id, code, lines(&body).into(), 0)
    }
}

/// How a call is going, for those who asked (from 1.45 on). Ours are a single
/// step.
#[must_use]
pub fn progress(id: &str) -> String {
    format!("FUNCTION_PROGRESS {} 0 1\n", id_word(id))
}

/// A function, as it is offered to the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Name.
    pub name: &'static str,
    /// Seconds it may take.
    pub timeout: u32,
    /// What a person reads.
    pub help: &'static str,
    /// Kind of function; the dashboard shows those with `top`.
    pub tags: &'static str,
    /// Who may call it.
    pub access: &'static str,
    /// Place among the others.
    pub priority: u32,
    /// Version of its answers.
    pub version: u32,
}

/// Offers a function. Agents before 1.45 read no further than the help.
pub fn offer(out: &mut String, offer: &Offer) {
    let _ = writeln!(
        out,
        "FUNCTION GLOBAL \"{}\" {} \"{}\" \"{}\" \"{}\" {} {}",
        offer.name,
        offer.timeout,
        offer.help,
        offer.tags,
        offer.access,
        offer.priority,
        offer.version
    );
}

/// A value as lines of JSON. Lines are broken before commas: agents compare the
/// first word of each with the end of an answer, and no keyword begins with one.
#[must_use]
pub fn lines(value: &Value) -> String {
    let mut lines = Lines::default();
    lines.value(value);
    lines.text.push('\n');
    lines.text
}

#[derive(Default)]
struct Lines {
    text: String,
    line: usize,
}

impl Lines {
    fn value(&mut self, value: &Value) {
        match value {
            Value::Array(items) => {
                self.text.push('[');
                for (number, item) in items.iter().enumerate() {
                    self.comma(number);
                    self.value(item);
                }
                self.text.push(']');
            }
            Value::Object(members) => {
                self.text.push('{');
                for (number, (name, member)) in members.iter().enumerate() {
                    self.comma(number);
                    self.string(name);
                    self.text.push(':');
                    self.value(member);
                }
                self.text.push('}');
            }
            Value::String(text) => self.string(text),
            plain => {
                let _ = write!(self.text, "{plain}");
            }
        }
    }

    fn comma(&mut self, number: usize) {
        if number == 0 {
            return;
        }
        if self.text.len() - self.line >= LONG_LINE {
            self.text.push('\n');
            self.line = self.text.len();
        }
        self.text.push(',');
    }

    fn string(&mut self, text: &str) {
        let end = text.char_indices().nth(LONGEST_TEXT);
        let kept = end.and_then(|(at, _)| text.get(..at)).unwrap_or(text);
        let quoted = Value::from(kept).to_string();
        if !quoted.contains(is_hidden) {
            return self.text.push_str(&quoted);
        }
        // Line ends are escaped by now; these are not, and the value must stay the same.
        for c in quoted.chars() {
            if is_hidden(c) {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(self.text, "\\u{unit:04x}");
                }
            } else {
                self.text.push(c);
            }
        }
    }
}

/// An id as one word of a line. Agents' own are hexadecimal and come back as they
/// are; any other is quoted where that is enough to make it one word again.
fn id_word(id: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    if !id.is_empty() && id.len() <= LONGEST_ID && id.chars().all(plain) {
        return id.to_owned();
    }
    let quote = if id.contains('\'') { '"' } else { '\'' };
    let clean = |c: char| match c {
        '\\' => '_',
        c if c == quote || is_hidden(c) => '_',
        c => c,
    };
    let inner: String = id.chars().take(LONGEST_ID).map(clean).collect();
    format!("{quote}{inner}{quote}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_block() {
        let answer = Answer::error("1e12bb", 404, "no function of this name");
        assert_eq!(
            answer.head,
            "FUNCTION_RESULT_BEGIN 1e12bb 404 application/json 0\n"
        );
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["status"], 404);
        assert_eq!(body["errorMessage"], "no function of this name");
        assert!(answer.body.ends_with("}\n"));
        let hostile = Answer::error(
            "1",
            404,
            &format!("a\u{1b}[2J\u{202e}\n{}", "b".repeat(9999)),
        );
        let body: Value = serde_json::from_str(&hostile.body).unwrap();
        let told = body["errorMessage"].as_str().unwrap();
        assert!(
            told.starts_with("a[2J b") && told.len() == LONGEST_TEXT,
            "{told}"
        );
    }

    #[test]
    fn an_id_stays_one_word() {
        for (id, want) in [
            ("70ae1b82-84ea.4b9a_87:5", "70ae1b82-84ea.4b9a_87:5"),
            ("a b", "'a b'"),
            ("a=b", "'a=b'"),
            ("it's", "\"it's\""),
            ("'\"", "\"'_\""),
            ("a\nFUNCTION_RESULT_END\\", "'a_FUNCTION_RESULT_END_'"),
            ("größe", "'größe'"),
        ] {
            assert_eq!(id_word(id), want);
        }
        assert_eq!(id_word(&"x".repeat(999)).len(), LONGEST_ID + 2);
    }

    #[test]
    fn lines_are_short_and_none_is_a_keyword() {
        let hostile = "FUNCTION_RESULT_END\nBEGIN 'x' \u{1}\u{2028}\u{9b}\u{e0041}".repeat(300);
        let row = json!([hostile, 1, "FUNCTION_RESULT_END", null, 1.5]);
        let value = json!({ "data": vec![row; 50], "FUNCTION_RESULT_END": true });
        let text = lines(&value);
        for line in text.lines() {
            assert!(line.len() < 15_000, "{} bytes", line.len());
            assert!(line.starts_with(['{', ',']), "{line:.40}");
            assert!(!line.contains(is_hidden), "{line:.40}");
        }
        let back: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back["data"][7][1], 1);
        let kept = back["data"][7][0].as_str().unwrap();
        assert!(hostile.starts_with(kept) && kept.chars().count() == LONGEST_TEXT);
    }

    #[test]
    fn a_function_is_offered_in_one_line() {
        let mut out = String::new();
        offer(
            &mut out,
            &Offer {
                name: "redis-frag:diagnosis",
                timeout: 10,
                help: "what is wrong",
                tags: "top",
                access: "any",
                priority: 100,
                version: 3,
            },
        );
        let want =
            "FUNCTION GLOBAL \"redis-frag:diagnosis\" 10 \"what is wrong\" \"top\" \"any\" 100 3\n";
        assert_eq!(out, want);
    }
}
