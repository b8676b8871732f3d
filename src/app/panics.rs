//! What becomes of a panic, which is a defect of redis-frag: it is told in one line of the
//! log, costs what it met alone, and that begins anew.
//!
//! The words of a panic may hold what a server sent or a file says, so they are repeated
//! only where they cannot. Must not know what broke down.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::pending;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, set_hook};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::logging;

/// The first pause before what broke down is begun anew.
const FIRST_PAUSE: Duration = if cfg!(test) {
    // Tests of what begins anew wait for it.
    Duration::from_millis(50)
} else {
    Duration::from_secs(10)
};

/// The longest: what breaks down for months is told some times an hour.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// How soon a panic at the same place is told again.
const SAME_AGAIN: Duration = Duration::from_secs(300);

/// How long a panic that is told waits for the log to be written: less than a collection
/// may be late.
const PATIENCE: Duration = Duration::from_millis(100);

/// Messages of the standard library that are put together of numbers alone begin so
/// (`core/src/panicking.rs`, `core/src/slice/index.rs`; Rust 1.89).
const OF_NUMBERS: &[&str] = &[
    "index out of bounds: the len is ",
    "range start index ",
    "range end index ",
    "slice index starts at ",
];

/// Has every panic told in the log, in its form and on one line; those that come again and
/// again at one place now and then.
pub fn tell() {
    static TOLD: Mutex<Told> = Mutex::new(Told(BTreeMap::new()));
    set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        let news = {
            let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
            told.news(at.unwrap_or_default(), Instant::now())
        };
        let thread = thread::current();
        let told = line(panic.payload(), panic.location(), thread.name());
        match news {
            Some(0) => log::error!("{told}"),
            Some(more) => log::error!("{told}; it came {more} times more since it was told"),
            None => return log::debug!("{told}"),
        }
        // A panic within a panic ends the process where it stands.
        logging::drain(PATIENCE);
    }));
}

/// The places that panics were told of: when, and how many came since. There are no more
/// than the program has.
struct Told(BTreeMap<String, (Instant, u64)>);

impl Told {
    /// Whether a panic at this place is to be told, with how many that were not.
    fn news(&mut self, at: String, now: Instant) -> Option<u64> {
        match self.0.get_mut(&at) {
            Some((told, more)) if now.saturating_duration_since(*told) < SAME_AGAIN => {
                *more += 1;
                None
            }
            Some(told) => Some(std::mem::replace(told, (now, 0)).1),
            None => {
                self.0.insert(at, (now, 0));
                Some(0)
            }
        }
    }
}

fn line(payload: &dyn Any, at: Option<&Location<'_>>, thread: Option<&str>) -> String {
    let at = at.map_or("an unknown place".to_owned(), ToString::to_string);
    let thread = thread.unwrap_or("without a name");
    let told = format!("a defect of redis-frag, please report it: panic at {at}, thread {thread}");
    match words(payload) {
        Some(words) => format!("{told}: {words}"),
        None => told,
    }
}

/// The words of a panic, where they are of the program itself.
fn words(payload: &dyn Any) -> Option<&str> {
    if let Some(written) = payload.downcast_ref::<&'static str>() {
        return Some(written);
    }
    let made = payload.downcast_ref::<String>()?;
    let known = OF_NUMBERS.iter().any(|head| made.starts_with(head));
    known.then_some(made)
}

/// What comes of a piece of work; `None` where it panicked, which was told. What it had
/// hold of must bear that.
pub(super) async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.map_or(Poll::Ready(None), |polled| polled.map(Some))
    })
    .await
}

/// Does a piece of work, anew whenever it panics.
pub(super) async fn anew<W: Future>(what: &str, mut begin: impl FnMut() -> W) -> W::Output {
    loop {
        // An end that does not come.
        if let Some(done) = anew_until(pending(), what, &mut begin).await {
            return done;
        }
    }
}

