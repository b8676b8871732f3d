//! I/O to what is monitored.
//!
//! Asks, never changes: the commands sent are `AUTH`, `INFO` and `CONFIG GET`.
//! Knows jobs and samples; must not know the agent or the schedule.

pub mod connect;
pub mod discover;
pub mod poll;
pub mod trouble;
