//! The size classes of one watched instance, read every now and then for its chart.
//!
//! Read beside the collections, which never wait for it. Must not know how they are
//! asked for, nor how often that is allowed.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::config::job::Job;
use crate::model::sample::Sample;
use crate::model::size_class_chart::SIZE_CLASS_WASTE;
use crate::source::poll::REFUSED_EVERY;
use crate::source::size_classes::{self, Answer, Desk, Told, Untold};

/// How long a reading is shown when no other follows it, in intervals of the job.
const KEPT: u32 = 3;

/// Longest pause between two readings of an instance that was loading, or did not
/// answer.
const SOON: Duration = Duration::from_secs(10);

/// The size classes of one instance.
pub(super) struct Classes {
    job: Arc<Job>,
    desk: Arc<Desk>,
    due: Duration,
    reading: Option<JoinHandle<Result<Answer, Untold>>>,
    last: Option<(Duration, Arc<Told>)>,
    /// The trouble that was told last.
    said: Option<Untold>,
}

impl Classes {
    /// Reads nothing yet.
    pub(super) fn new(job: Arc<Job>) -> Self {
        Self {
            desk: Arc::new(Desk::new(Arc::clone(&job))),
            job,
            due: Duration::ZERO,
            reading: None,
            last: None,
            said: None,
        }
    }

    /// Where others may ask for them too, within the same limit.
    pub(super) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Puts what is known into a sample, and reads anew where that is due.
    pub(super) async fn fill(&mut self, sample: &mut Sample) {
        let every = Duration::from_secs(u64::from(self.job.malloc_stats_every));
        if every.is_zero() || !self.job.charts.has(SIZE_CLASS_WASTE.family) {
            return;
        }
        self.take(sample.at, every).await;
        if self.reading.is_none() && sample.at >= self.due && sample.loading() != Some(true) {
            self.due = sample.at + every;
            let (desk, patience) = (Arc::clone(&self.desk), self.job.timeout);
            self.reading = Some(tokio::spawn(async move { desk.read(patience).await }));
        }
        let Some((at, told)) = &self.last else { return };
        let same = sample.server.as_deref() == Some(&told.server);
        if same && sample.at.saturating_sub(*at) <= every * KEPT {
            sample.build = told.classes.build;
            sample.size_classes = Some(Arc::clone(&told.classes));
        }
    }

    /// Takes a reading that is done.
    async fn take(&mut self, now: Duration, every: Duration) {
        let Some(reading) = self.reading.take_if(|reading| reading.is_finished()) else {
            return;
        };
        match reading.await {
            Ok(Ok(answer)) => {
                if !answer.age.is_zero() {
                    // Somebody had asked before: it was not to be asked anew yet.
                    let free = size_classes::EVERY.saturating_sub(answer.age);
                    self.due = self.due.min(now + free);
                }
                self.last = Some((now.saturating_sub(answer.age), answer.told));
                self.said = None;
            }
            Ok(Err(untold)) => {
                match &untold {
                    Untold::Loading | Untold::Trouble(_) => self.due = now + SOON.min(every),
                    Untold::NotAllowed(_) | Untold::Withheld(_) => self.due = now + REFUSED_EVERY,
                    _ => {}
                }
                if self.said.as_ref() != Some(&untold) {
                    log::info!("job {}: no size classes: {untold}", self.job.name);
                    self.said = Some(untold);
                }
            }
            Err(_) => log::error!(
                "job {}: reading size classes broke down, which is a defect",
                self.job.name
            ),
        }
    }
}

impl Drop for Classes {
    fn drop(&mut self) {
        if let Some(reading) = &self.reading {
            reading.abort();
        }
    }
}
