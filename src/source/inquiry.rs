//! Asks a node of a cluster, or a Sentinel, who belongs together.
//!
//! One conversation over one kept-open connection. It only reads. Must not know whom to
//! ask next, nor what becomes of the members.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Value;
use tokio::time::timeout;

use crate::config::address::Address;
use crate::config::job::Job;

use super::cluster::{self, Way};
use super::connect::{self, Connection};
use super::exchange::text;
use super::keyring::Keyring;
use super::sentinel;
use super::topology::{MOST, Member, Told};
use super::trouble::Trouble;

/// How long `CLUSTER SHARDS` is left out after it was refused: permissions and versions
/// change, and every try leaves a line in the server's ACL LOG.
const REFUSED_FOR: Duration = Duration::from_secs(3600);

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// The nodes of a node's cluster.
    Cluster,
    /// The primaries of these names that a Sentinel follows, and their replicas; all
    /// where no name is given.
    Sentinel(Vec<String>),
}

/// What was learned of a whole fleet's habits, so that each refusal is met once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Habits {
    /// When `CLUSTER SHARDS` was refused last.
    shards_refused: Option<Instant>,
}

impl Habits {
    /// Adds what another learned.
    pub fn learn(&mut self, other: Self) {
        self.shards_refused = self.shards_refused.max(other.shards_refused);
    }
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Everybody who was named.
    pub members: Vec<Member>,
    /// Names of primaries that were asked for and are not followed.
    pub unknown: Vec<String>,
}

/// One node or Sentinel that is asked.
pub struct Teller {
    job: Arc<Job>,
    keyring: Keyring,
    connection: Option<Connection>,
    reach: connect::Way,
    /// Whether it has answered before: who is asked once needs no name.
    is_known: bool,
}

impl Teller {
    /// Whoever listens at a job's address, let in as the job says.
    #[must_use]
    pub fn new(job: Arc<Job>) -> Self {
        Self {
            keyring: Keyring::new(&job.credentials),
            job,
            connection: None,
            reach: connect::Way::default(),
            is_known: false,
        }
    }

