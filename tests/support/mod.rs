//! What the tests, the demo and the benches stand on: real servers, a real
//! Netdata agent, a plugin run by itself, and a strict reader of what it says.
//!
//! Nothing here knows the crate under test: it drives binaries and reads what
//! they print, so it cannot repeat a mistake of the code it checks.
#![allow(
    dead_code,
    unused_imports,
    reason = "shared by tests, the demo and benches; each uses a part"
)]

pub mod agent;
pub mod answers;
pub mod apart;
pub mod certificates;
pub mod cgroup;
pub mod checker;
pub mod cluster;
pub mod fake;
pub mod folder;
pub mod generated;
pub mod health;
pub mod huge_pages;
pub mod names;
pub mod plugin;
pub mod process;
pub mod proxy;
pub mod secrets;
pub mod sentinels;
pub mod servers;
pub mod swap;
pub mod trace;

pub use agent::{Agent, AgentBuilder, Received};
pub use certificates::{Authority, Certificate};
pub use cgroup::Cgroup;
pub use checker::{AnswerSeen, ChartSeen, Checker, ConfigSeen, DimensionSeen};
pub use cluster::Cluster;
pub use fake::Fake;
pub use huge_pages::HugePages;
pub use plugin::{PluginBuilder, PluginRun};
pub use proxy::{Fault, Handover, Proxy};
pub use sentinels::Sentinels;
pub use servers::{Kind, Rewrite, Server, ServerBuilder};
pub use swap::SwapFile;

use std::io::Write;
use std::time::{Duration, Instant};

/// Says why a test is skipped, past libtest, which shows the output of failed ones alone.
pub fn skipped(why: &str) {
    // Who reads no standard error misses it, and nothing else.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// Polls until `f` holds; panics with `what` when it does not within `limit`.
#[track_caller]
pub fn eventually(limit: Duration, what: &str, f: impl FnMut() -> bool) {
    assert!(becomes_true(limit, f), "not within {limit:?}: {what}");
}

/// Polls until `f` holds or `limit` is over, and says which.
pub fn becomes_true(limit: Duration, mut f: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if f() {
            return true;
        }
        if start.elapsed() >= limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
