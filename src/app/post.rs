//! One job under watch: begun, given other labels, watched anew after a defect, ended.
//!
//! Must not know who named the job, nor what other jobs there are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::config::job::Job;
use crate::source::trouble::Trouble;

use super::fleet;
use super::panics::anew_until;
use super::shared::Shared;
use super::tellers;
use super::watch::Watch;

/// How it goes with a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Not begun: it waits for the agent's word.
    Held,
    /// Begun, and not answered yet.
    Starting,
    /// It answers.
    Running,
    /// It does not, and why.
    Failed(Trouble),
    /// The operator switched it off.
    Disabled,
    /// It ended by itself: what was found is gone, or another job's.
    Ended,
}

/// Is told each change of a job's state.
pub(super) type Report = Arc<dyn Fn(State) + Send + Sync>;

/// What a watch is to do.
#[derive(Debug, Clone, Default)]
pub(super) struct Orders {
    /// Take the charts off the dashboard and end.
    end: bool,
    /// Labels in place of the job's own.
    pub(super) labels: Option<Arc<BTreeMap<String, String>>>,
}

impl Orders {
    /// Waits until a watch is to end; also when nobody is left who could order it.
    pub(super) async fn end(orders: &mut Receiver<Self>) {
        let _ = orders.wait_for(|orders| orders.end).await;
    }
}

/// The handle of one job under watch. Dropped, the watch ends by itself, some time
/// later.
#[derive(Debug)]
pub(super) struct Post {
    orders: Sender<Orders>,
    task: JoinHandle<()>,
}

impl Post {
    /// Begins to watch a job. Must be called within the runtime.
    pub(super) fn start(job: Arc<Job>, shared: &Shared, report: Report) -> Self {
        let (orders, ordered) = channel(Orders::default());
        let shared = shared.clone();
        let task = if tellers::is_fleet(&job) {
            tokio::spawn(keep_following(job, shared, report, ordered))
        } else {
            let number = shared.next.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(keep_watching(job, number, shared, report, ordered))
        };
        Self { orders, task }
    }

    /// Gives the instance's charts other labels of the operator's. The watch goes on.
    pub(super) fn relabel(&self, labels: BTreeMap<String, String>) {
        self.orders
            .send_modify(|orders| orders.labels = Some(Arc::new(labels)));
    }

    /// Takes its charts off the dashboard; done when this returns.
    pub(super) async fn end(self) {
        self.orders.send_modify(|orders| orders.end = true);
        if self.task.await.is_err() {
            log::error!("a watch broke down at its end, which is a defect");
        }
    }
}

/// Follows a fleet to its end, anew when that breaks down.
async fn keep_following(
    job: Arc<Job>,
    shared: Shared,
    report: Report,
    mut orders: Receiver<Orders>,
) {
    let ordered = orders.clone();
    let what = format!("job {}: following", job.name);
    let follow = || {
        let (job, shared, report) = (Arc::clone(&job), shared.clone(), Arc::clone(&report));
        fleet::follow(job, shared, report, ordered.clone())
    };
    let ended = anew_until(Orders::end(&mut orders), &what, follow).await;
    if ended.is_none() {
        report(State::Ended);
    }
}

/// Watches a job to its end, anew when the watch itself breaks down: a defect met by
/// one instance's replies must not cost the others.
async fn keep_watching(
    mut job: Arc<Job>,
    number: usize,
    shared: Shared,
    report: Report,
    mut orders: Receiver<Orders>,
) {
    let ordered = orders.clone();
    let what = format!("job {}: its watch", job.name);
    loop {
        let watch = || {
            let (job, shared, report) = (Arc::clone(&job), shared.clone(), Arc::clone(&report));
            Watch::new(job, number, shared, report).run(ordered.clone())
        };
        match anew_until(Orders::end(&mut orders), &what, watch).await {
            Some(Some(other)) => job = other,
            Some(None) | None => break,
        }
    }
    report(State::Ended);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
    use tokio::time::timeout;

    use super::*;
    use crate::config::address::Address;
    use crate::netdata::link::Writer;

    /// Passes on what is reported; the first report breaks down who makes it, where it is
    /// to be so.
    fn report(breaks: bool) -> (Report, UnboundedReceiver<State>) {
        let (tell, told) = unbounded_channel();
        let breaks = AtomicBool::new(breaks);
        let report = Arc::new(move |state| {
            let _ = tell.send(state);
            let broken = breaks.swap(false, Ordering::Relaxed);
            assert!(!broken, "a defect met by one instance");
        });
        (report, told)
    }

    async fn next(told: &mut UnboundedReceiver<State>) -> Option<State> {
        let told = timeout(Duration::from_secs(20), told.recv()).await;
        told.ok().flatten()
    }

    /// A defect met by one job costs that one alone, and for a while.
    fn assert_begun_anew(job: &Job) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(async {
            let shared = Shared::made_up(Writer::start(std::io::sink(), |_| {}).unwrap());
            let ((breaks, mut broken), (holds, mut sound)) = (report(true), report(false));
            let posts = [breaks, holds];
            let posts = posts.map(|report| Post::start(Arc::new(job.clone()), &shared, report));
            for _ in 0..2 {
                let state = next(&mut broken).await;
                assert!(matches!(state, Some(State::Failed(_))), "{state:?}");
            }
            let state = next(&mut sound).await;
            assert!(matches!(state, Some(State::Failed(_))), "{state:?}");
            for post in posts {
                post.end().await;
            }
            for told in [&mut broken, &mut sound] {
                assert_eq!(next(told).await, Some(State::Ended));
                assert_eq!(told.try_recv().ok(), None);
            }
        });
    }

    #[test]
    fn a_watch_that_breaks_down_is_begun_anew() {
        let nowhere = Address::Unix("/nonexistent/s".into());
        let mut job = Job::new("x", nowhere);
        assert_begun_anew(&job);
        job.cluster = true;
        assert_begun_anew(&job);
    }

    /// Also where it ends in the pause before it would be.
    #[test]
    fn a_watch_that_broke_down_ends_at_once() {
        let job = Job::new("x", Address::Unix("/nonexistent/s".into()));
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(async {
            let shared = Shared::made_up(Writer::start(std::io::sink(), |_| {}).unwrap());
            let (breaks, mut broken) = report(true);
            let post = Post::start(Arc::new(job), &shared, breaks);
            assert!(next(&mut broken).await.is_some());
            let ended = timeout(Duration::from_secs(20), post.end()).await;
            assert!(ended.is_ok());
            let mut last = None;
            while let Ok(state) = broken.try_recv() {
                last = Some(state);
            }
            assert_eq!(last, Some(State::Ended));
        });
    }
}
