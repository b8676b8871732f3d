//! What a person is told while something takes longer than a second: one line on stderr,
//! written over and over, and gone before the result.
//!
//! Nothing where stderr is no terminal. Must not know what takes so long.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::logging;
use super::report::words::cut;

/// What takes less is not talked about.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the line is written.
const EVERY: Duration = Duration::from_millis(250);

/// A longer line would wrap on a narrow terminal, and could not be taken back.
const WIDTH: usize = 78;

/// The line.
pub(super) struct Progress {
    began: Instant,
    is_seen: bool,
    told: Option<Instant>,
}

impl Progress {
    /// None yet.
    pub(super) fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            began: Instant::now(),
            is_seen: io::stderr().is_terminal() && !dumb,
            told: None,
        }
    }

    /// Whether anybody sees it.
    pub(super) fn is_seen(&self) -> bool {
        self.is_seen
    }

    /// Writes the line, if it is time for it.
    pub(super) fn tell(&mut self, text: impl FnOnce() -> String) {
        let fresh = self.told.is_some_and(|told| told.elapsed() < EVERY);
        if !self.is_seen || fresh || self.began.elapsed() < PATIENCE {
            return;
        }
        let text = cut(&logging::shown(&text()), width());
        // To whom nobody listens, nothing is told.
        let _ = write!(io::stderr(), "\r\u{1b}[K{text}");
        self.told = Some(Instant::now());
    }

    /// Takes the line back.
    pub(super) fn erase(&mut self) {
        if self.told.take().is_some() {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }

    /// Waits for work, and tells meanwhile what it waits for. The line stays until it is
    /// taken back.
    pub(super) async fn during<T>(
        &mut self,
        work: impl Future<Output = T>,
        what: impl Fn(Duration) -> String,
    ) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep(EVERY) => {
                    let time = self.began.elapsed();
                    self.tell(|| what(time));
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.erase();
    }
}

fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok();
    let columns = size
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 1);
    columns.map_or(WIDTH, |columns| columns - 1)
}

/// Several that were asked, and who has not answered yet.
#[derive(Debug)]
pub(super) struct Waiting {
    all: usize,
    silent: Mutex<Vec<String>>,
}

impl Waiting {
    /// Nobody has answered yet.
    pub(super) fn new(names: impl Iterator<Item = String>) -> Self {
        let names: Vec<String> = names.collect();
        Self {
            all: names.len(),
            silent: Mutex::new(names),
        }
    }

    /// One has.
    pub(super) fn done(&self, name: &str) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = silent.iter().position(|silent| silent == name) {
            silent.remove(place);
        }
    }

    /// How it stands after a time.
    pub(super) fn told(&self, time: Duration) -> String {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = self.all.saturating_sub(silent.len());
        let (all, seconds) = (self.all, time.as_secs());
        format!(
            "{answered} of {all} answered, {seconds} s; waiting for {}",
            silent.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_silent_is_named() {
        let names = ["cache", "cache", "queue"].map(str::to_owned);
        let waiting = Waiting::new(names.into_iter());
        waiting.done("cache");
        waiting.done("nobody");
        assert_eq!(
            waiting.told(Duration::from_millis(2600)),
            "1 of 3 answered, 2 s; waiting for cache, queue"
        );
    }
}
