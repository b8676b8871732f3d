//! stdin and stdout: the only place that touches them while the plugin runs.
//!
//! A thread each, so that a full pipe never holds up polling and a pending read
//! never delays the exit. What waits for a slow agent is bounded: the newest
//! values win. Must not know what the lines mean.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::net::unix::pipe;

use super::lines;
use super::reply::Answer;
use super::request::{Reader, Request};
use super::stream::Output;

/// Bytes of values that may wait for the agent: some two seconds of a thousand
/// instances. Beyond it all waiting values go, and what is collected next begins anew.
pub const MOST_WAITING: usize = 4 << 20;

/// Bytes of definitions that may wait: those of two thousand instances. Beyond it all
/// that waits goes, and everything is defined anew.
pub const MOST_DEFINITIONS: usize = 64 << 20;

/// Bytes and number of answers that may wait for the agent: the table of a
/// thousand instances, several times. Bodies that several share count once.
pub const MOST_ANSWERS: (usize, usize) = (8 << 20, 4096);

/// Number of answers beyond which not even a refusal is kept: who has so many
/// calls open reads nothing.
const MOST_REFUSALS: usize = 2 * MOST_ANSWERS.1;

/// Bytes that are handed to the agent at once; what is collected meanwhile waits
/// for no more than these.
const ONE_WRITE: usize = 128 << 10;

enum Block {
    Definitions(String),
    Values(String),
}

#[derive(Default)]
struct Queue {
    blocks: VecDeque<Block>,
    waiting: usize,
    dropped: u64,
    /// Bytes of definitions that wait.
    defining: usize,
    lost: u64,
    /// Whole answers. They wait until what is collected is written.
    answers: VecDeque<Answer>,
    /// Bytes of these.
    answering: usize,
    writing: bool,
    broken: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    /// A thread that panicked while holding the queue left it whole: every change
    /// is a single push or pop.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to the agent. Clones share it.
#[derive(Clone)]
pub struct Writer {
    shared: Arc<Shared>,
}

impl Writer {
    /// Starts the writing thread. `broken` is called once when nobody reads any
    /// more: the agent is gone.
    pub fn start(
        out: impl Write + Send + 'static,
        broken: impl FnOnce(io::Error) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name("stdout".into())
            .spawn(move || {
                if let Err(error) = write_all(&theirs, out) {
                    theirs.lock().broken = true;
                    theirs.changed.notify_all();
                    broken(error);
                }
            })?;
        Ok(Self { shared })
    }

    /// Puts lines into the queue. Never waits.
    pub fn send(&self, output: Output) {
        let mut queue = self.shared.lock();
        if queue.broken {
            return;
        }
        if queue.defining + output.definitions.len() > MOST_DEFINITIONS {
            // Values without their definitions end a plugin, so all goes.
            queue.blocks.clear();
            (queue.waiting, queue.defining) = (0, 0);
            queue.dropped += 1;
            queue.lost += 1;
            return;
        }
        if !output.definitions.is_empty() {
            queue.defining += output.definitions.len();
            queue
                .blocks
                .push_back(Block::Definitions(output.definitions));
        }
        if queue.waiting + output.values.len() > MOST_WAITING {
            // The new ones go too: they continue from values that are lost.
            queue
                .blocks
                .retain(|block| matches!(block, Block::Definitions(_)));
            queue.waiting = 0;
            queue.dropped += 1;
        } else if !output.values.is_empty() {
            queue.waiting += output.values.len();
            queue.blocks.push_back(Block::Values(output.values));
        }
        drop(queue);
        self.shared.changed.notify_all();
    }

    /// Puts an answer into the queue; where too much waits already, `instead`,
    /// which should be short. Whether one of them was taken. Never waits.
    pub fn answer(&self, answer: Answer, instead: impl FnOnce() -> Answer) -> bool {
        let mut queue = self.shared.lock();
        let (bytes, number) = MOST_ANSWERS;
        let weight = queue.weight(&answer);
        let full = queue.answering + weight > bytes || queue.answers.len() >= number;
        if queue.broken || queue.answers.len() >= MOST_REFUSALS {
            return false;
        }
        let answer = if full { instead() } else { answer };
        queue.answering += queue.weight(&answer);
        queue.answers.push_back(answer);
        drop(queue);
        self.shared.changed.notify_all();
        true
    }

