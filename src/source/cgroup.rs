//! The cgroups around a process: which limit memory, and how full they are.
//!
//! Knows both versions and where each is mounted. Every file is optional. Must not
//! know which process is asked for, nor judge what it reads.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::model::host::Cgroup;

use super::host::{Kernel, text};
use super::procfs::{counter, size};

/// The names of one version's files.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    limit: &'static str,
    used: &'static str,
    /// Swap alone, or memory and swap together.
    swap: &'static str,
    swap_is_beside: bool,
    /// Rows of `memory.stat` that tell what goes before anybody is killed.
    cache: &'static [&'static str],
    kills: &'static str,
}

/// Documentation/admin-guide/cgroup-v2.rst.
const V2: Files = Files {
    limit: "memory.max",
    used: "memory.current",
    swap: "memory.swap.current",
    swap_is_beside: true,
    cache: &["inactive_file", "active_file", "slab_reclaimable"],
    kills: "memory.events",
};

/// Documentation/admin-guide/cgroup-v1/memory.rst; `oom_kill` since Linux 4.13.
const V1: Files = Files {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    swap: "memory.memsw.usage_in_bytes",
    swap_is_beside: false,
    cache: &["total_inactive_file", "total_active_file"],
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

/// The cgroups of a process are outside of what can be seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfSight;

impl Membership {
    /// Finds it by `/proc/PID/cgroup` and the mounts below `root`. `None` where memory
    /// is not accounted.
    ///
    /// # Errors
    /// The agent is in a cgroup namespace that does not hold it.
    pub fn find(root: &Path, pid: u32, proc_cgroup: &str) -> Result<Option<Self>, OutOfSight> {
        if proc_cgroup.trim().is_empty() {
            return Err(OutOfSight);
        }
        let Some((files, path)) = memory_path(proc_cgroup) else {
            return Ok(None);
        };
        let (mount, above) = mount(root, files).ok_or(OutOfSight)?;
        let path = place(root, &mount, &above, files, path).ok_or(OutOfSight)?;
        if !holds(&mount.join(&path), pid) {
            return Err(OutOfSight);
        }
        let mut membership = Self {
            files,
            path,
            mount,
            limited: Vec::new(),
        };
        membership.refresh();
        Ok(Some(membership))
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
    pub fn limited(&self, kernel: &Kernel) -> Vec<Cgroup> {
        let filled = |limited: &Limited| Cgroup {
            limit: limited.limit,
            ..kernel.group(&limited.folder, || filled(self.files, limited))
        };
        self.limited.iter().map(filled).collect()
    }

    /// Its path, as it is shown.
    #[must_use]
    pub fn path(&self) -> Arc<str> {
        Arc::from(format!("/{}", self.path.display()))
    }

    /// Processes of the innermost cgroup killed for want of memory.
    #[must_use]
    pub fn oom_kills(&self) -> Option<u64> {
        let folder = self.mount.join(&self.path);
        read(&folder, self.files.kills, |text| counter(text, "oom_kill"))
    }

    /// The same of the cgroup around it and all below that; v1 counts each by itself.
    #[must_use]
    pub fn oom_kills_around(&self) -> Option<u64> {
        let around = self.path.parent().filter(|_| *self.files == V2)?;
        let folder = self.mount.join(around);
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
        let rows = files.cache.iter().filter_map(|row| counter(text, row));
        rows.reduce(u64::saturating_add)
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

/// Where below the mount a cgroup is that `/proc/PID/cgroup` names. What is printed
/// there begins at the root of the reader's own namespace of cgroups.
fn place(root: &Path, mount: &Path, above: &Path, files: &Files, path: &str) -> Option<PathBuf> {
    let mut place = if root == Path::new("/") {
        PathBuf::new()
    } else {
        namespace_root(mount, files).unwrap_or_default()
    };
    // In a container the mount shows a part of the tree alone.
    let path = Path::new(path).strip_prefix(above).ok()?;
    for part in path.components() {
        match part {
            Component::Normal(name) => place.push(name),
            Component::ParentDir if !place.pop() => return None,
            Component::ParentDir
            | Component::CurDir
            | Component::RootDir
            | Component::Prefix(_) => {}
        }
    }
    Some(place)
}

/// Our own namespace's root, in the host's tree that is mounted at `mount`: the folder
/// that we see as `/sys/fs/cgroup`, less what of it is told us as ours.
fn namespace_root(mount: &Path, files: &Files) -> Option<PathBuf> {
    let seen = match *files == V1 {
        true => "/sys/fs/cgroup/memory",
        false => "/sys/fs/cgroup",
    };
    let seen = Path::new(seen).metadata().ok()?;
    let own = find_folder(mount, |meta| {
        meta.ino() == seen.ino() && meta.dev() == seen.dev()
    })?;
    let told = text(Path::new("/proc/self/cgroup")).ok()?;
    let (_, told) = memory_path(&told)?;
    let own = own.strip_prefix(mount).ok()?.to_owned();
    let above = own.to_str()?.strip_suffix(told.trim_matches('/'))?;
    Some(PathBuf::from(above.trim_end_matches('/')))
}

/// The folder below another that is wanted.
fn find_folder(below: &Path, wanted: impl Fn(&Metadata) -> bool) -> Option<PathBuf> {
    let mut folders = vec![below.to_owned()];
    for _ in 0..MOST_FOLDERS {
        let folder = folders.pop()?;
        if folder.metadata().is_ok_and(|meta| wanted(&meta)) {
            return Some(folder);
        }
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.extend(inner.map(|entry| entry.path()));
    }
    None
}

/// Cgroups looked through for our own.
const MOST_FOLDERS: usize = 20_000;

/// Whether the process is in the cgroup, as far as that can be told: a list that lacks
/// it is another namespace's cgroup of that name.
fn holds(folder: &Path, pid: u32) -> bool {
    let listed = text(&folder.join("cgroup.procs")).unwrap_or_default();
    let mut listed = listed.lines().peekable();
    folder.is_dir() && (listed.peek().is_none() || listed.any(|line| line.parse() == Ok(pid)))
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
