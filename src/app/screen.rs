//! What the text of a person's command goes to: width, colours, redrawing.
//!
//! Pure: main says what stdout is, the environment comes as a function.

use super::report::page::Style;

/// Columns where nothing says otherwise.
const USUAL_WIDTH: usize = 80;

/// Narrower than this nothing can be laid out.
const LEAST_WIDTH: usize = 40;

/// Wider than this a text is not read in one look.
const MOST_WIDTH: usize = 120;

/// Where the text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Whether it is a terminal.
    pub terminal: bool,
    /// Whether colours are wanted.
    pub colour: bool,
    /// Columns to fill.
    pub width: usize,
    /// Lines that are seen at once, where that is known.
    pub rows: Option<usize>,
}

impl Screen {
    /// Colours are for terminals alone, and not where `NO_COLOR` is set or `TERM`
    /// is dumb. The size comes from `COLUMNS` and `LINES`, else from the terminal
    /// (columns, lines), which cannot make the text wider than usual.
    #[must_use]
    pub fn new(
        terminal: bool,
        size: Option<(u16, u16)>,
        env: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let unwanted = env("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env("TERM").is_some_and(|term| term == "dumb");
        let number = |name| env(name)?.trim().parse().ok().filter(|n: &usize| *n > 0);
        let size = size.filter(|(columns, rows)| *columns > 0 && *rows > 0);
        let own = size.map(|(columns, _)| usize::from(columns).min(USUAL_WIDTH));
        let width = number("COLUMNS").or(own).unwrap_or(USUAL_WIDTH);
        Self {
            terminal,
            colour: terminal && !unwanted && !dumb,
            width: width.clamp(LEAST_WIDTH, MOST_WIDTH),
            rows: number("LINES").or(size.map(|(_, rows)| usize::from(rows))),
        }
    }

    /// How text is laid out here.
    #[must_use]
    pub fn style(&self) -> Style {
        Style {
            width: self.width,
            colour: self.colour,
        }
    }

    /// What draws a text over the one before it without a flicker: from the top,
    /// each line to its end, then nothing below. What does not fit is left out.
    #[must_use]
    pub fn redraw(&self, text: &str) -> String {
        let lines: Vec<&str> = text.lines().collect();
        let rows = self.rows.unwrap_or(lines.len() + 1).max(2);
        let mut out = String::from("\u{1b}[H");
        let fits = lines.len() < rows;
        let shown = if fits { lines.len() } else { rows - 2 };
        for line in lines.iter().take(shown) {
            out.push_str(line);
            out.push_str("\u{1b}[K\n");
        }
        if !fits {
            let more = lines.len() - shown;
            out.push_str(&format!("({more} more lines: enlarge the window)\u{1b}[K"));
        }
        out.push_str("\u{1b}[J");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(terminal: bool, size: Option<(u16, u16)>, env: &[(&str, &str)]) -> Screen {
        Screen::new(terminal, size, |name| {
            let found = env.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        for (terminal, env, want) in [
            (true, &[][..], true),
            (false, &[], false),
            (true, &[("NO_COLOR", "1")], false),
            (true, &[("NO_COLOR", "")], true),
            (true, &[("TERM", "dumb")], false),
            (true, &[("TERM", "xterm")], true),
        ] {
            assert_eq!(
                screen(terminal, None, env).colour,
                want,
                "{terminal} {env:?}"
            );
        }
    }

    #[test]
    fn the_width_is_said_or_eighty() {
        for (size, env, want) in [
            (None, &[][..], 80),
            (None, &[("COLUMNS", "100")], 100),
            (None, &[("COLUMNS", "0")], 80),
            (None, &[("COLUMNS", "many")], 80),
            (None, &[("COLUMNS", "9")], 40),
            (None, &[("COLUMNS", "999999")], 120),
            (Some((60, 20)), &[], 60),
            (Some((200, 50)), &[], 80),
            (Some((0, 0)), &[], 80),
            (Some((60, 20)), &[("COLUMNS", "90")], 90),
        ] {
            assert_eq!(screen(true, size, env).width, want, "{size:?} {env:?}");
        }
    }

    #[test]
    fn a_text_is_drawn_over_the_one_before() {
        let small = screen(true, Some((80, 4)), &[]);
        assert_eq!(
            small.redraw("a\nb\n"),
            "\u{1b}[Ha\u{1b}[K\nb\u{1b}[K\n\u{1b}[J"
        );
        let cut = small.redraw("a\nb\nc\nd\ne\n");
        assert!(cut.contains("b\u{1b}[K\n(3 more lines"), "{cut:?}");
    }
}
