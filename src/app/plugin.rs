//! The plugin: every configured instance watched until the agent goes.
//!
//! Starts and ends the tasks and threads. Must not know what is asked or written.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::config::load::Loaded;
use crate::netdata::agent::{Agent, Feature};
use crate::netdata::link::{self, Writer};
use crate::netdata::request::Request;
use crate::source::claims::Claims;
use crate::source::host::Kernel;

use super::LOOKUP_THREADS;
use super::askers;
use super::configured::{Configured, Files};
use super::dyncfg::Dyncfg;
use super::functions::{self, Functions};
use super::registry::Registry;
use super::roster::Roster;
use super::shared::{Names, Nodes, Shared};

/// How long the agent gets to take what is written when the plugin ends. All
/// must be over within a second.
const PATIENCE: Duration = Duration::from_millis(300);

/// Why the plugin could not start.
#[derive(Debug, Error)]
#[error("cannot start: {0}; check the limits of processes and open files of this user")]
pub struct StartError(#[from] io::Error);

/// Runs until the agent, a signal or the end of stdin ends it.
///
/// # Errors
/// What the system refused at the start. Nothing was written then.
pub fn run(agent: &Agent, interval: Option<u32>) -> Result<(), StartError> {
    log::debug!("told by the agent: {agent:?}");
    let interval = interval.or(agent.update_every).unwrap_or(1);
    raise_descriptors();
    let files = Files::of(agent, interval);
    let loaded = files.load();
    let (end, ended) = mpsc::channel(8);
    let broken = end.clone();
    let writer = Writer::start(link::stdout(), move |error| {
        log::info!("the agent reads no more ({error})");
        let _ = broken.try_send(());
    })?;
    let epoch = Instant::now();
    let (registry, mut functions) = serving(agent, &writer, epoch, end)?;
    let shared = Shared {
        writer: writer.clone(),
        claims: Claims::default(),
        epoch,
        with_nodes: agent.understands(Feature::VirtualNodes),
        with_labels: agent.understands(Feature::Labels),
        kernel: Arc::new(Kernel::new(agent.host_prefix.as_deref())),
        forget_after: Arc::default(),
        registry,
        next: Arc::default(),
        names: Names::default(),
        nodes: Nodes::default(),
    };
    // A job that the operator disabled in the dashboard must not begin before the agent
    // has said so.
    let dynamic = agent.understands(Feature::Dyncfg);
    let roster = Roster::new(shared, dynamic);
    if dynamic {
        let stock = agent.stock_config_dir.clone();
        functions.configure(Dyncfg::new(roster.clone(), interval, stock));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(LOOKUP_THREADS)
        .build()?;
    let configured = Configured::new(files, roster);
    let done = runtime.block_on(watch_all(configured, loaded, functions, ended));
    // A name that is being resolved must not hold up the end.
    runtime.shutdown_background();
    writer.drain(PATIENCE);
    Ok(done?)
}

/// Takes all the open files that this user may have: each instance holds one or two, and
/// a process begins with 1024 for the sake of `select`, which nothing in here uses.
fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        log::debug!("the limit of open files stays as it is: {error}");
    }
}

/// Starts to read what the agent asks. An agent that does not know functions can
/// only end us.
fn serving(
    agent: &Agent,
    writer: &Writer,
    epoch: Instant,
    end: mpsc::Sender<()>,
) -> io::Result<(Registry, Functions)> {
    let askers = askers::all();
    let known = agent.understands(Feature::Functions);
    let registry = if known {
        Registry::announcing(writer.clone(), functions::offers(&askers))
    } else {
        Registry::default()
    };
    let progress = agent.understands(Feature::Progress);
    let (inbox, functions) =
        Functions::new(writer.clone(), registry.clone(), epoch, progress, askers);
    link::read(io::stdin(), move |request| match request {
        Request::Quit => end.try_send(()).is_ok(),
        request => {
            if known {
                inbox.take(request);
            }
            true
        }
    })?;
    Ok((registry, functions))
}

async fn watch_all(
    mut configured: Configured,
    loaded: Loaded,
    mut functions: Functions,
    mut ended: mpsc::Receiver<()>,
) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let hang_up = signal(SignalKind::hangup())?;
    configured.apply(loaded).await;
    let mut reloading = JoinSet::new();
    reloading.spawn(configured.reload_on(hang_up));
    tokio::select! {
        _ = terminate.recv() => log::info!("SIGTERM: ending"),
        _ = interrupt.recv() => log::info!("SIGINT: ending"),
        () = link::stdout_closed() => log::info!("the agent reads no more: ending"),
        _ = ended.recv() => log::info!("the agent is done with us: ending"),
        () = functions.serve() => log::info!("the agent asks no more: ending"),
    }
    functions.close();
    Ok(())
}
