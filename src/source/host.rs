//! Reads what the kernel tells of this machine and of single processes on it.
//!
//! Knows where the kernel keeps it, below the agent's prefix for the host's. Must
//! not know which process belongs to whom (that is `identify.rs`), nor what a text
//! means (`procfs.rs`).

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::host::{Cgroup, Host, Machine, Process};

use super::cgroup::{Membership, OutOfSight};
use super::processes::{self, ServerProcess};
use super::procfs::{self, Status};

/// Longest text taken from a file of the kernel's that is read whole: a hundred
/// thousand unix sockets.
const LONGEST: u64 = 16 << 20;

/// How old what all instances share may be: the machine's figures, its processes.
const SHARED: Duration = Duration::from_millis(900);

/// How often it is looked whether limits were changed, and whether a process is
/// still the one it was.
const AGAIN_EVERY: Duration = Duration::from_secs(10);

/// The kernel of the machine that is monitored.
#[derive(Debug)]
pub struct Kernel {
    root: PathBuf,
    machine: Mutex<Option<(Instant, Machine)>>,
    servers: Mutex<Option<Seen>>,
    /// How full cgroups are, shared by all instances below them.
    groups: Mutex<HashMap<PathBuf, (Instant, Cgroup)>>,
    /// A process that is stuck in the kernel may hold up who reads its title: of all
    /// threads it gets these and no more.
    turns: Arc<Semaphore>,
}

/// Server processes, and when they were looked for.
type Seen = (Instant, Arc<Vec<ServerProcess>>);

/// Cgroups beyond which those are let go that nobody asked for lately.
const KEPT_GROUPS: usize = 256;

/// Looks for processes that may be under way at once.
const TURNS: usize = 2;

impl Kernel {
    /// `prefix` stands before `/proc` and `/sys` where the agent runs in a container
    /// that sees the host's there.
    #[must_use]
    pub fn new(prefix: Option<&Path>) -> Self {
        Self {
            root: prefix.map_or_else(|| PathBuf::from("/"), Path::to_owned),
            machine: Mutex::new(None),
            servers: Mutex::new(None),
            groups: Mutex::default(),
            turns: Arc::new(Semaphore::new(TURNS)),
        }
    }

    /// What stands before `/proc` and `/sys`.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file of a process.
    #[must_use]
    pub fn of_process(&self, pid: u32, file: &str) -> PathBuf {
        self.root.join("proc").join(pid.to_string()).join(file)
    }

    /// `/proc/PID/status`.
    ///
    /// # Errors
    /// There is no such process, or it is hidden from this user.
    pub fn status(&self, pid: u32) -> io::Result<Status> {
        Ok(procfs::status(&text(&self.of_process(pid, "status"))?))
    }

    /// When a process was started, in ticks; with its pid, what it is known by.
    #[must_use]
    pub fn start_time(&self, pid: u32) -> Option<u64> {
        procfs::start_time(&text(&self.of_process(pid, "stat")).ok()?)
    }

    /// Whether processes of other users are hidden (`hidepid`).
    #[must_use]
    pub fn hides_processes(&self) -> bool {
        text(&self.of_process(1, "status")).is_err()
    }

    /// How full a cgroup is, read by `read` where that is not known for a second.
    #[must_use]
    pub fn group(&self, folder: &Path, read: impl FnOnce() -> Cgroup) -> Cgroup {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, group)) = groups.get(folder)
            && at.elapsed() < SHARED
        {
            return group.clone();
        }
        // Those that nobody asks for any more go.
        if groups.len() > KEPT_GROUPS {
            groups.retain(|_, (at, _)| at.elapsed() < SHARED);
        }
        let group = read();
        groups.insert(folder.to_owned(), (Instant::now(), group.clone()));
        group
    }

    /// Waits for a turn to look for a process; it is over when dropped.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }

    /// The server processes of the machine, looked for at most a second ago: all who
    /// connect meanwhile share one look. Takes some milliseconds.
    #[must_use]
    pub fn servers(&self) -> Arc<Vec<ServerProcess>> {
        let known = |servers: &Mutex<Option<Seen>>| {
            let known = servers.lock().unwrap_or_else(PoisonError::into_inner);
            let recent = known.as_ref().filter(|(at, _)| at.elapsed() < SHARED);
            recent.map(|(_, servers)| Arc::clone(servers))
        };
        known(&self.servers).unwrap_or_else(|| {
            // Not while others wait: it may take long.
            let servers = Arc::new(processes::all(self));
            let mut known = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
            *known = Some((Instant::now(), Arc::clone(&servers)));
            servers
        })
    }

    /// The machine's figures, at most a second old.
    #[must_use]
    pub fn machine(&self) -> Machine {
        let mut known = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        match *known {
            Some((at, machine)) if at.elapsed() < SHARED => machine,
            _ => {
                let machine = self.read_machine();
                *known = Some((Instant::now(), machine));
                machine
            }
        }
    }

    fn read_machine(&self) -> Machine {
        let of = |path: &str| text(&self.root.join(path)).unwrap_or_default();
        let huge_pages = "sys/kernel/mm/transparent_hugepage";
        Machine {
            kernel: procfs::kernel_version(&of("proc/sys/kernel/osrelease")),
            overcommit: procfs::overcommit(&of("proc/sys/vm/overcommit_memory")),
            swappiness: of("proc/sys/vm/swappiness").trim().parse().ok(),
            huge_pages: procfs::huge_pages(&of(&format!("{huge_pages}/enabled"))),
            huge_pages_wait: procfs::huge_pages_wait(&of(&format!("{huge_pages}/defrag"))),
            ..procfs::meminfo(&of("proc/meminfo"))
        }
    }
}

