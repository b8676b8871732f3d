//! Opens connections: TCP, TLS and unix sockets, let in by password or ACL user.
//!
//! Must not know what is asked over them, nor how a reply comes (`exchange.rs`).

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::config::address::Address;
use crate::config::job::{Job, Secret};
use crate::config::login::Login;
use crate::config::query::Protocol;

use super::exchange::{self, Exchange, Failed, Stream};
use super::identify::Ends;
use super::poll::REFUSED_EVERY;
use super::threads;
use super::tls;
use super::trouble::{self, Trouble};

/// What a connection is called in the server's CLIENT LIST and SLOWLOG.
pub const NAME: &str = "redis-frag";

/// Addresses found for a name.
type Found = Result<Vec<SocketAddr>, Trouble>;

/// An answer to a name that takes longer is slow.
const SLOW: Duration = Duration::from_secs(1);

/// Slow names that are looked up at once, half of the threads there are for what blocks
/// ([`threads::MOST`]): one without an answer holds its thread for ten seconds
/// (resolv.conf(5): `timeout` times `attempts`), and the others' names must not wait for it.
const SLOW_AT_ONCE: usize = threads::MOST / 2;

/// The turns of slow names.
static SLOW_TURNS: Semaphore = Semaphore::const_new(SLOW_AT_ONCE);

/// The name of one instance, being looked up. A question that takes longer than a
/// try is kept for the next, so that names without an answer do not queue up.
#[derive(Debug, Default)]
pub struct Lookup {
    under_way: Option<JoinHandle<(Found, Duration)>>,
    /// Whether the last answer was slow.
    is_slow: bool,
}

impl Drop for Lookup {
    /// Nobody wants the answer any more; what has its thread already keeps it.
    fn drop(&mut self) {
        if let Some(question) = &self.under_way {
            question.abort();
        }
    }
}

impl Lookup {
    /// Whether an answer is still awaited.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    async fn find(&mut self, host: &str, port: u16) -> Found {
        // Is no name, and is never waited for.
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let is_slow = self.is_slow;
        let question = self.under_way.get_or_insert_with(|| {
            let host = host.to_owned();
            tokio::spawn(async move {
                // It is never closed.
                let turn = match is_slow {
                    true => SLOW_TURNS.acquire().await.ok(),
                    false => None,
                };
                let asked = Instant::now();
                let found = look_up(host, port).await;
                drop(turn);
                (found, asked.elapsed())
            })
        });
        let found = question.await;
        self.under_way = None;
        let (found, took) = found.unwrap_or((Err(Trouble::Defect(LOOKING_UP)), Duration::ZERO));
        self.is_slow = took >= SLOW;
        found
    }
}

/// What is told to have broken down.
const LOOKING_UP: &str = "looking its name up";

async fn look_up(host: String, port: u16) -> Found {
    let looked = threads::all().begin(move || (host.as_str(), port).to_socket_addrs());
    let found = looked
        .await
        .map_err(|undone| Trouble::undone(LOOKING_UP, &undone))?;
    let found = found.map_err(|error| Trouble::from_connect(&error))?;
    Ok(found.collect())
}

/// What is known of the way to one instance, from try to try.
#[derive(Debug, Default)]
pub struct Way {
    lookup: Lookup,
    /// Whether a TLS handshake was begun and has not ended.
    shakes_hands: bool,
    /// Until when the server is not asked to take a name.
    nameless_until: Option<Instant>,
}

impl Way {
    /// Why a try to ask the instance came to no end in time.
    #[must_use]
    pub fn silence(&self) -> Trouble {
        if self.lookup.is_under_way() {
            Trouble::Connect("its name has no answer yet".to_owned())
        } else if self.shakes_hands {
            Trouble::NoHandshake
        } else {
            Trouble::Silent
        }
    }
}

/// What a connection runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Unix,
    Tcp,
    /// Whether the server was shown a certificate.
    Tls(bool),
}

impl Over {
    /// A trouble that came before the first answer, seen for what it may be.
    fn before_an_answer(self, trouble: Trouble) -> Trouble {
        let Trouble::Lost(told) = trouble else {
            return trouble;
        };
        Trouble::Lost(match self {
            Self::Unix => told,
            Self::Tcp => format!(
                "{told}, before any answer; if the server speaks TLS on this port, write rediss:// \
                 in address"
            ),
            Self::Tls(true) => told,
            Self::Tls(false) => format!(
                "{told}, before any answer; if the server wants a client certificate, set tls_cert \
                 and tls_key"
            ),
        })
    }
}

/// An open connection; closed when dropped.
pub struct Connection {
    exchange: Exchange,
    ends: Option<Ends>,
    over: Over,
    /// Whether the server has answered anything.
    heard: bool,
    named: bool,
}

