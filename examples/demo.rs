//! A minute and a half in the life of a Redis, as its operator sees it: small and
//! noisy, filled, fragmented, mended by active defrag, recovered.
//!
//! Brings up a private Redis and a private Netdata agent with the plugin
//! installed as a user would, and tells after each scene what the agent itself
//! reports. Ends with a failure where a scene did not come true.
#![allow(clippy::print_stdout, reason = "a program for a person at a terminal")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a demo stops where it cannot go on"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use redis_frag::model::charts::CHARTS;
use support::{Agent, Kind, Server, health};

const HEALTH: &str = include_str!("../health.d/redis_frag.conf");

/// Name of the job, and so part of every chart's id.
const JOB: &str = "demo";

/// What the agent reports at one moment.
struct Seen {
    ratio: f64,
    rss: f64,
    used: f64,
    wasted: f64,
    fragmented: f64,
    defrag_gives: f64,
    purge_gives: f64,
    defrag: String,
    verdict: String,
    alert: String,
}

impl Seen {
    /// `None` until every chart has a value.
    fn through(agent: &Agent) -> Option<Self> {
        let chart = |id: &str| format!("redis_frag_{JOB}.{id}");
        let latest = |id: &str, dimension: &str| agent.latest(&chart(id), dimension);
        let parts = ["fragmented", "releasable", "process", "other"];
        let wasted: Option<Vec<f64>> = parts.iter().map(|part| latest("wasted", part)).collect();
        // Of a chart of states exactly one dimension is 1.
        let state = |id: &str| {
            let chart = CHARTS.iter().find(|chart| chart.id == id)?;
            let mut names = chart.dimensions.iter().map(|dimension| dimension.name);
            let found = names.find(|name| latest(id, name) == Some(1.0));
            found.map(str::to_owned)
        };
        Some(Self {
            ratio: latest("ratio", "ratio")?,
            rss: latest("memory", "rss")?,
            used: latest("memory", "used")?,
            wasted: wasted?.iter().sum(),
            fragmented: latest("wasted", "fragmented")?,
            defrag_gives: latest("reclaimable", "active_defrag")?,
            purge_gives: latest("reclaimable", "memory_purge")?,
            defrag: state("defrag_state")?,
            verdict: state("diagnosis")?,
            alert: agent.alarm_status(&chart("ratio"), "redis_frag_ratio")?,
        })
    }

    fn print(&self) {
        let mb = |bytes: f64| format!("{:.0} MB", bytes / 1e6);
        println!(
            "    ratio {:.2}   RSS {}   used {}",
            self.ratio,
            mb(self.rss),
            mb(self.used)
        );
        println!(
            "    wasted {}, of which fragmented {}",
            mb(self.wasted),
            mb(self.fragmented)
        );
        println!(
            "    would come back: by active defrag {}, by MEMORY PURGE {}",
            mb(self.defrag_gives),
            mb(self.purge_gives)
        );
        println!(
            "    diagnosis: {}   active defrag: {}   alert redis_frag_ratio: {}",
            self.verdict, self.defrag, self.alert
        );
    }

    fn raised(&self) -> bool {
        self.alert == "WARNING" || self.alert == "CRITICAL"
    }
}

/// One part of the story.
struct Scene {
    title: &'static str,
    /// What happens to the Redis.
    act: fn(&Server),
    /// What must become true of what the agent reports, and in words.
    truth: fn(&Seen) -> bool,
    expected: &'static str,
    /// How long it must then stay true.
    holds: Duration,
    /// How long it may take to become true.
    patience: Duration,
}

const STORY: &[Scene] = &[
    Scene {
        title: "small and noisy: 20 MB of data, most of it deleted again",
        act: |redis| {
            redis.fill(20_000_000);
            redis.delete_random(80);
        },
        truth: |seen| seen.ratio > 1.8 && seen.verdict == "small" && seen.alert == "CLEAR",
        expected: "ratio far above 1.5 and yet the alert CLEAR, for there are no 50 MB of data",
        holds: Duration::from_secs(14),
        patience: Duration::from_secs(30),
    },
    Scene {
        title: "filled: 400 MB of values",
        act: |redis| redis.fill(400_000_000),
        truth: |seen| seen.used > 400e6 && seen.verdict == "healthy" && seen.alert == "CLEAR",
        expected: "ratio close to 1, healthy, and the alert CLEAR",
        holds: Duration::from_secs(8),
        patience: Duration::from_secs(20),
    },
    Scene {
        title: "fragmented: 70% of the keys deleted at random",
        act: |redis| {
            redis.delete_random(70);
        },
        truth: |seen| seen.ratio > 2.0 && seen.verdict == "fragmented" && seen.raised(),
        expected: "ratio above 2, found to be fragmented, the alert raised",
        holds: Duration::from_secs(4),
        patience: Duration::from_secs(30),
    },
    Scene {
        title: "active defrag switched on, from 10 MB of fragmentation on (by default 100 MB)",
        act: |redis| {
            redis.ok(&["CONFIG", "SET", "active-defrag-ignore-bytes", "10mb"]);
            redis.ok(&["CONFIG", "SET", "activedefrag", "yes"]);
        },
        truth: |seen| seen.verdict == "defrag_working",
        expected: "active defrag running, and found to be working",
        holds: Duration::ZERO,
        patience: Duration::from_secs(15),
    },
    Scene {
        title: "recovered",
        act: |_| {},
        truth: |seen| seen.verdict == "healthy" && seen.ratio < 1.3 && seen.alert == "CLEAR",
        expected: "ratio below 1.3, healthy, and the alert CLEAR again",
        holds: Duration::ZERO,
        patience: Duration::from_secs(90),
    },
];

