//! Where a process is in the tree of cgroups that accounts its memory.
//!
//! Knows both versions and where each is mounted. Must not know which process is asked
//! for, nor what the files of a cgroup tell (`groups.rs`).

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::model::host::Cgroup;

use super::groups::{Files, Group, V1, V2};
use super::host::text;
use super::kept::{Room, Shared, lock};

/// The cgroup of a process that accounts its memory.
#[derive(Debug)]
pub struct Membership {
    files: &'static Files,
    /// As `/proc/PID/cgroup` names it.
    named: Box<str>,
    /// Its path below the mount, as it is shown.
    path: Arc<str>,
    /// Itself and all that are around it, the innermost first.
    groups: Box<[Arc<Mutex<Group>>]>,
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
    pub(super) fn find(
        root: &Path,
        pid: u32,
        proc_cgroup: &str,
        known: &Shared<PathBuf, Group>,
    ) -> Result<Option<Self>, OutOfSight> {
        if proc_cgroup.trim().is_empty() {
            return Err(OutOfSight);
        }
        let Some((files, named)) = memory_path(proc_cgroup) else {
            return Ok(None);
        };
        let (mount, above) = mount(root, files).ok_or(OutOfSight)?;
        let path = place(root, &mount, &above, files, named).ok_or(OutOfSight)?;
        if !holds(&mount.join(&path), pid) {
            return Err(OutOfSight);
        }
        let group = |path: &Path| {
            let folder = mount.join(path);
            known.get(folder.clone(), || Group::new(files, folder, shown(path)))
        };
        Ok(Some(Self {
            files,
            named: named.into(),
            groups: path.ancestors().map(group).collect(),
            path: shown(&path),
        }))
    }

    /// Whether `/proc/PID/cgroup` still tells the same.
    #[must_use]
    pub fn is_still(&self, proc_cgroup: &str) -> bool {
        memory_path(proc_cgroup) == Some((self.files, &self.named))
    }

    /// The cgroups with a limit, read at most so long ago.
    #[must_use]
    pub(super) fn limited(&self, room: &Room, age: Duration) -> Vec<Cgroup> {
        let limited = |group: &Arc<Mutex<Group>>| lock(group).limited(room, age);
        self.groups.iter().filter_map(limited).collect()
    }

    /// Its path, as it is shown.
    #[must_use]
    pub fn path(&self) -> Arc<str> {
        Arc::clone(&self.path)
    }

    /// Processes of the innermost cgroup killed for want of memory, read at most so long
    /// ago.
    #[must_use]
    pub(super) fn oom_kills(&self, room: &Room, age: Duration) -> Option<u64> {
        lock(self.groups.first()?).kills(room, age)
    }

    /// The same of the cgroup around it and all below that; v1 counts each by itself.
    #[must_use]
    pub(super) fn oom_kills_around(&self, room: &Room, age: Duration) -> Option<u64> {
        let around = self.groups.get(1).filter(|_| *self.files == V2)?;
        lock(around).kills(room, age)
    }
}

fn shown(path: &Path) -> Arc<str> {
    Arc::from(format!("/{}", path.display()))
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
