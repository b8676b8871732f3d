//! A text as it grows: lines, titles, wrapped pieces, colours where wanted.
//!
//! Pure. Must not know what a report says.

use std::fmt::Write;

use crate::model::verdict::Severity;

use super::words::{length, wrap};

/// Bold, as the number of an ANSI `SGR`.
pub const BOLD: &str = "1";

/// Dim.
pub const DIM: &str = "2";

/// How the text is shown.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Columns that lines keep within; only what is to be copied may pass them.
    pub width: usize,
    /// Whether colours are wanted.
    pub colour: bool,
}

impl Style {
    /// The text in a colour, given as the numbers of an ANSI `SGR`.
    #[must_use]
    pub fn paint(&self, codes: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\u{1b}[{codes}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// The name of a severity in its colour, filled to `width`.
    #[must_use]
    pub fn severity(&self, severity: Severity, width: usize) -> String {
        let codes = match severity {
            Severity::Fine => "32",
            Severity::Unknown => "35",
            Severity::Warning => "30;43",
            Severity::Critical => "1;37;41",
        };
        let name = severity.name().to_uppercase();
        let fill = " ".repeat(width.saturating_sub(name.len()));
        self.paint(codes, &name) + &fill
    }
}

/// A text as it grows.
pub(super) struct Page<'a> {
    pub(super) out: String,
    pub(super) style: &'a Style,
}

impl Page<'_> {
    /// A line, without spaces at its end.
    pub(super) fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    /// The title of a part, behind an empty line.
    pub(super) fn title(&mut self, text: &str) {
        let painted = self.style.paint(BOLD, text);
        let _ = write!(self.out, "\n{painted}\n");
    }

    /// A text behind a label; further lines stand below its beginning. `codes`
    /// colours the text, each line by itself.
    pub(super) fn hang(&mut self, label: &str, indent: usize, text: &str, codes: &str) {
        let room = self.style.width.saturating_sub(indent).max(20);
        let fill = " ".repeat(indent.saturating_sub(length(label)).max(1));
        let mut lines = wrap(text, room).into_iter();
        let first = lines.next().unwrap_or_default();
        let first = format!("{label}{fill}{}", self.painted(codes, &first));
        self.line(&first);
        for line in lines {
            let line = format!("{}{}", " ".repeat(indent), self.painted(codes, &line));
            self.line(&line);
        }
    }

    fn painted(&self, codes: &str, text: &str) -> String {
        if codes.is_empty() {
            text.to_owned()
        } else {
            self.style.paint(codes, text)
        }
    }
}