/// The same; `None` where `end` came in a pause before it was to be begun anew. The work
/// itself is not cut off.
pub(super) async fn anew_until<W: Future>(
    end: impl Future<Output = ()>,
    what: &str,
    mut begin: impl FnMut() -> W,
) -> Option<W::Output> {
    let mut pauses = Pauses::default();
    let mut end = pin!(end);
    loop {
        // Apart from the task: it would be part of it twice.
        let work = Box::pin(async { begin().await });
        if let Some(done) = caught(work).await {
            return Some(done);
        }
        tokio::select! {
            () = &mut end => return None,
            () = sleep(pauses.next(what)) => {}
        }
    }
}

/// The pauses before what broke down is begun anew: longer each time, as long as it does
/// not hold for the longest of them.
pub(super) struct Pauses {
    pause: Duration,
    ended: Instant,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            pause: FIRST_PAUSE,
            ended: Instant::now(),
        }
    }
}

impl Pauses {
    /// Tells that something broke down, and gives how long to wait now.
    pub(super) fn next(&mut self, what: &str) -> Duration {
        let now = Instant::now();
        let pause = self.after(now.saturating_duration_since(self.ended));
        self.ended = now + pause;
        log::error!(
            "{what} broke down, which is a defect; starting it anew in {} s",
            pause.as_secs()
        );
        pause
    }

