//! A report as a person reads it: verdict, where the bytes are, what to do, why.
//!
//! Pure: a report in, lines out. Must not decide anything, nor know where the
//! text goes.

use std::fmt::Write;

use crate::model::advice::Advice;
use crate::model::history::Rates;
use crate::model::risks;
use crate::model::text::bytes;
use crate::model::verdict::{Evidence, Figure, Relation, Severity, Verdict};

use super::actions::{gain, label, title};
use super::bar::{self, Part};
use super::page::{BOLD, DIM, Page, Style};
use super::words::{length, ratio, wrap};
use super::{Found, Report};

/// Columns before the meaning of a part.
const LEGEND: usize = 36;

/// The whole report, with an empty line neither before nor after.
#[must_use]
pub fn report(report: &Report, style: &Style) -> String {
    let mut page = Page {
        out: String::new(),
        style,
    };
    match &report.found {
        Ok(found) => {
            page.head(report, found.diagnosis.verdict.name(), &headline(found));
            page.identity(report, Some(found));
            page.map(found);
            page.headroom(found);
            page.evidence(found);
            page.advice(report, found);
            page.defrag(found);
            page.ruled_out(found);
            page.missing(&found.diagnosis.missing);
            page.issues(found);
            page.more(&topics(found));
        }
        Err(error) => {
            page.head(report, "unreachable", error);
            page.identity(report, None);
            page.missing(&["INFO"]);
            page.more(&["redis_frag_unreachable"]);
        }
    }
    page.out
}

