//! Everything that can be wrong on the way to a server: what is shown, how long it
//! takes, what it costs others, what is logged, and that values are right again soon.
//!
//! A binary of its own: all faults are there at once, on eighty instances.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop at the line"
)]

#[path = "faults/at_once.rs"]
mod at_once;
#[path = "faults/heard.rs"]
mod heard;
#[path = "faults/replies.rs"]
mod replies;
mod support;
#[path = "faults/table.rs"]
mod table;
#[path = "faults/timeouts.rs"]
mod timeouts;
#[path = "faults/waits.rs"]
mod waits;
mod watching;

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Eighty sick instances and the one thread of all ways are enough for a machine.
static MACHINE: RwLock<()> = RwLock::new(());

/// Keeps all other tests of this binary waiting until it is dropped.
fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}

/// The same with those that want to be alone; others of its kind go on.
fn beside_few() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}