    /// How often waiting definitions were thrown away, and all values with them. Who
    /// sees this number grow must define everything anew.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.lock().lost
    }

    /// How often waiting values were thrown away. Who sees this number grow must
    /// not continue from values sent before.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.lock().dropped
    }

    /// Waits until the agent has taken everything, but no longer than `patience`.
    pub fn drain(&self, patience: Duration) {
        let end = Instant::now() + patience;
        let mut queue = self.shared.lock();
        while !queue.broken && (queue.writing || !queue.is_empty()) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.shared.changed.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.answers.is_empty()
    }

    /// Bytes that an answer would add.
    fn weight(&self, answer: &Answer) -> usize {
        let last = self.answers.back();
        let shared = last.is_some_and(|last| Arc::ptr_eq(&last.body, &answer.body));
        answer.own() + if shared { 0 } else { answer.body.len() }
    }

    /// Takes whole blocks, about [`ONE_WRITE`]: first what is collected.
    fn take(&mut self, text: &mut String) {
        while text.len() < ONE_WRITE {
            if let Some(block) = self.blocks.pop_front() {
                match block {
                    Block::Definitions(lines) => {
                        self.defining -= lines.len();
                        text.push_str(&lines);
                    }
                    Block::Values(lines) => {
                        self.waiting -= lines.len();
                        text.push_str(&lines);
                    }
                }
            } else if let Some(answer) = self.answers.pop_front() {
                text.push_str(&answer.head);
                text.push_str(&answer.body);
                text.push_str(&answer.tail);
                if self.answers.is_empty() {
                    self.answering = 0;
                } else {
                    // What it shares with the next one still waits.
                    let weight = self.weight_before_next(&answer);
                    self.answering = self.answering.saturating_sub(weight);
                }
            } else {
                break;
            }
        }
    }

    fn weight_before_next(&self, answer: &Answer) -> usize {
        let next = self.answers.front();
        let shared = next.is_some_and(|next| Arc::ptr_eq(&next.body, &answer.body));
        answer.own() + if shared { 0 } else { answer.body.len() }
    }
}

