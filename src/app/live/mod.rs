//! `redis-frag diagnose --watch` on a terminal: all instances at a look, each asked by
//! itself, so that one that hangs holds up no other.
//!
//! Signals, keys and answers come together here; what they mean is `view.rs`, what it
//! looks like `draw.rs`.

mod draw;
mod keys;
mod rows;
mod terminal;
mod view;

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, sleep_until};

use crate::model::text;

use super::diagnose::{Asked, BROKE_DOWN, Seen, ask};
use super::panics::caught;
use super::report::Report;
use super::screen::Screen;
use super::target::Target;
use super::{Failure, Out};

use draw::{Canvas, Now};
use rows::Row;
use terminal::Terminal;
use view::{Deed, View};

/// How often all is asked, and whether at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pace {
    interval: Duration,
    paused: bool,
}

/// One that is asked: its row, and what it was the last time.
struct Slot {
    row: Row,
    asked: Option<Asked>,
}

/// Shows the instances until somebody ends it.
///
/// # Errors
/// Where signals cannot be waited for.
pub(super) async fn run(
    targets: Vec<Target>,
    interval: u32,
    screen: &dyn Fn() -> Screen,
    out: Out<'_>,
) -> Result<u8, Failure> {
    let mut signals = Signals::new()?;
    let mut view = View::new(interval);
    let mut slots = slots(&targets);
    let (pace, paced) = watch::channel(pace_of(&view));
    let (tell, mut heard) = mpsc::channel(targets.len().max(1));
    // They end with this.
    let mut tasks = JoinSet::new();
    for (place, target) in targets.into_iter().enumerate() {
        tasks.spawn(follow(place, target, paced.clone(), tell.clone()));
    }
    let mut terminal = Terminal::take(out);
    let (press, mut pressed) = mpsc::unbounded_channel();
    if terminal.has_keys() {
        let tell = move |bytes: Vec<u8>| match bytes.is_empty() {
            true => !press.is_closed(),
            false => press.send(bytes).is_ok(),
        };
        let keys = std::thread::Builder::new().name("keys".to_owned());
        // Without it Ctrl-C would be a byte that nobody reads: rather no view.
        let read = keys.spawn(move || terminal::read_keys(tell));
        read.map_err(|error| {
            Failure::Unable(format!(
                "no thread for the keys: {error}; check the limit of processes"
            ))
        })?;
    }
    let began = Instant::now();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let canvas = canvas(&screen());
        if !draw(&slots, &mut view, canvas, began.elapsed(), &mut terminal) {
            break;
        }
        tokio::select! {
            _ = signals.interrupt.recv() => break,
            _ = signals.terminate.recv() => break,
            _ = signals.hangup.recv() => break,
            _ = signals.window.recv() => terminal.clear(),
            _ = signals.stop.recv() => suspend(&mut terminal),
            // After a stop; somebody else may have changed it meanwhile.
            _ = signals.go_on.recv() => {
                terminal.leave();
                terminal.enter();
            }
            _ = second.tick() => {}
            Some((place, report, asked)) = heard.recv() => {
                if let Some(slot) = slots.get_mut(place) {
                    slot.row.take(report, began.elapsed());
                    slot.asked = asked;
                }
            }
            Some(bytes) = pressed.recv() => {
                for key in keys::pressed(&bytes) {
                    match view.press(key, canvas.page(view.page)) {
                        Deed::Draw => {}
                        Deed::Pace => drop(pace.send(pace_of(&view))),
                        Deed::Suspend => suspend(&mut terminal),
                        Deed::Quit => return Ok(0),
                    }
                }
            }
        }
    }
    Ok(0)
}

