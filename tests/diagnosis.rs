//! The diagnosis on paper: what holds of any input, and that all that it can say
//! is said to somebody.
//!
//! `verdicts.rs` has the same on real servers.

mod coverage;
mod hosts;
mod known;
mod made_up;
mod properties;

use redis_frag::model::derive::Derived;
use redis_frag::model::diagnosis::Diagnosis;
use redis_frag::model::verdict::Figure;

/// What must hold of every diagnosis of every input.
#[track_caller]
fn holds_together(derived: &Derived<'_>, found: &Diagnosis) {
    assert!(!found.evidence.is_empty(), "{found:?}");
    for fact in &found.evidence {
        for figure in [fact.value, fact.threshold].into_iter().flatten() {
            match figure {
                Figure::Ratio(value) | Figure::Percent(value) => {
                    assert!(value.is_finite(), "{} of {found:?}", fact.field);
                }
                Figure::Bytes(_) | Figure::Count(_) => {}
            }
        }
    }
    let rates = derived.rates;
    let numbers = [
        derived.sample.ratio(),
        derived.sample.allocator_frag(),
        derived.sample.allocator_rss(),
        derived.sample.rss_overhead(),
        derived.sample.percent_of_peak(),
        derived.trigger.map(|trigger| trigger.bytes),
        derived.trigger.map(|trigger| trigger.percent),
        rates.hits,
        rates.misses,
        rates.key_hits,
        rates.key_misses,
        rates.defrag_time,
        rates.cpu_user,
        rates.cpu_system,
        rates.efficiency,
    ];
    for (place, number) in numbers.into_iter().enumerate() {
        assert!(
            number.is_none_or(f64::is_finite),
            "number {place} is {number:?} of {:?}",
            derived.sample.fields
        );
    }
    if let Some(waste) = derived.waste
        && let Some(parts) = waste.parts
    {
        let sum = parts.fragmented + parts.releasable + parts.process + parts.other;
        assert_eq!(sum, waste.total, "{waste:?}");
    }
    assert!(found.ruled_out.iter().all(|out| !out.reason.is_empty()));
    let told = derived
        .verdict
        .is_none_or(|verdict| verdict == found.verdict);
    assert!(told, "{:?} and {:?}", derived.verdict, found.verdict);
}
