//! A way to a real server that can be made to fail: by TCP or a unix socket, as
//! networks, proxies and servers in trouble do.
//!
//! Knows how a connection breaks and where a RESP request ends, nothing of who asks.

mod door;
mod resp;
mod way;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::thread;

use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::process;
use super::servers::Server;
use door::Door;

/// What is wrong with the way.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Nothing: all passes.
    None,
    /// Nobody listens, and what was open is closed.
    Refused,
    /// Who asks is reset.
    Reset,
    /// Nothing comes back, not even from the kernel: packets are lost.
    BlackHole,
    /// Connections are taken, and nothing is said.
    Silent,
    /// So many bytes of replies pass, the rest once the fault is over.
    Stalled(usize),
    /// A byte of replies a second.
    Trickle,
    /// So many bytes of replies pass, then the connection is closed.
    Cut(usize),
    /// Each command is answered with this, and not by the server.
    Says(Arc<[u8]>),
    /// The same, again and again without end.
    Floods(Arc<[u8]>),
    /// Who connects is told this, and the connection is closed.
    Greets(Arc<[u8]>),
    /// The server is asked this instead of each command.
    Asks(Arc<[u8]>),
    /// Each reply comes twice, the copy a moment later, whatever is asked in between.
    Twice,
    /// Each reply comes once the next question is asked: to the first there is none yet.
    Late,
}

impl Fault {
    /// Each command is answered with this line.
    pub fn says(line: &str) -> Self {
        Self::Says(format!("{line}\r\n").into_bytes().into())
    }
}

/// What happens to connections that are open when another server is put behind a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// They are cut.
    Cut,
    /// They go on, and the next question reaches the new server.
    Keep,
}

/// Where the real server is.
#[derive(Clone, Debug)]
enum To {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// The server that is behind a way now, and how it came there.
type Behind = (To, Handover);

/// A way to a server; gone when dropped.
pub struct Proxy {
    address: String,
    fault: watch::Sender<Fault>,
    behind: watch::Sender<Behind>,
    _dir: Option<TempDir>,
}

/// One thread serves all ways of the process.
static SERVING: LazyLock<Handle> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap_or_else(|e| panic!("no runtime for proxies: {e}"));
    let handle = runtime.handle().clone();
    thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    handle
});

impl Proxy {
    /// From a unix socket to the server's.
    pub fn unix(server: &Server) -> Self {
        let dir = process::short_dir();
        let path = dir.path().join("s");
        let address = format!("unix://{}", path.display());
        let to = To::Unix(server.socket().to_path_buf());
        Self::start(Door::unix(path), address, to, Some(dir))
    }

    /// From a free port of this machine to the server's.
    pub fn tcp(server: &Server) -> Self {
        Self::to_port(server.port())
    }

    /// From a free port of this machine to this one.
    pub fn to_port(port: u16) -> Self {
        let door = Door::tcp();
        let address = format!("127.0.0.1:{}", door.port());
        let to = To::Tcp((Ipv4Addr::LOCALHOST, port).into());
        Self::start(door, format!("redis://{address}"), to, None)
    }

    fn start(door: Door, address: String, to: To, dir: Option<TempDir>) -> Self {
        let (fault, theirs) = watch::channel(Fault::None);
        let (behind, leads_to) = watch::channel((to, Handover::Cut));
        SERVING.spawn(door::serve(door, leads_to, theirs));
        Self {
            address,
            fault,
            behind,
            _dir: dir,
        }
    }

    /// Where it listens, as a job's `address`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        let (_, port) = self.address.rsplit_once(':').expect("an address with port");
        port.parse().expect("it has no port, but a path")
    }

    /// From now on it leads to this server's port, as a floating address or a load
    /// balancer does.
    pub fn lead_to(&self, server: &Server, how: Handover) {
        let to = To::Tcp((Ipv4Addr::LOCALHOST, server.port()).into());
        self.behind.send_replace((to, how));
    }

    /// From now on this is wrong, also with connections that are open.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// What is wrong now.
    pub fn fault(&self) -> Fault {
        self.fault.borrow().clone()
    }
}
