//! Everything that can be wrong on the way to a server: what is shown, how long it
//! takes, what it costs others, what is logged, and that values are right again soon.
//!
//! A binary of its own: all faults are there at once, on sixty instances.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop at the line"
)]

#[path = "faults/at_once.rs"]
mod at_once;
mod support;
#[path = "faults/table.rs"]
mod table;
mod watching;