/// One process that is read again and again.
#[derive(Debug)]
pub struct Watched {
    pid: u32,
    start_time: u64,
    cgroup: Result<Option<Membership>, OutOfSight>,
    cgroup_path: Option<Arc<str>>,
    looked_again: Instant,
}

impl Watched {
    /// Begins with a process that was identified.
    #[must_use]
    pub fn new(kernel: &Kernel, pid: u32, start_time: u64) -> Self {
        let mut watched = Self {
            pid,
            start_time,
            cgroup: Err(OutOfSight),
            cgroup_path: None,
            looked_again: Instant::now(),
        };
        watched.find_cgroup(kernel);
        watched
    }

    /// What the process is known by: its pid, and when it was started.
    #[must_use]
    pub fn identity(&self) -> (u32, u64) {
        (self.pid, self.start_time)
    }

    /// Its readings of this moment; `None` where it is gone, or another has its pid.
    pub fn read(&mut self, kernel: &Kernel) -> Option<Host> {
        if self.looked_again.elapsed() >= AGAIN_EVERY && !self.look_again(kernel) {
            return None;
        }
        let status = kernel.status(self.pid).ok()?;
        // A process that is dead and not yet buried has no memory.
        status.rss?;
        let cgroup = self.cgroup.as_ref().ok().and_then(Option::as_ref);
        Some(Host {
            process: Process {
                pid: self.pid,
                rss: status.rss,
                swap: status.swap,
                peak: status.peak,
                huge_pages_enabled: status.huge_pages_enabled,
                huge: None,
            },
            cgroups: match &self.cgroup {
                Ok(Some(cgroup)) => Some(cgroup.limited(kernel)),
                Ok(None) => Some(Vec::new()),
                Err(OutOfSight) => None,
            },
            cgroup: self.cgroup_path.clone(),
            oom_kills: cgroup.and_then(Membership::oom_kills),
            oom_kills_around: cgroup.and_then(Membership::oom_kills_around),
            machine: kernel.machine(),
        })
    }

    /// Looks anew at what seldom changes: whether it is still the same process, and
    /// its cgroups. Whether it is. The server that just answered over the same
    /// connection is alive, and its pid nobody else's: so not with every reading.
    pub fn look_again(&mut self, kernel: &Kernel) -> bool {
        self.looked_again = Instant::now();
        self.find_cgroup(kernel);
        kernel.start_time(self.pid) == Some(self.start_time)
    }

    /// Adds its huge pages where this user may ask for them. Walks its page tables: not
    /// for every second.
    pub fn look_closely(&self, kernel: &Kernel, process: &mut Process) {
        let rollup = text(&kernel.of_process(self.pid, "smaps_rollup")).unwrap_or_default();
        let (huge, swap) = procfs::smaps_rollup(&rollup);
        process.huge = huge;
        // Some kernels are built without the one and have the other.
        process.swap = process.swap.or(swap);
    }

    /// A process may be moved, and a limit be changed.
    fn find_cgroup(&mut self, kernel: &Kernel) {
        let told = text(&kernel.of_process(self.pid, "cgroup")).unwrap_or_default();
        self.cgroup = Membership::find(kernel.root(), self.pid, &told);
        let cgroup = self.cgroup.as_ref().ok().and_then(Option::as_ref);
        self.cgroup_path = cgroup.map(Membership::path);
    }
}

/// A text of the kernel's. Names in it may be anybody's bytes.
///
/// # Errors
/// It is not there, or not readable.
pub(super) fn text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|bytes| String::from_utf8_lossy(bytes.as_bytes()).into_owned()))
}
