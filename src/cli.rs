//! Arguments, as clap reads them. Types only.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Says where the memory of a Redis went and what would bring it back.
///
/// Without a command it is a plugin of a Netdata agent: it watches the configured
/// instances, and writes charts to stdout until stdin ends.
#[derive(Debug, Parser)]
#[command(name = "redis-frag", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// Seconds between collections, as the agent gives them
    #[arg(value_name = "UPDATE_EVERY", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub update_every: Option<u32>,

    /// Log more, to stderr
    #[arg(short, long, global = true)]
    pub debug: bool,

    /// What to do instead
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What a person runs at a shell.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the jobs of the configuration as understood, secrets masked
    CheckConfig {
        /// This file instead of the agent's
        file: Option<PathBuf>,
    },
}