fn write_all(shared: &Shared, mut out: impl Write) -> io::Result<()> {
    let mut text = String::new();
    loop {
        let mut queue = shared.lock();
        queue.writing = false;
        while queue.is_empty() {
            shared.changed.notify_all();
            queue = shared
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        text.clear();
        text.shrink_to(2 * ONE_WRITE);
        queue.take(&mut text);
        queue.writing = true;
        drop(queue);
        out.write_all(text.as_bytes())?;
        out.flush()?;
    }
}

/// Starts the reading thread: every request, and at the end of input a
/// [`Request::Quit`], goes to `take`, which says whether it wants more.
pub fn read(
    input: impl io::Read + Send + 'static,
    mut take: impl FnMut(Request) -> bool + Send + 'static,
) -> io::Result<()> {
    thread::Builder::new().name("stdin".into()).spawn(move || {
        let mut input = io::BufReader::new(input);
        let mut reader = Reader::default();
        while let Some((line, whole)) = lines::next(&mut input) {
            if !reader.feed(&line, whole).into_iter().all(&mut take) {
                return;
            }
        }
        let _ = reader.end().into_iter().all(take);
    })?;
    Ok(())
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
    fn what_waits_is_bounded_definitions_stay_and_the_newest_values_win() {
        let (open, gate) = mpsc::channel();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let stuck = Stuck {
            gate,
            taken: Arc::clone(&taken),
        };
        let writer = Writer::start(stuck, |_| {}).unwrap();
        writer.send(values("first\n"));
        while !writer.shared.lock().writing {
            thread::yield_now();
        }
        writer.send(Output {
            definitions: "CHART\n".into(),
            values: "old\n".into(),
        });
        let big = "x".repeat(MOST_WAITING / 4);
        for _ in 0..40 {
            writer.send(values(&big));
            assert!(writer.shared.lock().waiting <= MOST_WAITING);
        }
        writer.send(values("newest\n"));
        // Room for the three of them that fit behind the first, then for four each.
        assert_eq!(writer.dropped(), 8);
        drop(open);
        writer.drain(Duration::from_secs(5));
        let text = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        assert!(
            text.starts_with("first\nCHART\n") && text.ends_with("newest\n"),
            "{:.40}",
            text
        );
        assert!(!text.contains("old\n"));
    }

    /// Instances that come and go define charts again and again.
    #[test]
    fn definitions_are_bounded_too_and_their_loss_is_told() {
        let (open, gate) = mpsc::channel();
        let stuck = Stuck {
            gate,
            taken: Arc::default(),
        };
        let writer = Writer::start(stuck, |_| {}).unwrap();
        let definitions = "x".repeat(MOST_DEFINITIONS / 8);
        for _ in 0..20 {
            writer.send(Output {
                definitions: definitions.clone(),
                values: "v".into(),
            });
            let queue = writer.shared.lock();
            assert!(queue.defining <= MOST_DEFINITIONS, "{}", queue.defining);
        }
        assert!(writer.lost() >= 1 && writer.dropped() >= writer.lost());
        drop(open);
    }

    #[test]
    fn answers_are_whole_bounded_and_behind_what_is_collected() {
        let (open, gate) = mpsc::channel();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let stuck = Stuck {
            gate,
            taken: Arc::clone(&taken),
        };
        let writer = Writer::start(stuck, |_| {}).unwrap();
        writer.send(values("first\n"));
        while !writer.shared.lock().writing {
            thread::yield_now();
        }
        let body: Arc<str> = "x".repeat(1 << 20).into();
        let busy = |id: &str| Answer::error(id, 503, "busy");
        let give = |id: &str, body: &Arc<str>| {
            let answer = Answer::new(id, 200, Arc::clone(body), 0);
            writer.answer(answer, || busy(id))
        };
        // Many share one body, and weigh little.
        for number in 0..20 {
            assert!(give(&format!("shared{number}"), &body));
        }
        for number in 0..20 {
            assert!(give(&format!("own{number}"), &body.to_string().into()));
        }
        writer.send(values("newest\n"));
        assert!(writer.shared.lock().answering <= MOST_ANSWERS.0 + 20 * 100);
        let short: Arc<str> = "{}\n".into();
        let mut kept = 40;
        while give("more", &short) {
            kept += 1;
        }
        assert_eq!(kept, MOST_REFUSALS);
        drop(open);
        writer.drain(Duration::from_secs(20));
        assert_eq!(writer.shared.lock().answering, 0);
        let text = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        assert!(text.starts_with("first\nnewest\nFUNCTION_RESULT_BEGIN shared0 200"));
        let count = |what: &str| text.matches(what).count();
        assert_eq!(count("FUNCTION_RESULT_BEGIN shared"), 20);
        let refused = (0..20).filter(|n| text.contains(&format!("BEGIN own{n} 503")));
        assert_eq!(
            refused.count(),
            14,
            "6 of 1 MiB beside the first and the heads"
        );
        assert_eq!(count("FUNCTION_RESULT_BEGIN"), MOST_REFUSALS);
        assert_eq!(count("FUNCTION_RESULT_END\n"), MOST_REFUSALS);
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
        let writer = Writer::start(Closed, move |error| tell.send(error.kind()).unwrap()).unwrap();
        writer.send(values("x\n"));
        let kind = told.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(kind, io::ErrorKind::BrokenPipe);
        let start = Instant::now();
        writer.drain(Duration::from_secs(5));
        assert!(
            start.elapsed() < Duration::from_secs(4),
            "drain gives up on a dead reader"
        );
    }

    fn requests(input: Vec<u8>) -> Vec<Request> {
        let (tell, told) = mpsc::channel();
        read(Cursor::new(input), move |request| {
            tell.send(request).is_ok()
        })
        .unwrap();
        told.iter().collect()
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
