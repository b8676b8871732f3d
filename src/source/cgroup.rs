//! The cgroups around a process: which limit memory, and how full they are.
//!
//! Knows both versions and where each is mounted. Every file is optional. Must not
//! know which process is asked for, nor judge what it reads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::host::Cgroup;

use super::host::text;
use super::procfs::{counter, size};

/// The names of one version's files.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    limit: &'static str,
    used: &'static str,
    /// Swap alone, or memory and swap together.
    swap: &'static str,
    swap_is_beside: bool,
    /// Rows of `memory.stat` that tell page cache.
    cache: [&'static str; 2],
    kills: &'static str,
}

/// Documentation/admin-guide/cgroup-v2.rst.
const V2: Files = Files {
    limit: "memory.max",
    used: "memory.current",
    swap: "memory.swap.current",
    swap_is_beside: true,
    cache: ["inactive_file", "active_file"],
    kills: "memory.events",
};

/// Documentation/admin-guide/cgroup-v1/memory.rst; `oom_kill` since Linux 4.13.
const V1: Files = Files {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    swap: "memory.memsw.usage_in_bytes",
    swap_is_beside: false,
    cache: ["total_inactive_file", "total_active_file"],
    kills: "memory.oom_control",
};

/// The cgroup of a process that accounts its memory.
#[derive(Debug, PartialEq, Eq)]
pub struct Membership {
    files: &'static Files,
    /// Where its hierarchy is mounted.
    mount: PathBuf,
    /// The path of the cgroup below the mount, without the first `/`.
    path: PathBuf,
    /// The cgroups with a limit, the innermost first.
    limited: Vec<Limited>,
}

/// A cgroup with a limit, as it was found.
#[derive(Debug, PartialEq, Eq)]
struct Limited {
    folder: PathBuf,
    /// As it is shown.
    path: Arc<str>,
    limit: u64,
}

impl Membership {
    /// Finds it by `/proc/PID/cgroup` and the mounts below `root`. `None` where
    /// memory is not accounted, or the cgroup is outside of what can be seen.
    #[must_use]
    pub fn find(root: &Path, proc_cgroup: &str) -> Option<Self> {
        let (files, path) = memory_path(proc_cgroup)?;
        let (mount, above) = mount(root, files)?;
        // In a container the mount shows a part of the tree alone.
        let path = Path::new(path).strip_prefix(&above).ok()?;
        // `/..` is a cgroup outside of our own namespace of them.
        if path.components().any(|part| part.as_os_str() == "..") || !mount.join(path).is_dir() {
            return None;
        }
        let mut membership = Self {
            files,
            path: path.to_owned(),
            mount,
            limited: Vec::new(),
        };
        membership.refresh();
        Some(membership)
    }

    /// Looks anew which cgroups have a limit: an operator may change them.
    pub fn refresh(&mut self) {
        let limited = |path: &Path| {
            let folder = self.mount.join(path);
            Some(Limited {
                limit: read(&folder, self.files.limit, size)?,
                path: Arc::from(format!("/{}", path.display())),
                folder,
            })
        };
        self.limited = self.path.ancestors().filter_map(limited).collect();
    }

    /// The cgroups with a limit as they are now.
    #[must_use]
    pub fn limited(&self) -> Vec<Cgroup> {
        let filled = |limited| filled(self.files, limited);
        self.limited.iter().map(filled).collect()
    }

    /// Processes of the innermost cgroup killed for want of memory.
    #[must_use]
    pub fn oom_kills(&self) -> Option<u64> {
        let folder = self.mount.join(&self.path);
        read(&folder, self.files.kills, |text| counter(text, "oom_kill"))
    }
}

/// How full it is.
fn filled(files: &Files, limited: &Limited) -> Cgroup {
    let folder = &limited.folder;
    let used = read(folder, files.used, size);
    let swap = read(folder, files.swap, size);
    let swap = match files.swap_is_beside {
        true => swap,
        false => swap.zip(used).map(|(both, used)| both.saturating_sub(used)),
    };
    let cache = read(folder, "memory.stat", |text| {
        let [inactive, active] = files.cache;
        counter(text, inactive)?.checked_add(counter(text, active)?)
    });
    Cgroup {
        path: Arc::clone(&limited.path),
        limit: limited.limit,
        used,
        cache,
        swap,
    }
}

