//! What waits for the agent: lines of collections, and answers behind them.
//!
//! Pure, and bounded: of values the newest win, definitions are kept or all begins
//! anew, of answers too many become refusals. Must not know threads, nor what the
//! lines mean.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::reply::Answer;
use super::stream::Output;

/// Bytes of values that may wait for the agent: some two seconds of a thousand
/// instances. Beyond it all waiting values go, and what is collected next begins anew.
pub const MOST_WAITING: usize = 4 << 20;

/// How long values may wait, in their intervals. Agents put those of a chart at their time
/// as long as the value before them is no more than five intervals behind, and take them for
/// new ones beyond (`rrdset_timed_next`: database/rrdset.c of 1.37,
/// src/database/rrdset-collection.c of 2.x). That one is an interval older than the first
/// that waits; what is in the pipe, and the half second by which agents align, take another.
/// Then all waiting values go, of instances with longer intervals too, and what is collected
/// next begins anew.
pub const MOST_LATE: u32 = 3;

/// The same of an agent that has not read since some were thrown away: what it finds when
/// it reads again is to be of this moment.
pub const FRESH: u32 = 1;

/// Bytes of definitions that may wait: those of five hundred instances. Beyond it all
/// that waits goes, and everything is defined anew.
pub const MOST_DEFINITIONS: usize = 16 << 20;

/// Bytes of definitions beyond which an instance that has said nothing yet should wait:
/// those of two hundred. A thousand that begin at once would otherwise take as much
/// memory as all that they need later.
pub const BEHIND: usize = 2 << 20;

/// Bytes and number of answers that may wait for the agent: the table of a
/// thousand instances, several times. Bodies that several share count once.
pub const MOST_ANSWERS: (usize, usize) = (8 << 20, 4096);

/// Number of answers beyond which not even a refusal is kept: who has so many
/// calls open reads nothing.
pub const MOST_REFUSALS: usize = 2 * MOST_ANSWERS.1;

/// Bytes of text that wait at most for an agent that does not read, whatever happens
/// meanwhile. Of a hundred instances that go on as before it is their values of
/// [`MOST_LATE`] intervals, some 2 MiB.
pub const MOST: usize = MOST_WAITING + MOST_DEFINITIONS + MOST_ANSWERS.0 + 2 * ONE_WRITE;

/// Bytes that are handed to the agent at once; what is collected meanwhile waits
/// for no more than these.
pub const ONE_WRITE: usize = 128 << 10;

/// Lines of one kind, of one instance or of several that were asked together.
#[derive(Debug)]
struct Block {
    /// Whether these are definitions, which must not be lost alone.
    defines: bool,
    lines: String,
    /// When the first of its values have waited for [`FRESH`] intervals of theirs.
    stale: Duration,
    /// The same of [`MOST_LATE`].
    late: Duration,
}

/// What waits, in the order in which it is to be written.
#[derive(Debug, Default)]
pub struct Queue {
    blocks: VecDeque<Block>,
    /// Bytes of values that wait.
    waiting: usize,
    dropped: u64,
    /// Nothing was taken since values were thrown away.
    stuck: bool,
    /// Bytes of definitions that wait.
    defining: usize,
    lost: u64,
    /// Whole answers. They wait until what is collected is written.
    answers: VecDeque<Answer>,
    /// Bytes of these.
    answering: usize,
    /// A buffer that was written, for the next block.
    spare: String,
}

