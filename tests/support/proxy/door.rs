//! Where connections come in: listening, refusing and lost in the network.
//!
//! Knows sockets, nothing of what is said over them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::net::Shutdown;
use tokio::net::{self, TcpStream, UnixStream};
use tokio::sync::watch::Receiver;
use tokio::time::timeout;

use super::way::{self, Client};
use super::{Behind, Fault};

/// Connections that may wait to be taken.
const BACKLOG: i32 = 128;
/// A kernel that takes connections takes them at once.
const AT_ONCE: Duration = Duration::from_millis(100);
/// Connections that fill a queue of none: Linux takes one more than it is told.
const MOST_FILLERS: usize = 8;

/// Where to listen.
pub(super) enum Door {
    /// Keeps its port while it refuses.
    Tcp(TcpListener),
    Unix(PathBuf, Option<std::os::unix::net::UnixListener>),
}

/// A door that is open.
enum Open {
    Tcp(net::TcpListener),
    Unix(net::UnixListener),
}

impl Door {
    pub(super) fn tcp() -> Self {
        let here = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        // A port that the kernel chose is given back where its socket stops listening
        // (tcp_set_state in Linux), and one that was asked for is kept. Another may take
        // it in between.
        let kept = || {
            let port = here(0)?.local_addr()?.port();
            here(port)
        };
        let listener = (0..9).find_map(|_| kept().ok());
        Self::Tcp(listener.expect("no port for a proxy"))
    }

    pub(super) fn unix(path: PathBuf) -> Self {
        let mut door = Self::Unix(path, None);
        door.listen(BACKLOG)
            .unwrap_or_else(|e| panic!("no socket for a proxy: {e}"));
        door
    }

    pub(super) fn port(&self) -> u16 {
        self.address().port()
    }

    fn address(&self) -> SocketAddr {
        let Self::Tcp(listener) = self else {
            panic!("it has a path and no port");
        };
        listener
            .local_addr()
            .expect("a bound socket has an address")
    }

    /// Listens, also after it refused.
    fn listen(&mut self, backlog: i32) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                rustix::net::listen(&*listener, backlog)?;
            }
            Self::Unix(path, listener) => {
                if listener.is_none() {
                    let _ = std::fs::remove_file(&*path);
                    let bound = std::os::unix::net::UnixListener::bind(&*path)?;
                    bound.set_nonblocking(true)?;
                    *listener = Some(bound);
                }
                let listener = listener.as_ref().map(AsFd::as_fd);
                rustix::net::listen(listener.expect("it is there now"), backlog)?;
            }
        }
        Ok(())
    }

    fn open(&mut self) -> io::Result<Open> {
        self.listen(BACKLOG)?;
        Ok(match self {
            Self::Tcp(listener) => Open::Tcp(net::TcpListener::from_std(listener.try_clone()?)?),
            Self::Unix(_, listener) => {
                let listener = listener.as_ref().expect("it listens");
                Open::Unix(net::UnixListener::from_std(listener.try_clone()?)?)
            }
        })
    }

    /// Whoever comes is refused.
    fn close(&mut self) -> io::Result<()> {
        match self {
            // The port stays ours: a socket that is bound and does not listen.
            Self::Tcp(listener) => rustix::net::shutdown(&*listener, Shutdown::Both)?,
            Self::Unix(_, listener) => *listener = None,
        }
        Ok(())
    }

    /// Takes no connection, and lets no more queue up.
    async fn fill(&mut self) -> io::Result<Vec<Client>> {
        self.listen(0)?;
        let mut fillers = Vec::new();
        while fillers.len() < MOST_FILLERS {
            let connected = match self {
                Self::Tcp(_) => timeout(AT_ONCE, TcpStream::connect(self.address()))
                    .await
                    .map(|stream| stream.map(Client::Tcp)),
                Self::Unix(path, _) => timeout(AT_ONCE, UnixStream::connect(&*path))
                    .await
                    .map(|stream| stream.map(Client::Unix)),
            };
            match connected {
                Ok(Ok(filler)) => fillers.push(filler),
                _ => return Ok(fillers),
            }
        }
        panic!("a queue of none takes {MOST_FILLERS} connections");
    }
}

impl Open {
    async fn accept(&self) -> io::Result<Client> {
        Ok(match self {
            Self::Tcp(listener) => Client::Tcp(listener.accept().await?.0),
            Self::Unix(listener) => Client::Unix(listener.accept().await?.0),
        })
    }
}

/// Takes connections until the proxy is dropped.
pub(super) async fn serve(mut door: Door, behind: Receiver<Behind>, mut fault: Receiver<Fault>) {
    let mut open = None;
    loop {
        let now = fault.borrow_and_update().clone();
        let fillers = match now {
            Fault::Refused | Fault::BlackHole => {
                open = None;
                match now {
                    Fault::Refused => door.close().map(|()| Vec::new()),
                    _ => door.fill().await,
                }
                .unwrap_or_else(|e| broken(&e))
            }
            _ => {
                if open.is_none() {
                    open = Some(door.open().unwrap_or_else(|e| broken(&e)));
                }
                Vec::new()
            }
        };
        loop {
            let accepted = async {
                match &open {
                    Some(open) => open.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = fault.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                accepted = accepted => match accepted {
                    Ok(client) => {
                        tokio::spawn(way::lead(client, behind.clone(), fault.clone()));
                    }
                    // Of a client that is gone again.
                    Err(_) => tokio::task::yield_now().await,
                },
            }
        }
        drop(fillers);
    }
}

fn broken(error: &io::Error) -> ! {
    panic!("a proxy cannot listen: {error}")
}