impl Connection {
    /// Connects and logs in. The caller bounds the time.
    ///
    /// # Errors
    /// Why it did not come to a connection.
    pub async fn open(job: &Job, login: &Login, way: &mut Way) -> Result<Self, Trouble> {
        // Apart from the task that waits for it: what a handshake needs would be part of
        // each task for as long as it lives, 5 kB for each instance.
        Box::pin(Self::reach(job, login, way)).await
    }

    async fn reach(job: &Job, login: &Login, way: &mut Way) -> Result<Self, Trouble> {
        way.shakes_hands = false;
        let login = (login, job.protocol);
        match &job.address {
            Address::Tcp { host, port } => {
                let config = match &job.tls {
                    Some(tls) => Some((tls, tls::config(tls).await?)),
                    None => None,
                };
                let found = way.lookup.find(host, *port).await?;
                let stream = TcpStream::connect(found.as_slice()).await;
                let stream = stream.map_err(|error| Trouble::from_connect(&error))?;
                stream
                    .set_nodelay(true)
                    .map_err(|error| Trouble::from_connect(&error))?;
                let ends = stream.peer_addr().ok().zip(stream.local_addr().ok());
                let ends = ends.map(|(server, client)| Ends::Tcp { server, client });
                let Some((tls, config)) = config else {
                    return Self::log_in(stream, ends, Over::Tcp, login).await;
                };
                way.shakes_hands = true;
                let stream = tls::connect(config, tls, host, stream).await;
                way.shakes_hands = false;
                let over = Over::Tls(tls.cert.is_some());
                Self::log_in(stream?, ends, over, login).await
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                let stream = stream.map_err(|error| Trouble::from_connect(&error))?;
                let listener = stream.peer_cred().ok().and_then(|peer| peer.pid());
                let listener = listener.and_then(|pid| u32::try_from(pid).ok());
                let ends = Some(Ends::Unix(listener));
                Self::log_in(stream, ends, Over::Unix, login).await
            }
        }
    }

    async fn log_in(
        stream: impl Stream + 'static,
        ends: Option<Ends>,
        over: Over,
        (login, protocol): (&Login, Protocol),
    ) -> Result<Self, Trouble> {
        let mut connection = Self {
            exchange: Exchange::new(stream),
            ends,
            over,
            heard: false,
            named: false,
        };
        if protocol == Protocol::Resp3 {
            connection.log_in_by(&hello(login)).await?;
        } else if let Some(password) = &login.password {
            let mut entered = Err(Trouble::WrongPassword);
            if let Some(username) = &login.username {
                let asked = connection.ask(&auth(Some(username), password)).await;
                match asked {
                    // Redis 5 and older know no users.
                    Err(Trouble::Refused(told)) if told.contains("wrong number of arguments") => {}
                    asked => entered = Ok(asked.map_err(without_words)?),
                }
            }
            if entered.is_err() {
                connection.log_in_by(&auth(None, password)).await?;
            }
        }
        Ok(connection)
    }

    async fn log_in_by(&mut self, command: &redis::Cmd) -> Result<(), Trouble> {
        let asked = self.ask(command).await;
        asked.map(|_| ()).map_err(without_words)
    }

    /// Where it begins and ends.
    #[must_use]
    pub fn ends(&self) -> Option<Ends> {
        self.ends
    }

    /// Sends a command and waits for its reply. The caller bounds the time.
    ///
    /// # Errors
    /// Why there is no reply.
    pub async fn ask(&mut self, command: &redis::Cmd) -> Result<redis::Value, Trouble> {
        let reply = self.exchange.ask(command).await;
        let reply = self.heard(reply)?;
        reply
            .extract_error()
            .map_err(|error| Trouble::from_redis(&error))
    }

