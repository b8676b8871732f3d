//! Why an instance could not be asked, in words that tell what to change.
//!
//! Knows the server's error codes. What the server itself wrote is shown only
//! cleaned and shortened: it may be anybody's text.

use std::io;
use std::mem::discriminant;

use redis::RedisError;
use thiserror::Error;

use crate::config::limits;
use crate::model::text;

use super::permissions::{self, Command};
use super::threads::Undone;

/// Longest piece of a server's own words that is repeated.
const LONGEST: usize = 160;

/// What is told of a server that cannot speak RESP3.
pub(super) const NO_HELLO: &str = "it knows no HELLO, so no RESP3; take protocol=3 out of address";

/// Codes of a server that is busy with something else for a while.
const PASSING: &[&str] = &["BUSY", "LOADING", "MASTERDOWN", "TRYAGAIN"];

/// Why an instance could not be asked.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing listens there, or the way there is barred.
    #[error("cannot connect: {0}; {next}", next = after(.0))]
    Connect(String),
    /// There is no descriptor left for a connection.
    #[error(
        "cannot connect: no file can be opened any more ({0}); {more}",
        more = limits::MORE_FILES
    )]
    NoDescriptor(String),
    /// There is no thread to be had to look a name up or read a file.
    #[error("cannot connect: no thread is to be had ({0}); {more}", more = limits::MORE_THREADS)]
    NoThread(String),
    /// What was done to ask it panicked, which was told.
    #[error("{0} broke down, which is a defect of redis-frag; the log has more of it")]
    Defect(&'static str),
    /// TLS does not come about, or the server ends it.
    #[error("TLS: {0}")]
    Tls(String),
    /// No answer in time to a TLS handshake. A plain port waits for the end of a line.
    #[error(
        "no answer to the TLS handshake in time; the server is stuck, timeout is too short, or it \
         speaks no TLS on this port: use its tls-port, or write redis:// and take the tls_ keys away"
    )]
    NoHandshake,
    /// The connection ended in a TLS handshake.
    #[error(
        "TLS: the server broke off the handshake ({0}); check that it speaks TLS on this port \
         (tls-port), else write redis:// and take the tls_ keys away"
    )]
    BrokenHandshake(String),
    /// No answer in time.
    #[error("no answer in time; the server is stuck or timeout is too short")]
    Silent,
    /// The connection ended.
    #[error("connection lost: {0}")]
    Lost(String),
    /// A password is needed and none is configured.
    #[error("the server wants a password; set password (and username) for this job")]
    NoPassword,
    /// The password or user is wrong.
    #[error("the server refuses username or password; correct them for this job")]
    WrongPassword,
    /// The password or user could not be read from where it is kept.
    #[error("{0}")]
    Secret(String),
    /// The user may not run INFO.
    #[error("the user may not run INFO; allow it: {}", permissions::allow_all())]
    NotAllowed,
    /// The server answered with another error.
    #[error("the server answers: {0}")]
    Refused(String),
    /// The server is in no cluster.
    #[error(
        "the server is in no cluster; remove cluster: yes from this job, or set \
         cluster-enabled yes in the server's configuration"
    )]
    NoCluster,
    /// The user may not ask for the cluster's nodes.
    #[error(
        "the user may not run CLUSTER SHARDS or CLUSTER NODES; {}",
        permissions::allow(&[Command::ClusterShards, Command::ClusterNodes])
    )]
    ClusterNotAllowed,
    /// It is no Sentinel.
    #[error(
        "it is no Sentinel; write the Sentinels' own addresses (port 26379 by default) below \
         sentinel: addresses:"
    )]
    NoSentinel,
    /// The user may not ask a Sentinel.
    #[error(
        "the user of the Sentinels may not run SENTINEL MASTERS or SENTINEL REPLICAS; {}",
        permissions::allow(&[Command::SentinelMasters, Command::SentinelReplicas])
    )]
    SentinelNotAllowed,
    /// A Sentinel follows none of the primaries that the job names.
    #[error("the Sentinel follows no primary named {0}; correct masters: below sentinel:")]
    NoMaster(String),
    /// Nobody is named who could be watched.
    #[error(
        "it names no member with an address and port for this job; check what the servers \
         announce (cluster-announce-ip, ports, tls-cluster)"
    )]
    NoMembers,
    /// The reply names nobody in a form that is known, or more than there can be.
    #[error("what it says of its members is not understood; check that address leads to a node")]
    NotTopology,
    /// The reply was no INFO.
    #[error(
        "the reply is no INFO text; check that a Redis server listens at address (with rediss:// \
         where it speaks TLS)"
    )]
    NotInfo,
}

