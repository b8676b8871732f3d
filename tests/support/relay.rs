//! One address behind which another server can be put, as an operator's load balancer or
//! a floating address does.
//!
//! Passes bytes on and knows nothing of what they mean.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What happens to connections that are open when another server is put behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// They are cut.
    Cut,
    /// They go on, and the next bytes reach the new server.
    Keep,
}

struct State {
    target: u16,
    /// Each client, and the server that it was joined to last.
    joined: Vec<(TcpStream, TcpStream)>,
}

/// A running relay; it takes no more connections when dropped.
pub struct Relay {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Relay {
    /// Listens on a free port, in front of this port of 127.0.0.1.
    pub fn start(target: u16) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on 127.0.0.1");
        let address = listener.local_addr().expect("an address that was bound");
        let state = Arc::new(Mutex::new(State {
            target,
            joined: Vec::new(),
        }));
        let theirs = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&theirs);
                thread::spawn(move || {
                    let _ = pass_on(&client, &state);
                    let _ = client.shutdown(Shutdown::Both);
                });
            }
        });
        Relay { address, state }
    }

    /// `redis://127.0.0.1:port`
    pub fn address(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Puts another server behind it.
    pub fn hand_over(&self, target: u16, how: Handover) {
        let mut state = lock(&self.state);
        state.target = target;
        for (client, server) in state.joined.drain(..) {
            if how == Handover::Cut {
                let _ = client.shutdown(Shutdown::Both);
            }
            let _ = server.shutdown(Shutdown::Both);
        }
    }
}

/// What a client says goes to the server that is behind the relay now.
fn pass_on(mut client: &TcpStream, state: &Arc<Mutex<State>>) -> Option<()> {
    let mut buffer = [0; 4096];
    let mut joined: Option<(u16, TcpStream)> = None;
    loop {
        let length = client.read(&mut buffer).ok().filter(|length| *length > 0)?;
        let target = lock(state).target;
        if joined.as_ref().is_none_or(|(port, _)| *port != target) {
            joined = Some((target, join(client, target, state)?));
        }
        joined.as_mut()?.1.write_all(&buffer[..length]).ok()?;
    }
}

/// Connects to a server, whose words go to the client from then on; where it ends the
/// connection, the client's ends too.
fn join(client: &TcpStream, target: u16, state: &Arc<Mutex<State>>) -> Option<TcpStream> {
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else {
        let _ = client.shutdown(Shutdown::Both);
        return None;
    };
    let copy = |stream: &TcpStream| stream.try_clone().ok();
    let (mut from, mut to) = (copy(&server)?, copy(client)?);
    let pair = (copy(client)?, copy(&server)?);
    lock(state).joined.push(pair);
    let state = Arc::clone(state);
    thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        if lock(&state).target == target {
            let _ = to.shutdown(Shutdown::Both);
        }
    });
    Some(server)
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
