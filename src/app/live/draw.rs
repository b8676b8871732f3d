//! The live view as lines of a screen: rows of two lines each, a report, the keys.
//!
//! Pure: what is known and chosen in, as many lines as the screen has out. Must not
//! decide anything.

use std::time::Duration;

use crate::app::diagnose::NONE_FOUND;
use crate::app::report::page::{BOLD, DIM, Style};
use crate::app::report::words::{cut, length, ratio, wrap};
use crate::app::report::{Report, actions, spark, text};
use crate::model::text::bytes;
use crate::model::verdict::Severity;

use super::rows::{Moment, Row};
use super::view::{Page, View};

/// Columns of a severity and what is behind it.
const SEVERITY: usize = 9;

/// Columns before what stands below a row's first line.
const INDENT: usize = 2;

/// Most columns of a line of the past.
const WIDEST: usize = 40;

/// A report that is wider is not read in one look.
const WIDEST_REPORT: usize = 120;

/// Ratio up to which the line of its past is not stretched: that of an instance that is
/// well lies low.
const USUAL_RATIO: f64 = 3.0;

/// The screen to be filled.
#[derive(Debug, Clone, Copy)]
pub struct Canvas {
    /// Columns.
    pub columns: usize,
    /// Lines.
    pub lines: usize,
    /// Whether colours are wanted.
    pub colour: bool,
    /// Whether it shows more than ASCII.
    pub utf8: bool,
}

/// What is drawn beside the rows.
#[derive(Debug, Clone, Copy)]
pub struct Now<'a> {
    /// The time of day, in words.
    pub clock: &'a str,
    /// How long the view has been there.
    pub since: Duration,
}

const HELP: &[(&str, &str)] = &[
    ("up down, j k", "select a row, scroll a report"),
    (
        "PgUp PgDn Home End",
        "by a screen, to the first and the last",
    ),
    ("Enter", "the whole report of the selected instance"),
    ("Esc, Backspace", "back"),
    ("Space", "hold still: nobody is asked; again to go on"),
    ("s", "order: worst first, by waste, by ratio, by name"),
    ("+ -", "ask more often, more seldom"),
    ("?", "these keys"),
    ("q, Ctrl-C", "end"),
];

impl Canvas {
    /// Rows, or lines of a page, that there is room for between head and foot.
    #[must_use]
    pub fn page(&self, page: Page) -> usize {
        let room = self.lines.saturating_sub(2);
        match page {
            Page::Table => room / 2,
            Page::Report | Page::Help => room,
        }
    }

    fn style(&self) -> Style {
        Style {
            width: self.columns.min(WIDEST_REPORT),
            colour: self.colour,
        }
    }
}

/// The lines of the screen, exactly as many as it has. Finds the end of a page that was
/// scrolled too far.
#[must_use]
pub fn frame(rows: &[&Row], view: &mut View, canvas: Canvas, now: Now<'_>) -> Vec<String> {
    let chosen = view.chosen().map(str::to_owned);
    let nobody = || wrap(NONE_FOUND, canvas.columns);
    let row = |name: &str| rows.iter().find(|row| row.name == name);
    let middle = match view.page {
        Page::Table if rows.is_empty() => nobody(),
        Page::Table => table(rows, view, canvas, now),
        Page::Help => help(canvas),
        Page::Report => {
            let report = chosen.and_then(|name| row(&name)?.report.as_ref());
            match report {
                Some(report) => text::report(report, &canvas.style())
                    .lines()
                    .map(str::to_owned)
                    .collect(),
                None => vec!["no answer yet".to_owned()],
            }
        }
    };
    let room = canvas.lines.saturating_sub(2);
    let hidden = middle.len().saturating_sub(room);
    let from = match view.page {
        Page::Table => 0,
        Page::Report | Page::Help => {
            view.scroll = view.scroll.min(hidden);
            view.scroll
        }
    };
    let mut lines = vec![head(rows, view, canvas, now)];
    let shown = middle.into_iter().skip(from).take(room);
    // What is to be copied may be wider than the screen: it is cut here, not wrapped.
    lines.extend(shown.map(|line| fit(&line, canvas)));
    lines.resize(canvas.lines.saturating_sub(1), String::new());
    lines.push(foot(view, canvas, hidden.saturating_sub(from)));
    lines.truncate(canvas.lines);
    lines
}