    /// Sends a packed command and has the text of its reply read; `None` of a reply that
    /// is no text. The caller bounds the time.
    ///
    /// # Errors
    /// Why there is no reply.
    pub async fn ask_text<T>(
        &mut self,
        request: &[u8],
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, Trouble> {
        let told = self.exchange.ask_text(request, read).await;
        match self.heard(told)? {
            Ok(read) => Ok(Some(read)),
            Err(value) => match value.extract_error() {
                Ok(_) => Ok(None),
                Err(error) => Err(Trouble::from_redis(&error)),
            },
        }
    }

    /// What came of a question, and that the server has answered something.
    fn heard<T>(&mut self, reply: Result<T, Failed>) -> Result<T, Trouble> {
        let reply = reply.map_err(|failed| match failed {
            Failed::NoReply => Trouble::NotInfo,
            Failed::Broken(error) => self.broken(&error),
        });
        self.heard |= !matches!(reply, Err(Trouble::Lost(_) | Trouble::Tls(_)));
        reply
    }

    /// Why a connection broke, seen for what it may be.
    fn broken(&self, error: &io::Error) -> Trouble {
        if let (Over::Tls(shows), Some(alert)) = (self.over, tls::words::alert_in(error)) {
            return Trouble::Tls(tls::words::alert(alert, shows));
        }
        let trouble = exchange::lost(error);
        if self.heard {
            trouble
        } else {
            self.over.before_an_answer(trouble)
        }
    }

    /// Whether the server is still to be told who asks.
    #[must_use]
    pub fn wants_name(&self, way: &Way) -> bool {
        let refused = way.nameless_until;
        !self.named && refused.is_none_or(|until| Instant::now() >= until)
    }

    /// Tells the server who asks, where it takes a name. To be called once it has
    /// answered something: what is in between may swallow this.
    ///
    /// # Errors
    /// The connection is lost. That no name is taken is no trouble.
    pub async fn introduce(&mut self, way: &mut Way) -> Result<(), Trouble> {
        if !self.wants_name(way) {
            return Ok(());
        }
        // Also where no reply ever comes.
        way.nameless_until = Instant::now().checked_add(REFUSED_EVERY);
        let mut command = redis::cmd("CLIENT");
        command.arg("SETNAME").arg(NAME);
        match self.ask(&command).await {
            Ok(_) => {
                way.nameless_until = None;
                self.named = true;
                Ok(())
            }
            Err(trouble) if trouble.is_passing() => {
                way.nameless_until = None;
                Ok(())
            }
            Err(trouble) if trouble.is_answer() => Ok(()),
            Err(trouble) => Err(trouble),
        }
    }
}

/// A refusal of a login without the server's own words: many repeat what they were
/// sent, passwords and all.
fn without_words(trouble: Trouble) -> Trouble {
    let Trouble::Refused(told) = trouble else {
        return trouble;
    };
    let known = LOGIN_REFUSED
        .iter()
        .find(|(words, _)| told.starts_with(words));
    known.map_or(Trouble::WrongPassword, |(_, say)| {
        Trouble::Refused((*say).to_owned())
    })
}

/// How answers to a login begin that are no word on the password, and what is told.
const LOGIN_REFUSED: &[(&str, &str)] = &[
    (trouble::NO_HELLO, trouble::NO_HELLO),
    ("NOPROTO", trouble::NO_HELLO),
    ("BUSY", "BUSY: a script runs too long"),
    ("LOADING", "LOADING: it reads its dataset"),
    ("MASTERDOWN", "MASTERDOWN: its primary is away"),
    ("TRYAGAIN", "TRYAGAIN"),
    (
        "DENIED",
        "DENIED: it is in protected mode; give it a password (requirepass), or bind it to an \
         address that this machine reaches",
    ),
    (
        "ERR max number of clients",
        "ERR max number of clients reached (maxclients)",
    ),
    (
        "ERR unknown command",
        "ERR it knows no AUTH: rename-command has taken it away, so take the password out of this \
         job, or it is no Redis",
    ),
];

/// Logs in (Redis 2 to now; with a user since 6.0). No database is selected, for INFO
/// tells of all.
fn auth(username: Option<&Secret>, password: &Secret) -> redis::Cmd {
    let mut command = redis::cmd("AUTH");
    if let Some(username) = username {
        command.arg(username.reveal());
    }
    command.arg(password.reveal());
    command
}

/// Asks for RESP3, and logs in (since 6.0).
fn hello(login: &Login) -> redis::Cmd {
    let mut command = redis::cmd("HELLO");
    command.arg("3");
    if let Some(password) = &login.password {
        let username = login.username.as_ref().map_or("default", Secret::reveal);
        command.arg("AUTH").arg(username).arg(password.reveal());
    }
    command
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    #[test]
    fn a_slow_answer_is_awaited_by_the_next_try() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let slow = SocketAddr::from(([192, 0, 2, 1], 1));
            let mut lookup = Lookup {
                under_way: Some(tokio::spawn(async move {
                    sleep(Duration::from_millis(50)).await;
                    (Ok(vec![slow]), SLOW)
                })),
                is_slow: false,
            };
            let short = Duration::from_millis(5);
            assert!(timeout(short, lookup.find("localhost", 2)).await.is_err());
            assert!(lookup.is_under_way());
            assert_eq!(lookup.find("localhost", 2).await.unwrap(), [slow]);
            assert!(!lookup.is_under_way() && lookup.is_slow);
            let next = lookup.find("localhost", 2).await.unwrap();
            assert!(!next.is_empty() && next.iter().all(|found| found.ip().is_loopback()));
            assert!(!lookup.is_slow);
        });
    }

    #[test]
    fn an_address_is_no_name_and_waits_for_none() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            for (host, ip) in [
                ("127.0.0.1", IpAddr::from([127, 0, 0, 1])),
                ("::1", IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])),
            ] {
                let mut lookup = Lookup {
                    under_way: Some(tokio::spawn(std::future::pending())),
                    is_slow: true,
                };
                let found = lookup.find(host, 2).await.unwrap();
                assert_eq!(found, [SocketAddr::new(ip, 2)]);
            }
        });
    }
}
