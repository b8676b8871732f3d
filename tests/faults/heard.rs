//! What is heard of each instance, and in which round of a healthy one: so time is
//! measured on a machine that stands still now and then.
//!
//! Knows the lines of two charts, nothing of what goes wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What one block tells of an instance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Word {
    Up,
    Down,
    /// Bytes, `used_memory`.
    Used(f64),
}

/// When one was heard.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub word: Word,
    /// Blocks of the healthy instance before it.
    pub round: usize,
    /// Since 1970.
    pub at: Duration,
    /// Lines of all before it.
    line: usize,
}

impl Told {
    pub fn is_before(&self, mark: Mark) -> bool {
        self.line < mark.line
    }
}

/// A moment in all that was heard.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    pub round: usize,
    pub at: Duration,
    line: usize,
}

#[derive(Default)]
struct Notes {
    pulse: String,
    round: usize,
    line: usize,
    /// The instance and the chart of the block that is open.
    open: Option<(String, String)>,
    of: BTreeMap<String, Vec<Told>>,
}

/// Notes of a plugin's output.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Notes>>);

impl Heard {
    /// Time is measured in blocks of this healthy instance.
    pub fn by(pulse: &str) -> Self {
        let heard = Self::default();
        heard.notes().pulse = pulse.to_owned();
        heard
    }

    /// Takes in each line of the plugin's output.
    pub fn listener(&self) -> impl FnMut(&str) + Send + use<> {
        let heard = self.clone();
        move |line| heard.notes().take(line)
    }

    /// Now.
    pub fn mark(&self) -> Mark {
        let notes = self.notes();
        Mark {
            round: notes.round,
            at: now(),
            line: notes.line,
        }
    }

    /// Blocks of the healthy instance so far.
    pub fn round(&self) -> usize {
        self.notes().round
    }

    /// All that was heard of an instance since then.
    pub fn since(&self, job: &str, mark: Mark) -> Vec<Told> {
        let notes = self.notes();
        let all = notes.of.get(job).into_iter().flatten();
        all.filter(|told| told.line >= mark.line).copied().collect()
    }

    /// The first word of this kind about an instance since then.
    pub fn first(&self, job: &str, mark: Mark, is: impl Fn(Word) -> bool) -> Option<Told> {
        let notes = self.notes();
        let mut all = notes.of.get(job)?.iter();
        all.find(|told| told.line >= mark.line && is(told.word))
            .copied()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn take(&mut self, line: &str) {
        self.line += 1;
        if let Some(rest) = line.strip_prefix("BEGIN 'redis_frag_") {
            let id = rest.split_once('\'').map_or(rest, |(id, _)| id);
            self.open = id
                .split_once('.')
                .map(|(job, chart)| (job.to_owned(), chart.to_owned()));
            return;
        }
        let Some((job, chart)) = &self.open else {
            return;
        };
        let word = match (chart.as_str(), line.split_once(" = ")) {
            ("status", Some(("SET 'up'", "1"))) => Word::Up,
            ("status", Some(("SET 'down'", "1"))) => Word::Down,
            ("memory", Some(("SET 'used'", bytes))) => Word::Used(bytes.parse().unwrap()),
            _ => return,
        };
        if *job == self.pulse && word == Word::Up {
            self.round += 1;
        }
        let told = Told {
            word,
            round: self.round,
            at: now(),
            line: self.line,
        };
        self.of.entry(job.clone()).or_default().push(told);
    }
}

/// By the clock on the wall, which the plugin is woken by.
pub fn now() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}

/// A value that came.
pub fn is_value(word: Word) -> bool {
    matches!(word, Word::Used(_))
}
