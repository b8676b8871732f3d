//! Reads what the kernel tells of this machine and of single processes on it.
//!
//! Knows where the kernel keeps it, below the agent's prefix for the host's. Must
//! not know which process belongs to whom (that is `identify.rs`), nor what a text
//! means (`procfs.rs`).

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use crate::config::limits::wants_descriptor;
use crate::model::host::{Host, Machine, Process};

use super::cgroup::{Membership, OutOfSight};
use super::claims::ProcessId;
use super::groups::Group;
use super::kept::{Kept, Room, Shared, lock};
use super::looks::Looks;
use super::processes::{self, ServerProcess};
use super::procfs::{self, Memory, Status};
use super::threads::Begun;

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
    machine: Mutex<MachineKnown>,
    servers: Mutex<Option<Seen>>,
    /// Several jobs may watch one process, and many are below one cgroup.
    processes: Shared<ProcessId, Reading>,
    groups: Shared<PathBuf, Group>,
    room: Room,
    looks: Looks,
}

/// Server processes, and when they were looked for.
type Seen = (Instant, Arc<Vec<ServerProcess>>);

/// The machine's figures, and the file that its memory is read from.
#[derive(Debug, Default)]
struct MachineKnown {
    seen: Option<MachineSeen>,
    memory: Kept,
}

/// The machine's figures: when its memory was read, and when what seldom changes.
#[derive(Debug, Clone, Copy)]
struct MachineSeen {
    at: Instant,
    set_up_at: Instant,
    machine: Machine,
}

impl Kernel {
    /// `prefix` stands before `/proc` and `/sys` where the agent runs in a container
    /// that sees the host's there.
    #[must_use]
    pub fn new(prefix: Option<&Path>) -> Self {
        Self {
            root: prefix.map_or_else(|| PathBuf::from("/"), Path::to_owned),
            machine: Mutex::default(),
            servers: Mutex::new(None),
            processes: Shared::default(),
            groups: Shared::default(),
            room: Room::default(),
            looks: Looks::default(),
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
        self.try_start_time(pid).ok().flatten()
    }

    fn try_start_time(&self, pid: u32) -> io::Result<Option<u64>> {
        Ok(procfs::start_time(&text(&self.of_process(pid, "stat"))?))
    }

    /// Whether processes of other users are hidden (`hidepid`).
    #[must_use]
    pub fn hides_processes(&self) -> bool {
        text(&self.of_process(1, "status")).is_err()
    }

    /// Waits for a turn to look for a process; it is over when dropped.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.looks.turn().await
    }

    /// Looks for processes in a thread of its own: `/proc` of a busy machine takes its
    /// time.
    pub fn look<T: Send + 'static>(&self, look: impl FnOnce() -> T + Send + 'static) -> Begun<T> {
        self.looks.begin(look)
    }

    /// The server processes of the machine, looked for at most a second ago: all who
    /// connect meanwhile share one look. Takes some milliseconds.
    #[must_use]
    pub fn servers(&self) -> Arc<Vec<ServerProcess>> {
        let known = |servers: &Mutex<Option<Seen>>| {
            let known = lock(servers);
            let recent = known.as_ref().filter(|(at, _)| at.elapsed() < SHARED);
            recent.map(|(_, servers)| Arc::clone(servers))
        };
        known(&self.servers).unwrap_or_else(|| {
            // Not while others wait: it may take long.
            let servers = Arc::new(processes::all(self));
            *lock(&self.servers) = Some((Instant::now(), Arc::clone(&servers)));
            servers
        })
    }

    /// The machine's figures, its memory at most a second old and what it is set to at
    /// most ten.
    #[must_use]
    pub fn machine(&self) -> Machine {
        let mut known = lock(&self.machine);
        let seen = known.seen;
        if let Some(seen) = seen
            && seen.at.elapsed() < SHARED
        {
            return seen.machine;
        }
        let at = Instant::now();
        let (set_up_at, set_up) = match seen {
            Some(seen) if seen.set_up_at.elapsed() < AGAIN_EVERY => (seen.set_up_at, seen.machine),
            _ => (at, self.set_up(seen.map(|seen| seen.machine))),
        };
        let path = || self.root.join("proc/meminfo");
        let memory = known.memory.read(&self.room, path, |text| {
            procfs::meminfo(&String::from_utf8_lossy(text))
        });
        let machine = Machine {
            kernel: set_up.kernel,
            overcommit: set_up.overcommit,
            swappiness: set_up.swappiness,
            huge_pages: set_up.huge_pages,
            huge_pages_wait: set_up.huge_pages_wait,
            ..memory.unwrap_or_default()
        };
        known.seen = Some(MachineSeen {
            at,
            set_up_at,
            machine,
        });
        machine
    }

    /// What the machine is set to; as before, where there is no descriptor to look.
    fn set_up(&self, before: Option<Machine>) -> Machine {
        let huge_pages = "sys/kernel/mm/transparent_hugepage";
        if let Some(before) = before
            && let Err(error) = File::open(self.root.join("proc/version"))
            && wants_descriptor(&error)
        {
            return before;
        }
        Machine {
            kernel: procfs::kernel_version(&self.text("proc/sys/kernel/osrelease")),
            overcommit: procfs::overcommit(&self.text("proc/sys/vm/overcommit_memory")),
            swappiness: self.text("proc/sys/vm/swappiness").trim().parse().ok(),
            huge_pages: procfs::huge_pages(&self.text(&format!("{huge_pages}/enabled"))),
            huge_pages_wait: procfs::huge_pages_wait(&self.text(&format!("{huge_pages}/defrag"))),
            ..Machine::default()
        }
    }

    fn text(&self, path: &str) -> String {
        text(&self.root.join(path)).unwrap_or_default()
    }
}

