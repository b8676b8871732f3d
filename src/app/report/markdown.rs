//! Markdown as a terminal shows it: titles, paragraphs, lists, code; what docs/guide
//! is written in, and no more.
//!
//! Pure: text in, text out. Must not know what it is about.

use super::page::{BOLD, Style};
use super::words::length;

/// Columns before a line of code.
const CODE: usize = 4;

/// A word with the pieces of it that stand out.
type Word = Vec<(String, bool)>;

/// Lays Markdown out: paragraphs are wrapped, code is not.
#[must_use]
pub fn render(text: &str, style: &Style) -> String {
    let mut page = Rendered {
        out: String::new(),
        style,
        pending: Vec::new(),
        label: String::new(),
    };
    let mut in_code = false;
    for line in text.lines() {
        if line.starts_with("```") {
            page.flush();
            in_code = !in_code;
        } else if in_code {
            page.line(&format!("{}{line}", " ".repeat(CODE)));
        } else if let Some(title) = title(line) {
            page.flush();
            page.line(&style.paint(BOLD, title));
        } else if line.trim().is_empty() {
            page.flush();
            page.line("");
        } else if let Some((label, rest)) = item(line) {
            page.flush();
            page.label = label.to_owned();
            page.pending.push(rest.to_owned());
        } else {
            page.pending.push(line.trim().to_owned());
        }
    }
    page.flush();
    page.out
}

/// The text of a title of any depth.
fn title(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches('#');
    let text = rest.strip_prefix(' ')?;
    (rest.len() < line.len()).then_some(text)
}

/// The label of an item of a list, its space included, and what stands behind it.
fn item(line: &str) -> Option<(&str, &str)> {
    let label = match line.strip_prefix("- ") {
        Some(_) => 2,
        None => {
            let digits = line.bytes().take_while(u8::is_ascii_digit).count();
            let rest = line.get(digits..)?;
            (digits > 0 && rest.starts_with(". ")).then_some(digits + 2)?
        }
    };
    line.split_at_checked(label)
}

struct Rendered<'a> {
    out: String,
    style: &'a Style,
    /// Lines of the paragraph or item under way.
    pending: Vec<String>,
    /// What stands before it.
    label: String,
}

impl Rendered<'_> {
    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    /// Writes the paragraph or item under way.
    fn flush(&mut self) {
        let text = std::mem::take(&mut self.pending).join(" ");
        let label = std::mem::take(&mut self.label);
        if text.is_empty() {
            return;
        }
        let indent = length(&label);
        let room = self.style.width.saturating_sub(indent).max(20);
        let mut line = label;
        let mut used = 0;
        for word in words(&text, self.style.colour) {
            let long: usize = word.iter().map(|(piece, _)| length(piece)).sum();
            if used > 0 && used + 1 + long > room {
                self.line(&line);
                line = " ".repeat(indent);
                used = 0;
            }
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            used += long;
            for (piece, strong) in &word {
                if *strong {
                    line += &self.style.paint(BOLD, piece);
                } else {
                    line += piece;
                }
            }
        }
        self.line(&line);
    }
}

/// The words of a text. `**` makes pieces strong; code is strong where that can be
/// seen, and else keeps its quotes, so that its ends are seen.
fn words(text: &str, coloured: bool) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let (mut word, mut piece) = (Word::new(), String::new());
    let (mut bold, mut code) = (false, false);
    let mut rest = text.chars().peekable();
    let end = |word: &mut Word, piece: &mut String, strong: bool| {
        if !piece.is_empty() {
            word.push((std::mem::take(piece), strong));
        }
    };
    while let Some(c) = rest.next() {
        let strong = bold || (code && coloured);
        match c {
            '`' => {
                if coloured {
                    end(&mut word, &mut piece, strong);
                } else {
                    piece.push(c);
                }
                code = !code;
            }
            '*' if !code && rest.next_if_eq(&'*').is_some() => {
                end(&mut word, &mut piece, strong);
                bold = !bold;
            }
            c if c.is_whitespace() => {
                end(&mut word, &mut piece, strong);
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => piece.push(c),
        }
    }
    end(&mut word, &mut piece, bold || (code && coloured));
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, width: usize, colour: bool) -> String {
        render(text, &Style { width, colour })
    }

    #[test]
    fn what_is_text_is_wrapped_and_what_is_code_is_not() {
        let text = "# name\n\nOne two three four five six\nseven.\n\n```sh\nredis-cli CONFIG GET '*defrag*' and more\n```\n\n\
                    1. Do `this thing` now, and then that.\n2. And **that**: too.\n- A dash\n  goes on.\n";
        let want = "name\n\nOne two three four five\nsix seven.\n\n    redis-cli CONFIG GET '*defrag*' and more\n\n\
                    1. Do `this thing` now,\n   and then that.\n2. And that: too.\n- A dash goes on.\n";
        assert_eq!(shown(text, 24, false), want);
    }

    #[test]
    fn what_stands_out_is_bold_where_that_can_be_seen() {
        assert_eq!(
            shown("Set `a b`, **c**.\n", 80, true),
            "Set \u{1b}[1ma\u{1b}[0m \u{1b}[1mb\u{1b}[0m, \u{1b}[1mc\u{1b}[0m.\n"
        );
        assert_eq!(shown("2 * 3 ** `*x*`\n", 80, false), "2 * 3 `*x*`\n");
    }

    #[test]
    fn a_number_alone_is_no_list() {
        assert_eq!(
            shown("2.5 GB of\n100. nothing\n", 80, false),
            "2.5 GB of\n100. nothing\n"
        );
        assert_eq!(shown("#no title\n#\n", 80, false), "#no title #\n");
    }
}
