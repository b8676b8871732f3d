//! Reads a plugin's output and standard error in threads of their own, so
//! that the plugin never waits for a test.

use std::fs::File;
use std::io::{ErrorKind, PipeReader, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::super::checker::Checker;
use super::super::secrets;

/// Linux's value on all but a few old architectures (alpha, mips, sparc …).
const O_NONBLOCK: i32 = 0o4000;
const POLL: Duration = Duration::from_millis(3);
/// Pause of a reader that is slow.
const SLOW_POLL: Duration = Duration::from_millis(20);
/// A grandchild may hold the pipe open after the plugin's end.
const END_LIMIT: Duration = Duration::from_secs(2);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    checker: Checker,
    lines: Vec<(Duration, String)>,
    /// Has the lines instead.
    listener: Option<Listener>,
    /// The secrets that it was told.
    leaked: Vec<String>,
    close: bool,
    hold: bool,
    /// Bytes that are read each [`SLOW_POLL`]; `None`: all there are.
    slow: Option<usize>,
    ended: bool,
}

impl Shared {
    /// A test that failed in its closure has poisoned nothing that matters.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Hears each line, and is not to keep it.
pub(super) type Listener = Box<dyn FnMut(&str) + Send>;

/// What came over standard output.
pub(super) struct Output(Arc<Shared>);

impl Output {
    pub(super) fn read(
        reader: PipeReader,
        checker: Checker,
        start: Instant,
        listener: Option<Listener>,
    ) -> Output {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                checker,
                lines: Vec::new(),
                listener,
                leaked: Vec::new(),
                close: false,
                hold: false,
                slow: None,
                ended: false,
            }),
            changed: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let mut file = without_waiting(reader);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            let mut pending = Vec::new();
            loop {
                while theirs.lock().hold {
                    std::thread::sleep(POLL);
                }
                let slow = theirs.lock().slow;
                if slow.is_some() {
                    std::thread::sleep(SLOW_POLL);
                }
                let most = slow.unwrap_or(buffer.len());
                match file.read(&mut buffer[..most]) {
                    Ok(0) => break,
                    Ok(n) => {
                        pending.extend_from_slice(&buffer[..n]);
                        take_lines(&theirs, &mut pending, start.elapsed());
                    }
                    Err(e) if e.kind() == ErrorKind::WouldBlock => std::thread::sleep(POLL),
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) => panic!("cannot read the plugin's output: {e}"),
                }
                if theirs.lock().close {
                    break;
                }
            }
            drop(file);
            let mut state = theirs.lock();
            if !state.close {
                if !pending.is_empty() {
                    state.checker.feed_cut(&String::from_utf8_lossy(&pending));
                }
                state.checker.finish();
            }
            state.ended = true;
            theirs.changed.notify_all();
        });
        Output(shared)
    }

    pub(super) fn wait_for(&self, limit: Duration, f: impl Fn(&Checker) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.0.lock();
        loop {
            if f(&state.checker) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.ended {
                return false;
            }
            state = match self.0.changed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    pub(super) fn with_checker<T>(&self, f: impl FnOnce(&Checker) -> T) -> T {
        f(&self.0.lock().checker)
    }

    pub(super) fn lines(&self) -> Vec<(Duration, String)> {
        self.0.lock().lines.clone()
    }

    /// The secrets in the lines that a listener had instead of being kept.
    pub(super) fn leaked(&self) -> Vec<String> {
        self.0.lock().leaked.clone()
    }

    pub(super) fn ended(&self) -> bool {
        self.0.lock().ended
    }

    pub(super) fn hold(&self, hold: bool) {
        self.0.lock().hold = hold;
    }

    pub(super) fn slow(&self, bytes_per_second: Option<usize>) {
        let pieces = 1000 / SLOW_POLL.as_millis() as usize;
        self.0.lock().slow = bytes_per_second.map(|bytes| (bytes / pieces).max(1));
    }

    pub(super) fn close(&self) {
        let mut state = self.0.lock();
        (state.close, state.hold) = (true, false);
        drop(state);
        self.wait_end();
    }

    pub(super) fn wait_end(&self) {
        let deadline = Instant::now() + END_LIMIT;
        while !self.ended() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
    }
}

fn take_lines(shared: &Shared, pending: &mut Vec<u8>, time: Duration) {
    let Some(last) = pending.iter().rposition(|b| *b == b'\n') else {
        return;
    };
    let rest = pending.split_off(last + 1);
    let whole = std::mem::replace(pending, rest);
    let mut state = shared.lock();
    if state.listener.is_some() && state.leaked.is_empty() {
        // All lines at once: a long run has millions.
        state.leaked = secrets::told(&String::from_utf8_lossy(&whole));
    }
    for line in whole[..last].split(|b| *b == b'\n') {
        let line = String::from_utf8_lossy(line).into_owned();
        state.checker.feed(&line);
        match &mut state.listener {
            Some(listener) => listener(&line),
            None => state.lines.push((time, line)),
        }
    }
    shared.changed.notify_all();
}

/// A blocking read could not be called off to close the pipe. Opened anew, so that the flag
/// is not the plugin's end's as well.
fn without_waiting(reader: PipeReader) -> File {
    std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(O_NONBLOCK)
        .open(format!("/proc/self/fd/{}", reader.as_raw_fd()))
        .unwrap_or_else(|e| panic!("cannot reopen a pipe: {e}"))
}

#[derive(Default)]
struct Log {
    text: Vec<u8>,
    hold: bool,
    /// Bytes that wait in the pipe, while it is held.
    unread: u64,
    close: bool,
    ended: bool,
}

/// What came over standard error.
pub(super) struct Stderr(Arc<Mutex<Log>>);

impl Stderr {
    pub(super) fn read(reader: PipeReader) -> Stderr {
        let shared = Arc::new(Mutex::new(Log::default()));
        let theirs = Arc::clone(&shared);
        let mut file = without_waiting(reader);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                {
                    let mut log = locked(&theirs);
                    if log.close {
                        break;
                    }
                    if log.hold {
                        log.unread = rustix::io::ioctl_fionread(&file)
                            .unwrap_or_else(|e| panic!("no size of a pipe: {e}"));
                        drop(log);
                        std::thread::sleep(POLL);
                        continue;
                    }
                }
                match file.read(&mut buffer) {
                    Ok(n @ 1..) => locked(&theirs).text.extend_from_slice(&buffer[..n]),
                    Err(e) if e.kind() == ErrorKind::WouldBlock => std::thread::sleep(POLL),
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Ok(0) | Err(_) => break,
                }
            }
            drop(file);
            locked(&theirs).ended = true;
        });
        Stderr(shared)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&locked(&self.0).text).into_owned()
    }

    pub(super) fn hold(&self, hold: bool) {
        locked(&self.0).hold = hold;
    }

    pub(super) fn unread(&self) -> u64 {
        locked(&self.0).unread
    }

    pub(super) fn close(&self) {
        locked(&self.0).close = true;
        self.wait_end();
    }

    /// What is held never ends.
    pub(super) fn wait_end(&self) {
        let deadline = Instant::now() + END_LIMIT;
        let waits = |log: &Log| !log.ended && (log.close || !log.hold);
        while waits(&locked(&self.0)) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
    }
}

fn locked(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().expect("a reader of standard error has panicked")
}
