//! What the files of one cgroup tell: its limit, how full it is, who was killed in it.
//!
//! Read once for all instances in it and below it. Every file is optional. Must not know
//! who is in a cgroup, nor judge what it reads.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::limits::wants_descriptor;
use crate::model::host::Cgroup;

use super::kept::{Kept, Room};
use super::procfs::{counter, size};

/// How often it is looked whether an operator has changed a limit.
const LIMIT_EVERY: Duration = Duration::from_secs(10);

/// The names of one version's files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Files {
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
pub(super) const V2: Files = Files {
    limit: "memory.max",
    used: "memory.current",
    swap: "memory.swap.current",
    swap_is_beside: true,
    cache: &["inactive_file", "active_file", "slab_reclaimable"],
    kills: "memory.events",
};

/// Documentation/admin-guide/cgroup-v1/memory.rst; `oom_kill` since Linux 4.13.
pub(super) const V1: Files = Files {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    swap: "memory.memsw.usage_in_bytes",
    swap_is_beside: false,
    cache: &["total_inactive_file", "total_active_file"],
    kills: "memory.oom_control",
};

/// What was read, and when.
#[derive(Debug, Default)]
struct Known<T>(Option<(Instant, T)>);

impl<T: Copy + Default> Known<T> {
    /// What is known for less than `age`, else what is read now. Where there is no
    /// descriptor to look, what was known stays.
    fn or_read(&mut self, age: Duration, read: impl FnOnce() -> io::Result<T>) -> T {
        match self.0 {
            Some((at, known)) if at.elapsed() < age => known,
            before => {
                let known = match (read(), before) {
                    (Ok(known), _) => known,
                    (Err(error), Some((_, before))) if wants_descriptor(&error) => before,
                    (Err(_), _) => T::default(),
                };
                self.0 = Some((Instant::now(), known));
                known
            }
        }
    }
}

/// How full it is: bytes used, of them cache, and of swap.
type Filled = (Option<u64>, Option<u64>, Option<u64>);

/// One cgroup.
#[derive(Debug)]
pub(super) struct Group {
    files: &'static Files,
    folder: PathBuf,
    /// As it is shown.
    path: Arc<str>,
    limit: Known<Option<u64>>,
    filled: Known<Filled>,
    kills: Known<Option<u64>>,
    used_file: Kept,
    swap_file: Kept,
    cache_file: Kept,
    kills_file: Kept,
}

impl Group {
    /// Reads nothing yet.
    pub(super) fn new(files: &'static Files, folder: PathBuf, path: Arc<str>) -> Self {
        Self {
            files,
            folder,
            path,
            limit: Known::default(),
            filled: Known::default(),
            kills: Known::default(),
            used_file: Kept::default(),
            swap_file: Kept::default(),
            cache_file: Kept::default(),
            kills_file: Kept::default(),
        }
    }

    /// How full it is, read at most so long ago; `None` where it has no limit.
    pub(super) fn limited(&mut self, room: &Room, age: Duration) -> Option<Cgroup> {
        let Self { files, folder, .. } = self;
        let seldom = if age.is_zero() { age } else { LIMIT_EVERY };
        let limit = self.limit.or_read(seldom, || {
            let path = || folder.join(files.limit);
            // Read too rarely to be kept open.
            read(&mut Kept::default(), room, path, size)
        })?;
        let (used, cache, swap) = self.filled.or_read(age, || {
            let used = told(read(
                &mut self.used_file,
                room,
                || folder.join(files.used),
                size,
            ));
            let swap = told(read(
                &mut self.swap_file,
                room,
                || folder.join(files.swap),
                size,
            ));
            let swap = match files.swap_is_beside {
                true => swap,
                false => swap.zip(used).map(|(both, used)| both.saturating_sub(used)),
            };
            let path = || folder.join("memory.stat");
            let cache = told(read(&mut self.cache_file, room, path, |text| {
                let rows = files.cache.iter().filter_map(|row| counter(text, row));
                rows.reduce(u64::saturating_add)
            }));
            Ok((used, cache, swap))
        });
        Some(Cgroup {
            path: Arc::clone(&self.path),
            limit,
            used,
            cache,
            swap,
        })
    }

    /// Processes killed in it for want of memory, read at most so long ago.
    pub(super) fn kills(&mut self, room: &Room, age: Duration) -> Option<u64> {
        let path = || self.folder.join(self.files.kills);
        let kills = |text: &str| counter(text, "oom_kill");
        self.kills
            .or_read(age, || read(&mut self.kills_file, room, path, kills))
    }
}

fn told<T>(read: io::Result<Option<T>>) -> Option<T> {
    read.ok().flatten()
}

/// A cgroup that was removed may be made anew at the same path, by a service that starts
/// again: then the file that was open has an end, and another is there.
fn read<T>(
    file: &mut Kept,
    room: &Room,
    path: impl Fn() -> PathBuf,
    of: impl Fn(&str) -> Option<T>,
) -> io::Result<Option<T>> {
    let mut read = || {
        let of = |bytes: &[u8]| of(std::str::from_utf8(bytes).ok()?);
        file.read(room, &path, of)
    };
    read().or_else(|_| read())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_others_read_lately_does_and_what_is_asked_for_afresh_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).unwrap();
        let room = Room::default();
        let lately = Duration::from_secs(60);
        let mut group = Group::new(&V2, folder.path().to_owned(), Arc::from("/a"));
        assert_eq!(group.limited(&room, Duration::ZERO), None, "no file at all");
        write("memory.max", "4096\n");
        assert_eq!(group.limited(&room, lately), None, "known");
        let bare = Cgroup {
            path: Arc::from("/a"),
            limit: 4096,
            used: None,
            cache: None,
            swap: None,
        };
        assert_eq!(group.limited(&room, Duration::ZERO), Some(bare.clone()));
        write("memory.current", "2048\n");
        write("memory.swap.current", "7\n");
        write("memory.stat", "anon 1\nactive_file 2\ninactive_file 3\n");
        write("memory.events", "oom 9\noom_kill 1\n");
        assert_eq!(group.limited(&room, lately), Some(bare));
        let full = group.limited(&room, Duration::ZERO).unwrap();
        assert_eq!(
            (full.used, full.cache, full.swap),
            (Some(2048), Some(5), Some(7))
        );
        assert_eq!(group.kills(&room, lately), Some(1), "for the first time");
        write("memory.events", "oom 9\noom_kill 2\n");
        assert_eq!(group.kills(&room, lately), Some(1));
        assert_eq!(group.kills(&room, Duration::ZERO), Some(2));
    }
}
