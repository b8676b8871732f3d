//! What is committed and worked out from tables is what the tables say: `make generated`
//! writes it anew.
//!
//! One module for each kind of file. Must not hold anything but that they are current, and
//! that those who read such files can.

mod completions;
mod man;
mod metadata;

use clap::{Command, CommandFactory};
use redis_frag::cli::Cli;

/// The command line, without the commit of a release build.
fn command() -> Command {
    Cli::command().version(env!("CARGO_PKG_VERSION"))
}
