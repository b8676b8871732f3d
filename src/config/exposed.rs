//! Files with a secret in them that more people may read or change than should.
//!
//! Each is told once, and again when its mode is another one or the configuration is read
//! anew. Looks at modes alone: must not read a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use super::job::{Credentials, Job};
use super::reference::{Reference, Source};

/// The file's own user reads and writes, its group reads: as Netdata's own files are.
const SOUND: u32 = 0o640;

/// The files that were told of, and the mode of each.
static TOLD: Mutex<BTreeMap<PathBuf, u32>> = Mutex::new(BTreeMap::new());

fn known() -> MutexGuard<'static, BTreeMap<PathBuf, u32>> {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is wrong with the mode of a file with a secret in it, and what mends that.
#[must_use]
pub fn told(path: &Path, mode: u32) -> Option<String> {
    let mode = mode & 0o7777;
    let who = match (mode & 0o004 > 0, mode & 0o002 > 0, mode & 0o020 > 0) {
        (true, true, _) => "anybody may read and change",
        (true, false, true) => "anybody may read, and its group may change,",
        (true, false, false) => "anybody may read",
        (false, true, _) => "anybody may change",
        (false, false, true) => "its group may change",
        (false, false, false) => return None,
    };
    let (path, sound) = (path.display(), mode & SOUND);
    Some(format!(
        "mode {mode:04o}: {who} the secret in it; chmod {sound:04o} {path}, with netdata as its \
         group"
    ))
}

/// The same of a file as it is now; nothing where there is none.
#[must_use]
pub fn now(path: &Path) -> Option<String> {
    let seen = path.metadata().ok().filter(Metadata::is_file)?;
    told(path, seen.mode())
}

/// Warns of a file in the log, once.
pub fn warn(path: &Path) {
    let Some(seen) = path.metadata().ok().filter(Metadata::is_file) else {
        return;
    };
    let (mode, told) = (seen.mode(), told(path, seen.mode()));
    let before = match &told {
        Some(_) => known().insert(path.to_owned(), mode),
        None => known().remove(path),
    };
    if let Some(told) = told
        && before != Some(mode)
    {
        log::warn!("{}: {told}", path.display());
    }
}

/// The files that are to be looked at, and who does it.
struct Rounds {
    waiting: Mutex<Waiting>,
    look: fn(&Path),
}

struct Waiting {
    files: Option<BTreeSet<PathBuf>>,
    under_way: bool,
}

static ROUNDS: Rounds = Rounds::new(warn);

/// Warns of these files, in a thread of its own: their disk may hang. There is one at
/// most, which goes on with the files that were given last.
pub fn look_at(files: BTreeSet<PathBuf>) {
    if !files.is_empty() {
        ROUNDS.begin(files);
    }
}

impl Rounds {
    const fn new(look: fn(&Path)) -> Self {
        let waiting = Mutex::new(Waiting {
            files: None,
            under_way: false,
        });
        Self { waiting, look }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether a thread was begun for them.
    fn begin(&'static self, files: BTreeSet<PathBuf>) -> bool {
        let mut waiting = self.waiting();
        waiting.files = Some(files);
        if waiting.under_way {
            return false;
        }
        let thread = thread::Builder::new().name("modes".to_owned());
        match thread.spawn(|| self.go()) {
            Ok(_) => waiting.under_way = true,
            Err(error) => log::debug!("no thread to look at files with secrets: {error}"),
        }
        waiting.under_way
    }

    fn go(&self) {
        loop {
            let files = {
                let mut waiting = self.waiting();
                waiting.under_way = waiting.files.is_some();
                waiting.files.take()
            };
            let Some(files) = files else { return };
            // One that breaks down is told; others wait.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                files.iter().for_each(|path| (self.look)(path));
            }));
        }
    }
}

/// Warns of the file that a reference to a secret names.
pub fn warn_of(reference: &Reference) {
    if let Source::File(path) = &reference.source {
        warn(Path::new(path));
    }
}

/// The configuration is read anew: what is still wrong is told again.
pub fn forget() {
    known().clear();
}

/// The files that hold secrets of these jobs, each once.
pub fn named<'a>(jobs: impl Iterator<Item = &'a Job>) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for job in jobs.flat_map(|job| std::iter::once(job).chain(&job.alternatives)) {
        for reference in all(job).flat_map(Credentials::references) {
            if let Source::File(path) = &reference.source {
                files.insert(PathBuf::from(path));
            }
        }
        files.extend(job.tls.as_ref().and_then(|tls| tls.key.clone()));
    }
    files
}

/// Whether a secret of these jobs is written out in their file.
pub fn written_out<'a>(jobs: impl Iterator<Item = &'a Job>) -> bool {
    let mut jobs = jobs.flat_map(|job| std::iter::once(job).chain(&job.alternatives));
    jobs.any(|job| all(job).any(|of| of.password.as_ref().is_some_and(|text| text.has_literal())))
}

fn all(job: &Job) -> impl Iterator<Item = &Credentials> {
    let sentinel = job.sentinel.iter().map(|sentinel| &sentinel.credentials);
    sentinel.chain([&job.credentials])
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread::ThreadId;

    use super::*;

    type Ends<T> = Mutex<Option<T>>;

    static SEEN: Ends<Sender<(PathBuf, ThreadId)>> = Mutex::new(None);
    static GO_ON: Ends<Receiver<()>> = Mutex::new(None);

    /// As on a disk that hangs, until it is told to go on.
    fn hang(path: &Path) {
        let seen = SEEN.lock().unwrap().clone().unwrap();
        seen.send((path.to_owned(), thread::current().id()))
            .unwrap();
        let _ = GO_ON.lock().unwrap().as_ref().unwrap().recv();
    }

    #[test]
    fn a_disk_that_hangs_costs_one_thread_and_the_last_files_are_looked_at() {
        static HANGING: Rounds = Rounds::new(hang);
        let ((seen, looks), (go_on, held)) = (channel(), channel());
        *SEEN.lock().unwrap() = Some(seen);
        *GO_ON.lock().unwrap() = Some(held);
        assert!(HANGING.begin(BTreeSet::from(["a".into()])));
        let (first, thread) = looks.recv().unwrap();
        for name in ["b", "c"] {
            assert!(!HANGING.begin(BTreeSet::from([name.into()])));
        }
        drop(go_on);
        let (last, by) = looks.recv().unwrap();
        assert_eq!((&*first, &*last), (Path::new("a"), Path::new("c")));
        assert_eq!(by, thread);
    }

    #[test]
    fn who_may_do_what_is_told_with_the_command_that_mends_it() {
        let path = Path::new("/run/secret");
        for (mode, who, sound) in [
            (0o100_644, "anybody may read the secret", "0640"),
            (0o666, "anybody may read and change the", "0640"),
            (0o777, "anybody may read and change the", "0640"),
            (0o604, "anybody may read the", "0600"),
            (0o602, "anybody may change the", "0600"),
            (0o660, "its group may change the", "0640"),
            (
                0o664,
                "anybody may read, and its group may change, the",
                "0640",
            ),
            (0o444, "anybody may read the", "0440"),
        ] {
            let told = told(path, mode).unwrap();
            let mode = mode & 0o7777;
            assert!(
                told.starts_with(&format!("mode {mode:04o}: {who}")),
                "{told}"
            );
            assert!(
                told.contains(&format!("chmod {sound} /run/secret,")),
                "{told}"
            );
        }
        for mode in [0o640, 0o600, 0o400, 0o440, 0o750, 0o000] {
            assert_eq!(told(path, mode), None, "{mode:o}");
        }
    }
}
