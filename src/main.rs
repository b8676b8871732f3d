//! Arguments, run, exit code; nothing else.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use redis_frag::app::{check, logging, plugin};
use redis_frag::cli::{Cli, Command};
use redis_frag::netdata::agent::Agent;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let agent = Agent::from_env(|name| std::env::var(name).ok());
    logging::start(cli.debug, &agent);
    match cli.command {
        None => match plugin::run(&agent, cli.update_every) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                log::error!("{error}");
                ExitCode::FAILURE
            }
        },
        Some(Command::CheckConfig { file }) => {
            let (report, sound) = check::report(&agent, file.as_deref());
            print(&report);
            if sound {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// A reader that went away, such as `head`, is no error.
fn print(text: &str) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a person's command: no agent listens"
    )]
    let _ = io::stdout().write_all(text.as_bytes());
}