impl Queue {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.answers.is_empty()
    }

    /// How often waiting definitions were thrown away, and all values with them.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// How often waiting values were thrown away.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether more than [`BEHIND`] bytes of definitions wait.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.defining > BEHIND
    }

    /// Takes in the lines of a moment, on a clock of the caller's that never goes back.
    pub fn put(&mut self, output: &Output, now: Duration) {
        if self.defining + output.definitions.len() > MOST_DEFINITIONS {
            // Values without their definitions end a plugin, so all goes.
            self.blocks.clear();
            (self.waiting, self.defining) = (0, 0);
            self.dropped += 1;
            self.lost += 1;
            return;
        }
        let interval = match output.update_every {
            0 => Duration::MAX,
            seconds => Duration::from_secs(seconds.into()),
        };
        let waits = |intervals| now.saturating_add(interval.saturating_mul(intervals));
        let (stale, late) = (waits(FRESH), waits(MOST_LATE));
        self.append(&output.definitions, true, (stale, late));
        if self.waiting + output.values.len() > MOST_WAITING || self.is_late(now) {
            // The new ones go too: they continue from values that are lost.
            self.throw_values_away();
        } else if output.continues.is_none_or(|known| known == self.dropped) {
            self.append(&output.values, false, (stale, late));
        }
    }

    /// Whether values have waited for too long.
    fn is_late(&self, now: Duration) -> bool {
        let mut values = self.blocks.iter().filter(|block| !block.defines);
        values.any(|block| now > if self.stuck { block.stale } else { block.late })
    }

    fn throw_values_away(&mut self) {
        self.blocks.retain(|block| block.defines);
        self.waiting = 0;
        self.dropped += 1;
        self.stuck = true;
    }

    /// Behind lines of the same kind they share a block, and so a write.
    fn append(&mut self, lines: &str, defines: bool, (stale, late): (Duration, Duration)) {
        if lines.is_empty() {
            return;
        }
        match defines {
            true => self.defining += lines.len(),
            false => self.waiting += lines.len(),
        }
        if let Some(last) = self.blocks.back_mut()
            && last.defines == defines
            && last.lines.len() + lines.len() <= ONE_WRITE
        {
            last.lines.push_str(lines);
            last.stale = last.stale.min(stale);
            last.late = last.late.min(late);
            return;
        }
        let mut block = std::mem::take(&mut self.spare);
        block.push_str(lines);
        self.blocks.push_back(Block {
            defines,
            lines: block,
            stale,
            late,
        });
    }

    /// Takes an answer in; where too much waits already, `instead`, which should be
    /// short. Whether one of them was taken.
    pub fn answer(&mut self, answer: Answer, instead: impl FnOnce() -> Answer) -> bool {
        let (bytes, number) = MOST_ANSWERS;
        let full = self.answering + self.weight(&answer) > bytes || self.answers.len() >= number;
        if self.answers.len() >= MOST_REFUSALS {
            return false;
        }
        let answer = if full { instead() } else { answer };
        self.answering += self.weight(&answer);
        self.answers.push_back(answer);
        true
    }

    /// Moves whole blocks into `text`, about [`ONE_WRITE`]: first what is collected, less
    /// what has waited for too long. The buffer that `text` was is used again.
    pub fn take(&mut self, text: &mut String, now: Duration) {
        text.clear();
        if self.is_late(now) {
            self.throw_values_away();
        }
        self.stuck = false;
        while text.len() < ONE_WRITE {
            if let Some(mut block) = self.blocks.pop_front() {
                match block.defines {
                    true => self.defining -= block.lines.len(),
                    false => self.waiting -= block.lines.len(),
                }
                if text.is_empty() {
                    std::mem::swap(text, &mut block.lines);
                } else {
                    text.push_str(&block.lines);
                }
                self.keep(block.lines);
            } else if let Some(answer) = self.answers.pop_front() {
                text.push_str(&answer.head);
                text.push_str(&answer.body);
                text.push_str(&answer.tail);
                if self.answers.is_empty() {
                    self.answering = 0;
                } else {
                    // What it shares with the next one still waits.
                    let weight = weight(&answer, self.answers.front());
                    self.answering = self.answering.saturating_sub(weight);
                }
            } else {
                break;
            }
        }
    }

    /// Keeps a buffer for the next block, but none that answers or a start have made
    /// large.
    fn keep(&mut self, mut buffer: String) {
        if (self.spare.capacity()..=2 * ONE_WRITE).contains(&buffer.capacity()) {
            buffer.clear();
            self.spare = buffer;
        }
    }

    /// Bytes that an answer would add.
    fn weight(&self, answer: &Answer) -> usize {
        weight(answer, self.answers.back())
    }
}

/// Bytes of an answer, less what it shares with the one beside it.
fn weight(answer: &Answer, beside: Option<&Answer>) -> usize {
    let shared = beside.is_some_and(|beside| Arc::ptr_eq(&beside.body, &answer.body));
    answer.own() + if shared { 0 } else { answer.body.len() }
}

#[cfg(test)]
mod tests;
