//! What the text of a person's command goes to: size, colours, characters.
//!
//! Pure: main says what stdout is, the environment comes as a function.

use super::report::page::Style;

/// Columns where nothing says otherwise.
const USUAL_WIDTH: usize = 80;

/// Lines where nothing says otherwise.
const USUAL_ROWS: usize = 24;

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
    /// Columns of the window, where a live view is drawn.
    pub columns: usize,
    /// Lines that are seen at once.
    pub rows: usize,
    /// Whether text can be drawn over what stands there.
    pub moves: bool,
    /// Whether it shows more than ASCII.
    pub utf8: bool,
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
        let columns = size.map(|(columns, _)| usize::from(columns));
        let rows = size.map(|(_, rows)| usize::from(rows));
        // The first of these that says anything (locale(7)).
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| {
            let said = env(name);
            said.filter(|said| !said.is_empty())
        });
        let locale = locale.unwrap_or_default().to_lowercase();
        Self {
            terminal,
            colour: terminal && !unwanted && !dumb,
            width: width.clamp(LEAST_WIDTH, MOST_WIDTH),
            columns: columns.or(number("COLUMNS")).unwrap_or(USUAL_WIDTH),
            rows: rows.or(number("LINES")).unwrap_or(USUAL_ROWS),
            moves: terminal && !dumb,
            utf8: locale.contains("utf-8") || locale.contains("utf8"),
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
    fn a_cursor_moves_on_terminals_that_are_not_dumb() {
        assert!(screen(true, None, &[("TERM", "xterm")]).moves);
        assert!(!screen(true, None, &[("TERM", "dumb")]).moves);
        assert!(!screen(false, None, &[("TERM", "xterm")]).moves);
    }

    #[test]
    fn more_than_ascii_is_shown_where_the_locale_has_it() {
        for (env, want) in [
            (&[][..], false),
            (&[("LANG", "C.UTF-8")], true),
            (&[("LANG", "de_DE.utf8")], true),
            (&[("LANG", "en_US.UTF-8"), ("LC_ALL", "C")], false),
            (&[("LANG", "C"), ("LC_CTYPE", "C.UTF-8")], true),
            (&[("LANG", "C.UTF-8"), ("LC_ALL", "")], true),
        ] {
            assert_eq!(screen(true, None, env).utf8, want, "{env:?}");
        }
    }

    #[test]
    fn a_live_view_has_all_of_the_window() {
        let wide = screen(true, Some((200, 50)), &[]);
        assert_eq!((wide.width, wide.columns, wide.rows), (80, 200, 50));
        let unknown = screen(true, None, &[]);
        assert_eq!((unknown.columns, unknown.rows), (80, 24));
    }
}
