//! The threads that look into `/proc` for processes: few, the same for good.
//!
//! The C library gives each thread a heap of its own, which keeps what a look needs, some
//! 400 kB. Were all threads that wait for names and files to look in turn, each would keep
//! as much in the end. Must not know what is looked for.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::threads::{Begun, Threads};

/// Looks for the process of an instance that may be under way at once: one that is stuck
/// in the kernel may hold up who reads its title, and gets so many threads and no more.
const TURNS: usize = 2;

/// A thread more, which looks for servers that nobody named.
const THREADS: usize = TURNS + 1;

/// The threads, which all stay: one that ended and began anew could get another heap. They
/// end when this is dropped, each with what it looks for.
#[derive(Debug)]
pub(super) struct Looks {
    turns: Arc<Semaphore>,
    threads: Threads,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(TURNS)),
            threads: Threads::new("kernel", THREADS, THREADS),
        }
    }
}

impl Looks {
    /// Waits for a turn to look for a process; it is over when dropped.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }

    /// Looks, in one of the threads.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        look: impl FnOnce() -> T + Send + 'static,
    ) -> Begun<T> {
        self.threads.begin(look)
    }
}
