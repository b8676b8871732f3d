//! What a person has chosen in the live view: the order, the row, what is open, how far it
//! is scrolled; and the order of rows, which moves only where there is a reason.
//!
//! Pure. Must not know what is drawn, nor how a key is read.

use std::cmp::Reverse;
use std::time::Duration;

use crate::model::verdict::{Severity, Verdict};

use super::keys::Key;
use super::rows::Row;

/// For how many rounds the order must be another before rows move that are no worse than
/// they were.
const CALM: u32 = 3;

/// Seconds between rounds that can be chosen.
const INTERVALS: &[u32] = &[1, 2, 5, 10, 30, 60];

/// By what rows are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The worst first, and of those the one that wastes most.
    Severity,
    /// The one that wastes most first.
    Waste,
    /// The highest ratio first.
    Ratio,
    /// By name.
    Name,
}

impl Order {
    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Severity => "worst first",
            Self::Waste => "by waste",
            Self::Ratio => "by ratio",
            Self::Name => "by name",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Severity => Self::Waste,
            Self::Waste => Self::Ratio,
            Self::Ratio => Self::Name,
            Self::Name => Self::Severity,
        }
    }
}

/// What is on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The rows.
    Table,
    /// The report of the selected one.
    Report,
    /// The keys.
    Help,
}

/// What is to be done beside drawing anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Nothing.
    Draw,
    /// The interval or the pause has changed.
    Pace,
    /// End.
    Quit,
    /// Stop the program until it is told to go on.
    Suspend,
}

/// The state of the view.
#[derive(Debug)]
pub struct View {
    /// By what rows are ordered.
    pub order: Order,
    /// What is on the screen.
    pub page: Page,
    /// Whether it holds still.
    pub paused: bool,
    /// Seconds between rounds.
    pub interval: u32,
    /// First line of the page that is shown.
    pub scroll: usize,
    /// Names of the rows in their order.
    pub ranked: Vec<String>,
    /// The row that is selected, by its place.
    pub selected: usize,
    /// Whether it was chosen; until then the worst is.
    moved: bool,
    /// What each row was when they were last ordered.
    was: Vec<(String, Severity, Option<Verdict>)>,
    /// Since when the order would have been another.
    stale: Option<Duration>,
}

impl View {
    /// As it begins.
    #[must_use]
    pub fn new(interval: u32) -> Self {
        Self {
            order: Order::Severity,
            page: Page::Table,
            paused: false,
            interval,
            scroll: 0,
            ranked: Vec::new(),
            selected: 0,
            moved: false,
            was: Vec::new(),
            stale: None,
        }
    }

    /// The name of the selected row.
    #[must_use]
    pub fn chosen(&self) -> Option<&str> {
        self.ranked.get(self.selected).map(String::as_str)
    }

    /// Takes a key; `page` is how many rows or lines a screen has.
    pub fn press(&mut self, key: Key, page: usize) -> Deed {
        let page = page.max(1);
        match key {
            Key::Quit if self.page == Page::Table => return Deed::Quit,
            Key::Quit | Key::Back => self.turn(Page::Table),
            Key::Help if self.page == Page::Help => self.turn(Page::Table),
            Key::Help => self.turn(Page::Help),
            Key::Open if self.page == Page::Table && self.chosen().is_some() => {
                self.moved = true;
                self.turn(Page::Report);
            }
            Key::Open => {}
            Key::Suspend => return Deed::Suspend,
            Key::Pause => {
                self.paused = !self.paused;
                return Deed::Pace;
            }
            Key::Order => {
                self.order = self.order.next();
                self.was.clear();
            }
            Key::Faster => return self.pace(|interval, chosen| interval < chosen, true),
            Key::Slower => return self.pace(|interval, chosen| interval > chosen, false),
            Key::Up => self.go(|at| at.saturating_sub(1)),
            Key::Down => self.go(|at| at.saturating_add(1)),
            Key::PageUp => self.go(|at| at.saturating_sub(page)),
            Key::PageDown => self.go(|at| at.saturating_add(page)),
            Key::Home => self.go(|_| 0),
            Key::End => self.go(|_| usize::MAX),
        }
        Deed::Draw
    }

