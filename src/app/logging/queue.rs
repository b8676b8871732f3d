//! Log lines on their way to a reader who may be slow, stuck or gone.
//!
//! A thread of its own writes them, so that nobody ever waits for the reader. What waits
//! is bounded; what does not fit is counted, and told once somebody reads again. Must not
//! know what the lines say or where they go.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::app::panics::Pauses;

/// Most lines that wait: a bad start of some hundred jobs.
const MOST_LINES: usize = 1_000;

/// Most bytes of lines that wait; few lines are longer than 300.
const MOST_BYTES: usize = 256 << 10;

/// What waits, and what was lost. Lost is what came while there was no room: then it lies
/// behind what waits, and nothing more is taken until it is told. Or it could not be
/// written: then it lies before what waits, and is told at the next attempt.
#[derive(Default)]
struct State {
    lines: VecDeque<Box<str>>,
    bytes: usize,
    /// Lines that were lost and are to be told.
    lost: u64,
    /// The last attempt to write failed.
    failed: bool,
    writing: bool,
    /// The thread panicked and rests before it begins anew.
    broken: bool,
}

/// What is to be written.
enum Next {
    Line(Box<str>),
    /// That so many lines are missing.
    Lost(u64),
}

impl State {
    fn put(&mut self, line: String) {
        let full =
            self.lines.len() >= MOST_LINES || self.bytes.saturating_add(line.len()) > MOST_BYTES;
        if full || (self.lost > 0 && !self.failed) {
            self.lost += 1;
            return;
        }
        self.bytes += line.len();
        self.lines.push_back(line.into_boxed_str());
    }

    fn is_due(&self) -> bool {
        !self.lines.is_empty() || (self.lost > 0 && !self.failed)
    }

    fn next(&mut self) -> Option<Next> {
        if self.lost > 0 && self.failed != self.lines.is_empty() {
            return Some(Next::Lost(std::mem::take(&mut self.lost)));
        }
        let line = self.lines.pop_front()?;
        self.bytes -= line.len();
        Some(Next::Line(line))
    }

    /// Nobody takes what was to be written now, nor what waits behind it.
    fn lose(&mut self, count: u64) {
        let waiting = std::mem::take(&mut self.lines).len();
        self.lost += count + u64::try_from(waiting).unwrap_or(u64::MAX);
        self.bytes = 0;
        self.failed = true;
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something is to be written.
    came: Condvar,
    /// All is written, or cannot be.
    went: Condvar,
}

impl Shared {
    /// No change can panic halfway.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to whoever reads the log.
pub(super) struct Queue {
    shared: Arc<Shared>,
}

impl Queue {
    /// Starts the writing thread; it writes each line at once and by itself, and what
    /// `lost` makes of a number of lines that are missing.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn start(
        out: impl Write + Send + 'static,
        lost: impl Fn(u64) -> String + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let mut out = Whole { out, cut: false };
        thread::Builder::new()
            .name("stderr".into())
            .spawn(move || {
                let mut pauses = Pauses::default();
                loop {
                    let write = AssertUnwindSafe(|| write_all(&theirs, &mut out, &lost));
                    let _ = catch_unwind(write);
                    {
                        let mut state = theirs.lock();
                        (state.writing, state.broken) = (false, true);
                        state.lose(1);
                    }
                    theirs.went.notify_all();
                    thread::sleep(pauses.next("writing the log"));
                    theirs.lock().broken = false;
                }
            })?;
        Ok(Self { shared })
    }

    /// Takes a line with its end. Never waits for the reader.
    pub(super) fn put(&self, line: String) {
        self.shared.lock().put(line);
        self.shared.came.notify_one();
    }

    /// Waits until all is written, but no longer than `patience`.
    pub(super) fn drain(&self, patience: Duration) {
        let end = Instant::now() + patience;
        let mut state = self.shared.lock();
        while !state.broken && (state.writing || state.is_due()) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.shared.went.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Writes what comes.
fn write_all(
    shared: &Shared,
    out: &mut Whole<impl Write>,
    lost: &impl Fn(u64) -> String,
) -> Infallible {
    let mut state = shared.lock();
    loop {
        let Some(next) = state.next() else {
            shared.went.notify_all();
            let woken = shared.came.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        state.writing = true;
        drop(state);
        let (written, count) = match next {
            Next::Line(line) => (out.line(&line), 1),
            Next::Lost(count) => (out.line(&lost(count)), count),
        };
        state = shared.lock();
        state.writing = false;
        match written {
            Ok(()) => state.failed = false,
            Err(_) => state.lose(count),
        }
    }
}

/// Writes whole lines.
struct Whole<W> {
    out: W,
    /// The last line was written in part.
    cut: bool,
}

impl<W: Write> Whole<W> {
    /// A line in one write, where the system takes it in one.
    fn line(&mut self, line: &str) -> io::Result<()> {
        if self.cut {
            self.out.write_all(b"\n")?;
            self.cut = false;
        }
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => rest = rest.get(taken..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            self.cut = !rest.is_empty();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
