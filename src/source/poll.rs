//! One instance, asked again and again over one kept-open connection.
//!
//! A collection is one round trip: INFO. Once a minute the instance's own defrag
//! settings are read too, and once a server start the allocator's build where the
//! job allows it; doing without them is normal. Must not know when to ask, nor
//! what becomes of a sample.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Value;
use tokio::time::timeout;

use crate::config::job::Job;
use crate::config::login::Login;
use crate::model::defrag::DefragConfig;
use crate::model::host::View;
use crate::model::info::Info;
use crate::model::malloc_stats::Build;
use crate::model::sample::Sample;
use crate::model::server::Server;

use super::claims::ProcessId;
use super::connect::{Connection, Way};
use super::host::Kernel;
use super::keyring::Keyring;
use super::neighbour::Neighbour;
use super::permissions::{self, Command};
use super::trouble::Trouble;

/// The sections that hold the fields of `model::info`.
pub const SECTIONS: &[&str] = &[
    "server",
    "memory",
    "persistence",
    "stats",
    "cpu",
    "keyspace",
];

/// How often the instance's settings are read.
const SETTINGS_EVERY: Duration = Duration::from_secs(60);

/// How soon they are read again when what the server does contradicts them.
const SETTINGS_AGAIN: Duration = Duration::from_secs(5);

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
    settings: DefragConfig,
    settings_due: Duration,
    settings_refused: bool,
    build: Option<Build>,
    /// Whether the allocator's build is to be asked for.
    asks_build: bool,
    build_asked: bool,
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
            settings: DefragConfig::default(),
            settings_due: Duration::ZERO,
            settings_refused: false,
            build: None,
            asks_build: false,
            build_asked: false,
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
        self.asks_build = true;
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
    /// # Errors
    /// Why there is no sample.
    pub async fn collect(&mut self, patience: Duration) -> Result<Sample, Trouble> {
        let (mut sample, started) = loop {
            let began = Instant::now();
            match self.attempt(patience).await {
                Err(trouble) if trouble.is_refusal() && self.keyring.refused(began) => {}
                done => break done?,
            }
        };
        self.keyring.accepted();
        // What is in between may swallow these, and INFO has been answered.
        let left = patience.saturating_sub(started.elapsed());
        if timeout(left, self.read_more(&sample)).await.is_err() {
            self.connection = None;
        }
        sample.config = self.settings;
        sample.build = self.build;
        let left = patience.saturating_sub(started.elapsed());
        sample.host = self.look_around(&sample, left).await;
        Ok(sample)
    }

    /// One try, and when the server was turned to. A connection that was kept may have
    /// been closed meanwhile, by a server that closes idle ones or by a Sentinel that
    /// gave it another primary: that is no outage, and another is opened.
    async fn attempt(&mut self, patience: Duration) -> Result<(Sample, Instant), Trouble> {
        let began = Instant::now();
        let was_kept = self.connection.is_some();
        match self.try_once(patience).await {
            Err(Trouble::Lost(_)) if was_kept => {
                self.try_once(patience.saturating_sub(began.elapsed()))
                    .await
            }
            done => done,
        }
    }

    async fn try_once(&mut self, patience: Duration) -> Result<(Sample, Instant), Trouble> {
        let login = match &self.connection {
            Some(_) => Arc::default(),
            None => self.keyring.login().await?,
        };
        let started = Instant::now();
        let sampled = match timeout(patience, self.sample(&login)).await {
            Ok(sampled) => sampled,
            Err(_) => Err(self.way.silence()),
        };
        if sampled.is_err() {
            self.connection = None;
        }
        Ok((sampled?, started))
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

    async fn sample(&mut self, login: &Login) -> Result<Sample, Trouble> {
        if self.connection.is_none() {
            let opened = Connection::open(&self.job, login, &mut self.way).await?;
            self.connection = Some(opened);
            if let Some(neighbour) = &mut self.neighbour {
                neighbour.forget();
            }
        }
        let asked = Instant::now();
        let reply = self.info().await?;
        let answered = Instant::now();
        let text = text(&reply).ok_or(Trouble::NotInfo)?;
        let info = Info::parse(text);
        if info == Info::default() {
            return Err(Trouble::NotInfo);
        }
        if let Some(kept) = &mut self.replies {
            kept.info = text.to_vec();
        }
        let mut sample = Sample::new(answered - self.epoch, &info, self.server.as_ref());
        sample.round_trip = Some(answered - asked);
        let program = info
            .texts
            .executable
            .and_then(|path| path.rsplit('/').next());
        let is_new = self.server.as_ref() != sample.server.as_ref();
        let program = program.filter(|_| is_new).map(str::to_owned);
        self.meet(sample.server.as_ref());
        if is_new {
            self.program = program;
        }
        Ok(sample)
    }

    /// What is asked now and then beside INFO.
    async fn read_more(&mut self, sample: &Sample) {
        if let Some(connection) = &mut self.connection
            && connection.introduce(&mut self.way).await.is_err()
        {
            self.connection = None;
        }
        if sample.at >= self.settings_due || self.contradicts(sample) {
            self.read_settings(sample.at).await;
        }
        if self.asks_build && !self.build_asked && sample.loading() != Some(true) {
            self.read_build().await;
        }
    }

    /// Another process may have other settings and other habits.
    fn meet(&mut self, server: Option<&Arc<Server>>) {
        if self.server.as_ref() != server {
            self.server = server.cloned();
            self.plain = false;
            self.settings = DefragConfig::default();
            self.settings_due = Duration::ZERO;
            self.settings_refused = false;
            self.build = None;
            self.build_asked = false;
            if let Some(neighbour) = &mut self.neighbour {
                neighbour.forget();
            }
        }
    }

    /// Defrag is at work and was off when the settings were read: they changed.
    fn contradicts(&self, sample: &Sample) -> bool {
        let running = sample
            .fields
            .active_defrag_running
            .is_some_and(|effort| effort > 0);
        let read = self.settings_due.saturating_sub(SETTINGS_EVERY);
        running
            && self.settings.enabled == Some(false)
            && sample.at.saturating_sub(read) >= SETTINGS_AGAIN
    }

    async fn info(&mut self) -> Result<Value, Trouble> {
        let sections = self
            .server
            .as_ref()
            .is_some_and(|server| server.takes_sections());
        let mut command = redis::cmd("INFO");
        if sections && !self.plain {
            for section in SECTIONS {
                command.arg(section);
            }
            match self.ask(&command).await {
                Err(Trouble::Refused(_)) => self.plain = true,
                // A proxy may read the first section alone.
                Ok(reply) if !tells_memory(&reply) => self.plain = true,
                done => return done,
            }
            command = redis::cmd("INFO");
        }
        self.ask(&command).await
    }

    async fn ask(&mut self, command: &redis::Cmd) -> Result<Value, Trouble> {
        match &mut self.connection {
            Some(connection) => connection.ask(command).await,
            None => Err(Trouble::Lost("closed".to_owned())),
        }
    }

    /// Asked once of each server process: the report blocks it for a millisecond.
    async fn read_build(&mut self) {
        self.build_asked = true;
        let mut command = redis::cmd("MEMORY");
        command.arg("MALLOC-STATS");
        match self.ask(&command).await {
            Ok(reply) => {
                let text = texts(&reply).first().copied();
                self.build = text.and_then(Build::parse);
                if let Some(kept) = &mut self.replies {
                    kept.malloc_stats = text.map(str::to_owned);
                }
            }
            Err(trouble) => {
                if !trouble.is_answer() {
                    self.connection = None;
                }
                let server = self.server.as_deref();
                let remedy = permissions::remedy(Command::MallocStats, &trouble, server);
                log::info!(
                    "job {}: MEMORY MALLOC-STATS is not to be had; {remedy}",
                    self.job.name
                );
            }
        }
    }

    async fn read_settings(&mut self, now: Duration) {
        // Also where no reply ever comes.
        self.settings_due = now + SETTINGS_EVERY;
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg("*defrag*");
        match self.ask(&command).await {
            Ok(reply) => {
                let texts = texts(&reply);
                let pairs = texts.chunks_exact(2).map(|pair| (pair[0], pair[1]));
                if let Some(kept) = &mut self.replies {
                    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
                    kept.settings = pairs.clone().map(owned).collect();
                }
                self.settings = DefragConfig::from_pairs(pairs);
                self.settings_refused = false;
            }
            Err(trouble) if trouble.is_passing() => {}
            Err(trouble) => {
                self.settings = DefragConfig::default();
                self.settings_due = now + REFUSED_EVERY;
                if !trouble.is_answer() {
                    self.connection = None;
                }
                if !self.settings_refused {
                    self.settings_refused = true;
                    let server = self.server.as_deref();
                    let remedy = permissions::remedy(Command::ConfigGet, &trouble, server);
                    log::info!(
                        "job {}: CONFIG GET is not to be had, so the defaults of this version stand \
                         in for the defrag thresholds; {remedy}",
                        self.job.name
                    );
                }
            }
        }
    }
}

