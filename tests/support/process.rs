//! Child processes that do not outlive the tests: started so that the kernel
//! kills them when the test process dies, signalled, waited for and reaped.
//!
//! Knows nothing of what runs in them.

use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

/// How a child's life hangs on ours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tie {
    /// The kernel kills it when this process dies, however it dies.
    DiesWithUs,
    /// It may go on without us, out of reach of a Ctrl-C on our terminal.
    Detached,
}

type Job = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts `program`; `prepare` sets its arguments and streams.
///
/// The kernel's "parent" is the thread that forks, not the process. So one
/// thread that never ends does it: a server shared between tests would die
/// with the first test's thread otherwise.
pub fn spawn(program: &Path, tie: Tie, prepare: impl FnOnce(&mut Command)) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, answer) in jobs {
                let child = command.spawn();
                // Closes our copy of the child's ends of its pipes.
                drop(command);
                // Nobody waits any more only if the asking thread panicked.
                let _ = answer.send(child);
            }
        });
        sender
    });
    let mut command = match tie {
        Tie::DiesWithUs => tied(program),
        Tie::Detached => {
            let mut command = Command::new(program);
            command.process_group(0);
            command
        }
    };
    prepare(&mut command);
    let (answer, child) = mpsc::channel();
    spawner
        .send((command, answer))
        .expect("the spawner thread has ended");
    child.recv().expect("the spawner thread has ended")
}

/// `setpriv` sets the death signal and becomes the program: same pid.
fn tied(program: &Path) -> Command {
    static SETPRIV: OnceLock<bool> = OnceLock::new();
    let usable = *SETPRIV.get_or_init(|| {
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    });
    if !usable {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// The words that run a program as another user, still dying with us: the kernel
/// forgets the death signal where the user changes.
pub fn as_user(id: u32) -> Vec<String> {
    let id = id.to_string();
    let words = [
        "setpriv",
        "--reuid",
        &id,
        "--regid",
        &id,
        "--clear-groups",
        "--pdeathsig",
        "KILL",
    ];
    words.map(str::to_string).to_vec()
}

/// Sends a signal by its name without `SIG`: `TERM`, `STOP`, …
pub fn signal(pid: u32, name: &str) -> bool {
    // The program and not the shell's own: some `sh` have no `kill -STOP`.
    Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .stderr(Stdio::null())
        .status()
        .unwrap_or_else(|e| panic!("cannot run `kill` (Debian: procps): {e}"))
        .success()
}

/// Bytes of a row of `/proc/PID/status`: `VmRSS`, or `VmHWM`, the most that it ever was.
#[track_caller]
pub fn memory(pid: u32, row: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))
        .unwrap_or_else(|e| panic!("no process {pid}: {e}"));
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(row)?.strip_prefix(':'));
    let kilobytes = value.and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_else(|| panic!("no {row} of process {pid}")) << 10
}

/// Waits for the end of a child, at most `limit`; how it ended and after what
/// time.
pub fn wait_exit(child: &mut Child, limit: Duration) -> Option<(ExitStatus, Duration)> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some((status, start.elapsed())),
            Ok(None) if start.elapsed() >= limit => return None,
            Ok(None) => std::thread::sleep(Duration::from_millis(2)),
            Err(e) => panic!("cannot wait for process {}: {e}", child.id()),
        }
    }
}

/// SIGTERM, and SIGKILL when `patience` is over; reaps the child.
pub fn stop(child: &mut Child, patience: Duration) {
    if !matches!(child.try_wait(), Ok(None)) {
        return;
    }
    signal(child.id(), "TERM");
    if wait_exit(child, patience).is_none() {
        kill(child);
    }
}

/// SIGKILL; reaps the child.
pub fn kill(child: &mut Child) {
    // An error here means that it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}

/// A loopback port that was free a moment ago. Another process may take it
/// before its user does: who uses it must try again with another.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap_or_else(|e| panic!("no free port on 127.0.0.1: {e}"))
        .port()
}

/// The same with another free port ten thousand above it, which a cluster's bus takes.
pub fn free_port_with_bus() -> u16 {
    for _ in 0..1000 {
        let port = free_port();
        let bus = port.checked_add(10_000);
        if bus.is_some_and(|bus| TcpListener::bind(("127.0.0.1", bus)).is_ok()) {
            return port;
        }
    }
    panic!("no free port on 127.0.0.1 with another one ten thousand above it")
}

/// A folder of our own with a short name, which others may enter: a Unix
/// socket's path has room for 107 bytes, and agents may run as another user.
pub fn short_dir() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;

    let mut base = std::env::temp_dir();
    if base.as_os_str().len() > 40 {
        base = "/tmp".into();
    }
    tempfile::Builder::new()
        .prefix("rf-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir_in(&base)
        .unwrap_or_else(|e| panic!("no temporary folder in {}: {e}", base.display()))
}

/// Resident bytes of a process.
#[track_caller]
pub fn resident(pid: u32) -> u64 {
    memory(pid, "VmRSS")
}

/// CPU time that a process has taken so far, in all its threads.
pub fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .unwrap_or_else(|e| panic!("no stat of process {pid}: {e}"));
    // Behind the name, which may hold anything: proc_pid_stat(5) counts from 1.
    let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
    let ticks = fields.split_ascii_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    // USER_HZ is 100 on all of Linux's architectures but alpha and ia64.
    Duration::from_millis(10 * ticks)
}

/// What a process has open: the number of each descriptor, and what it leads to.
pub fn descriptors(pid: u32) -> Vec<(usize, String)> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap_or_else(|e| panic!("no open files of process {pid}: {e}"));
    let read = |entry: std::fs::DirEntry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        // It may be closed meanwhile.
        let to = std::fs::read_link(entry.path()).ok()?;
        Some((number, to.to_string_lossy().into_owned()))
    };
    let mut all: Vec<(usize, String)> = entries.flatten().filter_map(read).collect();
    all.sort();
    all
}
