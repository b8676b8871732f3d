//! Everything that follows from a sample and its past, worked out once.
//!
//! Charts, and later the diagnosis, read this and nothing else, so that two
//! views of one moment cannot disagree.

use super::defrag::{State, Trigger};
use super::diagnosis;
use super::headroom::Headroom;
use super::history::{History, Rates};
use super::sample::Sample;
use super::thresholds::Thresholds;
use super::verdict::Verdict;
use super::waste::{Reclaim, Waste};

/// One moment of one instance with what follows from it.
#[derive(Debug)]
pub struct Derived<'a> {
    /// The moment itself.
    pub sample: &'a Sample,
    /// What the operator counts as too small, too much, too high.
    pub thresholds: &'a Thresholds,
    /// What happened since the last one.
    pub rates: Rates,
    /// The bytes beyond used memory.
    pub waste: Option<Waste>,
    /// What the remedies would bring back.
    pub reclaim: Reclaim,
    /// What active defrag is doing; `None` when nobody answered.
    pub defrag: Option<State>,
    /// How near active defrag is to starting.
    pub trigger: Option<Trigger>,
    /// How far it is from its limit of memory, where one is known.
    pub headroom: Option<Headroom>,
    /// What the instance is found to be; `None` when nobody answered.
    pub verdict: Option<Verdict>,
}

impl<'a> Derived<'a> {
    /// Takes the sample into the history and works everything out.
    pub fn new(sample: &'a Sample, thresholds: &'a Thresholds, history: &mut History) -> Self {
        let rates = history.push(sample);
        let mut derived = Self::again(sample, thresholds, rates, None);
        derived.verdict = diagnosis::verdict(&derived);
        derived
    }

    /// A moment that was worked out before: what depends on those before it was kept,
    /// the rest follows from the sample once more.
    pub fn again(
        sample: &'a Sample,
        thresholds: &'a Thresholds,
        rates: Rates,
        verdict: Option<Verdict>,
    ) -> Self {
        Self {
            sample,
            thresholds,
            rates,
            waste: Waste::of(sample),
            reclaim: Reclaim::of(sample),
            defrag: State::of(sample),
            trigger: Trigger::of(sample),
            headroom: Headroom::of(sample),
            verdict,
        }
    }
}
