//! The pages of the guide, as they stand in docs/guide: one for each verdict, alert
//! and risk, and a section for each chart.
//!
//! Data. Must not know how a page is found or shown.

/// What a page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A verdict of the diagnosis.
    Verdict,
    /// An alert of health.d.
    Alert,
    /// A risk beside a verdict.
    Risk,
}

/// One page.
#[derive(Debug)]
pub struct Page {
    /// What it is about.
    pub kind: Kind,
    /// Its name: the verdict's, alert's or risk's.
    pub name: &'static str,
    /// Its text, Markdown.
    pub text: &'static str,
}

impl Page {
    /// What it says in a line: the paragraph behind its title.
    #[must_use]
    pub fn summary(&self) -> String {
        let lines = self.text.lines().skip(1).skip_while(|line| line.is_empty());
        let first: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
        first.join(" ")
    }
}

/// The pages of one folder of docs/guide.
macro_rules! pages {
    ($($kind:ident $folder:literal: $($name:literal)+;)+) => {
        &[$($( Page {
            kind: Kind::$kind,
            name: $name,
            text: include_str!(concat!("../../../docs/guide/", $folder, "/", $name, ".md")),
        }, )+)+]
    };
}

/// Every page, in the order of the rules, of health.d and of the risks.
pub const PAGES: &[Page] = pages! {
    Verdict "verdicts":
        "unknown" "starting" "swapping" "small" "forking" "healthy" "defrag_working"
        "defrag_ineffective" "fragmented" "retained_pages" "process_overhead" "unattributed";
    Alert "alerts":
        "redis_frag_ratio" "redis_frag_allocator" "redis_frag_wasted" "redis_frag_swap"
        "redis_frag_swap_suspected" "redis_frag_headroom" "redis_frag_fork_headroom"
        "redis_frag_defrag_ineffective" "redis_frag_defrag_off" "redis_frag_retained_pages"
        "redis_frag_known_issue" "redis_frag_thp" "redis_frag_unreachable";
    Risk "risks":
        "oom_killed" "maxmemory_above_limit" "fork_refused";
};

/// Risks that an alert is raised on as well: its page tells of both.
pub const SAME_AS: &[(&str, &str)] = &[
    ("near_limit", "redis_frag_headroom"),
    ("fork_exceeds_limit", "redis_frag_fork_headroom"),
    ("huge_pages", "redis_frag_thp"),
];

/// What the charts show, a section each.
pub const CHARTS_PAGE: &str = include_str!("../../../docs/guide/charts.md");

/// The alerts as shipped; which is on which chart.
pub const ALERTS: &str = include_str!("../../../health.d/redis_frag.conf");

/// The section on a context, from its heading to the next one.
#[must_use]
pub fn section(context: &str) -> Option<&'static str> {
    let sections = CHARTS_PAGE.split("\n## ").skip(1);
    let mut named = sections.filter_map(|section| section.split_once('\n'));
    let (_, text) = named.find(|(heading, _)| *heading == context)?;
    Some(text.trim())
}

/// The alerts on a context, in their order.
pub fn alerts_on(context: &str) -> impl Iterator<Item = &'static str> {
    let lines = ALERTS.lines().filter_map(|line| line.split_once(':'));
    let mut alert = "";
    let on = lines.filter_map(move |(key, value)| match key.trim() {
        "template" => {
            alert = value.trim();
            None
        }
        "on" => Some((alert, value.trim())),
        _ => None,
    });
    on.filter(move |(_, on)| *on == context)
        .map(|(alert, _)| alert)
}
