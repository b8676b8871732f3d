//! The plugin: every configured instance watched until the agent goes.
//!
//! Starts and ends the tasks and threads. Must not know what is asked or written.

use std::io;
use std::os::unix::process::parent_id;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit, setrlimit};
use thiserror::Error;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::cli;
use crate::config::load::Loaded;
use crate::netdata::agent::{Agent, Feature};
use crate::netdata::link::{self, Ended, Writer};
use crate::netdata::request::Request;
use crate::source::claims::Claims;
use crate::source::host::Kernel;
use crate::source::threads;

use super::askers;
use super::configured::{Configured, Files};
use super::dyncfg::Dyncfg;
use super::functions::{self, Functions};
use super::logging;
use super::registry::Registry;
use super::roster::Roster;
use super::schedule;
use super::shared::{Names, Nodes, Shared};

/// How long the agent gets to take what is written when the plugin ends. All
/// must be over within a second.
const PATIENCE: Duration = Duration::from_millis(300);

/// How often it is looked whether whoever started us is still there.
const PARENT_EVERY: Duration = Duration::from_secs(1);

/// Why the plugin did not run until somebody ended it.
#[derive(Debug, Error)]
pub enum PluginError {
    /// What the system refused at the start.
    #[error("cannot start: {0}; check the limits of processes and open files of this user")]
    Start(#[from] io::Error),
    /// This thread panicked, without which nothing is charted any more.
    #[error(
        "the thread {0} broke down, which is a defect: ending, for the agent to start it again"
    )]
    Broken(&'static str),
}

