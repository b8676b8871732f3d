//! stdin and stdout: the only place that touches them while the plugin runs.
//!
//! A thread each, so that a full pipe never holds up polling and a pending read
//! never delays the exit. What waits for a slow agent is in `queue.rs`. Must not know
//! what the lines mean.

mod losses;
mod pipe;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;

use losses::Losses;
use pipe::Pipe;

use super::lines;
use super::queue::Queue;
use super::reply::Answer;
use super::request::{Reader, Request};
use super::stream::Output;

/// How long the writing thread waits for more after the first lines came: instances
/// that are asked together answer within it, and what they say is one write. Each
/// wake-up would cost more than what is written.
const TOGETHER: Duration = Duration::from_millis(5);

/// Bytes of the buffer that is kept for what one instance says: its values.
const MOST_KEPT: usize = 16 << 10;

#[derive(Default)]
struct State {
    queue: Queue,
    losses: Losses,
    /// The writing thread waits to be woken.
    idle: bool,
    writing: bool,
    broken: bool,
}

struct Shared {
    state: Mutex<State>,
    /// Zero of the clock by which lines wait.
    began: Instant,
    /// Something is to be written.
    came: Condvar,
    /// All is written, or nobody reads any more.
    went: Condvar,
    /// What one instance says, before it is put into the queue.
    said: Mutex<Output>,
}

impl Shared {
    /// A thread that panicked while holding the queue left it whole: every change
    /// is a single push or pop.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the writing thread go on, where it waits.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        if std::mem::take(&mut state.idle) {
            drop(state);
            self.came.notify_one();
        }
    }
}

/// Why a thread has ended.
#[derive(Debug)]
pub enum Ended {
    /// Nobody reads stdout any more: the agent is gone.
    Gone(io::Error),
    /// A panic, which is a defect: nothing is written or read any more.
    Broken,
}

/// The way to the agent. Clones share it.
#[derive(Clone)]
pub struct Writer {
    shared: Arc<Shared>,
}

