//! An instance on this machine, and the kernel's word on its process: found once for
//! each connection and server, read with every sample.
//!
//! Must not know how a process is told from others (`identify.rs`), nor what is read
//! (`host.rs`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::model::host::View;
use crate::model::sample::Sample;

use super::claims::ProcessId;
use super::host::{Kernel, Watched};
use super::identify::{self, Claimed, Ends, Identity};
use super::threads::{Begun, Undone};

/// Looks in a row for a process that cannot be told yet, before it is rested.
const TRIES: u32 = 3;

/// How long it is rested then; and how long where it seems to run elsewhere, for a
/// container that was only just started does too.
const REST: Duration = Duration::from_secs(10);
const REST_ELSEWHERE: Duration = Duration::from_secs(60);

/// How long the first look may hold up a collection; then it goes on beside them.
const FIRST_LOOK: Duration = Duration::from_millis(50);

/// Why nobody looked for a process.
const NO_THREAD: &str = "no thread is to be had to look for it; raise the limit of threads and \
                         processes of the agent's service (TasksMax), container (pids limit) or \
                         user (ulimit -u)";

/// What is known of the process at the other end.
#[derive(Debug)]
enum Known {
    /// Nothing yet.
    Nothing,
    /// It is this one.
    Process(Box<Watched>),
    /// It seems to run elsewhere: how often it was tried, and when last.
    Elsewhere(u32, Instant),
    /// It cannot be told: why, how often it was tried, and when last.
    Unsure(Arc<str>, u32, Instant),
}

/// The kernel's side of one instance.
#[derive(Debug)]
pub struct Neighbour {
    kernel: Arc<Kernel>,
    patient: bool,
    closely: bool,
    known: Known,
    /// A look that takes longer than a collection is awaited by the next: whatever
    /// hangs in the kernel must not be asked again and again.
    looking: Option<(Ends, Begun<Identity>)>,
}

impl Neighbour {
    /// Begins with nothing known.
    #[must_use]
    pub fn new(kernel: Arc<Kernel>) -> Self {
        Self {
            kernel,
            patient: false,
            closely: false,
            known: Known::Nothing,
            looking: None,
        }
    }

    /// Waits for each look to be done.
    pub fn be_patient(&mut self) {
        self.patient = true;
    }

    /// Reads what costs the kernel some work too: for a person's question.
    pub fn look_closely(&mut self) {
        self.closely = true;
    }

    /// Another connection, or another server: another process.
    pub fn forget(&mut self) {
        self.known = Known::Nothing;
    }

    /// The process, where it is known.
    #[must_use]
    pub fn process(&self) -> Option<ProcessId> {
        match &self.known {
            Known::Process(watched) => Some(watched.identity()),
            _ => None,
        }
    }

    /// What is known without a look; `None` where one is due.
    pub fn at_once(&mut self) -> Option<View> {
        match &self.known {
            Known::Process(_) => self.read(),
            Known::Elsewhere(tries, at) => {
                (*tries >= TRIES && at.elapsed() < REST_ELSEWHERE).then_some(View::Elsewhere)
            }
            Known::Unsure(why, tries, at) => {
                let rests = *tries >= TRIES && at.elapsed() < REST;
                rests.then(|| View::Unsure(Arc::clone(why)))
            }
            Known::Nothing => None,
        }
    }

    /// The readings that belong to a sample that came over a connection with these
    /// ends. The caller bounds the time.
    pub async fn look(&mut self, ends: Ends, sample: &Sample, program: Option<&str>) -> View {
        if let Some(view) = self.at_once() {
            return view;
        }
        let tries = match &self.known {
            Known::Elsewhere(tries, _) | Known::Unsure(_, tries, _) => *tries,
            Known::Nothing | Known::Process(_) => 0,
        };
        let wait = match (self.patient, &self.looking) {
            (true, _) => Duration::MAX,
            (false, None) => FIRST_LOOK,
            (false, Some(_)) => Duration::ZERO,
        };
        let looked = timeout(wait, self.identify(ends, sample, program)).await;
        let Ok(identity) = looked else {
            return View::Unsure(Arc::from("its process is still being looked for"));
        };
        let (tries, now) = (tries.saturating_add(1), Instant::now());
        match identity {
            Identity::Process(pid, start_time) => {
                let watched = Watched::new(&self.kernel, pid, start_time);
                self.known = Known::Process(Box::new(watched));
                self.read().unwrap_or_default()
            }
            Identity::Elsewhere => {
                self.known = Known::Elsewhere(tries, now);
                View::Elsewhere
            }
            Identity::Unsure(why) => {
                let why: Arc<str> = Arc::from(why);
                self.known = Known::Unsure(Arc::clone(&why), tries, now);
                View::Unsure(why)
            }
        }
    }

    /// The readings of a known process. One that is gone is not known any more.
    fn read(&mut self) -> Option<View> {
        let Known::Process(watched) = &mut self.known else {
            return None;
        };
        let read = watched.read(&self.kernel).map(|mut host| {
            if self.closely {
                watched.look_closely(&self.kernel, &mut host.process);
            }
            View::Here(Box::new(host))
        });
        if read.is_none() {
            self.known = Known::Nothing;
        }
        read
    }

    /// In a thread of its own: `/proc` of a busy machine takes its time.
    async fn identify(&mut self, ends: Ends, sample: &Sample, program: Option<&str>) -> Identity {
        loop {
            if self.looking.is_none() {
                let claimed = Claimed {
                    pid: sample
                        .fields
                        .process_id
                        .and_then(|pid| u32::try_from(pid).ok()),
                    rss: sample.fields.used_memory_rss,
                    program: program.map(str::to_owned),
                };
                let kernel = Arc::clone(&self.kernel);
                let turn = kernel.turn().await;
                let look = move || {
                    let _turn = turn;
                    identify::identify(&kernel, &ends, &claimed)
                };
                self.looking = Some((ends, self.kernel.look(look)));
            }
            let Some((asked, looking)) = &mut self.looking else {
                return Identity::Unsure("nobody looked for it");
            };
            let asked = *asked;
            let identity = looking.await;
            self.looking = None;
            if asked == ends {
                return identity.unwrap_or_else(|undone| {
                    Identity::Unsure(match undone {
                        Undone::NoThread(_) => NO_THREAD,
                        Undone::Broke => "looking for it broke down, a defect of redis-frag",
                    })
                });
            }
        }
    }
}