    fn turn(&mut self, page: Page) {
        self.page = page;
        self.scroll = 0;
    }

    /// The next interval that is shorter or longer.
    fn pace(&mut self, fits: fn(u32, u32) -> bool, shorter: bool) -> Deed {
        let mut fitting = INTERVALS.iter().filter(|one| fits(**one, self.interval));
        let next = if shorter {
            fitting.next_back()
        } else {
            fitting.next()
        };
        self.interval = next.copied().unwrap_or(self.interval);
        Deed::Pace
    }

    /// Moves in what is shown; the end of a page is found when it is drawn.
    fn go(&mut self, to: impl Fn(usize) -> usize) {
        match self.page {
            Page::Table => {
                let last = self.ranked.len().saturating_sub(1);
                self.selected = to(self.selected).min(last);
                self.moved = true;
            }
            Page::Report | Page::Help => self.scroll = to(self.scroll),
        }
    }

    /// Orders the rows anew where one has become something else, or where another order
    /// has stood for some rounds; `time` is how long the view has been there. A row that was
    /// chosen stays selected; until one is, the first is.
    pub fn rank(&mut self, rows: &[&Row], time: Duration) {
        let is = |row: &&Row| (row.name.clone(), row.severity(), row.verdict());
        let mut now: Vec<_> = rows.iter().map(is).collect();
        now.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        let names = self.sorted(rows);
        if now == self.was && names == self.ranked {
            self.stale = None;
            return;
        }
        let since = *self.stale.get_or_insert(time);
        let calm = Duration::from_secs(u64::from(self.interval)).saturating_mul(CALM);
        if now == self.was && time.saturating_sub(since) < calm {
            return;
        }
        let chosen = self.chosen().filter(|_| self.moved).map(str::to_owned);
        (self.was, self.ranked, self.stale) = (now, names, None);
        let place = |name: String| self.ranked.iter().position(|other| *other == name);
        let last = self.ranked.len().saturating_sub(1);
        let stays = if self.moved { self.selected } else { 0 };
        self.selected = chosen.and_then(place).unwrap_or(stays).min(last);
    }

