//! The threads that look into `/proc` for processes: few, the same for good.
//!
//! The C library gives each thread a heap of its own, which keeps what a look needs, some
//! 400 kB. Were all threads that wait for names and files to look in turn, each would keep
//! as much in the end. Must not know what is looked for.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, spawn_blocking};

/// Looks for the process of an instance that may be under way at once: one that is stuck
/// in the kernel may hold up who reads its title, and gets so many threads and no more.
const TURNS: usize = 2;

/// A thread more, which looks for servers that nobody named.
const THREADS: usize = TURNS + 1;

/// A thread that ended and began anew could get another heap.
const FOR_GOOD: Duration = Duration::from_secs(365 * 24 * 3600);

/// The threads; they end when this is dropped, each with what it looks for.
#[derive(Debug)]
pub(super) struct Looks {
    turns: Arc<Semaphore>,
    threads: Option<Runtime>,
}

impl Default for Looks {
    fn default() -> Self {
        let threads = Builder::new_current_thread()
            .max_blocking_threads(THREADS)
            .thread_keep_alive(FOR_GOOD)
            .thread_name("kernel")
            .build();
        Self {
            turns: Arc::new(Semaphore::new(TURNS)),
            threads: threads.ok(),
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
    ) -> JoinHandle<T> {
        match &self.threads {
            Some(threads) => threads.spawn_blocking(look),
            None => spawn_blocking(look),
        }
    }
}

impl Drop for Looks {
    fn drop(&mut self) {
        // Whatever hangs in the kernel is not waited for.
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    #[test]
    fn many_looks_share_few_threads_and_one_that_breaks_down_costs_itself() {
        let looks = Looks::default();
        let runtime = Builder::new_current_thread().build().unwrap();
        let mut threads = HashSet::new();
        runtime.block_on(async {
            let begun: Vec<_> = (0..20)
                .map(|_| {
                    looks.begin(|| {
                        thread::sleep(Duration::from_millis(2));
                        thread::current().id()
                    })
                })
                .collect();
            for look in begun {
                threads.insert(look.await.unwrap());
            }
            let broken = looks.begin(|| panic!("a defect")).await;
            assert!(broken.unwrap_err().is_panic());
            assert_eq!(looks.begin(|| 7).await.unwrap(), 7);
        });
        assert!(threads.len() <= THREADS, "{threads:?}");
        drop(looks);
    }
}