fn main() -> ExitCode {
    let keep = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--keep") => true,
        Some(_) => {
            eprintln!("usage: demo [--keep]");
            return ExitCode::from(2);
        }
    };
    let mut redis = Server::builder(Kind::Redis82);
    let mut agent = agent_with_plugin();
    if keep {
        redis = redis.detached();
        agent = agent.detached();
    }
    let redis = redis.start();
    let jobs = format!(
        "jobs:\n  - name: {JOB}\n    address: {}\n",
        redis.unix_address()
    );
    let agent = agent.user_config("redis-frag.conf", &jobs).start();

    println!("Dashboard: {}/ (section Redis Frag {JOB})", agent.url());
    println!(
        "A private {} and a private Netdata agent; nothing else on this machine is touched.",
        redis.kind().name()
    );
    println!(
        "The alerts are a copy of health.d/redis_frag.conf with all time spans cut to 10 seconds.\n"
    );
    let story = tell(&redis, &agent);
    if keep {
        let url = agent.url();
        let (redis_pid, _) = redis.keep();
        let (agent_pid, dir) = agent.keep();
        println!("\nLeft running: {url}/ and {}", dir.display());
        println!("To end them: kill {agent_pid} {redis_pid}");
    }
    match story {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nThe story did not come true: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The plugin goes in by the script that `make install` runs; the alerts' copy
/// goes to the operator's folder, where it stands in for the stock file.
fn agent_with_plugin() -> support::AgentBuilder {
    Agent::builder()
        .hostname("redis-frag-demo")
        .installed_by(|dir| {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/install.sh");
            let installed = Command::new("bash")
                .arg(script)
                .arg("install")
                .env("BINARY", plugin())
                .env("LOCAL", "")
                .env("PLUGINS_DIR", dir.join("plugins"))
                .env("STOCK_DIR", dir.join("stock"))
                .env("CONFIG_DIR", dir.join("etc"))
                .output()
                .expect("cannot run bash");
            let said = String::from_utf8_lossy(&installed.stderr);
            assert!(installed.status.success(), "packaging/install.sh: {said}");
            let copy = dir.join("etc/health.d/redis_frag.conf");
            std::fs::write(copy, health::hurried(HEALTH))
                .expect("cannot write the copy of the alerts");
        })
}

/// The plugin built beside this example.
fn plugin() -> PathBuf {
    let demo = std::env::current_exe().expect("cannot tell where this program lies");
    let plugin = demo
        .parent()
        .and_then(Path::parent)
        .expect("not in target")
        .join("redis-frag");
    assert!(
        plugin.is_file(),
        "no {}: run `make demo`, which builds it",
        plugin.display()
    );
    plugin
}

fn tell(redis: &Server, agent: &Agent) -> Result<(), String> {
    let start = Instant::now();
    for (number, scene) in STORY.iter().enumerate() {
        println!("Scene {} of {}: {}", number + 1, STORY.len(), scene.title);
        (scene.act)(redis);
        let seen = play(scene, agent)?;
        seen.print();
        println!("    as expected: {}\n", scene.expected);
    }
    let complaints = agent.complaints();
    if !complaints.is_empty() {
        return Err(format!(
            "the agent complains of the plugin:\n{}",
            complaints.join("\n")
        ));
    }
    println!(
        "All scenes came true in {} seconds.",
        start.elapsed().as_secs()
    );
    Ok(())
}

/// Waits until the scene's truth has held for as long as it must.
fn play(scene: &Scene, agent: &Agent) -> Result<Seen, String> {
    let end = Instant::now() + scene.patience + scene.holds;
    let mut since = None;
    loop {
        let seen = Seen::through(agent);
        match &seen {
            Some(now) if (scene.truth)(now) => {
                let began = *since.get_or_insert_with(Instant::now);
                if began.elapsed() >= scene.holds {
                    return Ok(seen.expect("just seen"));
                }
            }
            _ => since = None,
        }
        if Instant::now() >= end {
            if let Some(seen) = seen {
                seen.print();
            }
            return Err(format!("expected: {}", scene.expected));
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}
