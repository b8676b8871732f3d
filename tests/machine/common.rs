//! What the tests of the machine share: one at a time, a report, a plugin, an agent
//! with hurried alerts.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Agent, PluginBuilder, PluginRun, Server, eventually, health, skipped};

/// The program.
pub const BINARY: &str = env!("CARGO_BIN_EXE_redis-frag");

/// For what must come at all: generous, for the machine may be busy.
pub const SOON: Duration = Duration::from_secs(20);

/// INFO's memory figures are of the server's last tick, 100 ms ago or more.
pub const TICK: Duration = Duration::from_millis(300);

pub const MB: u64 = 1_000_000;

const SHIPPED: &str = include_str!("../../health.d/redis_frag.conf");

/// Keeps all other tests of this binary waiting until it is dropped.
pub fn alone() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A line that no capture of the test's output hides.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What the machine gave, or `None` after saying that the test is skipped and why.
pub fn or_skip<T>(test: &str, given: Result<T, String>) -> Option<T> {
    given.map_err(|why| skipped(&format!("{test}: {why}"))).ok()
}

/// The report on an address, as a program reads it.
pub fn diagnose(address: &str) -> Value {
    diagnosed(Command::new(BINARY), address)
}

/// The same by a command that runs the program.
pub fn diagnosed(mut command: Command, address: &str) -> Value {
    let output = command
        .args(["diagnose", address, "--json"])
        .env("NETDATA_USER_CONFIG_DIR", "/nonexistent")
        .env("NETDATA_STOCK_CONFIG_DIR", "/nonexistent")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| {
        let told = String::from_utf8_lossy(&output.stderr);
        panic!("{address}: {error} in:\n{text}\n{told}")
    })
}

/// The risk of this name in a report.
pub fn risk<'a>(report: &'a Value, name: &str) -> Option<&'a Value> {
    let risks = report["risks"].as_array().unwrap();
    risks.iter().find(|risk| risk["risk"] == name)
}

/// Why a verdict was ruled out.
#[track_caller]
pub fn ruled_out(report: &Value, verdict: &str) -> String {
    let all = report["ruled_out"].as_array().unwrap();
    let found = all.iter().find(|ruled| ruled["verdict"] == verdict);
    let found = found.unwrap_or_else(|| panic!("{verdict} is not ruled out: {report}"));
    found["reason"].as_str().unwrap().to_owned()
}

/// Jobs `a`, `b`, … for these addresses; beside jobs nothing is looked for.
pub fn jobs(addresses: &[String]) -> String {
    let job =
        |(address, name): (&String, char)| format!("  - name: {name}\n    address: {address}\n");
    let jobs: String = addresses.iter().zip('a'..).map(job).collect();
    format!("jobs:\n{jobs}")
}

/// The plugin on these servers, as jobs `a`, `b`, …
pub fn plugin(servers: &[&Server]) -> PluginRun {
    builder().user_config(&jobs(&sockets(servers))).start()
}

/// The plugin, each second.
pub fn builder() -> PluginBuilder {
    PluginRun::builder(Path::new(BINARY)).arg("1")
}

/// An agent with the shipped alerts in short, which watches these servers as jobs
/// `a`, `b`, …
pub fn agent(servers: &[&Server]) -> Agent {
    Agent::builder()
        .plugin(Path::new(BINARY))
        .user_config("redis-frag.conf", &jobs(&sockets(servers)))
        .health("redis_frag.conf", &health::hurried(SHIPPED))
        .start()
}

fn sockets(servers: &[&Server]) -> Vec<String> {
    servers.iter().map(|server| server.unix_address()).collect()
}

/// Waits until an alert of a job is raised so, or clear.
#[track_caller]
pub fn wait_alert(agent: &Agent, (job, chart): (char, &str), alert: &str, status: &str) {
    let chart = format!("redis_frag_{job}.{chart}");
    let mut last = None;
    let what = format!("{alert} {status} on {chart}");
    eventually(Duration::from_secs(60), &what, || {
        let now = agent.alarm_status(&chart, alert);
        if now != last {
            eprintln!("{chart} {alert}: {now:?}");
            last.clone_from(&now);
        }
        now.as_deref() == Some(status)
    });
}

/// Statuses that an alert of a job has had, by what its receiver was told.
pub fn told(agent: &Agent, job: char, alert: &str) -> Vec<String> {
    let chart = format!("redis_frag_{job}.");
    let of = |line: String| {
        let words: Vec<&str> = line.split('\t').collect();
        let ours = words.get(6) == Some(&alert) && words.get(7)?.starts_with(&chart);
        ours.then(|| words.get(9).map(|status| (*status).to_owned()))?
    };
    agent.notifications().into_iter().filter_map(of).collect()
}

/// Bytes of a row of `/proc/PID/status`.
pub use crate::support::process::memory as status;

/// Whether two figures are within a share of the second, or so many bytes.
#[track_caller]
pub fn near(what: &str, got: f64, want: f64, share: f64, bytes: u64) {
    let apart = (got - want).abs();
    let allowed = (want.abs() * share).max(bytes as f64);
    assert!(apart <= allowed, "{what}: {got} for {want}");
}
