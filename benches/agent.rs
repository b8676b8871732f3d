//! What a real Netdata agent costs for the instances of the plugin: CPU and resident
//! memory of the agent with 0 to 500 of them, in memory and with the disk database,
//! and of a parent that one to five such agents stream to; the plugin's own beside it.
//!
//! `cargo bench --bench agent`, about twenty minutes; all instances are jobs over four
//! real servers. Words behind `--` choose parts: ram, dbengine, less, streamed.
//! REDIS_FRAG_BENCH_SECONDS sets how long each is watched.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should stop"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Agent, AgentBuilder, Kind, Server};

const SHIPPED: &str = include_str!("../health.d/redis_frag.conf");

/// Until every chart is there.
const START_LIMIT: Duration = Duration::from_secs(180);

/// Between that and the first reading: definitions, replication and the first status of
/// every alert, which the agent writes down one by one, are over.
fn settling(instances: usize) -> Duration {
    Duration::from_secs(15) + Duration::from_millis(300) * u32::try_from(instances).unwrap()
}

const WATCHED: Duration = Duration::from_secs(30);

/// What a user can set to pay less.
const LESS: [&str; 2] = [
    "update_every: 10",
    "charts: [fragmentation, headroom, diagnosis]",
];

/// Seconds of values that an agent keeps in memory, as Netdata advises for a child.
const RETENTION: &str = "1200";

fn main() {
    let watched = std::env::var("REDIS_FRAG_BENCH_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .map_or(WATCHED, Duration::from_secs);
    let servers: Vec<Server> = Kind::ALL.into_iter().map(Server::start).collect();
    say(&format!(
        "{}\neach watched for {} s, a collection a second, jobs over {} real servers by unix socket\n",
        machine(),
        watched.as_secs(),
        servers.len()
    ));
    say(&Cost::head());
    if wanted("ram") {
        let costs = [0, 10, 100].map(|count| alone(&servers, count, "ram", "", watched));
        say(&format!("{}\n", costs[2].beyond(&costs[0])));
    }
    if wanted("dbengine") {
        let costs = [0, 100, 500].map(|count| alone(&servers, count, "dbengine", "", watched));
        say(&costs[1].beyond(&costs[0]));
        say(&format!("{}\n", costs[2].beyond(&costs[1])));
    }
    if wanted("less") {
        for less in LESS {
            say(&format!("with {less}"));
            let costs = [0, 100].map(|count| alone(&servers, count, "dbengine", less, watched));
            say(&format!("{}\n", costs[1].beyond(&costs[0])));
        }
    }
    if wanted("streamed") {
        let costs = [(1, 0), (1, 100), (5, 100)]
            .map(|(children, each)| streamed(&servers, children, each, watched));
        say(&costs[1].beyond(&costs[0]));
        say(&format!("{}\n", costs[2].beyond(&costs[1])));
    }
    say("cargo bench --bench agent");
}

/// Whether this part was asked for; without a word all are.
fn wanted(part: &str) -> bool {
    let mut words = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .peekable();
    words.peek().is_none() || words.any(|word| word == part)
}

#[expect(clippy::print_stdout, reason = "a benchmark's result, for a person")]
fn say(line: &str) {
    println!("{line}");
}

/// An agent that keeps, judges and shows what it collects.
fn alone(servers: &[Server], count: usize, mode: &str, keys: &str, watched: Duration) -> Cost {
    let agent = judging(kept(Agent::builder(), mode))
        .plugin(plugin())
        .user_config("redis-frag.conf", &jobs(servers, count, "", keys))
        .start();
    settle(|path| agent.try_get(path).is_ok(), count, "");
    let mut readings = [Reading::begin(agent.pid()), Reading::begin(only(&agent))];
    std::thread::sleep(watched);
    let [agent_cost, plugin] = readings.each_mut().map(|reading| reading.end());
    let (charts, dimensions) = counted(&agent.charts());
    let cost = Cost {
        what: format!("agent, {mode}"),
        instances: count,
        charts,
        dimensions,
        agent: agent_cost,
        plugin: Some(plugin),
    };
    say(&cost.row());
    complaints(&agent);
    cost
}

/// A machine too busy for its clock shows here.
fn complaints(agent: &Agent) {
    for line in agent.complaints() {
        say(&format!("  it says: {line}"));
    }
}

/// A parent with the disk database and the alerts, and the children that stream to it
/// and keep a little in memory. The cost is the parent's; the first child's is said
/// beside.
fn streamed(servers: &[Server], children: usize, each: usize, watched: Duration) -> Cost {
    let parent = judging(kept(Agent::builder().hostname("parent"), "dbengine"))
        .takes_streams("dbengine")
        .start();
    let children: Vec<Agent> = (0..children)
        .map(|number| {
            kept(Agent::builder().hostname(&format!("child{number}")), "ram")
                .setting("health", "enabled", "no")
                .plugin(plugin())
                .user_config(
                    "redis-frag.conf",
                    &jobs(servers, each, &format!("c{number}"), ""),
                )
                .streams_to(&parent)
                .start()
        })
        .collect();
    for (number, child) in children.iter().enumerate() {
        let there = parent.received_from(child);
        settle(
            |path| there.get(path).is_some(),
            each,
            &format!("c{number}"),
        );
    }
    let mut of_parent = Reading::begin(parent.pid());
    let mut of_children: Vec<[Reading; 2]> = children
        .iter()
        .map(|child| [Reading::begin(child.pid()), Reading::begin(only(child))])
        .collect();
    std::thread::sleep(watched);
    let agent = of_parent.end();
    let [child, plugin] = of_children[0].each_mut().map(|reading| reading.end());
    let counts = children
        .iter()
        .map(|child| counted(&parent.received_from(child).charts()));
    let (charts, dimensions) = counts.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let cost = Cost {
        what: format!("parent of {}, dbengine", children.len()),
        instances: children.len() * each,
        charts,
        dimensions,
        agent,
        plugin: None,
    };
    say(&cost.row());
    complaints(&parent);
    let first = Cost {
        what: "  one child of it, ram".to_string(),
        instances: each,
        charts: charts / children.len(),
        dimensions: dimensions / children.len(),
        agent: child,
        plugin: Some(plugin),
    };
    say(&first.row());
    cost
}

fn plugin() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_redis-frag"))
}