impl Page<'_> {
    /// Where the guide says more.
    fn more(&mut self, topics: &[&str]) {
        if !topics.is_empty() {
            let command = format!("redis-frag explain {}", topics.join(" "));
            self.title("More");
            self.hang("", 2, &command, "");
        }
    }

    fn head(&mut self, report: &Report, verdict: &str, meaning: &str) {
        let severity = report.severity();
        let indent = severity.name().len() + 2;
        let text = format!("{verdict}: {meaning}");
        let room = self.style.width.saturating_sub(indent).max(20);
        for (number, line) in wrap(&text, room).iter().enumerate() {
            let before = match number {
                0 => self.style.severity(severity, indent),
                _ => " ".repeat(indent),
            };
            let line = format!("{before}{}", self.style.paint(BOLD, line));
            self.line(&line);
        }
    }

    /// Who this is.
    fn identity(&mut self, report: &Report, found: Option<&Found>) {
        let mut parts = vec![report.instance.clone()];
        parts.extend(report.address.clone());
        if let Some(found) = found {
            let version = found.version.as_deref().unwrap_or("of unknown version");
            parts.push(format!("{} {version}", found.flavour));
            parts.extend(found.allocator.clone());
        }
        let indent = report.severity().name().len() + 2;
        self.hang("", indent, &parts.join(", "), "");
    }

    /// The bar and its legend.
    fn map(&mut self, found: &Found) {
        let (Some(rss), Some(used), Some(waste)) = (found.rss, found.used, found.waste) else {
            return;
        };
        let parts = bar::parts(used, &waste);
        let rss = i64::try_from(rss).unwrap_or(i64::MAX);
        let times = found.ratio.map_or("unknown".to_owned(), ratio);
        let resident = bar::in_unit_of(rss, rss);
        let text = match waste.total {
            ..0 => format!(
                "{resident} resident, ratio {times}: {} less than is used",
                bar::in_unit_of(-waste.total, rss)
            ),
            _ => format!(
                "{resident} resident, ratio {times}: {} more than is used",
                bar::in_unit_of(waste.total, rss)
            ),
        };
        self.title("Where the bytes are");
        self.hang("", 2, &text, "");
        self.bar(&parts);
        self.legend(&parts, rss);
    }

    fn bar(&mut self, parts: &[Part]) {
        let sizes: Vec<i64> = parts.iter().map(|part| part.bytes).collect();
        let cells = bar::cells(&sizes, self.style.width.saturating_sub(4).min(96));
        let mut drawn = String::from("  [");
        for (part, cells) in parts.iter().zip(cells) {
            drawn += &self.glyphs(part, cells);
        }
        self.line(&format!("{drawn}]"));
    }

    fn legend(&mut self, parts: &[Part], rss: i64) {
        let sizes = parts.iter().map(|part| part.bytes.max(0));
        let shown = sizes.fold(0, i64::saturating_add);
        for part in parts {
            let glyphs = self.glyphs(part, 2);
            let size = bar::in_unit_of(part.bytes, rss);
            let share = percent(part.bytes, shown);
            let label = format!("  {glyphs} {:<10} {size:>12} {share:>4}", part.name);
            let meaning = match part.bytes {
                ..0 => "counted, and not resident",
                _ => part.meaning,
            };
            let fits = LEGEND + length(meaning) <= self.style.width;
            let meaning = self.style.paint(DIM, meaning);
            self.line(&if fits {
                format!("{label}   {meaning}")
            } else {
                label
            });
        }
    }

    /// So many of the characters that stand for a part, in its colour.
    fn glyphs(&self, part: &Part, count: usize) -> String {
        let run = part.glyph.to_string().repeat(count);
        // Black on its colour: that holds on a light screen too, where its colour turned round
        // would be white on yellow.
        self.style.paint(&format!("30;{}", part.ground), &run)
    }

    /// The limit, and what threatens beside the waste.
    fn headroom(&mut self, found: &Found) {
        let risks = &found.diagnosis.risks;
        if found.headroom.is_none() && risks.is_empty() {
            return;
        }
        self.title("Headroom");
        if let Some(room) = &found.headroom {
            let size = |size: u64| bytes(i64::try_from(size).unwrap_or(i64::MAX));
            let text = format!(
                "{:.0}% of {} taken, {:.0}% if a child copied all that it can; {}",
                room.now(),
                size(room.limit),
                room.worst_case(),
                risks::whose(&room.limited_by)
            );
            self.hang("", 2, &text, "");
        }
        for risk in risks {
            let label = match risk.severity {
                Severity::Fine => "  note: ".to_owned(),
                severity => format!("  {}", self.style.severity(severity, 9)),
            };
            self.hang(&label, 12, &risk.why, "");
        }
        if let Some(why) = &found.unsure {
            self.hang(
                "",
                2,
                &format!("the process itself was not looked at: {why}"),
                "",
            );
        }
    }

    fn evidence(&mut self, found: &Found) {
        self.title("Why");
        let rows: Vec<(String, String, String)> =
            found.diagnosis.evidence.iter().map(row).collect();
        let wide = |column: fn(&(String, String, String)) -> &str| {
            rows.iter()
                .map(|row| length(column(row)))
                .max()
                .unwrap_or(0)
        };
        let (first, second) = (wide(|row| &row.0), wide(|row| &row.1));
        for (field, value, limit) in &rows {
            self.line(&format!("  {field:<first$}  {value:>second$}  {limit}"));
        }
    }

    fn advice(&mut self, report: &Report, found: &Found) {
        let all = &found.diagnosis.advice;
        let (refused, given): (Vec<&Advice>, Vec<&Advice>) =
            all.iter().partition(|advice| advice.refused);
        self.title("What to do");
        if given.is_empty() {
            self.line(match found.diagnosis.verdict {
                Verdict::Unknown => "  nothing can be advised without what is absent",
                _ => "  nothing",
            });
        }
        for (number, advice) in given.iter().enumerate() {
            self.remedy(
                number + 1,
                advice,
                &report.client,
                gain(found, advice.action),
            );
        }
        if refused.is_empty() {
            return;
        }
        self.title("What not to do");
        for advice in refused {
            let reason = &advice.caution;
            let reason = reason.strip_prefix("not advised: ").unwrap_or(reason);
            self.hang(&format!("  {}", title(advice.action)), 27, reason, "");
        }
    }

    fn remedy(&mut self, number: usize, advice: &Advice, client: &str, gain: Option<i64>) {
        let name = self.style.paint(BOLD, title(advice.action));
        let gain = gain.map(|gain| format!(": about {} back", bytes(gain)));
        self.line(&format!("  {number}. {name}{}", gain.unwrap_or_default()));
        if let Some(command) = &advice.command {
            let command = match command.strip_prefix("redis-cli ") {
                Some(words) => format!("{client} {words}"),
                None => command.clone(),
            };
            let command = self.style.paint("36", &command);
            self.line(&format!("     $ {command}"));
        }
        self.hang("", 5, &advice.why, "");
        if !advice.caution.is_empty() {
            self.hang(label(advice.action), 11, &advice.caution, "");
        }
    }

    fn defrag(&mut self, found: &Found) {
        let Some(state) = found.defrag else { return };
        self.title("Active defrag");
        let reason = &found.diagnosis.defrag_reason;
        self.hang(&format!("  {}", state.name()), 15, reason, "");
        if let Some(text) = moves(&found.rates) {
            self.hang("", 15, &text, "");
        }
    }

    fn ruled_out(&mut self, found: &Found) {
        if found.diagnosis.ruled_out.is_empty() {
            return;
        }
        self.title("Ruled out");
        for ruled in &found.diagnosis.ruled_out {
            let label = format!("  {}", ruled.verdict.name());
            self.hang(&label, 22, &ruled.reason, DIM);
        }
    }

    fn missing(&mut self, missing: &[&str]) {
        if !missing.is_empty() {
            self.title("Missing");
            self.hang("", 2, &missing.join(", "), "");
        }
    }

    fn issues(&mut self, found: &Found) {
        if found.issues.is_empty() {
            return;
        }
        self.title("Known issues of this version");
        for (issue, strikes) in &found.issues {
            let when = if *strikes {
                self.style.paint("1;31", "strikes now")
            } else {
                "would strike with active defrag on".to_owned()
            };
            self.line(&format!("  {} ({when})", issue.id));
            let text = format!("{}; {} [{}]", issue.effect, issue.remedy, issue.source);
            self.hang("", 4, &text, "");
        }
    }
}

