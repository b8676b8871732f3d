//! One instance, asked again and again over one kept-open connection.
//!
//! A collection is one round trip: INFO. Once a minute the instance's own defrag
//! settings are read too, and once a server start the allocator's build where the
//! job allows it; doing without them is normal. Must not know when to ask, nor
//! what becomes of a sample.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::config::job::Job;
use crate::config::login::Login;
use crate::model::host::View;
use crate::model::info::Info;
use crate::model::sample::Sample;
use crate::model::server::Server;

use super::claims::ProcessId;
use super::connect::{Connection, Way};
use super::host::Kernel;
use super::keyring::Keyring;
use super::neighbour::Neighbour;
use super::sections::{ALL, FEW, Remembered, SOME};
use super::setup::{Asked, Setup};
use super::trouble::Trouble;

/// How often they are asked for again after a refusal: permissions may change,
/// and every try leaves a line in the server's ACL LOG.
pub const REFUSED_EVERY: Duration = Duration::from_secs(3600);

/// What a server answered last, word for word.
#[derive(Debug, Clone, Default)]
pub struct Replies {
    /// INFO.
    pub info: Vec<u8>,
    /// CONFIG GET of the defrag settings: name, value; empty where refused.
    pub settings: Vec<(String, String)>,
    /// MEMORY MALLOC-STATS, where it was asked and answered.
    pub malloc_stats: Option<String>,
}

/// What a collection still lacks.
enum Left {
    /// The answer: there was no connection, or it came to this trouble.
    All(Option<Trouble>),
    /// What is asked now and then, or whose process it is.
    Some(Box<Sample>),
}

/// The conversation with one instance.
pub struct Poller {
    job: Arc<Job>,
    epoch: Instant,
    connection: Option<Connection>,
    keyring: Keyring,
    way: Way,
    server: Option<Arc<Server>>,
    /// This very server took several sections ill.
    plain: bool,
    remembered: Remembered,
    setup: Setup,
    replies: Option<Replies>,
    neighbour: Option<Neighbour>,
    /// File name of the server's program, as it says itself.
    program: Option<String>,
}

impl Poller {
    /// Begins without a connection. Samples are stamped with the time since `epoch`.
    #[must_use]
    pub fn new(job: Arc<Job>, epoch: Instant) -> Self {
        Self {
            keyring: Keyring::new(&job.credentials),
            job,
            epoch,
            connection: None,
            way: Way::default(),
            server: None,
            plain: false,
            remembered: Remembered::default(),
            setup: Setup::default(),
            replies: None,
            neighbour: None,
            program: None,
        }
    }

    /// Asks another job's instance from now on.
    pub fn turn_to(&mut self, job: Arc<Job>) {
        self.job = job;
        self.connection = None;
        self.way = Way::default();
    }

    /// Asks this kernel too where the instance runs on its machine.
    #[must_use]
    pub fn on_kernel(mut self, kernel: Arc<Kernel>) -> Self {
        self.neighbour = Some(Neighbour::new(kernel));
        self
    }

    /// Asks each server process once how its allocator was built, which blocks it for a
    /// millisecond.
    pub fn ask_build(&mut self) {
        self.setup.ask_build();
    }

    /// Waits for the kernel's word with the first sample already.
    #[must_use]
    pub fn patiently(mut self) -> Self {
        if let Some(neighbour) = &mut self.neighbour {
            neighbour.be_patient();
        }
        self
    }

    /// Asks the kernel what costs it some work too: for a person's question.
    #[must_use]
    pub fn closely(mut self) -> Self {
        if let Some(neighbour) = &mut self.neighbour {
            neighbour.look_closely();
        }
        self
    }

    /// The instance's process, where it is known to run on this machine.
    #[must_use]
    pub fn process(&self) -> Option<ProcessId> {
        self.neighbour.as_ref().and_then(Neighbour::process)
    }

    /// Keeps the replies themselves from now on, for [`Self::replies`].
    pub fn keep_replies(&mut self) {
        self.replies = Some(Replies::default());
    }

    /// The replies of the last collection; `None` where they are not kept.
    #[must_use]
    pub fn replies(&self) -> Option<&Replies> {
        self.replies.as_ref()
    }

    /// Takes one sample within `patience`, connecting first where needed. After
    /// a failure the connection is closed. Secrets are read beforehand, in their own
    /// time, and once more where they are refused.
    ///
    /// What is seldom needed is in a box of its own, for this is a part of its instance's
    /// task as long as that lives.
    ///
    /// # Errors
    /// Why there is no sample.
    pub async fn collect(&mut self, patience: Duration) -> Result<Sample, Trouble> {
        let turned = Instant::now();
        // Nothing is waited for while a sample is here: it would be a part of this for good.
        let left = match self.at_once(patience).await {
            Ok(sample) => return Ok(sample),
            Err(left) => left,
        };
        Box::pin(self.do_rest(left, patience, turned)).await
    }