/// Why it is to end.
#[derive(Debug)]
enum End {
    /// The agent wants no more of us.
    Done,
    /// This thread panicked.
    Broken(&'static str),
}

/// Runs until the agent, a signal or the end of stdin ends it.
///
/// # Errors
/// What the system refused at the start, when nothing was written yet; or a defect that
/// leaves nothing to go on with. Agents start a plugin again that ends so, where it has
/// collected anything before.
pub fn run(agent: &Agent, interval: Option<u32>) -> Result<(), PluginError> {
    // Before anything that may take its time.
    let parent = parent_id();
    logging::detach()?;
    log::info!("redis-frag {}", cli::VERSION);
    log::debug!("told by the agent: {agent:?}");
    let interval = interval.or(agent.update_every).unwrap_or(1);
    raise_descriptors();
    let files = Files::of(agent, interval);
    // What still comes from the dashboard, or with the next SIGHUP, is watched all the same.
    let loaded = catch_unwind(AssertUnwindSafe(|| files.load())).unwrap_or_else(|_| {
        log::error!("reading the configuration broke down, which is a defect; none of it counts");
        Loaded::default()
    });
    let (end, ended) = mpsc::channel(8);
    let tell = end.clone();
    let writer = Writer::to_stdout(move |ended| {
        let _ = tell.try_send(match ended {
            Ended::Gone(error) => {
                log::info!("the agent reads no more ({error})");
                End::Done
            }
            Ended::Broken => End::Broken("stdout"),
        });
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
        .build()?;
    // What answers by itself is watched without.
    if let Err(error) = threads::all().ready() {
        log::warn!("no thread to look up names and read files is to be had: {error}");
    }
    let configured = Configured::new(files, roster);
    let watching = watch_all(configured, loaded, functions, (ended, parent));
    let done = finish(runtime, watching);
    writer.drain(PATIENCE);
    done
}

/// Does what there is to do, and says how it ended.
fn finish(
    runtime: Runtime,
    work: impl Future<Output = Result<(), PluginError>>,
) -> Result<(), PluginError> {
    let done = catch_unwind(AssertUnwindSafe(|| runtime.block_on(work)));
    runtime.shutdown_background();
    done.unwrap_or(Err(PluginError::Broken("main")))
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
    end: mpsc::Sender<End>,
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
    let tell = end.clone();
    let take = move |request| match request {
        Request::Quit => end.try_send(End::Done).is_ok(),
        request => {
            if known {
                inbox.take(request);
            }
            true
        }
    };
    link::read(io::stdin(), take, move || {
        let _ = tell.try_send(End::Broken("stdin"));
    })?;
    Ok((registry, functions))
}

async fn watch_all(
    mut configured: Configured,
    loaded: Loaded,
    mut functions: Functions,
    (mut ended, parent): (mpsc::Receiver<End>, u32),
) -> Result<(), PluginError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let hang_up = signal(SignalKind::hangup())?;
    configured.apply(loaded).await;
    let mut reloading = JoinSet::new();
    reloading.spawn(configured.reload_on(hang_up));
    let mut done = Ok(());
    tokio::select! {
        // A thread that broke down also asks no more.
        biased;
        end = ended.recv() => match end {
            Some(End::Broken(thread)) => done = Err(PluginError::Broken(thread)),
            Some(End::Done) | None => log::info!("the agent is done with us: ending"),
        },
        _ = terminate.recv() => log::info!("SIGTERM: ending"),
        _ = interrupt.recv() => log::info!("SIGINT: ending"),
        () = link::stdout_closed() => log::info!("the agent reads no more: ending"),
        () = orphaned(parent) => log::info!("the agent is gone: ending"),
        () = functions.serve() => log::info!("the agent asks no more: ending"),
    }
    functions.close();
    done
}

/// Waits until the process that started us, by its id, is gone. Our pipes close with it, but not where
/// another process that it started has them open too.
async fn orphaned(parent: u32) {
    while parent_id() == parent {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        // Together with collections: each waking up by itself costs more than the look.
        let wait = schedule::wait(wall.unwrap_or_default(), PARENT_EVERY, Duration::ZERO);
        sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How the plugin ends that is told so, while it watches nothing.
    fn ended(told: End) -> Result<(), PluginError> {
        let writer = Writer::start(io::sink(), |_| {}).unwrap();
        let shared = Shared::made_up(writer.clone());
        let (epoch, registry) = (shared.epoch, shared.registry.clone());
        let askers = askers::Askers::new();
        let (inbox, functions) = Functions::new(writer, registry, epoch, true, askers);
        let files = Files::of(&Agent::from_env(|_| None), 1);
        let configured = Configured::new(files, Roster::new(shared, false));
        let (end, ended) = mpsc::channel(8);
        end.try_send(told).unwrap();
        // As a thread that broke down leaves it: nobody asks any more either.
        drop(inbox);
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let loaded = Loaded::default();
        let watching = async {
            let ended = (ended, parent_id());
            let watching = watch_all(configured, loaded, functions, ended);
            tokio::time::timeout(Duration::from_secs(20), watching).await
        };
        runtime.block_on(watching).unwrap()
    }

    #[test]
    fn whose_parent_went_before_it_was_watched_ends_at_once() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let went = orphaned(u32::MAX);
        let mut went = std::pin::pin!(went);
        runtime.unwrap().block_on(std::future::poll_fn(|context| {
            assert!(went.as_mut().poll(context).is_ready());
            std::task::Poll::Ready(())
        }));
    }

    /// Though something hangs in a thread of its own.
    #[test]
    fn a_defect_met_by_the_main_thread_is_an_error_at_once() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let start = Instant::now();
        let (let_go, hangs) = std::sync::mpsc::channel::<()>();
        let done = finish(runtime, async move {
            tokio::task::spawn_blocking(move || hangs.recv());
            tokio::task::yield_now().await;
            panic!("made up")
        });
        let told = done.unwrap_err().to_string();
        assert!(told.starts_with("the thread main broke down"), "{told}");
        assert!(start.elapsed() < Duration::from_secs(20));
        drop(let_go);
    }

    /// So that the process ends with an error, and agents start it again.
    #[test]
    fn a_thread_that_broke_down_is_an_error_and_the_agents_word_is_none() {
        assert!(ended(End::Done).is_ok());
        for thread in ["stdin", "stdout"] {
            let error = ended(End::Broken(thread)).unwrap_err();
            let told = error.to_string();
            assert!(
                told.starts_with(&format!("the thread {thread} broke down")),
                "{told}"
            );
        }
    }
}
