//! What must hold of every diagnosis of every input.
//!
//! Knows the model alone. `tests/diagnosis` asks the same of samples made by chance.

use redis_frag::model::derive::Derived;
use redis_frag::model::diagnosis::{Diagnosis, diagnose, swap_suspected, verdict};
use redis_frag::model::verdict::Figure;

/// The diagnosis of a moment, of which all of it holds.
#[track_caller]
pub fn diagnosed(derived: &Derived<'_>) -> Diagnosis {
    let found = diagnose(derived);
    holds_together(derived, &found);
    assert_eq!(verdict(derived), derived.verdict);
    assert!(!swap_suspected(derived) || derived.sample.ratio().is_some());
    found
}

/// Every figure is finite, the parts of the waste add up, and what is told has a reason.
#[track_caller]
pub fn holds_together(derived: &Derived<'_>, found: &Diagnosis) {
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
