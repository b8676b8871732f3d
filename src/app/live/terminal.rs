//! The terminal while the live view has it: raw, on its other screen, without a cursor;
//! as it was before on every way out.
//!
//! Must not know what is drawn.

use std::io::{self, Read};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::app::{Out, logging};

use super::keys;

/// The other screen, without a cursor; and back.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[2J";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";

/// How long the rest of a key is waited for, in nanoseconds.
const REST_OF_A_KEY: i64 = 50_000_000;

/// Begin and end of what is shown at once, for terminals that know it (mode 2026).
const BEGIN: &str = "\u{1b}[?2026h";
const SHOW: &str = "\u{1b}[?2026l";

/// The terminal, taken; given back when this is dropped, on a panic too.
pub struct Terminal<'a> {
    /// How its input was set before, where it is a terminal's.
    before: Option<Termios>,
    /// Whether it is not given back.
    is_taken: bool,
    /// What stands on the screen.
    drawn: Vec<String>,
    /// Where text goes; says whether anybody reads.
    write: Out<'a>,
}

impl<'a> Terminal<'a> {
    /// Takes the terminal. Keys are read where stdin is one.
    #[must_use]
    pub fn take(write: Out<'a>) -> Self {
        let mut terminal = Self {
            before: None,
            is_taken: false,
            drawn: Vec::new(),
            write,
        };
        terminal.enter();
        terminal
    }

    /// Whether there are keys to read.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.before.is_some()
    }

    /// Takes it again, after it was given back.
    pub fn enter(&mut self) {
        let stdin = io::stdin();
        if let Ok(before) = tcgetattr(&stdin) {
            let mut raw = before.clone();
            raw.make_raw();
            if tcsetattr(&stdin, OptionalActions::Drain, &raw).is_ok() {
                self.before = Some(before);
            }
        }
        self.drawn.clear();
        logging::hold();
        (self.write)(ENTER);
        self.is_taken = true;
    }

    /// Gives it back as it was, if it is taken; what was logged meanwhile is told there.
    pub fn leave(&mut self) {
        if !std::mem::take(&mut self.is_taken) {
            return;
        }
        (self.write)(LEAVE);
        if let Some(before) = self.before.take() {
            // A terminal that is gone needs nothing any more.
            let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &before);
        }
        logging::release();
    }

    /// Forgets what stands on the screen: its size has changed.
    pub fn clear(&mut self) {
        self.drawn.clear();
        (self.write)("\u{1b}[2J");
    }

    /// Draws the lines that differ from those that are there; says whether anybody reads.
    pub fn draw(&mut self, lines: Vec<String>) -> bool {
        if !self.is_taken {
            return true;
        }
        let mut text = String::new();
        let before = self.drawn.iter().map(Some).chain(std::iter::repeat(None));
        for (number, (line, before)) in lines.iter().zip(before).enumerate() {
            if before != Some(line) {
                // Erased first: behind a line as wide as the screen the cursor stands on
                // its last character.
                text += &format!("\u{1b}[{};1H\u{1b}[K{line}", number + 1);
            }
        }
        self.drawn = lines;
        text.is_empty() || (self.write)(&format!("{BEGIN}{text}{SHOW}"))
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Reads what was pressed, for as long as somebody takes it. In a thread of its own: a
/// terminal cannot be waited for otherwise without changing it for those who share it.
pub fn read_keys(tell: impl Fn(Vec<u8>) -> bool) {
    let mut stdin = io::stdin();
    // As much as stdin itself takes at once: less would be left there, where no poll sees it.
    let mut bytes = [0; 8192];
    let mut held = Vec::new();
    loop {
        // Looked for first, so that the thread ends with who listens.
        let ready = {
            let mut waits = [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)];
            let patience = rustix::event::Timespec {
                tv_sec: 0,
                tv_nsec: if held.is_empty() {
                    200_000_000
                } else {
                    REST_OF_A_KEY
                },
            };
            poll(&mut waits, Some(&patience)).unwrap_or(0)
        };
        if ready > 0 {
            let read = stdin.read(&mut bytes).unwrap_or(0);
            if read == 0 {
                return;
            }
            held.extend_from_slice(bytes.get(..read).unwrap_or_default());
            if keys::is_open(&held) {
                continue;
            }
        }
        if !tell(std::mem::take(&mut held)) {
            return;
        }
    }
}

/// Whether somebody lets this program go on after it has stopped: a shell that puts each
/// command into a process group of its own. Where there is none, as with `ssh -t HOST
/// COMMAND`, it would stand for ever.
pub fn can_stop() -> bool {
    let group = rustix::process::getpgrp();
    rustix::process::getsid(None).is_ok_and(|session| session != group)
}

/// Stops this program as Ctrl-Z does, until a shell lets it go on.
pub fn stop() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
}
