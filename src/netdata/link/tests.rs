//! Nobody waits for an agent that is stuck, gone or broken; what is read is whole requests.

use std::io::{Cursor, Read as _};
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
fn what_waits_behind_an_unread_pipe_comes_when_it_is_read_and_holds_nobody_up() {
    let long = Duration::from_millis(1200);
    let soon = Duration::from_secs(20);
    let (mut reader, pipe) = io::pipe().unwrap();
    let unread = |reader: &io::PipeReader| rustix::io::ioctl_fionread(reader).unwrap();
    let watched = Pipe::of(pipe.try_clone().unwrap().into());
    let (tell, told) = mpsc::channel();
    let tell = move |ended| tell.send(ended).unwrap();
    let writer = Writer::start_on(pipe, watched, tell).unwrap();
    writer.send(&values("first\n"));
    writer.drain(soon);
    assert_eq!(unread(&reader), 6);
    // What is written now would be read long after.
    thread::sleep(long);
    writer.send(&values("second\n"));
    let start = Instant::now();
    writer.drain(Duration::from_millis(300));
    assert!(start.elapsed() < soon, "the end does not wait for it");
    assert_eq!(unread(&reader), 6, "the second waits in the queue");
    let mut text = [0; 13];
    reader.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"first\nsecond\n");

    writer.send(&values("third\n"));
    writer.drain(soon);
    thread::sleep(long);
    writer.send(&values("fourth\n"));
    writer.drain(Duration::from_millis(100));
    drop(reader);
    let ended = told.recv_timeout(soon).unwrap();
    assert!(matches!(ended, Ended::Gone(error) if error.kind() == io::ErrorKind::BrokenPipe));
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