/// How many of each, and what was chosen.
fn head(rows: &[&Row], view: &View, canvas: Canvas, now: Now<'_>) -> String {
    let heard = || rows.iter().filter(|row| row.report.is_some());
    let count = |severity| heard().filter(|row| row.severity() == severity).count();
    let silent = rows.len().saturating_sub(heard().count());
    let severities = [
        Severity::Critical,
        Severity::Warning,
        Severity::Unknown,
        Severity::Fine,
    ];
    let counts = severities.map(|severity| (count(severity), severity.name()));
    // Nobody has answered that it is fine.
    let counts = counts.into_iter().chain([(silent, "pending")]);
    let counts = counts.filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    let pace = if view.paused {
        "PAUSED".to_owned()
    } else {
        format!("every {} s", view.interval)
    };
    let told = format!(
        "redis-frag  {}  {pace}  {}  {}",
        counts.join(", "),
        view.order.name(),
        now.clock
    );
    canvas.style().paint(BOLD, &cut(&told, canvas.columns))
}

/// The keys that matter most, and what does not fit.
fn foot(view: &View, canvas: Canvas, hidden: usize) -> String {
    let keys = match view.page {
        Page::Table => "Enter report  Space pause  s order  + - pace  ? keys  q end",
        Page::Report | Page::Help => "Esc back  up down scroll",
    };
    let more = match view.page {
        Page::Table => {
            let page = canvas.page(Page::Table);
            match view.ranked.len() {
                all if all > page => format!("{} of {all}  ", view.selected + 1),
                _ => String::new(),
            }
        }
        _ if hidden > 0 => format!("{hidden} more lines  "),
        _ => String::new(),
    };
    canvas
        .style()
        .paint(DIM, &cut(&format!("{more}{keys}"), canvas.columns))
}

fn help(canvas: Canvas) -> Vec<String> {
    let widest = HELP.iter().map(|(keys, _)| length(keys)).max().unwrap_or(0);
    let line =
        |(keys, does): &(&str, &str)| cut(&format!("  {keys:widest$}  {does}"), canvas.columns);
    std::iter::once(String::new())
        .chain(HELP.iter().map(line))
        .collect()
}

/// The rows around the selected one that fit.
fn table(rows: &[&Row], view: &mut View, canvas: Canvas, now: Now<'_>) -> Vec<String> {
    let room = canvas.page(Page::Table).max(1);
    // Scrolls no further than it must for the selected row to be seen.
    let last = view.ranked.len().saturating_sub(room);
    view.scroll = view
        .scroll
        .min(view.selected)
        .max((view.selected + 1).saturating_sub(room))
        .min(last);
    let shown = view.ranked.iter().enumerate().skip(view.scroll).take(room);
    let longest = view
        .ranked
        .iter()
        .map(|name| length(name))
        .max()
        .unwrap_or(0);
    let name_room = canvas.columns.saturating_sub(1 + SEVERITY) / 3;
    let width = longest.min(name_room.max(8));
    let mut lines = Vec::new();
    for (place, name) in shown {
        let Some(row) = rows.iter().find(|row| row.name == *name) else {
            continue;
        };
        lines.push(first(
            row,
            (place == view.selected, width),
            (view, canvas, now),
        ));
        lines.push(second(row, canvas));
    }
    lines
}

