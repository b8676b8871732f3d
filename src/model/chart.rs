//! What a chart is: types for the table in `charts.rs`.
//!
//! Must not know any chart of ours, nor how an agent is told.

use super::derive::Derived;

/// How a chart is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Lines.
    Line,
    /// One area.
    Area,
    /// Areas on top of each other.
    Stacked,
}

/// What a value is worked out with; `None` is a gap.
pub type Value = fn(&Derived<'_>) -> Option<i64>;

/// One line of a chart.
#[derive(Debug, Clone, Copy)]
pub struct Dimension {
    /// Name, unique in its chart.
    pub name: &'static str,
    /// What a value is divided by to be in the chart's units.
    pub divisor: i64,
    /// The value.
    pub value: Value,
}

/// A number beside a chart that alerts on it may read.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Name, as alerts write it after `$`.
    pub name: &'static str,
    /// The value; where it is missing the agent keeps the last.
    pub value: Value,
}

/// One chart of an instance.
#[derive(Debug, Clone, Copy)]
pub struct Chart {
    /// Name behind the instance's; the context is `redis_frag.` and this.
    pub id: &'static str,
    /// What a person reads above it.
    pub title: &'static str,
    /// Units of its dimensions.
    pub units: &'static str,
    /// Section of the dashboard.
    pub family: &'static str,
    /// How it is drawn.
    pub kind: Kind,
    /// Its lines, in order.
    pub dimensions: &'static [Dimension],
    /// What alerts on it read beside its dimensions.
    pub variables: &'static [Variable],
}

/// A size as the agent takes it.
pub(super) fn int(size: Option<u64>) -> Option<i64> {
    i64::try_from(size?).ok()
}

/// 1 or 0.
pub(super) fn flag(value: Option<bool>) -> Option<i64> {
    value.map(i64::from)
}
