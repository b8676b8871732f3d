//! Hosts and functions, in their basic form only.

use super::{AnswerSeen, At, Checker, KEYWORDS, LONGEST_LINE, Verdict, fields};

/// Agents before it read into a buffer of fixed size.
const LONG_ANSWERS_SINCE: (u32, u32) = (2, 0);

fn at_least(words: &[&str], least: usize, what: &str) -> Verdict {
    if words.len() < least {
        return Err(format!(
            "{} fields, a {what} has at least {least}",
            words.len()
        ));
    }
    Ok(())
}

impl Checker {
    pub(super) fn host_define(&mut self, words: &[&str]) -> Verdict {
        self.leave_definition()?;
        let [guid, name] = words else {
            return Err(format!("{} fields, a HOST_DEFINE has 2", words.len()));
        };
        let parts: Vec<usize> = guid.split('-').map(str::len).collect();
        let hexadecimal = guid.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
        if !hexadecimal || parts != [8, 4, 4, 4, 12] {
            return Err(format!("'{guid}' is no GUID"));
        }
        fields::text(name, "host name")?;
        self.hosts.insert(guid.to_string());
        self.at = At::Host;
        Ok(())
    }

    pub(super) fn host_label(&mut self, words: &[&str]) -> Verdict {
        if !matches!(self.at, At::Host) {
            return Err(format!("HOST_LABEL within {}", self.at.name()));
        }
        let [name, value] = words else {
            return Err(format!("{} fields, a HOST_LABEL has 2", words.len()));
        };
        fields::label_name(name)?;
        fields::label_value(value)
    }

    pub(super) fn host_define_end(&mut self, words: &[&str]) -> Verdict {
        if !matches!(self.at, At::Host) {
            return Err(format!("HOST_DEFINE_END within {}", self.at.name()));
        }
        self.at = At::Nothing;
        if !words.is_empty() {
            return Err("HOST_DEFINE_END has no fields".to_string());
        }
        Ok(())
    }

    pub(super) fn host_switch(&mut self, words: &[&str]) -> Verdict {
        self.leave_definition()?;
        let [guid] = words else {
            return Err(format!("{} fields, a HOST has 1", words.len()));
        };
        if !guid.is_empty() && !self.hosts.contains(*guid) {
            return Err(format!("no HOST_DEFINE of '{guid}' before"));
        }
        self.host = guid.to_string();
        Ok(())
    }

    pub(super) fn function(&mut self, keyword: &str, words: &[&str]) -> Verdict {
        self.leave_definition()?;
        match keyword {
            "FUNCTION" => {
                let words = match words {
                    ["GLOBAL", rest @ ..] => rest,
                    all => all,
                };
                at_least(words, 3, keyword)?;
                fields::text(words[0], "function name")?;
                fields::positive(words[1], "timeout")?;
                fields::text(words[2], "help")
            }
            "FUNCTION_DEL" => at_least(words, 1, keyword),
            _ => at_least(words, 3, keyword),
        }
    }

    pub(super) fn answer_begin(&mut self, words: &[&str]) -> Verdict {
        // Whatever is wrong with the line: a body follows.
        let verdict = self.leave_definition();
        self.at = At::Answer;
        self.answers.push(AnswerSeen::default());
        verdict?;
        let [id, code, content_type, expires] = words else {
            return Err(format!("{} fields, an answer has 4", words.len()));
        };
        if let Some(answer) = self.answers.last_mut() {
            answer.id = id.to_string();
            answer.code = code.to_string();
            answer.content_type = content_type.to_string();
        }
        fields::text(id, "transaction")?;
        let code = fields::integer(code, "code")?;
        if !(100..600).contains(&code) {
            return Err(format!("{code} is no status code"));
        }
        if !content_type.contains('/') {
            return Err(format!("'{content_type}' is no content type"));
        }
        fields::integer(expires, "expiry").map(drop)
    }

    pub(super) fn answer_line(&mut self, line: &str) -> Verdict {
        if line == "FUNCTION_RESULT_END" {
            self.at = At::Nothing;
            if let Some(answer) = self.answers.last_mut() {
                answer.ended = true;
            }
            *self.keywords.entry(line.to_string()).or_default() += 1;
            return Ok(());
        }
        // The agent would take it for text, and the caller gets that.
        let first = line.split([' ', '\t', '=']).find(|word| !word.is_empty());
        let first = first.unwrap_or_default().trim_matches(['\'', '"']);
        if KEYWORDS.iter().any(|(keyword, _)| *keyword == first) {
            return Err(format!("a {first} within an answer"));
        }
        if let Some(answer) = self.answers.last_mut() {
            answer.body.push_str(line);
            answer.body.push('\n');
        }
        if line.len() >= LONGEST_LINE && self.version < LONG_ANSWERS_SINCE {
            return Err(format!("{} bytes are too long", line.len()));
        }
        Ok(())
    }
}
