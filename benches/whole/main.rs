//! What the whole plugin costs: the binary as it is shipped, real servers, the figures
//! that it is to reach beside a bare socket loop and beside another collector, in one
//! table of one run.
//!
//! `cargo bench --bench whole -- --help`. Ends with 1 where a target is missed.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should stop"
)]

#[path = "../../tests/support/mod.rs"]
mod support;

mod exporter;
mod figures;
mod floor;
mod lateness;
mod load;
mod machine;
mod measure;
mod output;
mod peer;
mod plugin;
mod sick;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use figures::{Figures, Run};
use load::Servers;
use plugin::Plugin;

/// Runs the plugin over real servers and prints what it costs.
#[derive(Debug, Parser)]
struct Args {
    /// Numbers of instances; one run for each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100, 500, 1000])]
    instances: Vec<usize>,

    /// Real servers, among which the instances are dealt out: as many connections each.
    #[arg(long, default_value_t = 20)]
    servers: usize,

    /// How long each run is watched once all instances have answered.
    #[arg(long, default_value_t = 60)]
    seconds: u64,

    /// How long the run with the most instances is watched; as the others if not said.
    #[arg(long)]
    longest: Option<u64>,

    /// Also 500 instances of which 16 hang, 16 refuse and 16 come and go.
    #[arg(long)]
    sick: bool,

    /// Another collector beside it, watched for as long: a command line, in which
    /// `{socket}` stands for the path of the first server's socket.
    #[arg(long, value_name = "COMMAND", conflicts_with = "peer_exporter")]
    peer: Option<String>,

    /// `redis_exporter` beside it, scraped once a second for each of 100 targets: the
    /// path of its binary, or `debian` for the one of Debian's package, fetched by
    /// apt-get into a temporary folder.
    #[arg(long, value_name = "PATH")]
    peer_exporter: Option<String>,

    /// Runs this binary instead of the one that was built.
    #[arg(long, value_name = "PATH", default_value = env!("CARGO_BIN_EXE_redis-frag"))]
    plugin: PathBuf,

    /// Starts the plugin with this soft limit of open files, as an agent may.
    #[arg(long, value_name = "NUMBER")]
    descriptors: Option<u64>,

    /// Only prints, and misses no target: for a machine that is not the README's.
    #[arg(long)]
    no_targets: bool,

    /// cargo's own.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some(floor::WORD) {
        floor::run(&words.collect::<Vec<_>>());
    }
    let args = Args::parse();
    machine::raise_descriptors();
    let figures = measure_all(&args);
    say(&figures.table());
    let missed = figures.missed();
    if missed.is_empty() || args.no_targets {
        return ExitCode::SUCCESS;
    }
    for what in missed {
        say(&format!("missed: {what}"));
    }
    ExitCode::FAILURE
}

#[expect(clippy::print_stdout, reason = "a benchmark's result, for a person")]
fn say(text: &str) {
    println!("{text}");
}

/// Tells a person who waits what is under way.
fn tell(text: &str) {
    eprintln!("{text}");
}

fn measure_all(args: &Args) -> Figures {
    tell(&format!("starting {} servers", args.servers));
    let servers = Servers::start(args.servers);
    let mut figures = Figures::new(&args.plugin);
    let window = Duration::from_secs(args.seconds);
    let short = window.min(Duration::from_secs(20));
    let most = args.instances.iter().copied().max().unwrap_or(1);

    tell("the servers by themselves");
    let idle = servers.idle(short);
    for &instances in &args.instances {
        tell(&format!("the floor, {instances} one by one"));
        let floor = floor::measure(&servers, idle, instances, 1, short);
        let window = match args.longest {
            Some(seconds) if instances == most => Duration::from_secs(seconds),
            _ => window,
        };
        tell(&format!("{instances} instances, {} s", window.as_secs()));
        let jobs = servers.addresses(instances);
        let plugin = Plugin::start(&args.plugin, &jobs, args.descriptors);
        figures.runs.push(Run {
            instances,
            floor,
            start: plugin.wait_for_all(instances),
            ours: measure::plugin(&plugin, &servers, idle, instances, window),
        });
    }
    if most >= figures::COMPARED {
        let some = figures::COMPARED;
        tell(&format!("the floor, {some} fifty at a time"));
        figures.together = Some(floor::measure(&servers, idle, some, 50, short));
    }
    tell("starts");
    let one = servers.addresses(1);
    figures.starts = (0..5)
        .map(|_| Plugin::start(&args.plugin, &one, args.descriptors).wait_for_all(1))
        .collect();
    if args.sick {
        tell("sick instances");
        figures.sick = Some(sick::measure(args, &servers, window));
    }
    if let Some(which) = &args.peer_exporter {
        tell("redis_exporter");
        figures.peer = exporter::measure(which, &servers, idle, short);
    }
    if let Some(command) = &args.peer {
        tell("the peer");
        figures.peer = Some(peer::measure(command, &servers, idle, window));
    }
    figures
}
