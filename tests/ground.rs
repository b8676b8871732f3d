//! Tests that load the machine: what the diagnosis says of real servers, what its
//! predictions are worth, what allocators say of their size classes. A binary of its
//! own, so that the tests in `tests.rs`, many of which measure time, do not run beside
//! them.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop at the line"
)]

mod predictions;
mod size_classes;
mod support;
mod verdicts;