impl Trouble {
    /// Reads an error that a server answered.
    #[must_use]
    pub fn from_redis(error: &RedisError) -> Self {
        match error.code() {
            Some("NOAUTH") => return Self::NoPassword,
            Some("WRONGPASS") => return Self::WrongPassword,
            Some("NOPERM") => return Self::NotAllowed,
            _ => {}
        }
        let told = error
            .detail()
            .map_or_else(|| error.to_string(), str::to_owned);
        // Redis 5 and older: `ERR invalid password`; without a password set:
        // `ERR Client sent AUTH, but no password is set`, since 6.0
        // `ERR AUTH <password> called without any password configured`.
        let refused = [
            "invalid password",
            "no password is set",
            "called without any password",
        ];
        if refused.iter().any(|words| told.contains(words)) {
            return Self::WrongPassword;
        }
        // The library knows the words of 6.2 alone: `HELLO`, later 'HELLO'.
        let no_hello = told.starts_with("unknown command") && told.contains("HELLO");
        if no_hello || error.kind() == redis::ErrorKind::RESP3NotSupported {
            return Self::Refused(NO_HELLO.to_owned());
        }
        match error.code() {
            Some(code) => Self::Refused(clean(&format!(
                "{code} {}",
                error.detail().unwrap_or_default()
            ))),
            None => Self::NotInfo,
        }
    }

    /// A connection that broke.
    #[must_use]
    pub fn lost(told: &str) -> Self {
        Self::Lost(clean(told))
    }

    /// Reads an error of connecting.
    #[must_use]
    pub fn from_connect(error: &io::Error) -> Self {
        // connect(2) of a unix socket.
        if error.kind() == io::ErrorKind::WouldBlock {
            let told = "more connections wait there than the server lets wait, so it is stuck or \
                        overrun";
            return Self::Connect(told.to_owned());
        }
        let told = clean(&error.to_string());
        if limits::wants_descriptor(error) {
            Self::NoDescriptor(told)
        } else {
            Self::Connect(told)
        }
    }

    /// Why work in a thread of its own was not done; `what` it was.
    #[must_use]
    pub fn undone(what: &'static str, undone: &Undone) -> Self {
        match undone {
            Undone::NoThread(error) => Self::NoThread(clean(&error.to_string())),
            Undone::Broke => Self::Defect(what),
        }
    }

    /// Whether an operator has the same to change for both: a server that stops is
    /// lost first, then refuses, and that is one outage.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let away = |trouble: &Self| {
            matches!(
                trouble,
                Self::Connect(_)
                    | Self::Silent
                    | Self::Lost(_)
                    | Self::NoHandshake
                    | Self::BrokenHandshake(_)
            )
        };
        match (self, other) {
            (Self::Tls(one), Self::Tls(other)) => one == other,
            _ => (away(self) && away(other)) || discriminant(self) == discriminant(other),
        }
    }

    /// Whether what was shown to be let in is not what the server wants.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::NoPassword | Self::WrongPassword)
    }

    /// Whether a try that comes to this costs either side more than a collection: a
    /// handshake, or a refusal that a server writes down.
    #[must_use]
    pub fn is_dear(&self) -> bool {
        self.is_refusal()
            || matches!(
                self,
                Self::Tls(_) | Self::NoHandshake | Self::BrokenHandshake(_)
            )
    }

    /// Whether another question might be answered: the server refused this one, and does
    /// not refuse all of them for a while.
    #[must_use]
    pub fn may_be_the_question(&self) -> bool {
        matches!(self, Self::Refused(_)) && !self.is_passing()
    }

    /// Whether it may be over in a minute: no word on what the user may do.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Refused(told) if PASSING.iter().any(|code| told.starts_with(code)))
    }

    /// Whether the server itself spoke: the connection is good, the question was
    /// not.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::NotAllowed | Self::Refused(_) | Self::NoPassword)
    }
}

