//! The plugin as an agent runs it, with a reader of its output that costs next to
//! nothing.
//!
//! Knows how it is started, not what any figure means.

use std::io::Read;
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::lateness::{Arrival, Lateness};
use crate::measure::wall;
use crate::output::Output;
use crate::support::eventually;
use crate::support::process::{self, Tie};

/// How long all instances may take to answer for the first time.
const START_LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Seen {
    output: Output,
    arrivals: Vec<Arrival>,
    /// When each was told to be up for the first time, since the start.
    first: Vec<Option<Duration>>,
}

/// How long it took from the start to values.
#[derive(Debug, Clone, Copy, Default)]
pub struct Start {
    /// Of the last instance to answer.
    pub last: Duration,
    /// Bytes of definitions until then.
    pub definitions: u64,
}

/// A running plugin; killed when dropped.
pub struct Plugin {
    child: Child,
    seen: Arc<Mutex<Seen>>,
    dir: tempfile::TempDir,
    // Closed, it would be told to end.
    _stdin: Option<ChildStdin>,
}

impl Plugin {
    /// Starts it with a job for each address.
    pub fn start(binary: &Path, addresses: &[String], descriptors: Option<u64>) -> Self {
        let dir = process::short_dir();
        let job = |(number, address): (usize, &String)| {
            format!("- {{name: job{number:04}, address: '{address}'}}\n")
        };
        let jobs: String = addresses.iter().enumerate().map(job).collect();
        std::fs::write(dir.path().join("redis-frag.conf"), format!("jobs:\n{jobs}")).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let mut words = vec![binary.to_str().unwrap().to_owned(), "1".into()];
        if let Some(limit) = descriptors {
            words.splice(0..0, ["prlimit".into(), format!("--nofile={limit}:")]);
        }
        let seen = Arc::new(Mutex::new(Seen {
            first: vec![None; addresses.len()],
            ..Seen::default()
        }));
        let began = Instant::now();
        let mut child = process::spawn(Path::new(&words[0]), Tie::DiesWithUs, |command| {
            command
                .args(&words[1..])
                .env("NETDATA_VERSION", "v1.37.1")
                .env("NETDATA_UPDATE_EVERY", "1")
                .env("NETDATA_HOST_PREFIX", "")
                .env("NETDATA_USER_CONFIG_DIR", dir.path())
                .env("NETDATA_STOCK_CONFIG_DIR", dir.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(log);
        })
        .unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let theirs = Arc::clone(&seen);
        std::thread::spawn(move || read(stdout, &theirs, began));
        Self {
            child,
            seen,
            dir,
            _stdin: stdin,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the first so many instances have values.
    pub fn wait_for_all(&self, instances: usize) -> Start {
        self.wait_for(&(0..instances).collect::<Vec<_>>())
    }

    /// Waits until these instances have values.
    pub fn wait_for(&self, instances: &[usize]) -> Start {
        let came = || {
            let seen = self.seen.lock().unwrap();
            instances.iter().all(|number| seen.first[*number].is_some())
        };
        if !crate::support::becomes_true(START_LIMIT, came) {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            let from = log.len() - log.len().min(2000);
            eprintln!("{}", log.get(from..).unwrap_or_default());
        }
        eventually(Duration::ZERO, "every instance answers", came);
        let seen = self.seen.lock().unwrap();
        let times = instances.iter().filter_map(|number| seen.first[*number]);
        Start {
            last: times.max().unwrap_or_default(),
            definitions: seen.output.definitions,
        }
    }

    /// Bytes of its output so far, and those of definitions.
    pub fn bytes(&self) -> (u64, u64) {
        let seen = self.seen.lock().unwrap();
        (seen.output.bytes, seen.output.definitions)
    }

    /// How late these instances were, from a moment of the wall clock on.
    pub fn lateness(&self, instances: &[usize], from: Duration, long: Duration) -> Lateness {
        let seen = self.seen.lock().unwrap();
        Lateness::new(&seen.arrivals, instances, from, long)
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        process::kill(&mut self.child);
    }
}

fn read(mut stdout: impl Read, seen: &Mutex<Seen>, began: Instant) {
    let mut room = vec![0; 64 << 10];
    while let Ok(length @ 1..) = stdout.read(&mut room) {
        let (at, since) = (wall(), began.elapsed());
        let mut seen = seen.lock().unwrap();
        let Seen {
            output,
            arrivals,
            first,
        } = &mut *seen;
        output.take(&room[..length], |instance, up| {
            if up {
                arrivals.push(Arrival { instance, at });
                first[instance].get_or_insert(since);
            }
        });
    }
}
