//! stdin and stdout: the only place that touches them while the plugin runs.
//!
//! A thread each, so that a full pipe never holds up polling and a pending read
//! never delays the exit. What waits for a slow agent is in `queue.rs`. Must not know
//! what the lines mean.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::net::unix::pipe;

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
    /// Starts the writing thread. `tell` is called once when it ends.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(
        out: impl Write + Send + 'static,
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
                let written = catch_unwind(AssertUnwindSafe(|| write_all(&theirs, out)));
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
        let said = &mut *said.unwrap_or_else(PoisonError::into_inner);
        said.clear();
        say(said);
        self.send(said);
        // What an instance says when all its charts are new is not said again soon.
        said.definitions.shrink_to(MOST_KEPT);
        said.values.shrink_to(MOST_KEPT);
    }

    /// Puts lines into the queue. Never waits for the agent.
    pub fn send(&self, output: &Output) {
        let mut state = self.shared.lock();
        if state.broken {
            return;
        }
        state.queue.put(output, self.shared.began.elapsed());
        self.shared.wake(state);
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
    #[must_use]
    pub fn is_writing(&self) -> bool {
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

/// Writes what comes, until nobody reads it any more.
fn write_all(shared: &Shared, mut out: impl Write) -> io::Error {
    let mut text = String::new();
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
            state = shared.lock();
        }
        state.queue.take(&mut text);
        state.writing = true;
        drop(state);
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            return error;
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
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that owns stdout"
    )]
    let ours = io::stdout().as_fd().try_clone_to_owned();
    // Only waited on, never written to: the thread's writes stay blocking.
    let watched = ours.and_then(|fd| pipe::Sender::from_file_unchecked(File::from(fd)));
    let closed = async { watched?.ready(Interest::ERROR).await };
    if closed.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The process' own stdout.
#[must_use]
pub fn stdout() -> impl Write + Send + 'static {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that owns stdout"
    )]
    io::stdout()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::mpsc;

    use super::*;

    fn values(text: &str) -> Output {
        Output {
            values: text.to_owned(),
            ..Output::default()
        }
    }

    /// A reader that reads nothing until it is let go.
    struct Stuck {
        gate: mpsc::Receiver<()>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.gate.recv();
            self.taken.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_a_reader_that_is_stuck_and_it_gets_all_in_order() {
        let (open, gate) = mpsc::channel();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let stuck = Stuck {
            gate,
            taken: Arc::clone(&taken),
        };
        let writer = Writer::start(stuck, |_| {}).unwrap();
        let mut want = String::new();
        for number in 0..100 {
            want.push_str(&format!("{number}\n"));
            writer.write(|said| said.values.push_str(&format!("{number}\n")));
        }
        writer.drain(Duration::from_millis(50));
        assert!(taken.lock().unwrap().is_empty(), "it is stuck");
        writer.answer(Answer::error("id", 503, "busy"), || unreachable!());
        drop(open);
        writer.drain(Duration::from_secs(20));
        let text = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        assert!(text.starts_with(&want), "{text:.40}");
        assert!(text.ends_with("FUNCTION_RESULT_END\n"), "{text}");
    }

    #[test]
    fn half_a_sentence_is_not_said() {
        let (tell, told) = mpsc::channel();
        struct Telling(mpsc::Sender<String>);
        impl Write for Telling {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let text = String::from_utf8(bytes.to_vec()).unwrap();
                self.0.send(text).map_err(|_| io::ErrorKind::Other)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let writer = Writer::start(Telling(tell), |_| {}).unwrap();
        let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            writer.write(|said| {
                said.values.push_str("half");
                panic!("a defect met by one instance");
            });
        }));
        assert!(broken.is_err());
        writer.write(|said| said.values.push_str("whole\n"));
        let text = told.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(text, "whole\n");
    }

    #[test]
    fn a_reader_that_is_gone_is_reported_and_nothing_waits_for_it() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (tell, told) = mpsc::channel();
        let writer = Writer::start(Closed, move |ended| tell.send(ended).unwrap()).unwrap();
        writer.send(&values("x\n"));
        let ended = told.recv_timeout(Duration::from_secs(5)).unwrap();
        assert!(matches!(ended, Ended::Gone(error) if error.kind() == io::ErrorKind::BrokenPipe));
        let start = Instant::now();
        writer.drain(Duration::from_secs(5));
        assert!(
            start.elapsed() < Duration::from_secs(4),
            "drain gives up on a dead reader"
        );
    }

    fn requests(input: Vec<u8>) -> Vec<Request> {
        let (tell, told) = mpsc::channel();
        let take = move |request| tell.send(request).is_ok();
        read(Cursor::new(input), take, || unreachable!()).unwrap();
        told.iter().collect()
    }

    #[test]
    fn a_thread_that_breaks_down_tells_so_and_nobody_waits_for_it() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                panic!("made up")
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl io::Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                panic!("made up")
            }
        }
        let patience = Duration::from_secs(5);
        let (tell, told) = mpsc::channel();
        let writer = Writer::start(Broken, move |ended| tell.send(ended).unwrap()).unwrap();
        writer.send(&values("x\n"));
        let ended = told.recv_timeout(patience).unwrap();
        assert!(matches!(ended, Ended::Broken), "{ended:?}");
        let start = Instant::now();
        writer.drain(patience);
        assert!(start.elapsed() < patience / 2, "drain waits for nobody");
        assert!(!writer.answer(Answer::error("id", 503, "x"), || unreachable!()));

        // While it reads, and while what it read is taken.
        let (tell, told) = mpsc::channel();
        let again = tell.clone();
        read(Broken, |_| true, move || tell.send("reading").unwrap()).unwrap();
        assert_eq!(told.recv_timeout(patience), Ok("reading"));
        let take = |_| panic!("made up");
        read(io::empty(), take, move || again.send("taking").unwrap()).unwrap();
        assert_eq!(told.recv_timeout(patience), Ok("taking"));
    }

    #[test]
    fn the_end_of_input_is_a_quit_whatever_came_before() {
        assert_eq!(requests(Vec::new()), [Request::Quit]);
        let mut flood = vec![b'A'; 300_000];
        flood.extend_from_slice(b"QUIT\n\xff\xfe\nQUIT\n");
        assert_eq!(
            requests(flood),
            [Request::Quit, Request::Quit],
            "the one line QUIT, and the end"
        );
    }
}
