//! Arguments, run, exit code; nothing else.

// What runs at an operator's must not panic where it can be helped; the tests may.
#![cfg_attr(
    not(test),
    deny(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::get_unwrap,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::panic_in_result_fn,
        clippy::print_stderr,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_in_result
    )
)]

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use log::LevelFilter;
use redis_frag::app::screen::Screen;
use redis_frag::app::{
    Failure, check, diagnose, explain, logging, panics, plugin, record, replay, size_classes,
};
use redis_frag::cli::{Cli, Command};
use redis_frag::netdata::agent::Agent;

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    let agent = Agent::from_env(|name| std::env::var(name).ok());
    logging::start(cli.debug, &agent);
    panics::tell();
    if cli.command.is_some() && !cli.debug {
        // A person reads the result, and only what is wrong beside it.
        log::set_max_level(log::max_level().min(LevelFilter::Warn));
    }
    match cli.command {
        None => {
            let run = plugin::run(&agent, cli.update_every);
            if let Err(error) = &run {
                log::error!("{error}");
            }
            logging::drain(logging::PATIENCE);
            ExitCode::from(u8::from(run.is_err()))
        }
        Some(Command::CheckConfig { file, connect }) => {
            let report = check::report(&agent, file.as_deref(), connect);
            ended(report.map(|(report, sound)| {
                print(&report);
                u8::from(!sound)
            }))
        }
        Some(Command::Diagnose(args)) => ended(diagnose::run(&agent, &args, &screen, &mut print)),
        Some(Command::Explain(args)) => ended(explain::run(&args, &screen(), &mut print)),
        Some(Command::Replay(args)) => ended(replay::run(&args, &screen(), &mut print)),
        Some(Command::SizeClasses(args)) => {
            ended(size_classes::run(&agent, &args, &screen(), &mut print))
        }
        Some(Command::Record(args)) => {
            let recorded = record::run(&agent, &args, &logging::complain);
            ended(recorded.map(|()| 0))
        }
    }
}

/// What a person's command ends with.
fn ended(result: Result<u8, Failure>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            logging::complain(&failure.to_string());
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Help and version are what was asked for. Wrong usage of a command whose exit
/// code is a diagnosis must not look like one.
fn misused(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        // It repeats what was given, line by line.
        let told = error.to_string();
        for line in told.lines() {
            logging::complain_of(line);
        }
    } else {
        let _ = error.print();
    }
    let diagnoses = |word: OsString| {
        ["diagnose", "explain", "replay", "record", "size-classes"]
            .iter()
            .any(|name| word == *name)
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ if std::env::args_os().skip(1).any(diagnoses) => ExitCode::from(Failure::USAGE),
        _ => ExitCode::from(2),
    }
}

/// What stdout is.
fn screen() -> Screen {
    #[expect(
        clippy::disallowed_methods,
        reason = "a person's command: no agent listens"
    )]
    let stdout = io::stdout();
    let size = rustix::termios::tcgetwinsize(&stdout).ok();
    let size = size.map(|size| (size.ws_col, size.ws_row));
    Screen::new(stdout.is_terminal(), size, |name| std::env::var(name).ok())
}

/// A reader that went away, such as `head`, is no error; says whether it is there.
fn print(text: &str) -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "a person's command: no agent listens"
    )]
    let mut stdout = io::stdout();
    let written = stdout.write_all(text.as_bytes());
    written.and_then(|()| stdout.flush()).is_ok()
}
