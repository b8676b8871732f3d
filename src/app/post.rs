//! One job under watch: begun, given other labels, watched anew after a defect, ended.
//!
//! Must not know who named the job, nor what other jobs there are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch::{Receiver, Sender, channel};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::config::job::Job;
use crate::source::trouble::Trouble;

use super::fleet;
use super::shared::Shared;
use super::tellers;
use super::watch::Watch;

/// Pause before an instance whose watch broke down is watched anew.
const AFTER_PANIC: Duration = Duration::from_secs(10);

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
        if let Err(error) = self.task.await {
            log::error!("a watch broke down at its end: {error}");
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
    loop {
        let mut task = JoinSet::new();
        let (job, shared) = (Arc::clone(&job), shared.clone());
        let name = job.name.clone();
        task.spawn(fleet::follow(
            job,
            shared,
            Arc::clone(&report),
            orders.clone(),
        ));
        if let Some(Ok(())) = task.join_next().await {
            return;
        }
        log::error!("job {name}: following broke down, which is a defect; starting it anew");
        tokio::select! {
            () = Orders::end(&mut orders) => break,
            () = sleep(AFTER_PANIC) => {}
        }
    }
    report(State::Ended);
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
    loop {
        let watch = Watch::new(
            Arc::clone(&job),
            number,
            shared.clone(),
            Arc::clone(&report),
        );
        let mut task = JoinSet::new();
        task.spawn(watch.run(orders.clone()));
        match task.join_next().await {
            Some(Ok(Some(other))) => job = other,
            Some(Ok(None)) => break,
            Some(Err(_)) | None => {
                log::error!(
                    "job {}: its watch broke down, which is a defect; starting it anew",
                    job.name
                );
                tokio::select! {
                    () = Orders::end(&mut orders) => break,
                    () = sleep(AFTER_PANIC) => {}
                }
            }
        }
    }
    report(State::Ended);
}
