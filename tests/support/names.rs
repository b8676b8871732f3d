//! A name server of the tests' own on the loopback, for one process: it answers, fails,
//! knows no name or is silent, as it is told.
//!
//! Answers questions for IPv4 addresses (RFC 1035); knows nothing of who asks. Needs root,
//! for port 53 and a mount namespace.

use std::collections::HashMap;
use std::io::Write;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tempfile::TempDir;

use super::process;

/// What comes of a question for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This address.
    Address([u8; 4]),
    /// The server cannot tell (SERVFAIL).
    Failure,
    /// There is no such name (NXDOMAIN).
    Unknown,
    /// Nothing at all.
    Silence,
}

#[derive(Default)]
struct State {
    answers: HashMap<String, Answer>,
    asked: HashMap<String, usize>,
}

/// A running name server; it ends with the process.
pub struct Names {
    state: Arc<Mutex<State>>,
    dir: TempDir,
}

impl Names {
    /// Starts one for a process whose resolv.conf has these lines too; `None`, and a word
    /// about it, where this machine does not allow it.
    pub fn start(options: &str) -> Option<Names> {
        match Self::try_start(options) {
            Ok(names) => Some(names),
            Err(why) => {
                // Not captured: it is to be seen.
                let _ = writeln!(std::io::stderr(), "SKIPPED: no name server: {why}");
                None
            }
        }
    }

    fn try_start(options: &str) -> Result<Names, String> {
        let socket = free_address()?;
        let address = socket.local_addr().map_err(|e| e.to_string())?.ip();
        let dir = process::short_dir();
        let conf = dir.path().join("resolv.conf");
        std::fs::write(&conf, format!("nameserver {address}\n{options}"))
            .map_err(|e| format!("{}: {e}", conf.display()))?;
        let state = Arc::new(Mutex::new(State::default()));
        let names = Names {
            state: Arc::clone(&state),
            dir,
        };
        let mut words = names.words();
        let program = words.remove(0);
        let tried = Command::new(program).args(words).arg("true").output();
        let tried = tried.map_err(|e| format!("unshare: {e}"))?;
        if !tried.status.success() {
            return Err(String::from_utf8_lossy(&tried.stderr).into_owned());
        }
        thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                let mut state = lock(&state);
                if let Some(reply) = reply(&question[..length], &mut state) {
                    let _ = socket.send_to(&reply, from);
                }
            }
        });
        Ok(names)
    }

    /// The words that run a program which asks this server.
    pub fn words(&self) -> Vec<String> {
        let conf = self.dir.path().join("resolv.conf");
        let mount = format!(
            "mount --bind {} /etc/resolv.conf && exec \"$@\"",
            conf.display()
        );
        let words = ["unshare", "--mount", "sh", "-c", &mount, "sh"];
        words.map(str::to_string).to_vec()
    }

    /// What comes of questions for a name from now on. Names that nobody has set are not
    /// known.
    pub fn set(&self, name: &str, answer: Answer) {
        lock(&self.state).answers.insert(name.to_string(), answer);
    }

    /// How many questions there were for a name.
    pub fn asked(&self, name: &str) -> usize {
        lock(&self.state).asked.get(name).copied().unwrap_or(0)
    }
}

/// The port is always 53, so the address is to be free: those of other tests are left alone.
fn free_address() -> Result<UdpSocket, String> {
    let mut why = String::new();
    for try_number in 0..200_u32 {
        let place = std::process::id().wrapping_mul(7).wrapping_add(try_number);
        let [_, _, high, low] = place.to_be_bytes();
        match UdpSocket::bind((Ipv4Addr::new(127, 53, high, low.clamp(1, 254)), 53)) {
            Ok(socket) => return Ok(socket),
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}

/// The answer to a question, where there is to be one.
fn reply(question: &[u8], state: &mut State) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    let mut at = 12;
    while *question.get(at)? > 0 {
        let length = usize::from(question[at]);
        labels.push(String::from_utf8_lossy(question.get(at + 1..=at + length)?).into_owned());
        at += 1 + length;
    }
    let end = at + 5;
    let kind = question.get(at + 1..at + 3)?;
    let name = labels.join(".");
    *state.asked.entry(name.clone()).or_default() += 1;
    let answer = state.answers.get(&name).copied().unwrap_or(Answer::Unknown);
    let (code, address) = match answer {
        Answer::Silence => return None,
        Answer::Failure => (2, None),
        Answer::Unknown => (3, None),
        // Type A; of others there are none.
        Answer::Address(address) => (0, (kind == [0, 1]).then_some(address)),
    };
    let mut reply = question.get(..2)?.to_vec();
    // A response, recursion desired and available.
    reply.extend([
        0x81,
        0x80 | code,
        0,
        1,
        0,
        u8::from(address.is_some()),
        0,
        0,
        0,
        0,
    ]);
    reply.extend(question.get(12..end)?);
    if let Some(address) = address {
        // The name of the question; type A, class IN; no time to live.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        reply.extend(address);
    }
    Some(reply)
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
