//! redis_exporter, what users would otherwise run: fetched where it is not at hand,
//! scraped as Prometheus would.
//!
//! Kept-open HTTP connection, no compression, which spares it work. Knows its options
//! and its paths; must not know the plugin.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::load::{Idle, Servers};
use crate::machine;
use crate::measure::Cost;
use crate::peer::Peer;
use crate::support::eventually;
use crate::support::process::{self, Tie, free_port};

/// Targets that are scraped once a second.
const TARGETS: usize = 100;

/// The Debian package and its program.
const PACKAGE: &str = "prometheus-redis-exporter";

/// What a scrape takes; `None` where there is none to run.
pub fn measure(which: &str, servers: &Servers, idle: Idle, window: Duration) -> Option<Peer> {
    let dir = tempfile::tempdir().unwrap();
    let binary = match which {
        "debian" => fetch(dir.path())?,
        path => PathBuf::from(path),
    };
    let port = free_port();
    let mut child = process::spawn(&binary, Tie::DiesWithUs, |command| {
        command
            .args(["--redis.addr", "", "--web.listen-address"])
            .arg(format!("127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
    })
    .unwrap();
    let agent = ureq::Agent::new_with_defaults();
    let scrape = |target: &str| -> Option<String> {
        let url = format!("http://127.0.0.1:{port}/scrape?target={target}");
        agent
            .get(&url)
            .call()
            .ok()?
            .body_mut()
            .read_to_string()
            .ok()
    };
    let targets = servers.addresses(TARGETS);
    eventually(Duration::from_secs(10), "redis_exporter answers", || {
        scrape(&targets[0]).is_some_and(|page| page.contains("redis_memory_used_bytes"))
    });
    for _ in 0..10 {
        scrape(&targets[0]).unwrap();
    }
    let rss = machine::rss(child.id());
    let mut scrapes = 0;
    let cost = Cost::measure(child.id(), servers, idle, || {
        let (began, pause) = (Instant::now(), Duration::from_secs(1) / TARGETS as u32);
        while began.elapsed() < window {
            let due = began + pause * scrapes;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            scrape(&targets[scrapes as usize % TARGETS]).unwrap();
            scrapes += 1;
        }
    });
    process::kill(&mut child);
    Some(Peer {
        name: format!("redis_exporter {}", version(&binary)),
        is_usual: true,
        cost: cost.of(scrapes),
        rss,
    })
}

/// Debian's, unpacked where it is not installed.
fn fetch(dir: &Path) -> Option<PathBuf> {
    let run = |program: &str, words: &[&str]| {
        let done = Command::new(program)
            .args(words)
            .current_dir(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        done.is_ok_and(|status| status.success())
    };
    let installed = PathBuf::from(format!("/usr/bin/{PACKAGE}"));
    if installed.exists() {
        return Some(installed);
    }
    let unpacked =
        run("apt-get", &["-q", "download", PACKAGE]) && run("sh", &["-c", "dpkg -x *.deb ."]);
    if !unpacked {
        crate::tell(&format!(
            "no peer: `apt-get download {PACKAGE}` failed; name one with --peer-exporter PATH"
        ));
        return None;
    }
    Some(dir.join(format!("usr/bin/{PACKAGE}")))
}

/// As it says itself, on either stream: `... Redis Metrics Exporter 1.45.0-2+b4 ...`
fn version(binary: &Path) -> String {
    let Ok(done) = Command::new(binary).arg("--version").output() else {
        return String::new();
    };
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let mut words = said.split(|c: char| c.is_whitespace() || c == '"');
    let is_version = |word: &&str| {
        let word = word.trim_start_matches('v');
        word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.')
    };
    let word = words.find(is_version).unwrap_or_default();
    let end = word.find('-').unwrap_or(word.len());
    word[..end].trim_start_matches('v').to_owned()
}
