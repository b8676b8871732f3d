//! `redis-frag diagnose`: asks instances, all at once, and reports the worst first.
//!
//! Collects and orders; how a report looks is `report/`. Printing is main's.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::cli;
use crate::model::derive::Derived;
use crate::model::sample::Sample;
use crate::model::text;
use crate::netdata::agent::Agent;
use crate::source::claims::ProcessId;
use crate::source::trouble::Trouble;

use super::live;
use super::progress::{Progress, Waiting};
use super::report::{self, Report, json, summary, words};
use super::screen::Screen;
use super::target::{self, Origin, Target};
use super::{Failure, Out, block_on, exit_code};

/// Between two samples where one does not tell rates.
const BETWEEN: Duration = Duration::from_secs(1);

/// What is told where nobody named an instance and none is there.
pub(super) const NONE_FOUND: &str = "no instance found: nothing listens at the usual addresses of this \
                          machine; name one: redis-frag diagnose HOST:PORT";

/// What is told of an instance over which redis-frag panicked.
pub(super) const BROKE_DOWN: &str =
    "redis-frag broke down over its answer, which is a defect of redis-frag";

/// Diagnoses what the arguments name and returns the exit code.
///
/// # Errors
/// Why there is nothing to report.
pub fn run(
    agent: &Agent,
    args: &cli::Diagnose,
    screen: &dyn Fn() -> Screen,
    out: Out<'_>,
) -> Result<u8, Failure> {
    let targets = target::all(agent, &args.targets, &args.access, args.malloc_stats)?;
    block_on(async {
        if args.watch && screen().moves && !args.json {
            return live::run(targets, args.interval, screen, out).await;
        }
        if args.watch {
            return watch(targets, args, screen, out).await;
        }
        let names = targets.iter().map(|target| words::clean(&target.job.name));
        let waiting = Arc::new(Waiting::new(names));
        let asked = round(targets, &waiting);
        let (_, reports) = Progress::new()
            .during(asked, |time| waiting.told(time))
            .await;
        if reports.is_empty() {
            return Err(Failure::Unable(NONE_FOUND.to_owned()));
        }
        out(&shown(&reports, args.json, &screen()));
        Ok(exit_code(report::worst(&reports)))
    })
}

/// Round after round, until a signal or until nobody reads any more.
async fn watch(
    mut targets: Vec<Target>,
    args: &cli::Diagnose,
    screen: &dyn Fn() -> Screen,
    out: Out<'_>,
) -> Result<u8, Failure> {
    let cannot = |error: std::io::Error| Failure::Unable(format!("no signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut due = interval(Duration::from_secs(u64::from(args.interval)));
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next = async {
            due.tick().await;
            let waiting = Arc::new(Waiting::new(std::iter::empty()));
            round(std::mem::take(&mut targets), &waiting).await
        };
        let reports = tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            (asked, reports) = next => {
                targets = asked;
                reports
            }
        };
        if !out(&in_watch(&reports, args, &screen())) {
            break;
        }
    }
    Ok(0)
}

