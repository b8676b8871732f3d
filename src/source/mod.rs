//! I/O to what is monitored.
//!
//! Asks, never changes: the commands sent are `AUTH`, `INFO`, `CONFIG GET`
//! and, where a job allows it, `MEMORY MALLOC-STATS`.
//! Knows jobs and samples; must not know the agent or the schedule.

pub mod bounded;
pub mod connect;
pub mod discover;
pub mod poll;
pub mod size_classes;
pub mod trouble;
