//! Texts of `/proc` and `/sys` about processes and memory to numbers.
//!
//! Pure: a text in, fields out; each is optional and a bad one costs only itself.
//! Must not know where a text comes from, nor what a number means.

use crate::model::host::{HugePages, Machine, Overcommit};

/// No machine holds 2^60 bytes: v1 cgroups print 2^63 less a page for no limit.
const ABSURD: u64 = 1 << 60;

/// What `/proc/PID/status` tells (fs/proc/array.c).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// `Name`: the program's, at most 15 bytes.
    pub name: String,
    /// `Uid`, the effective one.
    pub uid: Option<u32>,
    /// `NSpid`, the last: the pid that the process has to itself (Linux 4.1).
    pub own_pid: Option<u32>,
    /// Its memory.
    pub memory: Memory,
}

/// Reads `/proc/PID/status`.
#[must_use]
pub fn status(text: &str) -> Status {
    let mut status = Status {
        memory: memory(text.as_bytes()),
        ..Status::default()
    };
    for (name, value) in named(text) {
        match name {
            "Name" => value.clone_into(&mut status.name),
            "Uid" => {
                status.uid = value
                    .split_whitespace()
                    .nth(1)
                    .and_then(|id| id.parse().ok())
            }
            "NSpid" => {
                let last = value.split_whitespace().next_back();
                status.own_pid = last.and_then(|pid| pid.parse().ok());
            }
            _ => {}
        }
    }
    status
}

/// What `/proc/PID/status` tells of the memory of a process, bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// `VmRSS`; absent of kernel threads and of the dead.
    pub rss: Option<u64>,
    /// `VmHWM`.
    pub peak: Option<u64>,
    /// `VmSwap`.
    pub swap: Option<u64>,
    /// `THP_enabled` (Linux 5.0).
    pub huge_pages_enabled: Option<bool>,
}

/// Reads only that of `/proc/PID/status`. The name that stands first may be anybody's
/// bytes, but has no line of its own: the kernel escapes what would end it.
#[must_use]
pub fn memory(text: &[u8]) -> Memory {
    let mut memory = Memory::default();
    for line in text.split(|byte| *byte == b'\n') {
        // Most lines are about something else.
        if !line.starts_with(b"Vm") && !line.starts_with(b"THP") {
            continue;
        }
        let line = std::str::from_utf8(line).ok();
        let Some((name, value)) = line.and_then(|line| line.split_once(':')) else {
            continue;
        };
        let value = value.trim();
        match name {
            "VmRSS" => memory.rss = kilobytes(value),
            "VmHWM" => memory.peak = kilobytes(value),
            "VmSwap" => memory.swap = kilobytes(value),
            "THP_enabled" => memory.huge_pages_enabled = flag(value),
            _ => {}
        }
    }
    memory
}

/// `AnonHugePages` and `Swap` of `/proc/PID/smaps_rollup` (Linux 4.14), bytes.
#[must_use]
pub fn smaps_rollup(text: &str) -> (Option<u64>, Option<u64>) {
    let of = |wanted: &str| {
        let mut lines = named(text);
        lines.find_map(|(name, value)| (name == wanted).then(|| kilobytes(value))?)
    };
    (of("AnonHugePages"), of("Swap"))
}

/// When the process was started, in ticks since the machine was: field 22 of
/// `/proc/PID/stat`. The name in its brackets may hold anything.
#[must_use]
pub fn start_time(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// The pid of its parent: field 4 of `/proc/PID/stat`.
#[must_use]
pub fn parent(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// Whether it waits in the kernel and cannot be woken, `D`: field 3 of
/// `/proc/PID/stat`.
#[must_use]
pub fn is_stuck(stat: &str) -> bool {
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_some_and(|state| state.starts_with('D'))
}

/// Reads `/proc/meminfo` into the fields that it has.
#[must_use]
pub fn meminfo(text: &str) -> Machine {
    let mut machine = Machine::default();
    for (name, value) in named(text) {
        let field = match name {
            "MemTotal" => &mut machine.total,
            "MemAvailable" => &mut machine.available,
            "SwapTotal" => &mut machine.swap_total,
            "SwapFree" => &mut machine.swap_free,
            "CommitLimit" => &mut machine.commit_limit,
            "Committed_AS" => &mut machine.committed,
            _ => continue,
        };
        *field = kilobytes(value);
    }
    machine
}

/// The choice in `[brackets]` of `/sys/kernel/mm/transparent_hugepage/enabled`.
#[must_use]
pub fn huge_pages(text: &str) -> Option<HugePages> {
    match chosen(text)? {
        "always" => Some(HugePages::Always),
        "madvise" => Some(HugePages::Madvise),
        "never" => Some(HugePages::Never),
        _ => None,
    }
}

/// Whether a page fault waits for a huge page: `/sys/kernel/mm/transparent_hugepage/defrag`.
#[must_use]
pub fn huge_pages_wait(text: &str) -> Option<bool> {
    chosen(text).map(|chosen| chosen == "always")
}

/// `/proc/sys/vm/overcommit_memory`.
#[must_use]
pub fn overcommit(text: &str) -> Option<Overcommit> {
    match text.trim() {
        "0" => Some(Overcommit::Heuristic),
        "1" => Some(Overcommit::Always),
        "2" => Some(Overcommit::Never),
        _ => None,
    }
}

/// The first two numbers of `/proc/sys/kernel/osrelease`.
#[must_use]
pub fn kernel_version(text: &str) -> Option<(u16, u16)> {
    let mut parts = text.trim().split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// A size in bytes as cgroup files print it; `None` of `max` and of what v1 prints
/// for no limit.
#[must_use]
pub fn size(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < ABSURD)
}

/// The number behind a name of a file with `name number` on each line, as
/// `memory.stat` and `memory.events` are.
#[must_use]
pub fn counter(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find_map(|(key, value)| (key == name).then(|| value.trim().parse().ok())?)
}

fn named(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name, value.trim()))
}