    fn sorted(&self, rows: &[&Row]) -> Vec<String> {
        let mut rows = rows.to_vec();
        let ratio = |row: &Row| row.ratio().unwrap_or(0.0);
        rows.sort_by(|one, other| {
            let by = match self.order {
                Order::Severity => {
                    let key = |row: &Row| (Reverse(row.severity()), Reverse(row.wasted()));
                    key(one).cmp(&key(other))
                }
                Order::Waste => other.wasted().cmp(&one.wasted()),
                Order::Ratio => ratio(other).total_cmp(&ratio(one)),
                Order::Name => std::cmp::Ordering::Equal,
            };
            by.then_with(|| one.name.cmp(&other.name))
        });
        rows.into_iter().map(|row| row.name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::report::tests::{FRAGMENTED, report};

    /// A row of a server that wastes so much more or less.
    fn row(name: &str, rss: &str, ratio: &str) -> Row {
        let bytes = rss.parse::<i64>().unwrap() - 200_000_000;
        let info = FRAGMENTED
            .replace("530000000", rss)
            .replace("330000000", &bytes.to_string())
            .replace("ratio:2.65", &format!("ratio:{ratio}"));
        let mut row = Row::new(name.to_owned());
        row.take(report(name, &info), Duration::ZERO);
        row
    }

    fn order(view: &mut View, rows: &[Row]) -> String {
        order_at(view, rows, 0)
    }

    fn order_at(view: &mut View, rows: &[Row], second: u64) -> String {
        view.rank(
            &rows.iter().collect::<Vec<_>>(),
            Duration::from_secs(second),
        );
        view.ranked.join(" ")
    }

    #[test]
    fn the_worst_comes_first_and_rows_move_only_with_a_reason() {
        let mut view = View::new(2);
        let mut rows = vec![
            row("fine", "220000000", "1.10"),
            row("more", "530000000", "2.65"),
            row("less", "500000000", "2.50"),
        ];
        assert_eq!(order(&mut view, &rows), "more less fine");
        assert_eq!(
            view.chosen(),
            Some("more"),
            "the worst, until one is chosen"
        );
        view.press(Key::Down, 10);
        assert_eq!(view.chosen(), Some("less"));
        // Another one wastes more now: for three rounds of two seconds that moves nobody,
        // however often it is drawn meanwhile.
        let other = row("less", "540000000", "2.70");
        let before = std::mem::replace(&mut rows[2], other);
        for second in [10, 10, 11, 12, 13, 14, 15, 15, 15] {
            assert_eq!(order_at(&mut view, &rows, second), "more less fine");
        }
        // What is over before does not count.
        let other = std::mem::replace(&mut rows[2], before);
        assert_eq!(order_at(&mut view, &rows, 15), "more less fine");
        rows[2] = other;
        for second in [16, 21] {
            assert_eq!(order_at(&mut view, &rows, second), "more less fine");
        }
        assert_eq!(order_at(&mut view, &rows, 22), "less more fine");
        assert_eq!(view.chosen(), Some("less"), "selected by name");
        // One has become something else: at once.
        rows[1] = row("more", "220000000", "1.10");
        assert_eq!(order(&mut view, &rows), "less fine more");
    }

    #[test]
    fn an_order_is_chosen() {
        let mut view = View::new(2);
        let rows = [
            row("b", "220000000", "1.10"),
            row("a", "530000000", "2.65"),
            row("c", "400000000", "2.00"),
        ];
        assert_eq!(order(&mut view, &rows), "a c b");
        for (name, want) in [
            ("by waste", "a c b"),
            ("by ratio", "a c b"),
            ("by name", "a b c"),
        ] {
            view.press(Key::Order, 10);
            assert_eq!(view.order.name(), name);
            assert_eq!(order(&mut view, &rows), want, "{name}");
        }
        view.press(Key::Order, 10);
        assert_eq!(view.order, Order::Severity);
    }

    #[test]
    fn keys_move_open_and_end() {
        let mut view = View::new(2);
        let rows: Vec<Row> = ["a", "b", "c"].map(|name| Row::new(name.to_owned())).into();
        order(&mut view, &rows);
        for (key, chosen) in [
            (Key::End, "c"),
            (Key::Down, "c"),
            (Key::PageUp, "a"),
            (Key::Up, "a"),
            (Key::PageDown, "c"),
            (Key::Home, "a"),
        ] {
            assert_eq!(view.press(key, 2), Deed::Draw);
            assert_eq!(view.chosen(), Some(chosen), "{key:?}");
        }
        view.press(Key::Open, 2);
        assert_eq!(view.page, Page::Report);
        view.press(Key::Down, 2);
        assert_eq!((view.scroll, view.chosen()), (1, Some("a")));
        assert_eq!(view.press(Key::Quit, 2), Deed::Draw, "back first");
        assert_eq!((view.page, view.scroll), (Page::Table, 0));
        view.press(Key::Help, 2);
        assert_eq!(view.page, Page::Help);
        view.press(Key::Help, 2);
        assert_eq!(view.press(Key::Quit, 2), Deed::Quit);
    }

    #[test]
    fn the_pace_is_one_of_a_few_and_never_nothing() {
        let mut view = View::new(7);
        for (key, want) in [
            (Key::Slower, 10),
            (Key::Slower, 30),
            (Key::Slower, 60),
            (Key::Slower, 60),
            (Key::Faster, 30),
        ] {
            assert_eq!(view.press(key, 2), Deed::Pace);
            assert_eq!(view.interval, want);
        }
        for _ in 0..9 {
            view.press(Key::Faster, 2);
        }
        assert_eq!(view.interval, 1);
        assert_eq!(view.press(Key::Pause, 2), Deed::Pace);
        assert!(view.paused);
    }
}
