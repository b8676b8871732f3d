//! What the program does: the plugin, and what a person runs at a shell.
//!
//! Puts configuration, source, model and the agent's language together; nothing
//! below knows of it.

pub mod check;
pub mod logging;
pub mod plugin;
pub mod schedule;
mod watch;
