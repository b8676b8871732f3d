//! What is wrong in a file, and where.
//!
//! Data only. A text here never repeats a value of the file, which may be a secret.

use std::fmt;

/// Problems of one file that are told one by one; a log is no place for more.
const MOST: usize = 100;

/// Whether a problem costs its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// What it stands at is not used.
    Error,
    /// It is used all the same.
    Warning,
    /// Nothing is wrong: something that other collectors know has no meaning here, or
    /// means something that is easily overlooked.
    Note,
}

/// Something wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether it costs its job.
    pub severity: Severity,
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// What is wrong and what to write instead.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let Self {
            line, column, text, ..
        } = self;
        write!(f, "{line}:{column}: {severity}: {text}")
    }
}

/// In the order of the lines, each once, and no more than a person reads.
pub(super) fn in_order(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|a, b| {
        (a.line, a.column, a.severity, &a.text).cmp(&(b.line, b.column, b.severity, &b.text))
    });
    problems.dedup();
    if problems.len() > MOST {
        let rest = problems.split_off(MOST);
        let severity = rest.iter().map(|p| p.severity).min();
        problems.extend(rest.first().map(|first| Problem {
            severity: severity.unwrap_or(Severity::Warning),
            line: first.line,
            column: first.column,
            text: format!("{} more problems from here on", rest.len()),
        }));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_still_counts_as_an_error() {
        let problem = |line: u64| Problem {
            severity: if line == 1 {
                Severity::Error
            } else {
                Severity::Warning
            },
            line: 1000 - line,
            column: 1,
            text: "x".into(),
        };
        let told = in_order((0..500).map(problem).collect());
        assert_eq!(told.len(), MOST + 1);
        let last = &told[MOST];
        assert_eq!((last.line, last.severity), (601, Severity::Error));
        assert_eq!(last.text, "400 more problems from here on");
    }
}