    /// A sample for one question over the connection that was kept.
    async fn at_once(&mut self, patience: Duration) -> Result<Sample, Left> {
        if self.connection.is_none() {
            return Err(Left::All(None));
        }
        match self.sample_within(patience).await {
            Ok(sample) => {
                self.keyring.accepted();
                match self.complete(sample) {
                    (sample, true) => Ok(sample),
                    (sample, false) => Err(Left::Some(Box::new(sample))),
                }
            }
            Err(trouble) => Err(Left::All(Some(trouble))),
        }
    }

    /// What was not done at once. The server was turned to at this time.
    async fn do_rest(
        &mut self,
        left: Left,
        patience: Duration,
        turned: Instant,
    ) -> Result<Sample, Trouble> {
        let (sample, started) = match left {
            Left::Some(sample) => (*sample, turned),
            Left::All(trouble) => self.insist(patience, turned, trouble).await?,
        };
        self.keyring.accepted();
        match self.complete(sample) {
            (sample, true) => Ok(sample),
            (sample, false) => Ok(self.read_more(sample, patience, started).await),
        }
    }

    /// Connects and asks, where the server was turned to in vain at this time: there is no
    /// connection, or the one that was kept came to this trouble. It may have been closed
    /// meanwhile, by a server that closes idle ones or by a Sentinel that gave it another
    /// primary: that is no outage.
    async fn insist(
        &mut self,
        patience: Duration,
        turned: Instant,
        trouble: Option<Trouble>,
    ) -> Result<(Sample, Instant), Trouble> {
        let mut left = patience;
        match trouble {
            None => {}
            Some(Trouble::Lost(_)) => left = patience.saturating_sub(turned.elapsed()),
            Some(trouble) if trouble.is_refusal() && self.keyring.refused(turned) => {}
            Some(trouble) => return Err(trouble),
        }
        loop {
            let turned = Instant::now();
            let login = self.keyring.login().await?;
            let started = Instant::now();
            let sampled = match timeout(left, self.open(&login)).await {
                Ok(Ok(())) => {
                    let left = left.saturating_sub(started.elapsed());
                    self.sample_within(left).await
                }
                Ok(Err(trouble)) => Err(trouble),
                Err(_) => Err(self.way.silence()),
            };
            match sampled {
                Ok(sample) => return Ok((sample, started)),
                Err(trouble) if trouble.is_refusal() && self.keyring.refused(turned) => {
                    left = patience;
                }
                Err(trouble) => return Err(trouble),
            }
        }
    }

    async fn open(&mut self, login: &Login) -> Result<(), Trouble> {
        let opened = Connection::open(&self.job, login, &mut self.way).await?;
        self.connection = Some(opened);
        self.remembered.forget();
        if let Some(neighbour) = &mut self.neighbour {
            neighbour.forget();
        }
        Ok(())
    }

    async fn sample_within(&mut self, patience: Duration) -> Result<Sample, Trouble> {
        let sampled = match timeout(patience, self.sample()).await {
            // An answer that was here in time for all that: it is we who were stopped.
            Ok(Ok(mut sample)) => {
                sample.round_trip = sample.round_trip.filter(|took| *took <= patience);
                Ok(sample)
            }
            Ok(sampled) => sampled,
            Err(_) => Err(self.way.silence()),
        };
        if sampled.is_err() {
            self.connection = None;
        }
        sampled
    }

    async fn sample(&mut self) -> Result<Sample, Trouble> {
        let sections = self
            .server
            .as_ref()
            .is_some_and(|server| server.takes_sections());
        let mut refusal = None;
        if sections && !self.plain {
            // Whoever keeps replies wants all of them.
            if self.replies.is_none() && self.remembered.is_fresh(self.epoch.elapsed()) {
                match self.info(&FEW).await {
                    Ok(Some(sample)) => return Ok(sample),
                    Err(trouble) if !trouble.may_be_the_question() => return Err(trouble),
                    // Another server answers.
                    Ok(None) | Err(_) => {}
                }
            }
            match self.info(&SOME).await {
                Ok(Some(sample)) => return Ok(sample),
                Err(trouble) if !trouble.may_be_the_question() => return Err(trouble),
                // A proxy may read the first section alone.
                Ok(None) => {}
                Err(trouble) => refusal = Some(trouble),
            }
        }
        match (self.info(&ALL).await, refusal) {
            (Ok(Some(sample)), _) => {
                self.plain = sections;
                Ok(sample)
            }
            // The server said why, and then ended the connection.
            (Err(Trouble::Lost(_)), Some(refusal)) => Err(refusal),
            (asked, _) => asked?.ok_or(Trouble::NotInfo),
        }
    }

