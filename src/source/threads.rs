//! Threads for what blocks: names to be resolved, files to be read, looks into `/proc`.
//!
//! They come when needed and some stay, so that something can be done where the system
//! gives no more of them; tokio's own panic there. Must not know what is done in them.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::oneshot;

use crate::config::limits;

/// Threads for names and files. A name without an answer holds one for ten seconds and
/// more, and must not hold up the names that have one.
pub const MOST: usize = 16;

/// How long one that is not to stay waits for more to do. The C library gives each a heap
/// of its own.
const REST: Duration = Duration::from_secs(10);

static ALL: LazyLock<Threads> = LazyLock::new(|| Threads::new("blocking", MOST, 1));

/// The threads for names and files.
pub fn all() -> &'static Threads {
    &ALL
}

/// Why a piece of work was not done.
#[derive(Debug, Error)]
pub enum Undone {
    /// No thread lives that could do it, and the system gives none: its own reason.
    #[error("no thread is to be had ({0}); {more}", more = limits::MORE_THREADS)]
    NoThread(io::Error),
    /// It panicked, which was told.
    #[error("it broke down, which is a defect of redis-frag")]
    Broke,
}

/// Work that was begun. It goes on when this is dropped.
#[derive(Debug)]
pub struct Begun<T>(oneshot::Receiver<Result<T, Undone>>);

impl<T> Future for Begun<T> {
    type Output = Result<T, Undone>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.0).poll(context);
        answer.map(|answer| answer.unwrap_or(Err(Undone::Broke)))
    }
}

type Work = Box<dyn FnOnce() + Send>;

/// Threads that share what there is to do; those without work end when this is dropped.
#[derive(Debug)]
pub struct Threads(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    name: &'static str,
    most: usize,
    /// So many stay once they were begun.
    stay: usize,
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Work>,
    threads: usize,
    /// Those that wait for work.
    idle: usize,
    ended: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} threads, {} idle", self.threads, self.idle)
    }
}

impl Threads {
    /// At most `most`, of which `stay` do not end for want of work. None is begun yet.
    #[must_use]
    pub fn new(name: &'static str, most: usize, stay: usize) -> Self {
        Self(Arc::new(Pool {
            name,
            most,
            stay,
            state: Mutex::default(),
            more: Condvar::new(),
        }))
    }

    /// Begins one that stays, while the system still gives some.
    ///
    /// # Errors
    /// It gives none.
    pub fn ready(&self) -> io::Result<()> {
        let mut state = self.0.state();
        if state.threads == 0 {
            self.0.start(&mut state)?;
        }
        Ok(())
    }

    /// Has this done by one of the threads, when its turn comes.
    pub fn begin<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Begun<T> {
        let (tell, told) = oneshot::channel();
        let work = Box::new(move || {
            // Whoever wanted it may have gone while it waited for its turn.
            if tell.is_closed() {
                return;
            }
            let done = catch_unwind(AssertUnwindSafe(work));
            // Nobody may want it any more.
            let _ = tell.send(done.map_err(|_| Undone::Broke));
        });
        match self.0.put(work) {
            Ok(()) => Begun(told),
            Err(error) => {
                let (tell, told) = oneshot::channel();
                let _ = tell.send(Err(Undone::NoThread(error)));
                Begun(told)
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Whatever hangs in the kernel is not waited for.
        self.0.state().ended = true;
        self.0.more.notify_all();
    }
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(self: &Arc<Self>, work: Work) -> io::Result<()> {
        let mut state = self.state();
        if state.queue.len() < state.idle {
            self.more.notify_one();
        } else if state.threads < self.most
            && let Err(error) = self.start(&mut state)
            && state.threads == 0
        {
            return Err(error);
        }
        // Where there is no other thread, those that are busy come to it.
        state.queue.push_back(work);
        Ok(())
    }

    fn start(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        let pool = Arc::clone(self);
        let thread = thread::Builder::new().name(self.name.to_owned());
        thread.spawn(move || pool.serve())?;
        state.threads = state.threads.saturating_add(1);
        Ok(())
    }

    fn serve(&self) {
        let mut state = self.state();
        loop {
            if let Some(work) = state.queue.pop_front() {
                drop(state);
                work();
                state = self.state();
                continue;
            }
            if state.ended {
                break;
            }
            state.idle = state.idle.saturating_add(1);
            let mut rested = false;
            if state.threads > self.stay {
                let woken = self.more.wait_timeout(state, REST);
                let (woken, timeout) = woken.unwrap_or_else(PoisonError::into_inner);
                (state, rested) = (woken, timeout.timed_out());
            } else {
                let woken = self.more.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
            }
            state.idle = state.idle.saturating_sub(1);
            if rested && state.queue.is_empty() && state.threads > self.stay {
                break;
            }
        }
        state.threads = state.threads.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::mpsc::channel;

    use super::*;

    fn runs<T>(test: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(test)
    }

    #[test]
    fn much_work_shares_few_threads_and_one_that_breaks_down_costs_itself() {
        let threads = Threads::new("test", 3, 3);
        let mut ids = HashSet::new();
        runs(async {
            let begun: Vec<_> = (0..20)
                .map(|_| {
                    threads.begin(|| {
                        thread::sleep(Duration::from_millis(2));
                        thread::current().id()
                    })
                })
                .collect();
            for work in begun {
                ids.insert(work.await.unwrap());
            }
            let broken = threads.begin(|| panic!("a defect")).await;
            assert!(matches!(broken, Err(Undone::Broke)));
            assert_eq!(threads.begin(|| 7).await.unwrap(), 7);
        });
        assert!(ids.len() <= 3, "{ids:?}");
    }

    #[test]
    fn one_that_hangs_holds_up_nobody_until_all_do() {
        let threads = Threads::new("test", 2, 1);
        threads.ready().unwrap();
        let (tell, begun) = channel();
        let hang = || {
            let (tell, (let_go, hangs)) = (tell.clone(), channel::<()>());
            let hanging = threads.begin(move || {
                tell.send(()).unwrap();
                hangs.recv().is_err()
            });
            begun.recv().unwrap();
            (let_go, hanging)
        };
        runs(async {
            let (let_go, one) = hang();
            assert_eq!(threads.begin(|| 1).await.unwrap(), 1);
            let (let_go_too, other) = hang();
            let waits = threads.begin(|| 2);
            assert_eq!(threads.0.state().queue.len(), 1);
            drop(let_go);
            assert_eq!(waits.await.unwrap(), 2);
            drop(let_go_too);
            assert!(one.await.unwrap() && other.await.unwrap());
        });
    }

    /// What waits for its turn is skipped where nobody waits for it any more.
    #[test]
    fn what_nobody_wants_any_more_is_not_begun() {
        let threads = Threads::new("test", 1, 1);
        let (let_go, hangs) = channel::<()>();
        let hanging = threads.begin(move || hangs.recv().is_ok());
        let (tell, begun) = channel();
        drop(threads.begin(move || tell.send(()).is_ok()));
        let_go.send(()).unwrap();
        runs(async {
            assert!(hanging.await.unwrap());
            assert_eq!(threads.begin(|| 7).await.unwrap(), 7);
        });
        assert!(begun.try_recv().is_err(), "it was done all the same");
    }
}