impl Writer {
    /// Starts the thread that writes to the process' own stdout. `tell` is called once when
    /// it ends.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn to_stdout(tell: impl FnOnce(Ended) + Send + 'static) -> io::Result<Self> {
        // Where there is no descriptor to be had, nothing is known of the pipe.
        let pipe = our_stdout().map(Pipe::of).unwrap_or_default();
        Self::start_on(stdout(), pipe, tell)
    }

    /// The same to anything else, of which is not known whether it was read.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(
        out: impl Write + Send + 'static,
        tell: impl FnOnce(Ended) + Send + 'static,
    ) -> io::Result<Self> {
        Self::start_on(out, Pipe::default(), tell)
    }

    fn start_on(
        out: impl Write + Send + 'static,
        pipe: Pipe,
        tell: impl FnOnce(Ended) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            began: Instant::now(),
            came: Condvar::new(),
            went: Condvar::new(),
            said: Mutex::default(),
        });
        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name("stdout".into())
            .spawn(move || {
                let written = catch_unwind(AssertUnwindSafe(|| write_all(&theirs, out, pipe)));
                theirs.lock().broken = true;
                theirs.went.notify_all();
                tell(written.map_or(Ended::Broken, Ended::Gone));
            })?;
        Ok(Self { shared })
    }

    /// Puts the lines that `say` appends into the queue. Never waits for the agent.
    pub fn write(&self, say: impl FnOnce(&mut Output)) {
        // Whoever panicked left half a sentence: it is cleared away.
        let said = self.shared.said.lock();
        let mut said = said.unwrap_or_else(PoisonError::into_inner);
        said.clear();
        say(&mut said);
        let begins = self.put(&said);
        // What an instance says when all its charts are new is not said again soon.
        said.definitions.shrink_to(MOST_KEPT);
        said.values.shrink_to(MOST_KEPT);
        drop(said);
        tell_loss(begins);
    }

    /// Puts lines into the queue. Never waits for the agent.
    pub fn send(&self, output: &Output) {
        tell_loss(self.put(output));
    }

    /// The same; whether to tell that values are thrown away from now on.
    fn put(&self, output: &Output) -> bool {
        let mut state = self.shared.lock();
        if state.broken {
            return false;
        }
        let now = self.shared.began.elapsed();
        let dropped = state.queue.dropped();
        state.queue.put(output, now);
        let begins = state.queue.dropped() != dropped && state.losses.add(now);
        self.shared.wake(state);
        begins
    }

    /// Puts an answer into the queue; where too much waits already, `instead`,
    /// which should be short. Whether one of them was taken. Never waits.
    pub fn answer(&self, answer: Answer, instead: impl FnOnce() -> Answer) -> bool {
        let mut state = self.shared.lock();
        let taken = !state.broken && state.queue.answer(answer, instead);
        self.shared.wake(state);
        taken
    }

    /// How often waiting definitions were thrown away, and all values with them. Who
    /// sees this number grow must define everything anew.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.lock().queue.lost()
    }

    /// How often waiting values were thrown away. Who sees this number grow must
    /// not continue from values sent before.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.lock().queue.dropped()
    }

    /// Whether so many definitions wait that more of them should come later.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.shared.lock().queue.is_behind()
    }

    /// Whether lines are on their way that can be taken back no more.
    #[cfg(test)]
    pub(crate) fn is_writing(&self) -> bool {
        self.shared.lock().writing
    }

    /// Waits until the agent has taken everything, but no longer than `patience`.
    pub fn drain(&self, patience: Duration) {
        let end = Instant::now() + patience;
        let mut state = self.shared.lock();
        while !state.broken && (state.writing || !state.queue.is_empty()) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.shared.went.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Never while the queue is locked: whoever logs may take its time.
fn tell_loss(begins: bool) {
    if begins {
        log::warn!(
            "the agent does not read what it is told, or too slowly: values are thrown away until \
             it does"
        );
    }
}

/// Writes what comes, until nobody reads it any more.
fn write_all(shared: &Shared, mut out: impl Write, mut pipe: Pipe) -> io::Error {
    let mut text = String::new();
    let mut over = None;
    loop {
        let mut state = shared.lock();
        state.writing = false;
        if state.queue.is_empty() {
            while state.queue.is_empty() {
                shared.went.notify_all();
                state.idle = true;
                let woken = shared.came.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
            }
            state.idle = false;
            drop(state);
            thread::sleep(TOGETHER);
        } else {
            drop(state);
        }
        // What is in the pipe can be taken back no more; what is in the queue can.
        pipe.wait();
        let mut state = shared.lock();
        let now = shared.began.elapsed();
        let dropped = state.queue.dropped();
        state.queue.take(&mut text, now);
        if state.queue.dropped() != dropped {
            // It is over already, which is told alone.
            let _ = state.losses.add(now);
        }
        over = state.losses.over(now).or(over);
        state.writing = !text.is_empty();
        drop(state);
        if text.is_empty() {
            continue;
        }
        let began = Instant::now();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            return error;
        }
        pipe.wrote(began, text.len());
        // Not before: what ended the wait may have been the end of the agent.
        if let Some((times, length)) = over.take() {
            log::info!(
                "the agent reads again: values were thrown away {times} times within {} s",
                length.as_secs()
            );
        }
    }
}

/// Starts the reading thread: every request, and at the end of input a
/// [`Request::Quit`], goes to `take`, which says whether it wants more. `broken` is called
/// where the thread panics: nothing is heard any more.
///
/// # Errors
/// There is no thread to be had.
pub fn read(
    input: impl io::Read + Send + 'static,
    mut take: impl FnMut(Request) -> bool + Send + 'static,
    broken: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    thread::Builder::new().name("stdin".into()).spawn(move || {
        let reading = AssertUnwindSafe(|| read_all(input, &mut take));
        if catch_unwind(reading).is_err() {
            // Before what `take` holds goes: who waits for that would take it for the end.
            broken();
        }
    })?;
    Ok(())
}

fn read_all(input: impl io::Read, mut take: impl FnMut(Request) -> bool) {
    let mut input = io::BufReader::new(input);
    let mut reader = Reader::default();
    while let Some((line, whole)) = lines::next(&mut input) {
        if !reader.feed(&line, whole).into_iter().all(&mut take) {
            return;
        }
    }
    let _ = reader.end().into_iter().all(take);
}

/// Waits until nobody reads stdout any more. A write would tell too, but a plugin
/// whose instances are all silent does not write. Waits for ever where stdout is
/// no pipe.
pub async fn stdout_closed() {
    let ours = our_stdout();
    // Only waited on, never written to: the thread's writes stay blocking.
    let watched = ours.and_then(|fd| Sender::from_file_unchecked(File::from(fd)));
    let closed = async { watched?.ready(Interest::ERROR).await };
    if closed.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The process' own stdout.
fn stdout() -> io::Stdout {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that owns stdout"
    )]
    io::stdout()
}

/// Another descriptor of it.
fn our_stdout() -> io::Result<OwnedFd> {
    stdout().as_fd().try_clone_to_owned()
}

#[cfg(test)]
mod tests;