fn read<T>(folder: &Path, file: &str, of: impl Fn(&str) -> Option<T>) -> Option<T> {
    of(&text(&folder.join(file)).ok()?)
}

/// The path for memory: of v1 where it has the controller, else of v2.
fn memory_path(proc_cgroup: &str) -> Option<(&'static Files, &str)> {
    let lines = || {
        proc_cgroup.lines().filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            rest.split_once(':')
        })
    };
    let has_memory = |controllers: &str| controllers.split(',').any(|name| name == "memory");
    let v1 = lines().find(|(controllers, _)| has_memory(controllers));
    let v2 = lines().find(|(controllers, _)| controllers.is_empty());
    let v1 = v1.map(|(_, path)| (&V1, path));
    v1.or(v2.map(|(_, path)| (&V2, path)))
}

/// Where the hierarchy is mounted below `root`, and the cgroup that is shown there.
fn mount(root: &Path, files: &Files) -> Option<(PathBuf, PathBuf)> {
    let is_v1 = *files == V1;
    // What is mounted where is told for our own namespace only.
    let own = (root == Path::new("/")).then(|| text(Path::new("/proc/self/mountinfo")).ok());
    let told = own
        .flatten()
        .and_then(|text| text.lines().find_map(|line| mounted(line, is_v1)));
    let usual = if is_v1 {
        &["sys/fs/cgroup/memory"][..]
    } else {
        &["sys/fs/cgroup", "sys/fs/cgroup/unified"][..]
    };
    let usual = || {
        let mut there = usual.iter().map(|path| root.join(path));
        there.find(|path| is_v1 || path.join("cgroup.controllers").is_file())
    };
    told.or_else(|| Some((usual()?, PathBuf::from("/"))))
}

/// `ID PARENT DEV ROOT POINT OPTIONS … - TYPE SOURCE SUPEROPTIONS` (fs/proc_namespace.c).
fn mounted(line: &str, is_v1: bool) -> Option<(PathBuf, PathBuf)> {
    let (before, behind) = line.split_once(" - ")?;
    let mut behind = behind.split(' ');
    let kind = behind.next()?;
    let options = behind.nth(1)?;
    let fits = match is_v1 {
        true => kind == "cgroup" && options.split(',').any(|name| name == "memory"),
        false => kind == "cgroup2",
    };
    let mut before = before.split(' ');
    let (above, point) = (before.nth(3)?, before.next()?);
    fits.then(|| (PathBuf::from(point), PathBuf::from(above)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_where_its_controller_is() {
        let hybrid = "9:name=systemd:/x\n4:memory:/process_api/96\n0::/y\n";
        assert_eq!(memory_path(hybrid), Some((&V1, "/process_api/96")));
        assert_eq!(memory_path("5:cpu,memory:/a:b\n"), Some((&V1, "/a:b")));
        assert_eq!(
            memory_path("0::/system.slice/redis.service\n"),
            Some((&V2, "/system.slice/redis.service"))
        );
        assert_eq!(memory_path("1:cpu:/x\n"), None);
        assert_eq!(memory_path(""), None);
    }

    #[test]
    fn mounts_are_told_apart() {
        let v2 = "31 25 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate";
        let v1 = "35 30 0:31 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory";
        let point = |text: &str, above: &str| Some((PathBuf::from(text), PathBuf::from(above)));
        assert_eq!(mounted(v2, false), point("/sys/fs/cgroup", "/"));
        assert_eq!(
            mounted(v1, true),
            point("/sys/fs/cgroup/memory", "/docker/ab")
        );
        assert_eq!((mounted(v2, true), mounted(v1, false)), (None, None));
        assert_eq!(mounted("nonsense", true), None);
    }
}
