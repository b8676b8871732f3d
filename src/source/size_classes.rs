//! One instance's size classes, asked for when a person wants them.
//!
//! The question blocks the server for about a millisecond, so that it is asked at
//! most once in ten seconds however many want to know; the answer tells its age.
//! An instance that loads is not asked. Must not know how an answer is shown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::config::job::Job;
use crate::config::login::Login;
use crate::model::info::Info;
use crate::model::malloc_stats::report::{MallocStats, Unread};
use crate::model::server::Server;
use crate::model::size_classes::SizeClasses;

use super::connect::{Connection, Way};
use super::exchange::text;
use super::keyring::Keyring;
use super::permissions::{self, Command};
use super::trouble::Trouble;

/// Least time between two questions to one instance.
pub const EVERY: Duration = Duration::from_secs(10);

/// What an instance told.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Who it is.
    pub server: Server,
    /// The allocator's own view.
    pub classes: Arc<SizeClasses>,
}

/// What is known of an instance now.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What it told last.
    pub told: Arc<Told>,
    /// How long ago.
    pub age: Duration,
}

/// Why nothing is known.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum Untold {
    /// The job's configuration forbids it.
    #[error(
        "the configuration of this job says size_classes: no; set it to yes, or give its address"
    )]
    Off,
    /// It reads its dataset, and must not be held up.
    #[error("the server is loading its dataset and is not asked meanwhile; try again later")]
    Loading,
    /// Its allocator has no size classes.
    #[error(
        "this server was built with {0}, and only jemalloc tells of its size classes; run a build \
         with jemalloc, as the servers' own Makefile makes on Linux"
    )]
    WithoutJemalloc(String),
    /// The server refuses to tell: what to do.
    #[error("the user may not run MEMORY MALLOC-STATS; {0}")]
    NotAllowed(String),
    /// The server does not have the command: why.
    #[error("MEMORY MALLOC-STATS is not to be had; {0}")]
    Withheld(String),
    /// The reply could not be read.
    #[error("{0}")]
    Unread(Unread),
    /// No reply.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// What was asked last, and what came of it.
#[derive(Default)]
struct Last {
    asked: Option<Instant>,
    /// `None` while there is no answer, or none came in time.
    came: Option<(Instant, Result<Arc<Told>, Untold>)>,
    way: Way,
}

/// The way to one instance's size classes. Any number may ask at once.
pub struct Desk {
    job: Arc<Job>,
    keyring: Mutex<Keyring>,
    last: Mutex<Last>,
}

impl Desk {
    /// Asks nothing yet.
    #[must_use]
    pub fn new(job: Arc<Job>) -> Self {
        Self {
            keyring: Mutex::new(Keyring::new(&job.credentials)),
            job,
            last: Mutex::default(),
        }
    }

    /// The size classes, asked for or known for less than [`EVERY`], within
    /// `patience`. The connection is closed afterwards.
    ///
    /// # Errors
    /// Why they are not known.
    pub async fn ask(&self, patience: Duration) -> Result<Answer, Untold> {
        if !self.job.size_classes {
            return Err(Untold::Off);
        }
        self.read(patience).await
    }

    /// The same for the chart that `malloc_stats_every` wishes, within the same limit.
    ///
    /// # Errors
    /// Why they are not known.
    pub async fn read(&self, patience: Duration) -> Result<Answer, Untold> {
        // Held meanwhile: who waits for secrets would read the same ones.
        let mut keyring = self.keyring.lock().await;
        loop {
            let began = Instant::now();
            let login = keyring.login().await?;
            let answer = timeout(patience, self.answer(&login)).await;
            match answer.unwrap_or_else(|_| Err(Untold::Trouble(self.silence()))) {
                Err(Untold::Trouble(trouble)) if trouble.is_refusal() && keyring.refused(began) => {
                }
                Err(untold) => return Err(untold),
                Ok(answer) => {
                    keyring.accepted();
                    return Ok(answer);
                }
            }
        }
    }

    /// Why there was no answer in time.
    fn silence(&self) -> Trouble {
        let last = self.last.try_lock();
        last.map_or(Trouble::Silent, |last| last.way.silence())
    }

    async fn answer(&self, login: &Login) -> Result<Answer, Untold> {
        // Whoever comes meanwhile waits here, and gets the same answer.
        let mut last = self.last.lock().await;
        if last.asked.is_some_and(|asked| asked.elapsed() < EVERY) {
            let Some((at, came)) = &last.came else {
                return Err(Untold::Trouble(Trouble::Silent));
            };
            let told = Arc::clone(came.as_ref().map_err(Untold::clone)?);
            return Ok(Answer {
                told,
                age: at.elapsed(),
            });
        }
        let job = &self.job;
        let opened = Connection::open(job, login, &mut last.way);
        let mut connection = opened.await?;
        let server = may_be_asked(&mut connection).await?;
        // Noted before, for this may be given up while the server is at it.
        (last.asked, last.came) = (Some(Instant::now()), None);
        if let Err(trouble) = connection.introduce(&mut last.way).await {
            last.asked = None;
            return Err(trouble.into());
        }
        let told = report(&mut connection, server).await.map(Arc::new);
        last.came = Some((Instant::now(), told.clone()));
        Ok(Answer {
            told: told?,
            age: Duration::ZERO,
        })
    }
}

/// INFO first: it costs nothing, and tells whether to go on.
async fn may_be_asked(connection: &mut Connection) -> Result<Server, Untold> {
    let reply = connection.ask(&redis::cmd("INFO")).await?;
    let info = Info::parse(text(&reply).ok_or(Trouble::NotInfo)?);
    if info == Info::default() {
        return Err(Untold::Trouble(Trouble::NotInfo));
    }
    // Redis would refuse, Valkey would not.
    let fields = &info.fields;
    if fields.loading == Some(true) || fields.async_loading == Some(true) {
        return Err(Untold::Loading);
    }
    let server = Server::of(&info);
    match &server.allocator {
        Some(name) if !name.starts_with("jemalloc") => {
            Err(Untold::WithoutJemalloc(name.chars().take(40).collect()))
        }
        _ => Ok(server),
    }
}

async fn report(connection: &mut Connection, server: Server) -> Result<Told, Untold> {
    let mut command = redis::cmd("MEMORY");
    command.arg("MALLOC-STATS");
    let reply = connection.ask(&command).await;
    let remedy = |trouble: &Trouble, server: &Server| {
        permissions::remedy(Command::MallocStats, trouble, Some(server))
    };
    let reply = reply.map_err(|trouble| match &trouble {
        Trouble::NotAllowed => Untold::NotAllowed(remedy(&trouble, &server)),
        Trouble::Refused(told) if told.starts_with("ERR unknown") => {
            Untold::Withheld(remedy(&trouble, &server))
        }
        Trouble::Refused(told) if told.starts_with("LOADING") => Untold::Loading,
        _ => Untold::Trouble(trouble),
    })?;
    let text = text(&reply).ok_or(Untold::Unread(Unread::NoReport))?;
    let stats = MallocStats::parse(&String::from_utf8_lossy(text)).map_err(Untold::Unread)?;
    let classes = Arc::new(SizeClasses::of(&stats, server.layout()));
    Ok(Told { server, classes })
}
