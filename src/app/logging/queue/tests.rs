//! The queue of log lines before readers who are stuck, gone, cut lines short or break
//! the thread down: nobody waits, every line is whole, and each lost one is counted.

use std::sync::mpsc;

use super::*;

/// For what must come at all.
const SOON: Duration = Duration::from_secs(20);

/// What a reader does with a write.
enum Does {
    /// Takes so many bytes at most.
    Takes(usize),
    Refuses,
    Panics,
}

/// A reader that tells of each write and waits to be told what to do with it; it takes
/// everything once nobody tells it any more.
struct Reader {
    tries: mpsc::Sender<()>,
    orders: mpsc::Receiver<Does>,
    taken: Arc<Mutex<Vec<u8>>>,
}

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.tries.send(());
        let most = match self.orders.recv() {
            Ok(Does::Takes(most)) => most.min(bytes.len()),
            Ok(Does::Refuses) => return Err(io::ErrorKind::BrokenPipe.into()),
            Ok(Does::Panics) => panic!("made up"),
            Err(_) => bytes.len(),
        };
        let mut taken = self.taken.lock().unwrap();
        taken.extend_from_slice(bytes.get(..most).unwrap());
        Ok(most)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A queue, and what stands at the other end of it.
struct Log {
    queue: Queue,
    tries: mpsc::Receiver<()>,
    orders: Option<mpsc::Sender<Does>>,
    taken: Arc<Mutex<Vec<u8>>>,
}

impl Log {
    fn new() -> Self {
        let (tell, tries) = mpsc::channel();
        let (order, orders) = mpsc::channel();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let reader = Reader {
            tries: tell,
            orders,
            taken: Arc::clone(&taken),
        };
        Self {
            queue: Queue::start(reader, |lost| format!("lost {lost}\n")).unwrap(),
            tries,
            orders: Some(order),
            taken,
        }
    }

    fn put(&self, line: impl ToString) {
        self.queue.put(format!("{}\n", line.to_string()));
    }

    /// Waits for a write to be tried, which is then stuck.
    fn tried(&self) {
        self.tries.recv_timeout(SOON).unwrap();
    }

    /// What becomes of the write that is tried now.
    fn order(&self, does: Does) {
        self.tried();
        self.orders.as_ref().unwrap().send(does).unwrap();
    }

    /// Everything is taken from now on; all that was, once nothing waits.
    fn let_go(&mut self) -> Vec<String> {
        self.orders = None;
        self.queue.drain(SOON);
        let taken = self.taken.lock().unwrap().clone();
        let text = String::from_utf8(taken).unwrap();
        assert!(text.ends_with('\n'), "{text}");
        text.lines().map(str::to_owned).collect()
    }

    fn waits(&self) -> (usize, usize) {
        let state = self.queue.shared.lock();
        let bytes = state.lines.iter().map(|line| line.len()).sum();
        assert_eq!(state.bytes, bytes, "counted with each change");
        (state.lines.len(), bytes)
    }
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn a_stuck_reader_holds_nobody_up_and_is_told_how_many_lines_it_missed() {
    let mut log = Log::new();
    log.put(0);
    // Out of the queue, and at the reader.
    log.tried();
    for number in 1..MOST_LINES + 501 {
        log.put(number);
    }
    assert_eq!(log.waits().0, MOST_LINES);
    let start = Instant::now();
    log.queue.drain(Duration::from_millis(50));
    assert!(start.elapsed() >= Duration::from_millis(50), "it is stuck");
    assert!(log.taken.lock().unwrap().is_empty());
    let mut want = numbers(0..MOST_LINES + 1);
    want.push("lost 500".to_owned());
    assert_eq!(log.let_go(), want);
    // And then all goes on.
    log.put("on");
    assert_eq!(log.let_go().last().unwrap(), "on");
}

/// What is lost is one piece: no line in it makes believe that there is nothing missing
/// around it.
#[test]
fn nothing_is_taken_before_it_was_told_what_was_lost() {
    let mut log = Log::new();
    for number in 0..MOST_LINES + 3 {
        log.put(number);
    }
    for _ in 0..10 {
        log.order(Does::Takes(usize::MAX));
    }
    log.tried();
    log.put("late");
    let lines = log.let_go();
    let (last, rest) = lines.split_last().unwrap();
    assert_eq!(rest, numbers(0..rest.len()));
    assert_eq!(*last, format!("lost {}", MOST_LINES + 4 - rest.len()));
}

#[test]
fn long_lines_are_bounded_by_their_bytes() {
    let mut log = Log::new();
    log.put("first");
    log.tried();
    let line = "x".repeat(7_999);
    for _ in 0..500 {
        log.put(&line);
    }
    let (lines, bytes) = log.waits();
    assert!(bytes <= MOST_BYTES && bytes + 8_000 > MOST_BYTES, "{bytes}");
    let told = log.let_go();
    assert_eq!(told.len(), lines + 2);
    assert_eq!(*told.last().unwrap(), format!("lost {}", 500 - lines));
}

#[test]
fn a_reader_that_is_gone_is_tried_once_a_line_and_told_when_it_is_back() {
    let mut log = Log::new();
    for _ in 0..3 {
        log.put("into nothing");
        log.order(Does::Refuses);
        let start = Instant::now();
        log.queue.drain(SOON);
        assert!(start.elapsed() < SOON / 2, "nobody is waited for");
    }
    // Not by itself, over and over.
    let again = log.tries.recv_timeout(Duration::from_millis(100));
    assert!(again.is_err(), "tried anew though nothing came");
    log.put("back");
    log.put("again");
    assert_eq!(log.let_go(), ["lost 3", "back", "again"]);
}

/// As on a disk that is full for a while.
#[test]
fn a_line_that_was_cut_is_ended_before_the_next() {
    let mut log = Log::new();
    log.put("whole");
    log.order(Does::Takes(2));
    log.order(Does::Refuses);
    log.queue.drain(SOON);
    log.put("next");
    assert_eq!(log.let_go(), ["wh", "lost 1", "next"]);
    let mut slow = Log::new();
    slow.put("piece by piece");
    for _ in 0..7 {
        slow.order(Does::Takes(2));
    }
    assert_eq!(slow.let_go(), ["piece by piece"]);
}

#[test]
fn a_thread_that_broke_down_begins_anew_and_nobody_waits_for_it() {
    let mut log = Log::new();
    log.put("breaks it");
    log.tried();
    log.put("behind it");
    log.orders.as_ref().unwrap().send(Does::Panics).unwrap();
    let start = Instant::now();
    log.queue.drain(SOON);
    assert!(start.elapsed() < SOON / 2, "nobody is waited for");
    log.put("after it");
    log.tried();
    assert_eq!(log.let_go(), ["lost 2", "after it"]);
}
