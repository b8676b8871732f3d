//! What alerts read beside the dimensions of their chart: the numbers that gate them.
//!
//! Data. An alert sees the variables of its own chart alone, so each set is whole.
//! Must not know charts or how an agent is told.

use super::chart::{Value, Variable, int};
use super::defrag::State;
use super::derive::Derived;
use super::diagnosis;

/// What every alert about memory is gated with. A comparison with a variable that
/// was never sent is false, so of a server that does not tell of forks and loads
/// it is said that there are none, or its alerts would never fire.
pub(super) const GATES: &[Variable] = &[USED, RSS, LEAST, FORKING, LOADING, LIMIT];

const USED: Variable = variable("used_memory", |d| int(d.sample.fields.used_memory));

const RSS: Variable = variable("rss", |d| int(d.sample.fields.used_memory_rss));

const LEAST: Variable = variable("min_used_memory", |d| {
    int(Some(d.thresholds.min_used_memory))
});

const FORKING: Variable = variable("forking", |d| during(d, d.sample.forking()));

const LOADING: Variable = variable("loading", |d| during(d, d.sample.loading()));

const LIMIT: Variable = variable("limit", |d| int(Some(d.headroom.as_ref()?.limit)));

/// The gates of every alert about memory, and more.
macro_rules! gates_and {
    ($($more:expr),+ $(,)?) => {
        &[USED, RSS, LEAST, FORKING, LOADING, LIMIT, $($more),+]
    };
}

/// And what alerts on the ratio read beside.
pub(super) const RATIO_GATES: &[Variable] = gates_and![variable("swap_suspected", |d| {
    during(d, Some(diagnosis::swap_suspected(d)))
}),];

/// What alerts on the verdict are gated with. Forks and loads are verdicts of their
/// own there, and a dimension of the chart has the name of the variable.
pub(super) const VERDICT_GATES: &[Variable] = &[
    USED,
    RSS,
    LEAST,
    LIMIT,
    // Switched off, and switched on it would start at once.
    variable("defrag_would_start", |d| {
        let ready = d.trigger.is_some_and(|trigger| trigger.would_start());
        during(d, Some(ready && d.defrag == Some(State::Off)))
    }),
];

/// And what those on the worst case read beside: whether there ever is a child.
pub(super) const HEADROOM_GATES: &[Variable] =
    gates_and![variable("forks", |d| during(d, Some(d.sample.forks()))),];

/// Swap has a floor of its own.
pub(super) const SWAP_GATES: &[Variable] = gates_and![variable("swap_min_used_memory", |d| {
    int(Some(d.thresholds.swap_min_used_memory))
}),];

const fn variable(name: &'static str, value: Value) -> Variable {
    Variable { name, value }
}

fn during(derived: &Derived<'_>, value: Option<bool>) -> Option<i64> {
    derived
        .sample
        .answered()
        .then_some(i64::from(value == Some(true)))
}