/// Who, how bad, what, and what to do first.
fn first(
    row: &Row,
    (selected, width): (bool, usize),
    (view, canvas, now): (&View, Canvas, Now<'_>),
) -> String {
    let style = canvas.style();
    let mark = if selected { ">" } else { " " };
    let severity = match row.report {
        Some(_) => style.severity(row.severity(), SEVERITY),
        None => " ".repeat(SEVERITY),
    };
    let room = canvas.columns.saturating_sub(1 + SEVERITY + width + 2);
    let told = match &row.report {
        None => "no answer yet".to_owned(),
        Some(report) => match &report.found {
            Ok(_) => found(report, &age(row, view, now), room),
            Err(error) => {
                let since = row
                    .silent
                    .map_or(0, |silent| now.since.saturating_sub(silent).as_secs());
                format!("unreachable for {}: {error}", span(since))
            }
        },
    };
    let told = cut(&told, room);
    let name = format!("{:<width$}", cut(&row.name, width));
    let name = if selected {
        style.paint(BOLD, &name)
    } else {
        name
    };
    format!("{mark}{severity}{name}  {told}")
}

/// The verdict, and the first remedy with its bytes; where there is no room for all of it,
/// the waste goes first, which is seen below. The age of it stays.
fn found(report: &Report, age: &str, room: usize) -> String {
    let verdict = report.verdict().name();
    let Ok(found) = &report.found else {
        return verdict.to_owned();
    };
    let wasted = found.waste.map(|waste| bytes(waste.total));
    let wasted = wasted.map_or(String::new(), |wasted| format!(", {wasted} wasted"));
    let advice = found.diagnosis.advice.iter().find(|advice| !advice.refused);
    let advice = advice.map(|advice| {
        let gain = actions::gain(found, advice.action);
        let gain = gain.map_or(String::new(), |gain| format!(": {} back", bytes(gain)));
        format!(", {}{gain}", advice.action.name().replace('_', " "))
    });
    let advice = advice.unwrap_or_default();
    let all = [
        format!("{verdict}{wasted}{advice}{age}"),
        format!("{verdict}{advice}{age}"),
        format!("{verdict}{wasted}{age}"),
    ];
    let fitting = all.into_iter().find(|told| length(told) <= room);
    fitting.unwrap_or_else(|| format!("{verdict}{age}"))
}

/// The past of its ratio, and of resident beside used memory on one scale.
fn second(row: &Row, canvas: Canvas) -> String {
    let last = row.past.iter().rev().find(|moment| moment.rss.is_some());
    let last = last.copied().unwrap_or_default();
    let size = |size: Option<u64>| {
        let size = size.and_then(|size| i64::try_from(size).ok());
        size.map_or("-".to_owned(), bytes)
    };
    let parts = [
        ("ratio", last.ratio.map_or("-".to_owned(), ratio), 6),
        ("rss", size(last.rss), 10),
        ("used", size(last.used), 10),
    ];
    let room = canvas.columns.saturating_sub(INDENT);
    // As many of them as there is room for, with a line of eight columns at least.
    let fixed = |count: usize| -> usize {
        let each = parts
            .iter()
            .take(count)
            .map(|(name, _, width)| length(name) + 1 + 1 + width + 2);
        each.sum()
    };
    let count = (1..=parts.len())
        .rev()
        .find(|count| fixed(*count) + 8 * count <= room);
    let count = count.unwrap_or(1);
    let width = (room.saturating_sub(fixed(count)) / count).min(WIDEST);
    let moments = || row.past.iter().rev().take(width).rev();
    let sizes = moments().filter_map(|moment| moment.rss.max(moment.used));
    let highest = number(sizes.max()).unwrap_or(1.0);
    let ratios = moments().filter_map(|moment| moment.ratio);
    let top = ratios.fold(USUAL_RATIO, f64::max);
    let mut line = " ".repeat(INDENT);
    for (place, (name, value, wide)) in parts.iter().take(count).enumerate() {
        let span = if place == 0 {
            (1.0, top)
        } else {
            (0.0, highest)
        };
        let of = |moment: &Moment| match place {
            0 => moment.ratio.map(|ratio| ratio.max(1.0)),
            1 => number(moment.rss),
            _ => number(moment.used),
        };
        let past = spark::line(moments().map(of), span, width, canvas.utf8);
        line += &format!("{name} {past} {value:>wide$}  ");
    }
    cut(line.trim_end(), canvas.columns)
}

/// How old the figures are, behind a comma, where that is more than two rounds.
fn age(row: &Row, view: &View, now: Now<'_>) -> String {
    if row.silent.is_some() {
        return String::new();
    }
    let heard = row
        .heard
        .map(|heard| now.since.saturating_sub(heard).as_secs());
    match heard {
        Some(age) if age > u64::from(view.interval) * 2 && !view.paused => {
            format!(", {} old", span(age))
        }
        _ => String::new(),
    }
}

/// Seconds as people read them.
fn span(seconds: u64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

#[allow(clippy::cast_precision_loss, reason = "a height of eight")]
fn number(size: Option<u64>) -> Option<f64> {
    size.map(|size| size as f64)
}

/// A line that may have colours, cut to the columns of the screen and to what it shows.
fn fit(line: &str, canvas: Canvas) -> String {
    let mut out = String::new();
    let (mut seen, mut in_colour, mut is_full) = (0, false, false);
    for c in line.chars() {
        let c = if c.is_ascii() || canvas.utf8 { c } else { '?' };
        if c == '\u{1b}' || in_colour {
            in_colour = c != 'm';
            out.push(c);
            continue;
        }
        seen += columns(c);
        is_full |= seen > canvas.columns;
        if !is_full {
            out.push(c);
        }
    }
    out
}

/// Columns that a character takes at most, whatever the terminal. Wide ones (East Asian,
/// emoji) stand from U+1100 on, apart from punctuation, arrows, and what is drawn here
/// (`EastAsianWidth` of Unicode 16).
fn columns(c: char) -> usize {
    match c {
        ..'\u{1100}' | '\u{2000}'..='\u{22ff}' | '\u{2500}'..='\u{259f}' => 1,
        _ => 2,
    }
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;