/// What one round of a watch writes.
fn in_watch(reports: &[Report], args: &cli::Diagnose, screen: &Screen) -> String {
    if args.json {
        return shown(reports, true, screen);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = text::utc(now.unwrap_or_default().as_secs());
    let every = args.interval;
    let mut text = format!("{now}, every {every} s, Ctrl-C ends\n\n");
    if reports.is_empty() {
        text.push_str(NONE_FOUND);
        text.push('\n');
    }
    text += &shown(reports, false, screen);
    text.push('\n');
    text
}

fn shown(reports: &[Report], as_json: bool, screen: &Screen) -> String {
    if as_json {
        reports.iter().map(json::line).collect()
    } else {
        summary::all(reports, &screen.style())
    }
}

/// Asks all at once, so that one that hangs holds up none, and puts the worst
/// first. A process that was found in several ways is reported once.
async fn round(targets: Vec<Target>, waiting: &Arc<Waiting>) -> (Vec<Target>, Vec<Report>) {
    let asked = targets.into_iter().map(|target| {
        let name = target.job.name.clone();
        let (waiting, shown) = (Arc::clone(waiting), words::clean(&name));
        let task = tokio::spawn(async move {
            let asked = ask(target).await;
            waiting.done(&shown);
            asked
        });
        (name, task)
    });
    let asked: Vec<_> = asked.collect();
    let (mut targets, mut reports, mut troubles) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen = Seen::default();
    for (name, task) in asked {
        let Ok((target, report, asked)) = task.await else {
            reports.push(Report::unreachable(&name, BROKE_DOWN));
            continue;
        };
        targets.push(target);
        if !asked.answered() {
            troubles.push((report, asked));
        } else if seen.takes(&asked) {
            reports.push(report);
        }
    }
    let told = troubles.into_iter().filter(|(_, asked)| seen.takes(asked));
    reports.extend(told.map(|(report, _)| report));
    report::sort(&mut reports);
    (targets, reports)
}

/// Who was asked, as far as it tells whether a report is one too many.
#[derive(Debug)]
pub(super) struct Asked {
    origin: Origin,
    /// The process that was found, where one was.
    found: Option<ProcessId>,
    /// The process that the connection leads to.
    reached: Option<ProcessId>,
    came: Came,
}

/// What came of asking.
#[derive(Debug)]
enum Came {
    /// An answer of the run of this id.
    Answer(Option<String>),
    /// Nobody is there.
    Nobody,
    /// Another trouble.
    Trouble,
}

impl Asked {
    fn new(target: &Target, came: Came) -> Self {
        Self {
            origin: target.origin,
            found: target.process,
            reached: target.poller.process(),
            came,
        }
    }

    /// Whether it answered.
    pub(super) fn answered(&self) -> bool {
        matches!(self.came, Came::Answer(_))
    }
}

/// What was reported in one round. Those that answer are to be taken first.
#[derive(Default)]
pub(super) struct Seen {
    runs: HashSet<String>,
    processes: HashSet<ProcessId>,
}

impl Seen {
    /// Whether it is to be reported: what was named always; what was found unless it has
    /// been reported, or nobody is at a usual address.
    pub(super) fn takes(&mut self, asked: &Asked) -> bool {
        let discovered = asked.origin == Origin::Discovered;
        match &asked.came {
            Came::Answer(run) => {
                self.processes.extend(asked.found.or(asked.reached));
                let run = run.clone();
                let is_new = run.is_none_or(|id| self.runs.insert(id));
                is_new || !discovered
            }
            Came::Nobody | Came::Trouble if !discovered => true,
            trouble => match asked.found {
                Some(process) => self.processes.insert(process),
                None => !matches!(trouble, Came::Nobody),
            },
        }
    }
}

/// Asks one, and reports it.
pub(super) async fn ask(mut target: Target) -> (Target, Report, Asked) {
    let (report, came) = match target.ask().await {
        Ok(sample) => {
            let first = found(&mut target, &sample);
            let report = again(&mut target, &sample, first).await;
            (report, Came::Answer(run_id(&sample)))
        }
        Err(trouble) => {
            let at = Sample::unreachable(Duration::ZERO);
            target.history.push(&at);
            let told = Report::unreachable(&target.job.name, &target.told(&trouble));
            let came = match trouble {
                Trouble::Connect(_) => Came::Nobody,
                _ => Came::Trouble,
            };
            (signed(told, &target), came)
        }
    };
    let asked = Asked::new(&target, came);
    (target, report, asked)
}

/// A second sample where active defrag is at work and its rates are not known yet.
async fn again(target: &mut Target, sample: &Sample, first: Report) -> Report {
    let running = sample.fields.active_defrag_running;
    let known = first
        .found
        .as_ref()
        .is_ok_and(|found| found.rates.hits.is_some());
    if known || running.is_none_or(|effort| effort == 0) {
        return first;
    }
    sleep(BETWEEN).await;
    match target.ask().await {
        Ok(sample) => found(target, &sample),
        Err(_) => first,
    }
}

fn found(target: &mut Target, sample: &Sample) -> Report {
    let derived = Derived::new(sample, &target.job.thresholds, &mut target.history);
    let report = Report::of(&target.job.name, &derived);
    signed(report, target)
}

/// A report with the way to its instance.
fn signed(report: Report, target: &Target) -> Report {
    let address = words::clean(&target.job.url());
    Report {
        address: Some(address).filter(|address| *address != report.instance),
        client: words::clean(&target.client()),
        ..report
    }
}

fn run_id(sample: &Sample) -> Option<String> {
    sample
        .server
        .as_ref()
        .and_then(|server| server.run_id.clone())
}