/// A row for each, of a name of its own.
fn slots(targets: &[Target]) -> Vec<Slot> {
    let mut names = HashSet::new();
    let unique = |target: &Target| {
        let name = super::report::words::clean(&target.job.name);
        let numbered = (2..).map(|number| format!("{name} ({number})"));
        let mut names_of = std::iter::once(name.clone()).chain(numbered);
        names_of
            .find(|name| names.insert(name.clone()))
            .unwrap_or(name)
    };
    let names = targets.iter().map(unique);
    let slot = |name| Slot {
        row: Row::new(name),
        asked: None,
    };
    // Needs all names before the first row.
    names.collect::<Vec<_>>().into_iter().map(slot).collect()
}

fn pace_of(view: &View) -> Pace {
    Pace {
        interval: Duration::from_secs(u64::from(view.interval)),
        paused: view.paused,
    }
}

fn canvas(screen: &Screen) -> Canvas {
    Canvas {
        columns: screen.columns,
        lines: screen.rows,
        colour: screen.colour,
        utf8: screen.utf8,
    }
}

/// Draws what there is; says whether anybody reads.
fn draw(
    slots: &[Slot],
    view: &mut View,
    canvas: Canvas,
    since: Duration,
    terminal: &mut Terminal<'_>,
) -> bool {
    let shown = shown(slots);
    view.rank(&shown, since);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH);
    let clock = text::utc(clock.unwrap_or_default().as_secs());
    // The day is known to who sits there.
    let clock = clock.split_once(' ').map_or("", |(_, time)| time);
    let now = Now { clock, since };
    terminal.draw(draw::frame(&shown, view, canvas, now))
}

/// The rows of those that are told: one for a server that was found in several ways.
fn shown(slots: &[Slot]) -> Vec<&Row> {
    let mut seen = Seen::default();
    let mut told = vec![true; slots.len()];
    for answers in [true, false] {
        for (slot, told) in slots.iter().zip(&mut told) {
            if let Some(asked) = slot
                .asked
                .as_ref()
                .filter(|asked| asked.answered() == answers)
            {
                *told = seen.takes(asked);
            }
        }
    }
    let rows = slots.iter().zip(told).filter(|(_, told)| *told);
    rows.map(|(slot, _)| &slot.row).collect()
}

/// Gives the terminal back and stops, if a shell is there to let it go on; the signal to
/// do so takes it again.
fn suspend(terminal: &mut Terminal<'_>) {
    if terminal::can_stop() {
        terminal.leave();
        terminal::stop();
    }
}

/// Asks one target at its pace for as long as somebody listens.
async fn follow(
    place: usize,
    mut target: Target,
    mut pace: watch::Receiver<Pace>,
    tell: mpsc::Sender<(usize, Report, Option<Asked>)>,
) {
    let name = target.job.name.clone();
    loop {
        if pace.wait_for(|pace| !pace.paused).await.is_err() {
            return;
        }
        let began = Instant::now();
        let Some((same, report, asked)) = caught(ask(target)).await else {
            let told = Report::unreachable(&name, BROKE_DOWN);
            let _ = tell.send((place, told, None)).await;
            return;
        };
        target = same;
        if tell.send((place, report, Some(asked))).await.is_err() {
            return;
        }
        loop {
            let due = began + pace.borrow_and_update().interval;
            tokio::select! {
                () = sleep_until(due) => break,
                changed = pace.changed() => if changed.is_err() {
                    return;
                },
            }
        }
    }
}

/// What a shell, a window or a person may tell this process.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    window: Signal,
    stop: Signal,
    go_on: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let of = |kind| {
            signal(kind).map_err(|error| {
                Failure::Unable(format!("no signals: {error}; try again without --watch"))
            })
        };
        let raw = |signal: rustix::process::Signal| SignalKind::from_raw(signal.as_raw());
        Ok(Self {
            interrupt: of(SignalKind::interrupt())?,
            terminate: of(SignalKind::terminate())?,
            hangup: of(SignalKind::hangup())?,
            window: of(SignalKind::window_change())?,
            stop: of(raw(rustix::process::Signal::TSTP))?,
            go_on: of(raw(rustix::process::Signal::CONT))?,
        })
    }
}
