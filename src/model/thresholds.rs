//! The lines that an operator may move: from where on a figure matters.
//!
//! Defaults are the operator's guide's. Must not know where they were set.

/// Thresholds of one instance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Fragmentation ratio from which on there is something to explain.
    pub ratio: f64,
    /// Ratio above which the waste is severe: three quarters of the memory are
    /// not data.
    pub allocator_frag_ratio: f64,
    /// Bytes below which an instance is too small to judge: ratios and verdicts
    /// look at used memory, absolute amounts at RSS.
    pub min_used_memory: u64,
    /// Used memory below which a ratio under 1 says nothing of swap, bytes.
    pub swap_min_used_memory: u64,
    /// How many times the used memory a past peak must have been to explain pages
    /// that were kept.
    pub peak_factor: f64,
    /// Share of examined allocations that active defrag must move to be called
    /// working, 0 to 1.
    pub defrag_hit_rate: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            ratio: 1.5,
            allocator_frag_ratio: 4.0,
            min_used_memory: 50 << 20,
            swap_min_used_memory: 100 << 20,
            peak_factor: 2.0,
            defrag_hit_rate: 0.5,
        }
    }
}
