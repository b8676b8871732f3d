//! Cgroups that limit memory, of whichever version the machine has, and the
//! kernel's own figures of them.
//!
//! A group is removed when dropped, with what still runs in it. Must not know who
//! is put into it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{becomes_true, process};

/// Longest wait for the end of what was killed in it.
const END_LIMIT: Duration = Duration::from_secs(10);

/// A version's own names.
struct Files {
    limit: &'static str,
    used: &'static str,
    unlimited: &'static str,
    cache: [&'static str; 2],
    kills: &'static str,
}

const V1: Files = Files {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    unlimited: "-1",
    cache: ["total_inactive_file", "total_active_file"],
    kills: "memory.oom_control",
};

const V2: Files = Files {
    limit: "memory.max",
    used: "memory.current",
    unlimited: "max",
    cache: ["inactive_file", "active_file"],
    kills: "memory.events",
};

/// A cgroup of our own.
pub struct Cgroup {
    files: &'static Files,
    folder: PathBuf,
    path: String,
}

impl Cgroup {
    /// A new one with a limit in bytes, below the root of the hierarchy; why not,
    /// where the machine allows none.
    pub fn new(limit: u64) -> Result<Cgroup, String> {
        let (files, mount) = hierarchy().ok_or("no cgroup hierarchy accounts memory")?;
        Cgroup::make(files, &mount, "", limit)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// 1 or 2.
    pub fn version(&self) -> u8 {
        if self.files.limit == V2.limit { 2 } else { 1 }
    }

    /// A new one within this one, which must hold no process itself.
    pub fn inside(&self, limit: u64) -> Result<Cgroup, String> {
        Cgroup::make(self.files, &self.folder, &self.path, limit)
    }

    fn make(
        files: &'static Files,
        parent: &Path,
        above: &str,
        limit: u64,
    ) -> Result<Cgroup, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if parent.join("cgroup.subtree_control").exists() {
            write(&parent.join("cgroup.subtree_control"), "+memory")?;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("rf-{}-{number}", std::process::id());
        let folder = parent.join(&name);
        fs::create_dir(&folder).map_err(|e| format!("cannot create {}: {e}", folder.display()))?;
        let group = Cgroup {
            files,
            folder,
            path: format!("{above}/{name}"),
        };
        write(&group.folder.join(files.limit), &limit.to_string())?;
        Ok(group)
    }

    /// Its path below the mount, `/a/b`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Another limit; `None` for none at all.
    pub fn limit(&self, limit: Option<u64>) {
        let limit = limit.map_or(self.files.unlimited.to_owned(), |limit| limit.to_string());
        write(&self.folder.join(self.files.limit), &limit).unwrap_or_else(|why| panic!("{why}"));
    }

    /// How much of it may go into swap beside the limit, bytes; why not, where the
    /// kernel does not account swap.
    pub fn allow_swap(&self, swap: u64) -> Result<(), String> {
        let allowed = match self.files.limit == V1.limit {
            true => ("memory.memsw.limit_in_bytes", self.limited()? + swap),
            false => ("memory.swap.max", swap),
        };
        write(&self.folder.join(allowed.0), &allowed.1.to_string())
    }

    /// Moves a process in. What it holds already stays on the account of where it
    /// was.
    pub fn take(&self, pid: u32) {
        write(&self.folder.join("cgroup.procs"), &pid.to_string())
            .unwrap_or_else(|why| panic!("{why}"));
    }

    /// Bytes that the kernel charges to it.
    pub fn used(&self) -> u64 {
        let text = self.text(self.files.used);
        text.trim()
            .parse()
            .unwrap_or_else(|_| panic!("no number: {text}"))
    }

    /// Bytes of page cache in that.
    pub fn cache(&self) -> u64 {
        let stat = self.text("memory.stat");
        let rows = self.files.cache.iter().map(|name| row(&stat, name));
        rows.sum()
    }

    /// How many of its processes were killed for want of memory.
    pub fn kills(&self) -> u64 {
        row(&self.text(self.files.kills), "oom_kill")
    }

    fn limited(&self) -> Result<u64, String> {
        let text = self.text(self.files.limit);
        text.trim().parse().map_err(|_| format!("no limit: {text}"))
    }

    fn text(&self, file: &str) -> String {
        let path = self.folder.join(file);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let gone = becomes_true(END_LIMIT, || {
            let inside = fs::read_to_string(self.folder.join("cgroup.procs")).unwrap_or_default();
            for pid in inside.lines().filter_map(|line| line.parse().ok()) {
                process::signal(pid, "KILL");
            }
            fs::remove_dir(&self.folder).is_ok() || !self.folder.exists()
        });
        if !gone {
            eprintln!("the cgroup {} cannot be removed", self.folder.display());
        }
    }
}

/// Where the hierarchy that accounts memory is mounted.
fn hierarchy() -> Option<(&'static Files, PathBuf)> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let of = |kind: &str| -> Vec<PathBuf> {
        let wanted = |line: &&str| line.contains(&format!(" - {kind} "));
        let point = |line: &str| line.split(' ').nth(4).map(PathBuf::from);
        mounts.lines().filter(wanted).filter_map(point).collect()
    };
    let has_memory = |point: &PathBuf| {
        let told = fs::read_to_string(point.join("cgroup.controllers")).unwrap_or_default();
        told.split_whitespace().any(|name| name == "memory")
    };
    let v2 = of("cgroup2").into_iter().find(has_memory);
    let v1 = of("cgroup").into_iter();
    let mut v1 = v1.filter(|point| point.join(V1.limit).is_file());
    v2.map(|point| (&V2, point))
        .or_else(|| Some((&V1, v1.next()?)))
}

fn row(text: &str, name: &str) -> u64 {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or_else(|| panic!("no {name} in:\n{text}"))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("cannot write {text} to {}: {e}", path.display()))
}