/// What `/proc/PID/status` told of a process last. To print it the kernel takes no lock
/// that a stuck process may hold, as it does for titles and page tables.
#[derive(Debug, Default)]
struct Reading {
    file: Kept,
    last: Option<(Instant, Memory)>,
}

impl Reading {
    /// Its memory, read at most so long ago; `None` where it is gone.
    fn memory(&mut self, kernel: &Kernel, pid: u32, age: Duration) -> Option<Memory> {
        if let Some((at, memory)) = self.last
            && at.elapsed() < age
        {
            return Some(memory);
        }
        let path = || kernel.of_process(pid, "status");
        let read = self.file.read(&kernel.room, path, procfs::memory);
        let memory = read.ok()?;
        // A process that is dead and not yet buried has none.
        memory.rss?;
        self.last = Some((Instant::now(), memory));
        Some(memory)
    }
}

/// One process that is read again and again.
#[derive(Debug)]
pub struct Watched {
    id: ProcessId,
    reading: Arc<Mutex<Reading>>,
    cgroup: Result<Option<Membership>, OutOfSight>,
    looked_again: Instant,
    /// What others have read does not do: it may be from before the process was started,
    /// or its limits were changed.
    afresh: bool,
}

impl Watched {
    /// Begins with a process that was identified.
    #[must_use]
    pub fn new(kernel: &Kernel, pid: u32, start_time: u64) -> Self {
        let id = (pid, start_time);
        let mut watched = Self {
            id,
            reading: kernel.processes.get(id, Reading::default),
            cgroup: Err(OutOfSight),
            looked_again: Instant::now(),
            afresh: true,
        };
        watched.find_cgroup(kernel);
        watched
    }

    /// What the process is known by: its pid, and when it was started.
    #[must_use]
    pub fn identity(&self) -> ProcessId {
        self.id
    }

    /// Its readings, of this moment or of less than a second ago where others watch it
    /// too; `None` where it is gone, or another has its pid.
    pub fn read(&mut self, kernel: &Kernel) -> Option<Host> {
        if self.looked_again.elapsed() >= AGAIN_EVERY && !self.look_again(kernel) {
            return None;
        }
        let age = if self.afresh { Duration::ZERO } else { SHARED };
        let (pid, _) = self.id;
        let memory = lock(&self.reading).memory(kernel, pid, age)?;
        self.afresh = false;
        let cgroup = self.cgroup.as_ref().ok().and_then(Option::as_ref);
        Some(Host {
            process: Process {
                pid,
                rss: memory.rss,
                swap: memory.swap,
                peak: memory.peak,
                huge_pages_enabled: memory.huge_pages_enabled,
                huge: None,
            },
            cgroups: match &self.cgroup {
                Ok(Some(cgroup)) => Some(cgroup.limited(&kernel.room, age)),
                Ok(None) => Some(Vec::new()),
                Err(OutOfSight) => None,
            },
            cgroup: cgroup.map(Membership::path),
            oom_kills: cgroup.and_then(|cgroup| cgroup.oom_kills(&kernel.room, age)),
            oom_kills_around: cgroup.and_then(|cgroup| cgroup.oom_kills_around(&kernel.room, age)),
            machine: kernel.machine(),
        })
    }

    /// Looks anew at what seldom changes: whether it is still the same process, and
    /// its cgroups. Whether it is. The server that just answered over the same
    /// connection is alive, and its pid nobody else's: so not with every reading, and
    /// where there is no descriptor to look it is still the one it was.
    pub fn look_again(&mut self, kernel: &Kernel) -> bool {
        self.looked_again = Instant::now();
        match kernel.try_start_time(self.id.0) {
            Err(error) if wants_descriptor(&error) => true,
            start_time => {
                self.afresh = true;
                self.find_cgroup(kernel);
                start_time.is_ok_and(|start_time| start_time == Some(self.id.1))
            }
        }
    }

    /// Adds its huge pages where this user may ask for them. Walks its page tables: not
    /// for every second.
    pub fn look_closely(&self, kernel: &Kernel, process: &mut Process) {
        let rollup = text(&kernel.of_process(self.id.0, "smaps_rollup")).unwrap_or_default();
        let (huge, swap) = procfs::smaps_rollup(&rollup);
        process.huge = huge;
        // Some kernels are built without the one and have the other.
        process.swap = process.swap.or(swap);
    }

    /// A process may be moved.
    fn find_cgroup(&mut self, kernel: &Kernel) {
        let told = text(&kernel.of_process(self.id.0, "cgroup")).unwrap_or_default();
        if !matches!(&self.cgroup, Ok(Some(known)) if known.is_still(&told)) {
            self.cgroup = Membership::find(kernel.root(), self.id.0, &told, &kernel.groups);
        }
    }
}

/// A text of the kernel's. Names in it may be anybody's bytes.
///
/// # Errors
/// It is not there, or not readable.
pub(super) fn text(path: &Path) -> io::Result<String> {
    // Without room at first it would be read in a dozen steps.
    let mut bytes = Vec::with_capacity(4 << 10);
    File::open(path)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|bytes| String::from_utf8_lossy(bytes.as_bytes()).into_owned()))
}