/// What it is, and what is worse than that.
fn headline(found: &Found) -> String {
    let meaning = found.diagnosis.verdict.meaning();
    let calm = found.diagnosis.verdict_severity < found.diagnosis.severity;
    let risks = found.diagnosis.risks.iter();
    let worst = risks.filter(|risk| calm && risk.severity == found.diagnosis.severity);
    worst.take(1).fold(meaning.to_owned(), |text, risk| {
        format!("{text}, but {}", risk.short)
    })
}

/// What the guide has a page on: the verdict, what threatens beside it, and defects that
/// strike.
fn topics(found: &Found) -> Vec<&'static str> {
    let verdict = found.diagnosis.verdict;
    let told = (verdict != Verdict::Healthy).then(|| verdict.name());
    let risks = found.diagnosis.risks.iter().map(|risk| risk.name);
    let issues = found.issues.iter().filter(|(_, strikes)| *strikes);
    told.into_iter()
        .chain(risks)
        .chain(issues.map(|(issue, _)| issue.id))
        .collect()
}

/// Field, value, and what it was compared with.
fn row(evidence: &Evidence) -> (String, String, String) {
    let mut value = evidence.value.map_or("absent".to_owned(), figure);
    let sign = match evidence.relation {
        Relation::Above => "above",
        Relation::Below => "below",
        Relation::AtLeast => "at least",
        Relation::Is | Relation::Absent => "",
    };
    let mut limit = evidence.threshold.map_or(String::new(), figure);
    // `1.00 below 1.00` would be read as a mistake.
    if let (Some(Figure::Ratio(one)), Some(Figure::Ratio(other))) =
        (evidence.value, evidence.threshold)
        && value == limit
        && evidence.relation != Relation::AtLeast
    {
        (value, limit) = (format!("{one:.4}"), format!("{other:.4}"));
    }
    (evidence.field.to_owned(), value, format!("{sign} {limit}"))
}

fn figure(figure: Figure) -> String {
    match figure {
        Figure::Bytes(size) => bytes(size),
        Figure::Ratio(value) => ratio(value),
        Figure::Percent(value) => format!("{value:.1}%"),
        Figure::Count(count) => count.to_string(),
    }
}

