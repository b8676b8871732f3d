//! Arguments, run, exit code; nothing else.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use log::LevelFilter;
use redis_frag::app::{check, plugin};
use redis_frag::cli::{Cli, Command};
use redis_frag::netdata::agent::Agent;
use simplelog::{ConfigBuilder, WriteLogger};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let agent = Agent::from_env(|name| std::env::var(name).ok());
    log_to_stderr(cli.debug, &agent);
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

/// stderr, never stdout: that is the agent's.
fn log_to_stderr(debug: bool, agent: &Agent) {
    let level = match agent.log_level.as_deref() {
        _ if debug => LevelFilter::Debug,
        Some("debug") => LevelFilter::Debug,
        Some("warning") => LevelFilter::Warn,
        Some("error" | "critical" | "alert" | "emergency") => LevelFilter::Error,
        _ => LevelFilter::Info,
    };
    let config = ConfigBuilder::new()
        .set_time_format_rfc3339()
        .set_thread_level(LevelFilter::Off)
        .set_target_level(LevelFilter::Error)
        .set_location_level(LevelFilter::Off)
        .add_filter_allow_str("redis_frag")
        .build();
    let _ = WriteLogger::init(level, config, io::stderr());
}

/// A reader that went away, such as `head`, is no error.
fn print(text: &str) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a person's command: no agent listens"
    )]
    let _ = io::stdout().write_all(text.as_bytes());
}
