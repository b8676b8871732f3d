//! `redis-frag size-classes`: asks one instance and shows where its allocator's
//! holes are.
//!
//! How it looks is `report/`. Printing is main's.

use std::sync::Arc;
use std::time::Duration;

use crate::cli;
use crate::model::verdict::Severity;
use crate::netdata::agent::Agent;
use crate::source::size_classes::{Desk, Untold};

use super::progress::Progress;
use super::report::classes::{self, Asked};
use super::report::{classes_json, words};
use super::screen::Screen;
use super::target::{self, Target};
use super::{Failure, Out, block_on, exit_code};

/// Asks what the arguments name, shows what it tells, and returns the exit code.
///
/// # Errors
/// Why nobody could be asked.
pub fn run(
    agent: &Agent,
    args: &cli::SizeClasses,
    screen: &Screen,
    out: Out<'_>,
) -> Result<u8, Failure> {
    let named = std::slice::from_ref(&args.target);
    let targets = target::all(agent, named, &args.access, false)?;
    let target = target::only(targets)?;
    let answer = block_on(async {
        let desk = Desk::new(Arc::clone(&target.job));
        let asked = desk.ask(target.job.timeout);
        let name = words::clean(&target.job.name);
        let waiting = |time: Duration| format!("waiting for {name}, {} s", time.as_secs());
        Ok(Progress::new().during(asked, waiting).await)
    })?;
    let asked = Asked {
        instance: words::clean(&target.job.name),
        address: words::clean(&target.job.url()),
        client: words::clean(&target.client()),
        found: answer
            .map(|answer| answer.told)
            .map_err(|untold| told(&target, &untold)),
    };
    out(&if args.json {
        classes_json::line(&asked, args.all)
    } else {
        classes::report(&asked, args.all, &screen.style())
    });
    Ok(exit_code(match asked.found {
        Ok(told) if told.classes.wasted.is_some() => Severity::Fine,
        _ => Severity::Unknown,
    }))
}

/// Why nothing is known, in words for a shell.
fn told(target: &Target, untold: &Untold) -> String {
    match untold {
        Untold::Trouble(trouble) => target.told(trouble),
        other => words::clean(&other.to_string()),
    }
}
