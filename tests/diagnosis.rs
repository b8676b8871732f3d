//! The diagnosis on paper: what holds of any input, and that all that it can say
//! is said to somebody.
//!
//! `verdicts.rs` has the same on real servers.

mod coverage;
mod hosts;
mod known;
mod made_up;
mod properties;

use super::fuzzed::invariants::holds_together;
