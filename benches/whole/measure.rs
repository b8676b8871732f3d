//! What a collector takes over a time: its own processor time and memory, and the
//! servers'.
//!
//! Knows processes and servers, not how any collector is started.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::lateness::Lateness;
use crate::load::{Idle, Servers, Taken};
use crate::machine;
use crate::plugin::Plugin;

/// What a collector took, per collection.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Collections, by the servers' count of INFO calls.
    pub collections: u32,
    /// Its processor time in all.
    pub total: Duration,
    /// Its resident memory at the beginning and at the end, bytes.
    pub rss: (u64, u64),
    /// What the servers took for all of them.
    pub servers: Taken,
}

impl Cost {
    /// Watches a collector while `during` passes.
    pub fn measure(pid: u32, servers: &Servers, idle: Idle, during: impl FnOnce()) -> Self {
        let first = machine::rss(pid);
        let (servers, total) = servers.watch(idle, || {
            let before = machine::cpu(pid);
            during();
            machine::cpu(pid) - before
        });
        Self {
            collections: servers.calls.max(1),
            total,
            rss: (first, machine::rss(pid)),
            servers,
        }
    }

    /// The same for so many collections: of a collector that asks more than one INFO.
    pub fn of(self, collections: u32) -> Self {
        Self {
            collections: collections.max(1),
            ..self
        }
    }

    /// Its processor time for one collection.
    pub fn cpu(&self) -> Duration {
        self.total / self.collections
    }

    /// The main thread's time of the server for one collection.
    pub fn server(&self) -> Duration {
        self.servers.cpu / self.collections
    }

    /// What the server itself says that one INFO takes.
    pub fn info(&self) -> Duration {
        self.servers.within / self.servers.calls.max(1)
    }
}

/// What the plugin took and how it kept its times.
#[derive(Debug, Clone)]
pub struct Ours {
    /// Its cost.
    pub cost: Cost,
    /// How late its collections were.
    pub lateness: Lateness,
    /// Bytes of its output in a second.
    pub output: f64,
    /// Bytes of definitions in the whole time.
    pub definitions: u64,
}

/// Watches a plugin whose instances have all answered.
pub fn plugin(
    plugin: &Plugin,
    servers: &Servers,
    idle: Idle,
    instances: usize,
    window: Duration,
) -> Ours {
    // The first seconds have the definitions of what changes rarely.
    std::thread::sleep(Duration::from_secs(5));
    let (bytes, definitions) = plugin.bytes();
    let from = wall();
    let cost = Cost::measure(plugin.pid(), servers, idle, || {
        std::thread::sleep(window);
    });
    let took = wall() - from;
    let (all_bytes, all_definitions) = plugin.bytes();
    // The last collection that was due has its time too.
    std::thread::sleep(Duration::from_secs(2));
    let all: Vec<usize> = (0..instances).collect();
    Ours {
        cost,
        lateness: plugin.lateness(&all, from, window),
        output: (all_bytes - bytes) as f64 / took.as_secs_f64(),
        definitions: all_definitions - definitions,
    }
}

/// The wall clock, by which the plugin's collections are due.
pub fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}