    /// Asks this and reads what comes; `None` of a reply that is no INFO, or not what was
    /// asked for.
    async fn info(&mut self, request: &[u8]) -> Result<Option<Sample>, Trouble> {
        // Apart from it, what is told can be noted while the connection lends its reply.
        let Some(mut connection) = self.connection.take() else {
            return Err(Trouble::Lost("closed".to_owned()));
        };
        let asked = Instant::now();
        let hear = |text: &[u8]| self.hear(text, asked, request);
        let told = connection.ask_text(request, hear).await;
        self.connection = Some(connection);
        Ok(told?.flatten())
    }

    /// Reads INFO, and notes who answers.
    fn hear(&mut self, text: &[u8], asked: Instant, request: &[u8]) -> Option<Sample> {
        let answered = Instant::now();
        let info = Info::parse(text);
        if info == Info::default()
            || (info.fields.used_memory.is_none() && request != ALL.as_slice())
        {
            return None;
        }
        if let Some(kept) = &mut self.replies {
            kept.info = text.to_vec();
        }
        let at = answered.saturating_duration_since(self.epoch);
        let mut sample = match &self.server {
            Some(server) if request == FEW.as_slice() && !info.names_server() => {
                if !self.remembered.is_of(server, &info) {
                    return None;
                }
                let mut sample = Sample::of_server(at, &info, Arc::clone(server));
                self.remembered.fill(&mut sample);
                sample
            }
            known => {
                let sample = Sample::new(at, &info, known.as_ref());
                self.note(&sample, &info);
                sample
            }
        };
        sample.round_trip = Some(answered.saturating_duration_since(asked));
        Some(sample)
    }

    /// Notes who answered.
    fn note(&mut self, sample: &Sample, info: &Info<'_>) {
        if let Some(server) = &sample.server
            && self.server.as_ref() != Some(server)
        {
            let path = info.texts.executable;
            let program = path.and_then(|path| path.rsplit('/').next());
            self.program = program.map(str::to_owned);
            self.meet(Arc::clone(server));
        }
        self.remembered.learn(sample, info);
    }

    /// Adds what is known without waiting, and tells whether that is all.
    fn complete(&mut self, mut sample: Sample) -> (Sample, bool) {
        if self.wants_more(&sample) {
            return (sample, false);
        }
        self.setup.fill(&mut sample);
        let ends = self.connection.as_ref().and_then(Connection::ends);
        let view = match &mut self.neighbour {
            Some(neighbour) if ends.is_some() => neighbour.at_once(),
            _ => Some(View::Elsewhere),
        };
        let is_whole = view.is_some();
        sample.host = view.unwrap_or_default();
        (sample, is_whole)
    }

    /// Asks what is asked now and then beside INFO, and whose process it is, in the time
    /// that is left. What is in between may swallow the questions, and INFO has been
    /// answered: so a sample there is.
    async fn read_more(
        &mut self,
        mut sample: Sample,
        patience: Duration,
        started: Instant,
    ) -> Sample {
        let left = patience.saturating_sub(started.elapsed());
        if timeout(left, self.ask_more(&sample)).await.is_err() {
            self.connection = None;
        }
        self.setup.fill(&mut sample);
        let left = patience.saturating_sub(started.elapsed());
        sample.host = self.look_around(&sample, left).await;
        sample
    }

    /// What the kernel tells of it.
    async fn look_around(&mut self, sample: &Sample, patience: Duration) -> View {
        let ends = self.connection.as_ref().and_then(Connection::ends);
        let (Some(neighbour), Some(ends)) = (&mut self.neighbour, ends) else {
            return View::Elsewhere;
        };
        let look = neighbour.look(ends, sample, self.program.as_deref());
        let still_looking = || View::Unsure(Arc::from("the kernel takes its time over /proc"));
        timeout(patience, look)
            .await
            .unwrap_or_else(|_| still_looking())
    }

    /// Whether something is to be asked beside INFO.
    fn wants_more(&self, sample: &Sample) -> bool {
        let introduces = (self.connection.as_ref()).is_some_and(|c| c.wants_name(&self.way));
        introduces || self.setup.is_due(sample)
    }

    async fn ask_more(&mut self, sample: &Sample) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        let mut lives = connection.introduce(&mut self.way).await.is_ok();
        if lives {
            let of = Asked {
                job: &self.job.name,
                server: self.server.as_deref(),
                replies: self.replies.as_mut(),
            };
            let asked = self.setup.ask(sample, &mut connection, of);
            lives = asked.await;
        }
        self.connection = Some(connection).filter(|_| lives);
    }

    /// Another process may have other settings and other habits.
    fn meet(&mut self, server: Arc<Server>) {
        self.server = Some(server);
        self.plain = false;
        self.setup.forget();
        if let Some(neighbour) = &mut self.neighbour {
            neighbour.forget();
        }
    }
}

#[cfg(test)]
mod tests;
