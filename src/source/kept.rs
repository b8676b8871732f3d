//! Files of the kernel's that are read again and again, and who shares their readings.
//!
//! Kept open while there is room: to open one costs the kernel more than to print it.
//! Must not know what stands in them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::hash::Hash;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::process::{Resource, getrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most files kept open. The kernel holds a page for each that was read (fs/seq_file.c):
/// 2 MB in all.
const MOST_OPEN: usize = 512;

/// The share of the descriptors this process may have that they take at most: each
/// instance has a socket.
const SHARE_OPEN: u64 = 4;

/// Longest file that is read, bytes; all of them have some kB.
const LONGEST: usize = 1 << 20;

thread_local! {
    /// Room to read into, one for all.
    static ROOM: RefCell<Vec<u8>> = RefCell::new(vec![0; 8 << 10]);
}

/// How many files may be kept open. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let share = usize::try_from(descriptors / SHARE_OPEN).unwrap_or(usize::MAX);
        Self(Arc::new(Semaphore::new(share.min(MOST_OPEN))))
    }
}

/// One file.
#[derive(Debug, Default)]
pub(super) struct Kept(Option<(File, OwnedSemaphorePermit)>);

impl Kept {
    /// Reads it: the one that is open, which stays what it was when others take its path,
    /// else what is at `path` now.
    ///
    /// # Errors
    /// It is gone, or never was there, or is not readable. It is not open any more then.
    pub(super) fn read<T>(
        &mut self,
        room: &Room,
        path: impl FnOnce() -> PathBuf,
        of: impl FnOnce(&[u8]) -> T,
    ) -> io::Result<T> {
        if let Some((file, _)) = &self.0 {
            let read = read(file, of);
            if read.is_err() {
                self.0 = None;
            }
            return read;
        }
        let file = File::open(path())?;
        let read = read(&file, of);
        if read.is_ok()
            && let Ok(permit) = Arc::clone(&room.0).try_acquire_owned()
        {
            self.0 = Some((file, permit));
        }
        read
    }
}

/// Reads from the start. The kernel prints such a file in one piece (`single_open`), so
/// that one read which leaves room has all of it.
fn read<T>(file: &File, of: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
    ROOM.with_borrow_mut(|room| {
        let mut end = 0;
        loop {
            let free = room.get_mut(end..).unwrap_or_default();
            let length = file.read_at(free, end as u64)?;
            end = end.saturating_add(length);
            if length == 0 || end < room.len() {
                return Ok(of(room.get(..end).unwrap_or_default()));
            }
            if end >= LONGEST {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            room.resize(end.saturating_mul(2), 0);
        }
    })
}

/// Readings that several instances share, for as long as one of them has them.
#[derive(Debug)]
pub(super) struct Shared<K, V>(Mutex<HashMap<K, Weak<Mutex<V>>>>);

impl<K, V> Default for Shared<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V> Shared<K, V> {
    /// Those of this key, made where nobody has them.
    pub(super) fn get(&self, key: K, make: impl FnOnce() -> V) -> Arc<Mutex<V>> {
        let mut all = lock(&self.0);
        if let Some(known) = all.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        // Only here does it grow.
        if all.len() == all.capacity() {
            all.retain(|_, known| known.strong_count() > 0);
        }
        let made = Arc::new(Mutex::new(make()));
        all.insert(key, Arc::downgrade(&made));
        made
    }
}

/// Whatever broke off while it had the lock left a reading that the next one replaces.
pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_kept_while_there_is_room_and_read_as_it_is_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let room = Room(Arc::new(Semaphore::new(1)));
        let text = |kept: &mut Kept| kept.read(&room, || path.clone(), <[u8]>::to_vec);
        let (mut first, mut second) = (Kept::default(), Kept::default());
        assert!(text(&mut first).is_err() && first.0.is_none());
        for written in ["one", "two, and longer", &"x".repeat(100_000), "3"] {
            fs::write(&path, written).unwrap();
            assert_eq!(text(&mut first).unwrap(), written.as_bytes());
            assert_eq!(text(&mut second).unwrap(), written.as_bytes());
            assert!(
                first.0.is_some() && second.0.is_none(),
                "there is room for one"
            );
        }
        drop(first);
        text(&mut second).unwrap();
        assert!(second.0.is_some());
    }

    #[test]
    fn a_reading_is_shared_while_somebody_has_it() {
        let shared = Shared::default();
        let one = shared.get(1, || 10);
        *lock(&one) = 11;
        assert_eq!(*lock(&shared.get(1, || 10)), 11);
        drop(one);
        assert_eq!(*lock(&shared.get(1, || 10)), 10, "nobody had it any more");
        for key in 0..1000 {
            shared.get(key, || key);
        }
        assert!(lock(&shared.0).len() < 10, "what nobody has goes");
    }
}