    /// Where it is asked.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.job.address
    }

    /// Asks, connecting first where needed. The connection and each reply have the job's
    /// timeout. After a failure the connection is closed. Secrets are read once more
    /// where they are refused.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask(&mut self, question: &Question, habits: &mut Habits) -> Result<View, Trouble> {
        let asked = loop {
            let began = Instant::now();
            match self.attempt(question, habits).await {
                Err(trouble) if trouble.is_refusal() && self.keyring.refused(began) => {
                    self.connection = None;
                }
                done => break done,
            }
        };
        let checked = asked.and_then(|view| {
            if view.members.len() > MOST {
                return Err(Trouble::NotTopology);
            }
            if view.members.iter().all(|member| member.place.is_none()) {
                return Err(Trouble::NoMembers);
            }
            Ok(view)
        });
        match &checked {
            Ok(_) => {
                self.keyring.accepted();
                self.introduce().await;
            }
            Err(_) => self.connection = None,
        }
        checked
    }

    async fn introduce(&mut self) {
        if let Some(connection) = self.connection.as_mut().filter(|_| self.is_known) {
            let introduced = connection.introduce(&mut self.reach);
            if !matches!(timeout(self.job.timeout, introduced).await, Ok(Ok(()))) {
                self.connection = None;
            }
        }
        self.is_known = true;
    }

    async fn attempt(&mut self, question: &Question, habits: &mut Habits) -> Result<View, Trouble> {
        match question {
            Question::Cluster => self.cluster(habits).await,
            Question::Sentinel(names) => self.sentinel(names).await,
        }
    }

    async fn cluster(&mut self, habits: &mut Habits) -> Result<View, Trouble> {
        let refused = habits.shards_refused;
        if refused.is_none_or(|at| at.elapsed() >= REFUSED_FOR) {
            match self.command(&["CLUSTER", "SHARDS"]).await {
                Ok(reply) => {
                    let members = cluster::shards(&told(&reply), self.way());
                    return view(members);
                }
                Err(Trouble::Refused(said)) if is_cluster_off(&said) => {
                    return Err(Trouble::NoCluster);
                }
                // Before 7.0 nobody knows it.
                Err(trouble @ (Trouble::NotAllowed | Trouble::Refused(_)))
                    if !trouble.is_passing() =>
                {
                    habits.shards_refused = Some(Instant::now());
                }
                Err(trouble) => return Err(trouble),
            }
        }
        match self.command(&["CLUSTER", "NODES"]).await {
            Ok(reply) => {
                let text = text(&reply).and_then(|bytes| std::str::from_utf8(bytes).ok());
                view(text.and_then(|text| cluster::nodes(text, self.way())))
            }
            Err(Trouble::Refused(said)) if is_cluster_off(&said) => Err(Trouble::NoCluster),
            Err(Trouble::NotAllowed) => Err(Trouble::ClusterNotAllowed),
            Err(trouble) => Err(trouble),
        }
    }

    async fn sentinel(&mut self, names: &[String]) -> Result<View, Trouble> {
        let reply = self.command(&["SENTINEL", "MASTERS"]).await;
        let reply = reply.map_err(|trouble| match trouble {
            Trouble::NotAllowed => Trouble::SentinelNotAllowed,
            Trouble::Refused(said) if is_unknown(&said) => Trouble::NoSentinel,
            other => other,
        })?;
        let mut primaries = sentinel::primaries(&told(&reply)).ok_or(Trouble::NotTopology)?;
        let is_of = |member: &Member, name: &String| member.shard.as_ref() == Some(name);
        if !names.is_empty() {
            primaries.retain(|member| names.iter().any(|name| is_of(member, name)));
        }
        let is_unknown = |name: &&String| !primaries.iter().any(|member| is_of(member, name));
        let unknown: Vec<String> = names.iter().filter(is_unknown).cloned().collect();
        if let (true, Some(name)) = (primaries.is_empty(), unknown.first()) {
            return Err(Trouble::NoMaster(name.clone()));
        }
        if primaries.len() > MOST {
            return Err(Trouble::NotTopology);
        }
        let mut replicas = Vec::new();
        for name in primaries
            .iter()
            .filter_map(|member| member.shard.as_deref())
        {
            replicas.extend(self.replicas(name).await?);
            if primaries.len().saturating_add(replicas.len()) > MOST {
                return Err(Trouble::NotTopology);
            }
        }
        Ok(View {
            members: sentinel::merged(primaries, replicas),
            unknown,
        })
    }

    async fn replicas(&mut self, name: &str) -> Result<Vec<Member>, Trouble> {
        let mut reply = self.command(&["SENTINEL", "REPLICAS", name]).await;
        // Before 5.0 they had another name alone.
        if matches!(&reply, Err(Trouble::Refused(said)) if is_unknown(said)) {
            reply = self.command(&["SENTINEL", "SLAVES", name]).await;
        }
        match reply {
            Ok(reply) => sentinel::replicas(&told(&reply), name).ok_or(Trouble::NotTopology),
            // Taken from its list in this very moment.
            Err(Trouble::Refused(said)) if said.contains("No such master") => Ok(Vec::new()),
            Err(Trouble::NotAllowed) => Err(Trouble::SentinelNotAllowed),
            Err(trouble) => Err(trouble),
        }
    }

    /// How a node is asked here.
    fn way(&self) -> Way<'_> {
        let host = match &self.job.address {
            Address::Tcp { host, .. } => host,
            // The socket is on this machine.
            Address::Unix(_) => "127.0.0.1",
        };
        Way {
            host,
            tls: self.job.tls.is_some(),
            verified: (self.job.tls.as_ref())
                .is_some_and(|tls| !tls.skip_verify && tls.server_name.is_none()),
        }
    }

    async fn command(&mut self, words: &[&str]) -> Result<Value, Trouble> {
        let patience = self.job.timeout;
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let login = self.keyring.login().await?;
                let opened = Connection::open(&self.job, &login, &mut self.reach);
                let opened = match timeout(patience, opened).await {
                    Ok(opened) => opened?,
                    Err(_) => return Err(self.reach.silence()),
                };
                self.connection.insert(opened)
            }
        };
        let mut command = redis::Cmd::new();
        command.arg(words);
        let reply = timeout(patience, connection.ask(&command)).await;
        reply.map_err(|_| Trouble::Silent)?
    }
}

fn view(members: Option<Vec<Member>>) -> Result<View, Trouble> {
    let members = members.ok_or(Trouble::NotTopology)?;
    let unknown = Vec::new();
    Ok(View { members, unknown })
}

fn is_cluster_off(said: &str) -> bool {
    said.contains("cluster support disabled")
}

/// `ERR unknown command …`, `ERR Unknown subcommand …`, `ERR unknown sentinel …`.
fn is_unknown(said: &str) -> bool {
    said.to_ascii_lowercase().starts_with("err unknown")
}

/// A reply as its readers want it.
#[must_use]
pub fn told(reply: &Value) -> Told {
    match reply {
        Value::Int(number) => Told::Number(*number),
        Value::BulkString(bytes) => Told::Text(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Told::Text(text.clone()),
        Value::Array(items) | Value::Set(items) => Told::List(items.iter().map(told).collect()),
        Value::Map(pairs) => {
            let flat = pairs
                .iter()
                .flat_map(|(name, value)| [told(name), told(value)]);
            Told::List(flat.collect())
        }
        _ => Told::Nothing,
    }
}
