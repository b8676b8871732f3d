//! The whole reasoning about one moment: verdict, severity, evidence, what was
//! ruled out, what is missing, advice.
//!
//! Puts `rules.rs` and `advice.rs` together. Must not fetch or format anything.

use super::advice::{self, Advice};
use super::defrag;
use super::derive::Derived;
use super::facts;
use super::known_issues::{self, KnownIssue};
use super::risks::{self, Risk};
use super::rules;
use super::verdict::{Evidence, RuledOut, Severity, Verdict};

/// What is wrong with an instance, why, and what to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis {
    /// The verdict.
    pub verdict: Verdict,
    /// How bad it is, with all that threatens it.
    pub severity: Severity,
    /// How bad the verdict alone is.
    pub verdict_severity: Severity,
    /// What the verdict rests on; never empty.
    pub evidence: Vec<Evidence>,
    /// What was looked at before it.
    pub ruled_out: Vec<RuledOut>,
    /// What could not be had and would have helped.
    pub missing: Vec<&'static str>,
    /// Why active defrag is in the state it is in.
    pub defrag_reason: String,
    /// Ids of the known defects of this version that are worth telling.
    pub known_issues: Vec<&'static str>,
    /// What threatens it beside that.
    pub risks: Vec<Risk>,
    /// What to do, the best first, and what not to do.
    pub advice: Vec<Advice>,
}

/// The verdict alone, without reasons: what the charts need each second.
/// `None` of an instance that did not answer.
#[must_use]
pub fn verdict(derived: &Derived<'_>) -> Option<Verdict> {
    derived
        .sample
        .answered()
        .then(|| rules::first(derived).1.verdict)
}

/// The whole reasoning. Of an instance that did not answer nothing is known.
#[must_use]
pub fn diagnose(derived: &Derived<'_>) -> Diagnosis {
    let (before, rule) = rules::first(derived);
    let ruled_out = before
        .iter()
        .map(|rule| RuledOut {
            verdict: rule.verdict,
            reason: (rule.otherwise)(derived),
        })
        .collect();
    let verdict_severity = severity(derived, rule.verdict);
    let mut evidence = (rule.evidence)(derived);
    let risks = risks::of(derived);
    let worst = risks.iter().map(|risk| risk.severity).max();
    if verdict_severity == Severity::Critical {
        evidence.extend(rules::severe_ratio(derived));
    }
    Diagnosis {
        verdict: rule.verdict,
        severity: verdict_severity.max(worst.unwrap_or(Severity::Fine)),
        verdict_severity,
        evidence,
        ruled_out,
        missing: missing(derived),
        defrag_reason: defrag::reason(derived),
        known_issues: told_issues(derived).map(|issue| issue.id).collect(),
        risks,
        advice: advice::advise(derived, rule.verdict, verdict_severity),
    }
}

/// Whether the ratio suggests swap, and nothing else explains it.
#[must_use]
pub fn swap_suspected(derived: &Derived<'_>) -> bool {
    facts::swap_suspected(derived)
}

/// Known defects of this version that an operator should hear of.
fn told_issues<'a>(derived: &'a Derived<'_>) -> impl Iterator<Item = &'static KnownIssue> + 'a {
    known_issues::of(derived).filter(|issue| issue.matters() && issue.would_strike(derived))
}

/// Never lower for more waste: what is severe depends on how many times the data
/// the memory is, wherever it went.
fn severity(derived: &Derived<'_>, verdict: Verdict) -> Severity {
    match verdict {
        Verdict::Unknown | Verdict::Starting => Severity::Unknown,
        Verdict::Small | Verdict::Forking | Verdict::Healthy | Verdict::DefragWorking => {
            Severity::Fine
        }
        Verdict::Swapping if facts::swap_confirmed(derived) => Severity::Critical,
        Verdict::Swapping => Severity::Warning,
        Verdict::DefragIneffective
        | Verdict::Fragmented
        | Verdict::RetainedPages
        | Verdict::ProcessOverhead
        | Verdict::Unattributed => {
            let severe = derived.thresholds.allocator_frag_ratio;
            let frag = derived
                .sample
                .allocator_frag()
                .is_some_and(|frag| frag > severe);
            if frag || facts::ratio(derived) > severe {
                Severity::Critical
            } else {
                Severity::Warning
            }
        }
    }
}

/// What would have made the diagnosis surer.
fn missing(derived: &Derived<'_>) -> Vec<&'static str> {
    let mut missing: Vec<_> = facts::needed_but_missing(derived).collect();
    let sample = derived.sample;
    let jemalloc = sample
        .server
        .as_ref()
        .is_some_and(|s| s.has_allocator_statistics());
    if jemalloc && sample.config.enabled.is_none() {
        missing.push("CONFIG GET *defrag*");
    }
    let silent = sample.allocator().is_none() && !facts::is_starting(derived);
    if (silent || !jemalloc) && sample.answered() {
        missing.push("allocator statistics");
    }
    if sample
        .host
        .host()
        .is_some_and(|host| host.cgroups.is_none())
    {
        missing.push("cgroup limits");
    }
    if facts::may_swap(derived) && facts::swapped(derived).is_none() {
        missing.push("VmSwap");
    }
    missing
}
