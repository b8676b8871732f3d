//! Several reports: a line for each on top, the reports below; and the lines of
//! a recording.
//!
//! Pure rendering. Must not sort or judge.

use std::fmt::Write;

use crate::model::text::bytes;

use super::Report;
use super::page::{DIM, Style};
use super::text;
use super::words::{cut, end, length, ratio};

/// Columns of a severity.
const SEVERITY: usize = 10;

/// Columns of verdict, ratio and waste.
const FIGURES: usize = 18 + 2 + 6 + 2 + 11;

/// The reports as given: a table first where there is more than one.
#[must_use]
pub fn all(reports: &[Report], style: &Style) -> String {
    let mut out = String::new();
    if reports.len() > 1 {
        out += &table(reports, style);
    }
    for report in reports {
        if !out.is_empty() {
            let rule = "-".repeat(style.width.min(80));
            let _ = write!(out, "\n{}\n", style.paint("2", &rule));
        }
        out += &text::report(report, style);
    }
    out
}

/// One line for each: how bad, who, what, ratio and waste.
fn table(reports: &[Report], style: &Style) -> String {
    let longest = reports.iter().map(|report| length(&report.instance)).max();
    let room = style.width.saturating_sub(FIGURES + 2 + SEVERITY).max(16);
    let name = longest.unwrap_or(0).min(room);
    let head = format!("{:SEVERITY$}{:name$}  {}", "", "", head());
    let mut out = style.paint(DIM, &head) + "\n";
    for report in reports {
        let severity = style.severity(report.severity(), SEVERITY);
        let instance = cut(&report.instance, name);
        let line = format!("{severity}{instance:<name$}  {}", figures(report));
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

/// One file of a recording on a line of its own: its name, its time, and what was
/// found then.
#[must_use]
pub fn recorded(files: &[(String, String, &Report)], style: &Style) -> String {
    let widest = |texts: &mut dyn Iterator<Item = &String>| texts.map(|t| length(t)).max();
    let time = widest(&mut files.iter().map(|(_, time, _)| time)).unwrap_or(0);
    let longest = widest(&mut files.iter().map(|(file, ..)| file)).unwrap_or(0);
    let room = style.width.saturating_sub(FIGURES + 4 + time).max(16);
    let name = longest.min(room);
    let head = format!("{:name$}  {:time$}  {}", "", "", head());
    let mut out = style.paint(DIM, &head) + "\n";
    for (file, at, report) in files {
        let file = end(file, name);
        let figures = figures(report);
        let figures = figures.trim_end();
        let _ = writeln!(out, "{file:<name$}  {at:>time$}  {figures}");
    }
    out
}

/// What the columns of [`figures`] are.
fn head() -> String {
    format!("{:<18}  {:>6}  {:>11}", "verdict", "ratio", "wasted")
}

/// Verdict, ratio and waste in columns.
fn figures(report: &Report) -> String {
    let Ok(found) = &report.found else {
        return "unreachable".to_owned();
    };
    let times = found.ratio.map_or("-".to_owned(), ratio);
    let wasted = found
        .waste
        .map_or("-".to_owned(), |waste| bytes(waste.total));
    let verdict = report.verdict().name();
    format!("{verdict:<18}  {times:>6}  {wasted:>11}")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{FRAGMENTED, PLAIN, report};
    use super::*;

    #[test]
    fn several_have_a_table_on_top() {
        let reports = [
            report("cache", FRAGMENTED),
            Report::unreachable("a-name-that-is-very-long-indeed", "gone"),
        ];
        let text = all(&reports, &PLAIN);
        let want = "
WARNING   cache                          fragmented            2.65    314.7 MiB
UNKNOWN   a-name-that-is-very-long-ind~  unreachable
";
        let (head, rest) = text.split_at(text.find('\n').unwrap());
        assert_eq!(
            head.split_whitespace().collect::<Vec<_>>(),
            ["verdict", "ratio", "wasted"]
        );
        assert!(rest.starts_with(want), "{text}");
        assert_eq!(text.matches("\n---").count(), 2);
        assert!(all(&reports[..1], &PLAIN).starts_with("WARNING  fragmented"));
    }
}