/// What active defrag did between two samples.
fn moves(rates: &Rates) -> Option<String> {
    let (hits, misses) = (rates.hits?, rates.misses?);
    if hits + misses <= 0.0 {
        return None;
    }
    let mut text = format!(
        "moves {hits:.0} of {:.0} allocations a second",
        hits + misses
    );
    if let Some(time) = rates.defrag_time {
        let _ = write!(text, ", {time:.0}% of the time");
    }
    if let Some(running) = rates.running_for.filter(|time| time.as_secs() > 0) {
        let _ = write!(text, "; seen running for {} s", running.as_secs());
    }
    Some(text)
}

/// A share of what the bar shows; nothing of what it cannot show.
#[allow(clippy::cast_precision_loss, reason = "a share without decimals")]
fn percent(part: i64, whole: i64) -> String {
    let share = 100.0 * part as f64 / whole.max(1) as f64;
    match part {
        ..0 => String::new(),
        0 => "0%".to_owned(),
        _ if share < 1.0 => "<1%".to_owned(),
        _ => format!("{share:.0}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{FRAGMENTED, PLAIN, report as report_on};
    use super::*;

    #[test]
    fn the_verdict_comes_first_and_the_bar_adds_up() {
        let text = report(&report_on("cache", FRAGMENTED), &PLAIN);
        let want = "\
WARNING  fragmented: the allocator's pages are full of holes between live data
         cache, redis 8.2.3, jemalloc-5.3.0

Where the bytes are
  505.4 MiB resident, ratio 2.65: 314.7 MiB more than is used
  [#############################xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxooo+]
  ## used          190.7 MiB  38%   the data and its overhead
  xx fragmented    286.1 MiB  57%   holes between live data
  oo releasable     22.9 MiB   5%   free pages that the allocator keeps
  ++ process         4.8 MiB  <1%   code, stacks, memory not from the allocator
  .. other           1.0 MiB  <1%   the allocator's caches, Lua, rounding

Why
  mem_fragmentation_ratio       2.65  at least 1.50
";
        assert!(text.starts_with(want), "{text}");
    }

    #[test]
    fn lines_keep_within_the_width_and_colours_are_left_out_where_not_wanted() {
        for width in [60, 80, 120] {
            let style = Style {
                width,
                colour: false,
            };
            let text = report(&report_on("cache", FRAGMENTED), &style);
            assert!(!text.contains('\u{1b}'));
            for line in text.lines().filter(|line| !line.contains('$')) {
                assert!(length(line) <= width, "{width}: {line}");
            }
        }
        let style = Style {
            colour: true,
            ..PLAIN
        };
        let text = report(&report_on("cache", FRAGMENTED), &style);
        assert!(
            text.starts_with("\u{1b}[30;43mWARNING\u{1b}[0m  "),
            "{text}"
        );
        assert_eq!(text.matches("\u{1b}[").count() % 2, 0);
    }

    #[test]
    fn a_ratio_that_is_nearly_its_threshold_is_told_with_more_digits() {
        let nearly = Evidence {
            field: "mem_fragmentation_ratio",
            value: Some(Figure::Ratio(0.998)),
            threshold: Some(Figure::Ratio(1.0)),
            relation: Relation::Below,
        };
        let (_, value, limit) = row(&nearly);
        assert_eq!((&*value, &*limit), ("0.9980", "below 1.0000"));
    }

    #[test]
    fn one_out_of_reach_says_what_to_change() {
        let gone = Report::unreachable("cache", "cannot connect: refused; check address");
        let want = "\
UNKNOWN  unreachable: cannot connect: refused; check address
         cache

Missing
  INFO

More
  redis-frag explain redis_frag_unreachable
";
        assert_eq!(report(&gone, &PLAIN), want);
    }

    /// What the guide has a page on is named, and of one that is well nothing.
    #[test]
    fn the_guide_is_named_where_there_is_something_to_explain() {
        let fragmented = report(&report_on("cache", FRAGMENTED), &PLAIN);
        assert!(
            fragmented.ends_with("\nMore\n  redis-frag explain fragmented\n"),
            "{fragmented}"
        );
        let well = FRAGMENTED
            .replace("530000000", "220000000")
            .replace("330000000", "20000000")
            .replace("ratio:2.65", "ratio:1.10");
        let well = report(&report_on("cache", &well), &PLAIN);
        assert!(
            well.contains("healthy") && !well.contains("explain"),
            "{well}"
        );
    }
}
