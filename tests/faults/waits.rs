//! For how long processes that were ready had to wait for a processor: what is late on a
//! busy machine is late by so much.
//!
//! Knows nothing of what the processes do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::heard::now;
use crate::support::process::waited;

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(50);

/// All that the processes waited until each moment since 1970.
type Course = Arc<Mutex<Vec<(Duration, Duration)>>>;

/// The waits of some processes, from the beginning on; no more is noted when dropped.
pub struct Waits {
    course: Course,
    is_over: Arc<AtomicBool>,
}

impl Waits {
    pub fn of(pids: Vec<u32>) -> Self {
        let (course, is_over) = (Course::default(), Arc::new(AtomicBool::new(false)));
        let (theirs, end) = (Arc::clone(&course), Arc::clone(&is_over));
        thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let all = pids.iter().map(|pid| waited(*pid)).sum();
                let mut course = theirs.lock().unwrap_or_else(PoisonError::into_inner);
                course.push((now(), all));
                drop(course);
                thread::sleep(EVERY);
            }
        });
        Self { course, is_over }
    }

    /// How long they waited between two moments, all together.
    pub fn between(&self, from: Duration, to: Duration) -> Duration {
        let course = self.course.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |moment| {
            let before = course.iter().take_while(|(at, _)| *at <= moment).last();
            before.map_or(Duration::ZERO, |(_, waited)| *waited)
        };
        at(to).saturating_sub(at(from))
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
