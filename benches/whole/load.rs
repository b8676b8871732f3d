//! The servers that all are measured over, and what they say of it.
//!
//! Must not know who asks them.

use std::ops::Add;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::machine;
use crate::support::{Kind, Server};

/// Keys in each server: their number is no matter to INFO, but none at all would be.
const KEYS: &str = "1000";

/// Real servers, each on a unix socket of its own.
pub struct Servers(Vec<Server>);

/// What servers took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taken {
    /// Processor time of their main threads.
    pub cpu: Duration,
    /// INFO calls, ours not counted.
    pub calls: u32,
    /// What they say that these took.
    pub within: Duration,
}

/// What a server takes by itself.
#[derive(Debug, Clone, Copy)]
pub struct Idle {
    /// Of its main thread, in a second.
    each: Duration,
}

impl Servers {
    /// Starts so many, with some data.
    pub fn start(count: usize) -> Self {
        let start = |_| {
            let server = Server::builder(Kind::Redis70)
                .socket_only()
                .arg("--maxclients", "4000")
                .start();
            server.ok(&["DEBUG", "POPULATE", KEYS, "key", "100"]);
            server
        };
        Self((0..count).map(start).collect())
    }

    /// Sockets of so many instances.
    pub fn sockets(&self, instances: usize) -> impl Iterator<Item = PathBuf> {
        let sockets = self.0.iter().cycle().take(instances);
        sockets.map(|server| server.socket().to_owned())
    }

    /// Addresses of so many instances.
    pub fn addresses(&self, instances: usize) -> Vec<String> {
        self.sockets(instances)
            .map(|socket| format!("unix://{}", socket.display()))
            .collect()
    }

    /// What INFO says, for a stand-in.
    pub fn info(&self) -> String {
        self.0[0].ok(&["INFO"])
    }

    /// What they take while nobody asks.
    pub fn idle(&self, window: Duration) -> Idle {
        let before: Duration = self.0.iter().map(|s| machine::main_thread(s.pid())).sum();
        std::thread::sleep(window);
        let after: Duration = self.0.iter().map(|s| machine::main_thread(s.pid())).sum();
        let servers = u32::try_from(self.0.len()).unwrap();
        Idle {
            each: (after - before).div_f64(window.as_secs_f64()) / servers,
        }
    }

    /// Lets `during` pass, and says what those of them that were asked meanwhile took
    /// beyond what they take by themselves.
    pub fn watch<T>(&self, idle: Idle, during: impl FnOnce() -> T) -> (Taken, T) {
        let read = || -> Vec<Taken> { self.0.iter().map(taken).collect() };
        let began = Instant::now();
        let before = read();
        let done = during();
        let after = read();
        let alone = idle.each.mul_f64(began.elapsed().as_secs_f64());
        let beyond = |(after, before): (Taken, Taken)| Taken {
            cpu: (after.cpu - before.cpu).saturating_sub(alone),
            // Each was asked by us once in between.
            calls: (after.calls - before.calls).saturating_sub(1),
            within: after.within - before.within,
        };
        let taken = after
            .into_iter()
            .zip(before)
            .map(beyond)
            .filter(|taken| taken.calls > 0)
            .fold(Taken::default(), Add::add);
        (taken, done)
    }
}

fn taken(server: &Server) -> Taken {
    let stats = server.ok(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|l| l.strip_prefix("cmdstat_info:"));
    let number = |name: &str| -> u64 {
        let mut fields = line.unwrap_or_default().split(',');
        let value = fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        value.map_or(0, |value| value.parse().unwrap())
    };
    Taken {
        cpu: machine::main_thread(server.pid()),
        calls: u32::try_from(number("calls")).unwrap(),
        within: Duration::from_micros(number("usec")),
    }
}

impl Add for Taken {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu: self.cpu + other.cpu,
            calls: self.calls + other.calls,
            within: self.within + other.within,
        }
    }
}
