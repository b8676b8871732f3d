//! The words of a diagnosis: verdicts, how bad they are, and what they rest on.
//!
//! Names in here are promises to charts, JSON and alerts. Must not decide
//! anything: that is `rules.rs`.

/// What an instance is found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The fields needed are not there.
    Unknown,
    /// Loading, or too young to have memory statistics.
    Starting,
    /// Part of the dataset is, or seems to be, in swap.
    Swapping,
    /// Too small to judge.
    Small,
    /// A child saves or rewrites: to be judged afterwards.
    Forking,
    /// Nothing to explain.
    Healthy,
    /// Active defrag is mending it.
    DefragWorking,
    /// Active defrag runs and changes nothing.
    DefragIneffective,
    /// Most of the waste are holes between live data.
    Fragmented,
    /// Most of the waste are free pages that the allocator keeps.
    RetainedPages,
    /// Most of the waste is outside of the dataset's allocator.
    ProcessOverhead,
    /// There is waste, and the allocator does not tell where.
    Unattributed,
}

impl Verdict {
    /// All verdicts, in the order of the rules.
    pub const ALL: [Self; 12] = [
        Self::Unknown,
        Self::Starting,
        Self::Swapping,
        Self::Small,
        Self::Forking,
        Self::Healthy,
        Self::DefragWorking,
        Self::DefragIneffective,
        Self::Fragmented,
        Self::RetainedPages,
        Self::ProcessOverhead,
        Self::Unattributed,
    ];

    /// Name in charts, JSON and alerts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Starting => "starting",
            Self::Swapping => "swapping",
            Self::Small => "small",
            Self::Forking => "forking",
            Self::Healthy => "healthy",
            Self::DefragWorking => "defrag_working",
            Self::DefragIneffective => "defrag_ineffective",
            Self::Fragmented => "fragmented",
            Self::RetainedPages => "retained_pages",
            Self::ProcessOverhead => "process_overhead",
            Self::Unattributed => "unattributed",
        }
    }

    /// What it means, in a line.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Unknown => "the server does not tell what is needed to judge",
            Self::Starting => "the server loads or has only just started: judge afterwards",
            Self::Swapping => "part of the dataset seems to be in swap",
            Self::Small => "too small to judge: at this size every ratio is noise",
            Self::Forking => "a child is saving or rewriting: judge afterwards",
            Self::Healthy => "memory is where it should be",
            Self::DefragWorking => "active defrag is mending it",
            Self::DefragIneffective => "active defrag runs and changes nothing",
            Self::Fragmented => "the allocator's pages are full of holes between live data",
            Self::RetainedPages => "the allocator keeps free pages that it could give back",
            Self::ProcessOverhead => "the memory is held outside of the dataset",
            Self::Unattributed => "memory is wasted, and this allocator does not tell where",
        }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing to do.
    Fine,
    /// Could not be told.
    Unknown,
    /// To be looked at.
    Warning,
    /// To be acted upon.
    Critical,
}

impl Severity {
    /// Name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A number of evidence, with its kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Figure {
    /// Bytes.
    Bytes(i64),
    /// A ratio.
    Ratio(f64),
    /// Percent.
    Percent(f64),
    /// A count, a flag, seconds.
    Count(i64),
}

/// How a value stands to its threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Above it.
    Above,
    /// Below it.
    Below,
    /// At it or above.
    AtLeast,
    /// A bare fact, without a threshold.
    Is,
    /// The value is not there.
    Absent,
}

impl Relation {
    /// Name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::Below => "below",
            Self::AtLeast => "at_least",
            Self::Is => "is",
            Self::Absent => "absent",
        }
    }
}

/// One fact that a verdict rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The field of INFO, or the figure worked out from several.
    pub field: &'static str,
    /// What it is.
    pub value: Option<Figure>,
    /// What it was compared with.
    pub threshold: Option<Figure>,
    /// How it stands to that.
    pub relation: Relation,
}

/// A verdict that was looked at and did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuledOut {
    /// Which.
    pub verdict: Verdict,
    /// Why not.
    pub reason: String,
}
