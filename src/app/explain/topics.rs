//! What a word at a shell means: a page of the guide, a chart or a known defect; and
//! what it most likely means where it means none.
//!
//! Pure. Must not know how a topic is shown.

use crate::cli::alike::alike;
use crate::model::chart::Chart;
use crate::model::charts::{CHARTS, CONTEXT_PREFIX};
use crate::model::known_issues::{KNOWN_ISSUES, KnownIssue};

use super::pages::{PAGES, Page, SAME_AS};

/// Something that can be explained.
#[derive(Debug, Clone, Copy)]
pub enum Topic {
    /// A verdict, an alert or a risk.
    Page(&'static Page),
    /// A chart.
    Chart(&'static Chart),
    /// A known defect of a version.
    Defect(&'static KnownIssue),
}

impl Topic {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Page(page) => page.name.to_owned(),
            Self::Chart(chart) => context(chart),
            Self::Defect(issue) => issue.id.to_owned(),
        }
    }
}

/// A chart's context.
#[must_use]
pub fn context(chart: &Chart) -> String {
    format!("{CONTEXT_PREFIX}.{}", chart.id)
}

/// Everything that can be explained, in the order in which it is listed.
pub fn all() -> impl Iterator<Item = Topic> {
    let pages = PAGES.iter().map(Topic::Page);
    let charts = CHARTS.iter().map(Topic::Chart);
    pages
        .chain(charts)
        .chain(KNOWN_ISSUES.iter().map(Topic::Defect))
}

/// What a word stands for: a full name, the id of a chart of some instance as alerts
/// tell it (`redis_frag_JOB.ratio`), or a name without its prefix, which may be both an alert
/// and a chart.
#[must_use]
pub fn meant(word: &str) -> Vec<Topic> {
    let word = word.trim().to_ascii_lowercase();
    let same = SAME_AS.iter().find(|(risk, _)| *risk == word);
    let full = same.map_or(word.as_str(), |(_, alert)| *alert);
    let exact: Vec<Topic> = all().filter(|topic| topic.name() == full).collect();
    if !exact.is_empty() {
        return exact;
    }
    let of_an_instance = word
        .strip_prefix(CONTEXT_PREFIX)
        .filter(|rest| rest.starts_with('_'))
        .and_then(|rest| rest.rsplit_once('.'));
    if let Some((_, chart)) = of_an_instance {
        let charts = CHARTS.iter().filter(|known| known.id == chart);
        return charts.map(Topic::Chart).collect();
    }
    let is_meant = |topic: &Topic| {
        let name = topic.name();
        name != bare(&name) && bare(&name) == word
    };
    all().filter(is_meant).collect()
}

/// The names that are most like a word, the likest first.
#[must_use]
pub fn suggested(word: &str) -> Vec<String> {
    let word = word.trim().to_ascii_lowercase();
    let names: Vec<String> = all().map(|topic| topic.name()).collect();
    let both = names.iter().flat_map(|name| [name.as_str(), bare(name)]);
    let mut found: Vec<String> = Vec::new();
    for name in alike(&word, both).into_iter().flat_map(meant) {
        if !found.contains(&name.name()) {
            found.push(name.name());
        }
    }
    found.truncate(3);
    found
}

/// A name without the prefix of alerts and contexts.
fn bare(name: &str) -> &str {
    let rest = name.strip_prefix(CONTEXT_PREFIX);
    rest.map_or(name, |rest| rest.trim_start_matches(['_', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(word: &str) -> Vec<String> {
        meant(word).iter().map(Topic::name).collect()
    }

    #[test]
    fn a_word_stands_for_what_an_operator_has_before_him() {
        for (word, want) in [
            ("fragmented", &["fragmented"][..]),
            ("  Fragmented ", &["fragmented"]),
            ("redis_frag_ratio", &["redis_frag_ratio"]),
            ("redis_frag.ratio", &["redis_frag.ratio"]),
            (
                "redis_frag_my_cache.defrag_state",
                &["redis_frag.defrag_state"],
            ),
            ("ratio", &["redis_frag_ratio", "redis_frag.ratio"]),
            ("retained_pages", &["retained_pages"]),
            ("wasted", &["redis_frag_wasted", "redis_frag.wasted"]),
            ("near_limit", &["redis_frag_headroom"]),
            ("oom_killed", &["oom_killed"]),
            ("expires-stall-7.2", &["expires-stall-7.2"]),
            ("redis_frag_x.nothing", &[]),
            ("redis_frag", &[]),
            ("", &[]),
        ] {
            assert_eq!(names(word), want, "{word:?}");
        }
    }

    #[test]
    fn every_topic_is_found_by_its_own_name() {
        for topic in all() {
            assert_eq!(names(&topic.name()), [topic.name()]);
        }
    }

    #[test]
    fn a_misspelt_word_is_met_by_what_it_is_like() {
        for (word, want) in [
            ("fragmentd", "fragmented"),
            ("redis_frag_ration", "redis_frag_ratio"),
            ("retained", "retained_pages"),
            ("headrom", "redis_frag_headroom"),
        ] {
            assert_eq!(
                suggested(word).first().map(String::as_str),
                Some(want),
                "{word}"
            );
        }
        assert_eq!(suggested("xyzzy"), Vec::<String>::new());
    }
}
