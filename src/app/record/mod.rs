//! `redis-frag record`: samples of one instance in a folder, fit to be sent to
//! somebody and replayed.
//!
//! Asks and writes files; what is kept of a reply is `scrub.rs`.

mod scrub;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::cli;
use crate::netdata::agent::Agent;

use super::progress::Progress;
use super::target::{self, Target};
use super::{Failure, block_on};

/// Files are numbered with so many digits, so that names sort in time.
const MOST_FILES: u32 = 999_999;

/// Progress is told at least this far apart.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Says in the folder what it is.
const README: &str = "\
A recording by redis-frag record, to be diagnosed elsewhere:

    redis-frag replay%OPTIONS% info-*.txt

info-NNNNNN.txt   INFO of one moment each, in the order of time
config-get.txt    CONFIG GET '*defrag*', where it was allowed
malloc-stats.txt  MEMORY MALLOC-STATS, where it was asked for and allowed

Kept: numbers, and the texts that name server, version, allocator, mode and the
outcome of saving. Left out: every other text (paths, host names, configuration
file, listeners), ports and the process id. The program's path is cut to its
name, and run ids are numbered. Keys and values are never read.
";

/// Records what the arguments name; `tell` takes progress.
///
/// # Errors
/// Why there is no recording.
pub fn run(agent: &Agent, args: &cli::Record, tell: &dyn Fn(&str)) -> Result<(), Failure> {
    let every = args.every.as_millis().max(1);
    let most = u32::try_from(args.length.as_millis() / every).unwrap_or(u32::MAX);
    if most >= MOST_FILES {
        let told = format!("more than {MOST_FILES} samples; make --for shorter or --every longer");
        return Err(Failure::Usage(told));
    }
    let names = std::slice::from_ref(&args.target);
    let targets = target::all(agent, names, &args.access, args.malloc_stats)?;
    let target = target::only(targets)?;
    check_empty(&args.output)?;
    block_on(record(target, args, most.max(1), tell))
}

async fn record(
    mut target: Target,
    args: &cli::Record,
    most: u32,
    tell: &dyn Fn(&str),
) -> Result<(), Failure> {
    let mut ends = Ends::new()?;
    target.poller.keep_replies();
    let mut ids = scrub::RunIds::default();
    let mut due = interval(args.every);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let start = Instant::now();
    let mut progress = Progress::new();
    let (mut written, mut failed, mut told) = (0, 0, Instant::now());
    while written == 0 || (written + failed < most && start.elapsed() < args.length) {
        let asked = async {
            due.tick().await;
            target.ask().await
        };
        let dir = args.output.display();
        let how_far = |time: Duration| {
            let (now, all) = (time.as_secs(), args.length.as_secs());
            format!("{written} samples in {dir}, {now} of {all} s; Ctrl-C ends it early")
        };
        let asked = tokio::select! {
            () = ends.come() => break,
            asked = progress.during(asked, how_far) => asked,
        };
        match asked {
            Ok(_) => {
                written += 1;
                write_sample(&target, &args.output, written, &mut ids)?;
            }
            Err(trouble) if written == 0 => return Err(Failure::Unable(target.told(&trouble))),
            Err(trouble) => {
                failed += 1;
                progress.erase();
                tell(&format!("no sample: {}", target.told(&trouble)));
            }
        }
        if told.elapsed() >= TELL_EVERY && !progress.is_seen() {
            told = Instant::now();
            let (now, all) = (start.elapsed().as_secs(), args.length.as_secs());
            tell(&format!("{written} samples, {now} of {all} s"));
        }
    }
    progress.erase();
    if written == 0 {
        return Err(Failure::Unable("ended before the first sample".to_owned()));
    }
    finish(&target, &args.output)?;
    let dir = target::quoted(&args.output.display().to_string());
    let options = options(&args.output);
    tell(&format!(
        "{written} samples in {dir}; to see them: cd {dir} && redis-frag replay{options} info-*.txt"
    ));
    Ok(())
}

/// One sample to a file of its own; the folder comes with the first.
fn write_sample(
    target: &Target,
    dir: &Path,
    number: u32,
    ids: &mut scrub::RunIds,
) -> Result<(), Failure> {
    fs::create_dir_all(dir).map_err(|error| cannot_write(dir, &error))?;
    let reply = target
        .poller
        .replies()
        .map_or(&[][..], |replies| &replies.info);
    write(
        dir,
        &format!("info-{number:06}.txt"),
        &scrub::info(reply, ids),
    )?;
    // Early, so that a recording that is cut off has them.
    if number == 1 {
        finish(target, dir)
    } else {
        Ok(())
    }
}

/// What there is once in a recording.
fn finish(target: &Target, dir: &Path) -> Result<(), Failure> {
    if let Some(replies) = target.poller.replies() {
        if !replies.settings.is_empty() {
            write(dir, "config-get.txt", &scrub::settings(&replies.settings))?;
        }
        if let Some(report) = &replies.malloc_stats {
            write(dir, "malloc-stats.txt", &scrub::malloc_stats(report))?;
        }
    }
    write(
        dir,
        "README.txt",
        &README.replace("%OPTIONS%", &options(dir)),
    )
}

/// Options of replay for the files that are there.
fn options(dir: &Path) -> String {
    let option = |name: &str, file: &str| match dir.join(file).exists() {
        true => format!(" --{name} {file}"),
        false => String::new(),
    };
    option("config-get", "config-get.txt") + &option("malloc-stats", "malloc-stats.txt")
}

fn check_empty(dir: &Path) -> Result<(), Failure> {
    let shown = dir.display();
    let full = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => {
            return Err(Failure::Usage(format!(
                "{shown} is no folder to write to ({error}); name another"
            )));
        }
    };
    if full {
        return Err(Failure::Usage(format!(
            "{shown} is not empty; name a new folder, so that recordings do not mix"
        )));
    }
    Ok(())
}

fn write(dir: &Path, name: &str, text: &str) -> Result<(), Failure> {
    fs::write(dir.join(name), text).map_err(|error| cannot_write(&dir.join(name), &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Unable(format!(
        "{} cannot be written: {error}; name a folder with room that you may write to",
        path.display()
    ))
}

/// What ends a recording early.
struct Ends {
    interrupt: Signal,
    terminate: Signal,
}

impl Ends {
    fn new() -> Result<Self, Failure> {
        let on =
            |kind| signal(kind).map_err(|error| Failure::Unable(format!("no signals: {error}")));
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
        })
    }

    async fn come(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