/// The text of a reply that is one.
pub(super) fn text(reply: &Value) -> Option<&[u8]> {
    match reply {
        Value::BulkString(bytes) => Some(bytes),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

fn tells_memory(reply: &Value) -> bool {
    const NAME: &[u8] = b"used_memory:";
    text(reply).is_some_and(|text| text.windows(NAME.len()).any(|part| part == NAME))
}

/// The texts of a flat list (RESP2) or a map (RESP3), in order.
fn texts(reply: &Value) -> Vec<&str> {
    match reply {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Map(pairs) => pairs
            .iter()
            .flat_map(|(name, value)| [texts(name), texts(value)].concat())
            .collect(),
        Value::BulkString(bytes) => std::str::from_utf8(bytes).into_iter().collect(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => vec![text.as_str()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::config::address::Address;

    #[test]
    fn settings_come_as_a_list_or_a_map() {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let list = Value::Array(vec![bulk("activedefrag"), bulk("yes")]);
        let map = Value::Map(vec![(bulk("activedefrag"), bulk("yes"))]);
        assert_eq!(texts(&list), ["activedefrag", "yes"]);
        assert_eq!(texts(&map), texts(&list));
        assert_eq!(texts(&Value::Nil), Vec::<&str>::new());
    }
    /// Answers INFO, as if it were all there is: CONFIG gets no reply, and of
    /// several sections only the first is read.
    fn deaf(listener: UnixListener) {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut bytes = [0; 512];
            while let Ok(length @ 1..) = (&stream).read(&mut bytes) {
                let asked = String::from_utf8_lossy(&bytes[..length]);
                let reply = match (asked.contains("INFO"), asked.contains("memory")) {
                    (true, true) => "$21\r\nredis_version:8.0.0\r\n\r\n",
                    (true, false) => "$36\r\nredis_version:8.0.0\r\nused_memory:7\r\n\r\n",
                    _ => continue,
                };
                (&stream).write_all(reply.as_bytes()).unwrap();
            }
        }
    }

    #[test]
    fn info_counts_where_nothing_else_is_answered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || deaf(listener));
        let job = Arc::new(Job::new("x", Address::Unix(path)));
        let mut poller = Poller::new(job, Instant::now());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut used = || {
            let collected = runtime.block_on(poller.collect(Duration::from_millis(300)));
            collected.map(|sample| sample.fields.used_memory)
        };
        assert_eq!(used(), Ok(Some(7)), "CONFIG gets no reply");
        assert_eq!(
            used(),
            Ok(Some(7)),
            "the first section alone, then asked plainly"
        );
    }
}