fn kilobytes(value: &str) -> Option<u64> {
    let number: u64 = value.strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024).filter(|bytes| *bytes < ABSURD)
}

fn flag(value: &str) -> Option<bool> {
    match value {
        "1" => Some(true),
        "0" => Some(false),
        _ => None,
    }
}

fn chosen(text: &str) -> Option<&str> {
    text.split_once('[')?
        .1
        .split_once(']')
        .map(|(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tredis-server\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t812\n\
        Pid:\t812\nUid:\t33\t107\t107\t107\nNSpid:\t812\t1\nVmPeak:\t   93184 kB\n\
        VmHWM:\t   90000 kB\nVmRSS:\t   12345 kB\nVmSwap:\t     512 kB\nThreads:\t5\n\
        THP_enabled:\t0\n";

    #[test]
    fn a_process_in_a_container_has_two_pids_and_the_last_is_its_own() {
        let read = status(STATUS);
        assert_eq!(
            (read.name.as_str(), read.uid, read.own_pid),
            ("redis-server", Some(107), Some(1))
        );
        let all = Memory {
            rss: Some(12345 << 10),
            peak: Some(90000 << 10),
            swap: Some(512 << 10),
            huge_pages_enabled: Some(false),
        };
        assert_eq!(read.memory, all);
        let odd = [b"Name:\t\xff\\nVmRSS: 1 kB\n", STATUS.as_bytes()].concat();
        assert_eq!(memory(&odd), all);
    }

    #[test]
    fn what_is_not_there_or_nonsense_is_absent() {
        let old = "Name:\ta: b\nVmRSS:\tx kB\nVmSwap:\t1\nTHP_enabled:\t7\nUid:\t1\n";
        let read = status(old);
        assert_eq!(
            read,
            Status {
                name: "a: b".into(),
                ..Status::default()
            }
        );
        assert_eq!(status(""), Status::default());
        assert_eq!(memory(b"VmRSS:\t18446744073709551615 kB\n").rss, None);
    }

    #[test]
    fn a_name_cannot_shift_the_fields_of_stat() {
        let fields = "S 1 2 3 0 -1 4194560 94 0 0 0 0 0 0 0 20 0 1 0 52016 2990080";
        for name in ["redis-server", "a) S 1 (b", ""] {
            assert_eq!(
                start_time(&format!("812 ({name}) {fields}")),
                Some(52016),
                "{name}"
            );
        }
        let stuck = format!("812 (a) S 1 (b) {}", fields.replacen('S', "D", 1));
        assert!(is_stuck(&stuck) && !is_stuck(&format!("812 (D) {fields}")));
        assert_eq!((parent(&stuck), parent("812 (x")), (Some(1), None));
        assert_eq!(start_time("812 (x"), None);
        assert_eq!(start_time("812 (x) S 1"), None);
    }

    #[test]
    fn the_machine_is_read_in_bytes() {
        let text = "MemTotal:       24684084 kB\nMemFree: 1 kB\nMemAvailable:   24391344 kB\n\
                    SwapTotal:             0 kB\nHugePages_Total:       0\nCommitted_AS:    47124 kB\n";
        let read = meminfo(text);
        assert_eq!(
            (read.total, read.available),
            (Some(24_684_084 << 10), Some(24_391_344 << 10))
        );
        assert_eq!((read.swap_total, read.swap_free), (Some(0), None));
        assert_eq!(
            (read.committed, read.commit_limit),
            (Some(47_124 << 10), None)
        );
    }

    #[test]
    fn choices_and_numbers() {
        assert_eq!(
            huge_pages("always [madvise] never\n"),
            Some(HugePages::Madvise)
        );
        assert_eq!(
            huge_pages("always madvise [never]\n"),
            Some(HugePages::Never)
        );
        assert_eq!(huge_pages("always madvise never\n"), None);
        assert_eq!(
            huge_pages_wait("[always] defer defer+madvise madvise never"),
            Some(true)
        );
        assert_eq!(
            huge_pages_wait("always defer [defer+madvise] madvise never"),
            Some(false)
        );
        assert_eq!(overcommit("0\n"), Some(Overcommit::Heuristic));
        assert_eq!(overcommit("3\n"), None);
        assert_eq!(kernel_version("6.1.0-18-amd64\n"), Some((6, 1)));
        assert_eq!(kernel_version("6\n"), None);
        assert_eq!((size("1073741824\n"), size("max\n")), (Some(1 << 30), None));
        assert_eq!(size("9223372036854771712\n"), None, "v1 without a limit");
        let events = "low 0\noom 2\noom_kill 1\noom_group_kill 0\n";
        assert_eq!(
            (counter(events, "oom_kill"), counter(events, "oom_")),
            (Some(1), None)
        );
        let rollup = "55-7f ---p 00000000 00:00 0 [rollup]\nRss: 1704 kB\nAnonHugePages:      2048 kB\nSwap: 4 kB\n";
        assert_eq!(smaps_rollup(rollup), (Some(2048 << 10), Some(4096)));
        assert_eq!(smaps_rollup(""), (None, None));
    }
}