fn kept(builder: AgentBuilder, mode: &str) -> AgentBuilder {
    builder
        .setting("db", "mode", mode)
        .setting("db", "retention", RETENTION)
}

/// With the alerts as they are shipped to an agent before 1.43.
fn judging(builder: AgentBuilder) -> AgentBuilder {
    let lines = SHIPPED.lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("summary:"));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    builder
        .health("redis_frag.conf", &text)
        .setting("health", "run at least every seconds", "10")
}

/// Jobs over the servers in turn, with these keys above all of them.
fn jobs(servers: &[Server], count: usize, prefix: &str, keys: &str) -> String {
    let job = |(number, server): (usize, &Server)| {
        let address = server.unix_address();
        format!("  - {{name: {prefix}job{number:03}, address: '{address}', timeout: 5}}\n")
    };
    let jobs: String = (0..count).zip(servers.iter().cycle()).map(job).collect();
    if count == 0 {
        return "discovery:\n  local: no\njobs: []\n".to_string();
    }
    format!("{keys}\njobs:\n{jobs}")
}

fn only(agent: &Agent) -> u32 {
    let pids = agent.plugin_pids();
    assert_eq!(pids.len(), 1, "one plugin: {pids:?}");
    pids[0]
}

/// Waits until each instance has its charts and the rush of the start is over. Asks for
/// little: the list of all charts would need more memory than they do.
fn settle(is_there: impl Fn(&str) -> bool, instances: usize, prefix: &str) {
    let began = Instant::now();
    for number in 0..instances {
        let path = format!("/api/v1/chart?chart=redis_frag_{prefix}job{number:03}.ratio");
        while !is_there(&path) {
            let waited = began.elapsed();
            assert!(waited < START_LIMIT, "{path} is not there after {waited:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    std::thread::sleep(settling(instances));
}

/// Charts and dimensions of the plugin's.
fn counted(charts: &Value) -> (usize, usize) {
    let charts = charts.as_object().into_iter().flatten();
    let ours = charts.filter(|(id, _)| id.starts_with("redis_frag_"));
    ours.fold((0, 0), |(charts, dimensions), (_, chart)| {
        let more = chart["dimensions"].as_object().map_or(0, |all| all.len());
        (charts + 1, dimensions + more)
    })
}

/// A process under watch.
struct Reading {
    pid: u32,
    since: Instant,
    ticks: f64,
}

impl Reading {
    fn begin(pid: u32) -> Self {
        let (since, ticks) = (Instant::now(), ticks(pid));
        Self { pid, since, ticks }
    }

    fn end(&mut self) -> Usage {
        Usage {
            cpu: (ticks(self.pid) - self.ticks) / self.since.elapsed().as_secs_f64(),
            rss: resident(self.pid),
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Usage {
    /// Percent of one core.
    cpu: f64,
    /// Bytes.
    rss: f64,
}

/// One row.
struct Cost {
    what: String,
    instances: usize,
    charts: usize,
    dimensions: usize,
    agent: Usage,
    /// None where it does not collect itself.
    plugin: Option<Usage>,
}

const MIB: f64 = 1_048_576.0;

impl Cost {
    fn head() -> String {
        format!(
            "{:<22} {:>9} {:>6} {:>10} | {:>10} {:>9} | {:>10} {:>9}",
            "",
            "instances",
            "charts",
            "dimensions",
            "agent CPU",
            "RSS MiB",
            "plugin CPU",
            "RSS MiB"
        )
    }

    fn row(&self) -> String {
        let usage = |usage: Usage| format!("{:>9.2}% {:>9.1}", usage.cpu, usage.rss / MIB);
        format!(
            "{:<22} {:>9} {:>6} {:>10} | {} | {}",
            self.what,
            self.instances,
            self.charts,
            self.dimensions,
            usage(self.agent),
            self.plugin.map(usage).unwrap_or_default()
        )
    }

    /// What the instances that this one has more cost the agent, each.
    fn beyond(&self, less: &Cost) -> String {
        let more = |mine: usize, theirs: usize| (mine - theirs) as f64;
        let instances = more(self.instances, less.instances);
        let charts = more(self.charts, less.charts);
        let dimensions = more(self.dimensions, less.dimensions);
        // A percent of a core is 10 ms of it a second.
        let cpu = (self.agent.cpu - less.agent.cpu) * 10_000.0;
        let rss = (self.agent.rss - less.agent.rss) / 1024.0;
        format!(
            "  each of {instances:.0} more: {:.0} µs of CPU a second, {:.0} KiB; of its charts {:.1} µs, \
             {:.1} KiB; of its dimensions {:.2} µs, {:.2} KiB",
            cpu / instances,
            rss / instances,
            cpu / charts,
            rss / charts,
            cpu / dimensions,
            rss / dimensions
        )
    }
}

/// Resident memory of a process, bytes.
fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib * 1024.0
}

/// Ticks of processor time, of which a second has a hundred: so a percentage, for
/// each second.
fn ticks(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let number = |at: usize| fields.split(' ').nth(at).unwrap().parse::<f64>().unwrap();
    number(11) + number(12)
}

/// The processors and the agent.
fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores of {model}")
}