/// What to do where a connection does not come about; `told` is why.
fn after(told: &str) -> &'static str {
    // EACCES of connect(2), in the words of libc.
    if told.starts_with("Permission denied") {
        "let the user that runs this open it (the socket's group, unixsocketperm), or be another \
         user"
    } else {
        "check address and that the server runs"
    }
}

/// Somebody else's words on one line, without escapes for a terminal.
pub(super) fn clean(words: &str) -> String {
    text::line(words.trim(), LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_break_a_line() {
        let told = clean(&format!("x\n\u{1b}[31m\u{202e}{}", "y".repeat(900)));
        assert!(!told.contains(text::is_hidden) && told.chars().count() == LONGEST);
    }

    #[test]
    fn want_of_descriptors_is_no_word_on_the_address() {
        let connect = |number| Trouble::from_connect(&io::Error::from_raw_os_error(number));
        for number in [23, 24] {
            let told = connect(number).to_string();
            assert!(
                told.contains("LimitNOFILE") && !told.contains("check address"),
                "{told}"
            );
        }
        assert!(connect(111).to_string().contains("check address"));
    }

    #[test]
    fn work_that_was_not_done_is_no_word_on_the_server() {
        let told = |undone| Trouble::undone("looking its name up", &undone).to_string();
        let none = told(Undone::NoThread(io::Error::from_raw_os_error(11)));
        assert!(none.contains("TasksMax") && !none.contains("defect"));
        let broke = told(Undone::Broke);
        assert!(broke.starts_with("looking its name up broke down, which is a defect"));
    }

    #[test]
    fn a_server_that_goes_away_is_one_trouble_and_what_it_answers_another() {
        let (lost, refused) = (Trouble::Lost("x".into()), Trouble::Connect("y".into()));
        assert!(lost.is_like(&refused) && refused.is_like(&Trouble::Silent));
        assert!(lost.is_like(&Trouble::NoHandshake));
        assert!(!refused.is_like(&Trouble::WrongPassword));
        let tls = |told: &str| Trouble::Tls(told.into());
        assert!(tls("a").is_like(&tls("a")) && !tls("a").is_like(&tls("b")));
        assert!(Trouble::Refused("BUSY a".into()).is_like(&Trouble::Refused("b".into())));
    }

    #[test]
    fn what_the_user_may_not_do_does_not_pass() {
        for (told, want) in [("BUSY Redis is busy", true), ("ERR unknown command", false)] {
            assert_eq!(Trouble::Refused(told.into()).is_passing(), want, "{told}");
        }
        assert!(!Trouble::NotAllowed.is_passing());
    }

    #[test]
    fn what_to_do_depends_on_why_nobody_answers() {
        for (code, next) in [
            (
                rustix::io::Errno::ACCESS.raw_os_error(),
                "let the user that runs this open it",
            ),
            (
                rustix::io::Errno::CONNREFUSED.raw_os_error(),
                "check address and that the server runs",
            ),
        ] {
            let told = Trouble::from_connect(&io::Error::from_raw_os_error(code)).to_string();
            assert!(told.contains(next), "{told}");
        }
    }
}
