//! Which process of this machine answers at the other end of a connection: for
//! certain, or not at all.
//!
//! A pid that a server tells of itself is its own namespace's, and may be anybody's
//! here. So it is believed where the kernel confirms it. Must not ask any server.

use std::net::SocketAddr;
use std::path::Path;

use super::host::Kernel;
use super::processes::{self, PROGRAMS, ServerProcess};

/// The two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// A unix socket, and who listened there by `SO_PEERCRED`; `None` where that
    /// process is outside of our own pid namespace.
    Unix(Option<u32>),
    /// TCP: the server's end, and ours.
    Tcp {
        /// The server's.
        server: SocketAddr,
        /// Ours.
        client: SocketAddr,
    },
}

impl Ends {
    /// Whether both are on one machine for certain: a unix socket, or one address at
    /// both ends.
    #[must_use]
    pub fn are_near(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { server, client } => {
                server.ip().to_canonical() == client.ip().to_canonical()
            }
        }
    }
}

/// What a server says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claimed {
    /// `process_id` of INFO.
    pub pid: Option<u32>,
    /// `used_memory_rss` of INFO, bytes.
    pub rss: Option<u64>,
    /// File name of `executable` of INFO.
    pub program: Option<String>,
}

/// What came of looking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// This process: its pid and when it was started.
    Process(u32, u64),
    /// It runs on another machine, for all that can be told.
    Elsewhere,
    /// It runs on this one, and cannot be told for certain: why.
    Unsure(&'static str),
}

const NO_PID: &str = "INFO has no process_id";
const FOREIGN: &str = "the process that listens at the socket is in another pid namespace; run the \
                       agent with the host's (pid: host)";
const HIDDEN: &str = "the process is hidden from this user; mount /proc without hidepid, or with \
                      gid= of a group of the agent's user";
const GONE: &str = "the process that listens at the socket is not in /proc";
const RELAYED: &str = "another process answers than the one that listens at the socket: a proxy?";
const ANOTHER_SIZE: &str = "the process that listens at the socket is of another size than INFO \
                            says";
const NOBODY: &str = "no process of this machine fits what INFO says: a published port of a \
                      container, or a proxy";
const UNTITLED: &str = "its sockets cannot be seen by this user, and its title does not name the port: \
                        proxies look the same; keep the default proc-title-template";
const SEVERAL: &str = "several processes of this machine fit what INFO says";

/// Looks for it. Reads `/proc`, and may take some milliseconds.
#[must_use]
pub fn identify(kernel: &Kernel, ends: &Ends, claimed: &Claimed) -> Identity {
    let found = match *ends {
        Ends::Unix(peer) => by_peer(kernel, peer, claimed),
        Ends::Tcp { server, client } => by_connection(kernel, server, client, claimed),
    };
    match found {
        Ok(process) => Identity::Process(process.pid, process.start_time),
        Err(_) if !ends.are_near() => Identity::Elsewhere,
        // What is hidden would be found nowhere.
        Err(NOBODY | GONE) if kernel.hides_processes() => Identity::Unsure(HIDDEN),
        Err(why) => Identity::Unsure(why),
    }
}

/// The kernel names the listener; the server must call itself the same, or it is
/// somebody behind it that answers.
fn by_peer(
    kernel: &Kernel,
    peer: Option<u32>,
    claimed: &Claimed,
) -> Result<ServerProcess, &'static str> {
    let pid = peer.filter(|pid| *pid > 0).ok_or(FOREIGN)?;
    let process = processes::of(kernel, pid).ok_or(GONE)?;
    let claimed_pid = claimed.pid.ok_or(NO_PID)?;
    if process.own_pid != claimed_pid {
        return Err(RELAYED);
    }
    // Below a prefix the pid may be another namespace's.
    if kernel.root() != Path::new("/") && !rss_fits(kernel, pid, claimed) {
        return Err(ANOTHER_SIZE);
    }
    Ok(process)
}

/// Processes that have the pid to themselves, bear a server's name, are as large as
/// the server says, and at whose socket the connection ends.
fn by_connection(
    kernel: &Kernel,
    server: SocketAddr,
    client: SocketAddr,
    claimed: &Claimed,
) -> Result<ServerProcess, &'static str> {
    let claimed_pid = claimed.pid.ok_or(NO_PID)?;
    let mut candidates = kernel.servers().to_vec();
    // Under a name of its own it is found by the pid, in our own namespace alone.
    if candidates.iter().all(|process| process.pid != claimed_pid)
        && bears_its_name(kernel, claimed_pid, claimed)
    {
        candidates.extend(processes::of(kernel, claimed_pid));
    }
    candidates
        .retain(|process| process.own_pid == claimed_pid && rss_fits(kernel, process.pid, claimed));
    let silent = candidates
        .iter()
        .any(|process| process.is_silent(kernel, server.port()));
    candidates.retain(|process| process.holds(kernel, server, client));
    match candidates.len() {
        0 if silent => Err(UNTITLED),
        0 => Err(NOBODY),
        1 => candidates.pop().ok_or(NOBODY),
        _ => Err(SEVERAL),
    }
}

/// Whether a process is called what INFO says its program is called; the kernel
/// keeps 15 bytes of a name.
fn bears_its_name(kernel: &Kernel, pid: u32, claimed: &Claimed) -> bool {
    let Ok(status) = kernel.status(pid) else {
        return false;
    };
    let own = claimed.program.as_deref().unwrap_or_default();
    PROGRAMS.contains(&status.name.as_str())
        || (!own.is_empty() && own.as_bytes().iter().take(15).eq(status.name.as_bytes()))
}

/// Whether the process is about as large as the server said a moment ago.
fn rss_fits(kernel: &Kernel, pid: u32, claimed: &Claimed) -> bool {
    let (Ok(status), Some(claimed)) = (kernel.status(pid), claimed.rss) else {
        // Before the server's first tick it tells no RSS: nothing to compare.
        return false;
    };
    let rss = status.memory.rss;
    rss.is_some_and(|rss| rss.abs_diff(claimed) <= NEARNESS.max(claimed / 2))
}

/// Within which RSS may lie whatever the size, bytes: INFO's is up to a second old, and
/// a server that is being filled grows by as much meanwhile.
const NEARNESS: u64 = 64 << 20;