    fn after(&mut self, held: Duration) -> Duration {
        if held >= LONGEST_PAUSE {
            self.pause = FIRST_PAUSE;
        }
        let pause = self.pause;
        self.pause = (2 * pause).min(LONGEST_PAUSE);
        pause
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::netdata::agent::Agent;

    #[test]
    fn a_panic_is_told_with_its_place_and_no_words_that_may_be_of_others() {
        let of = |payload: &dyn Any| line(payload, Some(Location::caller()), Some("stdin"));
        let written: &'static str = "attempt to subtract with overflow";
        let told = of(&written);
        assert!(
            told.contains("panic at src/app/panics.rs:") && told.contains("thread stdin"),
            "{told}"
        );
        assert!(told.ends_with(": attempt to subtract with overflow"));
        let index = "index out of bounds: the len is 3 but the index is 7".to_owned();
        assert!(of(&index).ends_with("the index is 7"));
        for secret in [
            "end byte index 1 is not a char boundary; it is inside 'é' of `é-hunter2`",
            "called `Result::unwrap()` on an `Err` value: Refused(\"hunter2\")",
        ] {
            let told = of(&secret.to_owned());
            assert!(!told.contains("hunter2"), "{told}");
            assert!(told.contains("panics.rs:"), "{told}");
        }
        assert!(line(&7, None, None).contains("an unknown place"));
    }

    #[test]
    fn what_comes_again_and_again_is_told_now_and_then_with_its_count() {
        let (mut told, start) = (Told(BTreeMap::new()), Instant::now());
        let mut news = |at: &str, second| {
            let now = start + Duration::from_secs(second);
            told.news(at.to_owned(), now)
        };
        assert_eq!(news("a", 0), Some(0));
        for second in 1..300 {
            assert_eq!(news("a", second), None);
        }
        assert_eq!(news("b", 299), Some(0));
        assert_eq!(news("a", 300), Some(299));
        assert_eq!((news("a", 301), news("a", 900)), (None, Some(1)));
    }

    #[test]
    fn pauses_grow_and_begin_anew_after_a_good_while() {
        let mut pauses = Pauses::default();
        let second = Duration::from_secs(1);
        let mut want = FIRST_PAUSE;
        while want < LONGEST_PAUSE {
            assert_eq!(pauses.after(second), want);
            want *= 2;
        }
        assert_eq!(pauses.after(second), LONGEST_PAUSE);
        assert_eq!(pauses.after(LONGEST_PAUSE - second), LONGEST_PAUSE);
        assert_eq!(pauses.after(LONGEST_PAUSE), FIRST_PAUSE);
        assert_eq!(pauses.after(second), 2 * FIRST_PAUSE);
    }

    fn runs(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().build().unwrap().block_on(test);
    }

    #[test]
    fn work_that_panics_in_its_middle_is_caught_and_what_does_not_is_whole() {
        runs(async {
            let soon = || sleep(Duration::from_millis(1));
            let broken = caught(async {
                soon().await;
                panic!("a defect");
            });
            assert_eq!(broken.await, None::<()>);
            let whole = caught(async {
                soon().await;
                7
            });
            assert_eq!(whole.await, Some(7));
        });
    }

    #[test]
    fn what_breaks_down_is_begun_anew_until_it_holds() {
        runs(async {
            let mut begun = 0;
            let start = Instant::now();
            let done = anew("a made-up task", || {
                begun += 1;
                // Before there is anything to be polled, and after.
                assert!(begun != 1, "a defect");
                let number = begun;
                async move {
                    sleep(Duration::from_millis(1)).await;
                    assert!(number != 2, "a defect");
                    number
                }
            });
            assert_eq!(done.await, 3);
            assert!(
                start.elapsed() >= 3 * FIRST_PAUSE,
                "one pause, and one twice as long"
            );
        });
    }

    /// The process of [`a_panic_is_one_line_of_the_log_on_stderr`]. By itself it shows
    /// nothing, so it runs there alone.
    #[test]
    #[ignore = "run by the test that reads its output"]
    fn panics_in_a_thread_and_in_a_task() {
        let form = std::env::var("FORM").unwrap();
        crate::app::logging::start(
            false,
            &Agent::from_env(|name| (name == "NETDATA_LOG_FORMAT").then(|| form.clone())),
        );
        tell();
        let thread = thread::Builder::new().name("stdout".to_owned());
        let secret = std::env::var("SECRET").unwrap();
        let broken = thread.spawn(move || panic!("{secret}")).unwrap();
        assert!(broken.join().is_err());
        runs(async {
            let broken = tokio::spawn(async { panic!("written here") }).await;
            assert!(broken.is_err_and(|error| error.is_panic()));
            log::info!("it goes on");
        });
    }

    /// The process of [`a_panic_that_ends_the_process_is_told`].
    #[test]
    #[ignore = "run by the test that reads its output"]
    fn a_panic_within_a_panic() {
        struct Worse;
        impl Drop for Worse {
            fn drop(&mut self) {
                panic!("worse");
            }
        }
        logging::start(false, &Agent::from_env(|_| None));
        logging::detach().unwrap();
        tell();
        // Its lines wait behind these.
        for number in 0..600 {
            log::info!("line {number}");
        }
        let _worse = Worse;
        panic!("bad");
    }

    fn process(test: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .arg(format!("app::panics::tests::{test}"))
            // Where it is asked for, looking for the names takes its time.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null());
        command
    }

    #[test]
    fn a_panic_that_ends_the_process_is_told() {
        let output = process("a_panic_within_a_panic").output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), None, "it aborts: {told}");
        for words in ["line 599", ": bad\n", ": worse\n"] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }

    #[test]
    fn a_panic_is_one_line_of_the_log_on_stderr() {
        for (form, head) in [
            ("", "20"),
            ("logfmt", "comm=redis-frag.plugin level=error msg=\""),
            (
                "json",
                "{\"comm\":\"redis-frag.plugin\",\"level\":\"error\",",
            ),
        ] {
            let output = process("panics_in_a_thread_and_in_a_task")
                .env("FORM", form)
                .env("SECRET", "hunter2")
                .output()
                .unwrap();
            let (out, told) = (output.stdout, String::from_utf8(output.stderr).unwrap());
            let out = String::from_utf8(out).unwrap();
            assert!(output.status.success(), "{out}{told}");
            assert!(!out.contains("panic at"), "{out}");
            let lines: Vec<&str> = told.lines().collect();
            assert_eq!(lines.len(), 3, "{told}");
            for line in &lines[..2] {
                assert!(line.starts_with(head), "{line}");
                assert!(line.contains("panic at src/app/panics.rs:"), "{line}");
            }
            assert!(lines[0].contains("thread stdout") && !told.contains("hunter2"));
            assert!(lines[1].contains(": written here"), "{told}");
        }
    }
}
