//! The lines that an operator may move: from where on a figure matters.
//!
//! Defaults are the operator's guide's. Must not know where they were set.

/// Thresholds of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Bytes below which an instance is too small to judge: ratios and verdicts
    /// look at used memory, absolute amounts at RSS.
    pub min_used_memory: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            min_used_memory: 50 << 20,
        }
    }
}
