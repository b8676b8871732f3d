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

/// How long values may wait. Agents put those of a chart at their time as long as it is no
/// more than five intervals behind, and take them for new ones beyond
/// (`rrdset_timed_next`: database/rrdset.c of 1.37, src/database/rrdset-collection.c of
/// 2.x). Then all waiting values go, and what is collected next begins anew.
pub const MOST_LATE: Duration = Duration::from_secs(5);

/// The same of an agent that has not read since some were thrown away: what it finds when
/// it reads again is to be of this moment.
pub const FRESH: Duration = Duration::from_secs(1);

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
/// [`MOST_LATE`], some 2 MiB.
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
    /// When its first lines came.
    came: Duration,
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
        self.append(&output.definitions, true, now);
        if self.waiting + output.values.len() > MOST_WAITING || self.is_late(now) {
            // The new ones go too: they continue from values that are lost.
            self.blocks.retain(|block| block.defines);
            self.waiting = 0;
            self.dropped += 1;
            self.stuck = true;
        } else {
            self.append(&output.values, false, now);
        }
    }

    /// Whether values have waited for too long.
    fn is_late(&self, now: Duration) -> bool {
        let most = if self.stuck { FRESH } else { MOST_LATE };
        let oldest = self.blocks.iter().find(|block| !block.defines);
        oldest.is_some_and(|block| now.saturating_sub(block.came) > most)
    }

    /// Behind lines of the same kind they share a block, and so a write.
    fn append(&mut self, lines: &str, defines: bool, came: Duration) {
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
            return;
        }
        let mut block = std::mem::take(&mut self.spare);
        block.push_str(lines);
        self.blocks.push_back(Block {
            defines,
            lines: block,
            came,
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

    /// Moves whole blocks into `text`, about [`ONE_WRITE`]: first what is collected.
    /// The buffer that `text` was is used again.
    pub fn take(&mut self, text: &mut String) {
        text.clear();
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
mod tests {
    use super::*;

    /// Of lines that do not wait.
    const NOW: Duration = Duration::ZERO;

    fn lines(definitions: &str, values: &str) -> Output {
        Output {
            definitions: definitions.to_owned(),
            values: values.to_owned(),
        }
    }

    fn all(queue: &mut Queue) -> String {
        let (mut all, mut text) = (String::new(), String::new());
        while !queue.is_empty() {
            queue.take(&mut text);
            all.push_str(&text);
        }
        all
    }

    #[test]
    fn what_waits_is_bounded_definitions_stay_and_the_newest_values_win() {
        let mut queue = Queue::default();
        queue.put(&lines("CHART\n", "old\n"), NOW);
        let big = "x".repeat(MOST_WAITING / 4);
        for _ in 0..40 {
            queue.put(&lines("", &big), NOW);
            assert!(queue.waiting <= MOST_WAITING);
        }
        queue.put(&lines("", "newest\n"), NOW);
        // Room for the three of them that fit behind the first, then for four each.
        assert_eq!(queue.dropped(), 8);
        let text = all(&mut queue);
        assert!(
            text.starts_with("CHART\n") && text.ends_with("newest\n"),
            "{text:.40}"
        );
        assert!(!text.contains("old\n"));
        assert_eq!((queue.waiting, queue.defining), (0, 0));
    }

    /// An agent that is stuck, while one instance is collected each second: what of it
    /// waits at the end, and how often values were thrown away.
    fn stuck_for(seconds: u64) -> (Vec<String>, u64) {
        let mut queue = Queue::default();
        for second in 0..seconds {
            let now = Duration::from_millis(1000 * second + second % 3);
            queue.put(&lines("", &format!("{second}\n")), now);
        }
        let waiting = all(&mut queue);
        (
            waiting.lines().map(str::to_owned).collect(),
            queue.dropped(),
        )
    }

    #[test]
    fn values_wait_for_as_long_as_an_agent_can_place_them_and_then_only_the_newest_do() {
        let (waiting, dropped) = stuck_for(5);
        assert_eq!((waiting.len(), dropped), (5, 0), "none is five seconds old");
        for seconds in 10..90 {
            let (waiting, dropped) = stuck_for(seconds);
            let newest: Vec<String> = (seconds.saturating_sub(2)..seconds)
                .map(|second| second.to_string())
                .collect();
            assert!(
                dropped > 0 && newest.ends_with(&waiting),
                "{seconds}: {waiting:?}"
            );
        }
    }

    #[test]
    fn an_agent_that_reads_again_may_be_late_again() {
        let mut queue = Queue::default();
        let at = |seconds| Duration::from_secs(seconds);
        for second in 0..20 {
            queue.put(&lines("", "x\n"), at(second));
        }
        all(&mut queue);
        let dropped = queue.dropped();
        for second in 20..=25 {
            queue.put(&lines("", "y\n"), at(second));
        }
        assert_eq!((queue.dropped(), all(&mut queue).len()), (dropped, 12));
        // Definitions never grow old.
        queue.put(&lines("CHART\n", "z\n"), at(30));
        queue.put(&lines("", "z\n"), at(40));
        assert_eq!(
            (queue.dropped(), all(&mut queue)),
            (dropped + 1, "CHART\n".to_owned())
        );
        queue.put(&lines("CHART\n", ""), at(50));
        queue.put(&lines("", "z\n"), at(60));
        assert_eq!(
            (queue.dropped(), all(&mut queue)),
            (dropped + 1, "CHART\nz\n".to_owned())
        );
    }

    /// Instances that come and go define charts again and again.
    #[test]
    fn definitions_are_bounded_too_and_their_loss_is_told() {
        let mut queue = Queue::default();
        queue.put(&lines(&"x".repeat(BEHIND), ""), NOW);
        assert!(!queue.is_behind());
        queue.put(&lines("x", ""), NOW);
        assert!(queue.is_behind());
        all(&mut queue);
        assert!(!queue.is_behind());
        let definitions = "x".repeat(MOST_DEFINITIONS / 8);
        for _ in 0..20 {
            queue.put(&lines(&definitions, "v"), NOW);
            assert!(queue.defining <= MOST_DEFINITIONS, "{}", queue.defining);
        }
        assert!(queue.lost() >= 1 && queue.dropped() >= queue.lost());
    }

    #[test]
    fn what_many_instances_say_together_is_one_write_in_their_order() {
        let mut queue = Queue::default();
        let mut want = String::new();
        for number in 0..50 {
            let values = format!("{number:03}\n").repeat(100);
            // One is new among them.
            let definitions = if number == 20 { "CHART\n" } else { "" };
            want.push_str(definitions);
            want.push_str(&values);
            queue.put(&lines(definitions, &values), NOW);
        }
        let mut text = String::new();
        queue.take(&mut text);
        assert!(text == want && queue.is_empty());
        // The next round finds the buffers of this one.
        let address = queue.spare.as_ptr();
        assert!(queue.spare.capacity() > 0);
        queue.put(&lines("", "next\n"), NOW);
        assert_eq!(queue.blocks[0].lines.as_ptr(), address);
        let buffer = text.as_ptr();
        queue.take(&mut text);
        assert_eq!((text.as_str(), text.as_ptr()), ("next\n", address));
        assert_eq!(queue.spare.as_ptr(), buffer);
    }

    #[test]
    fn one_write_has_an_end_and_large_buffers_go() {
        let mut queue = Queue::default();
        let values = "x".repeat(ONE_WRITE / 3);
        for _ in 0..20 {
            queue.put(&lines("", &values), NOW);
        }
        queue.put(&lines(&"d".repeat(9 * ONE_WRITE), ""), NOW);
        let (mut text, mut writes) = (String::new(), 0);
        while !queue.is_empty() {
            queue.take(&mut text);
            assert!(text.len() <= 2 * ONE_WRITE || text.ends_with('d'));
            writes += 1;
        }
        assert!(writes >= 4, "{writes}");
        queue.take(&mut text);
        assert!(queue.spare.capacity() <= 2 * ONE_WRITE);
    }

    #[test]
    fn answers_are_whole_bounded_and_behind_what_is_collected() {
        let mut queue = Queue::default();
        let body: Arc<str> = "x".repeat(1 << 20).into();
        let give = |queue: &mut Queue, id: &str, body: &Arc<str>| {
            let answer = Answer::new(id, 200, Arc::clone(body), 0);
            queue.answer(answer, || Answer::error(id, 503, "busy"))
        };
        // Many share one body, and weigh little.
        for number in 0..20 {
            assert!(give(&mut queue, &format!("shared{number}"), &body));
        }
        for number in 0..20 {
            let own: Arc<str> = body.to_string().into();
            assert!(give(&mut queue, &format!("own{number}"), &own));
        }
        queue.put(&lines("", "newest\n"), NOW);
        assert!(queue.answering <= MOST_ANSWERS.0 + 20 * 100);
        let short: Arc<str> = "{}\n".into();
        let mut kept = 40;
        while give(&mut queue, "more", &short) {
            kept += 1;
        }
        assert_eq!(kept, MOST_REFUSALS);
        let text = all(&mut queue);
        assert_eq!(queue.answering, 0);
        assert!(text.starts_with("newest\nFUNCTION_RESULT_BEGIN shared0 200"));
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
}
