//! Reads what a process takes from /proc, and says which machine this is.
//!
//! Knows nothing of what the processes do.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A tick of the times in `/proc/PID/stat`: USER_HZ is 100 wherever Linux runs.
const TICK: Duration = Duration::from_millis(10);

/// Processor time that a process took in all. Its threads' own clocks are exact, but
/// a thread that ended took its own along; the process's are of whole ticks. The larger
/// one is right within a tick.
pub fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let number = |at: usize| fields.split(' ').nth(at).unwrap().parse::<u32>().unwrap();
    let ticks = TICK * (number(11) + number(12));
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let exact = threads
        .filter_map(|thread| schedstat(thread.ok()?.path().to_str()?))
        .sum();
    ticks.max(exact)
}

/// Processor time of a process's first thread: what a server answers with.
pub fn main_thread(pid: u32) -> Duration {
    schedstat(&format!("/proc/{pid}/task/{pid}")).unwrap()
}

/// The first number of a thread's schedstat: nanoseconds on a processor.
fn schedstat(folder: &str) -> Option<Duration> {
    let text = fs::read_to_string(format!("{folder}/schedstat")).ok()?;
    let nanoseconds = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// Resident memory of a process, bytes.
pub fn rss(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .trim_end_matches(" kB")
        .trim()
        .parse()
        .unwrap();
    kib << 10
}

/// As many open files as allowed, for us and the children: a thousand connections and
/// what goes with them.
pub fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, most).unwrap();
}

/// This machine in a line: processor, cores, memory, kernel.
pub fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory: u64 = field(&read("/proc/meminfo"), "MemTotal")
        .trim_end_matches(" kB")
        .parse()
        .unwrap_or(0);
    format!(
        "{cores} cores of {}, {} GB, Linux {}",
        field(&read("/proc/cpuinfo"), "model name"),
        (memory << 10) / 1_000_000_000,
        read("/proc/sys/kernel/osrelease").trim()
    )
}
