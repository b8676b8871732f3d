//! Finds the configuration files and reads them.
//!
//! The operator's copy stands in for the stock one, as everywhere in Netdata; beside it
//! lie the virtual nodes and go.d's files. References in a file are resolved with it,
//! but for those of credentials. Must not interpret the text: that is `file.rs`.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::file::{self, Parsed, Problem, Severity};
use super::job::{Job, Secret};
use super::reference::Reference;
use super::same::is_same;
use super::secrets::{self, Leash};
use super::vnodes::{self, Vnode};

/// Name of the file in either folder.
pub const FILE_NAME: &str = "redis-frag.conf";

/// The file of go.d's redis collector, in the operator's folder.
pub const GO_D_FILE: &str = "go.d/redis.conf";

/// The folder of virtual nodes, in the operator's folder.
pub const VNODES_DIR: &str = "vnodes";

/// A configuration file is read up to this size; a larger one is none.
const LARGEST: u64 = 1 << 20;

/// Folders in folders that are searched for virtual nodes.
const DEEPEST: usize = 8;

/// What is told of a file in an old encoding.
const NOT_TEXT: &str = "not UTF-8 text; save the file as UTF-8";

/// What was configured, and where.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The file, if there was any.
    pub path: Option<PathBuf>,
    /// What it says; without a file, that nothing is configured.
    pub parsed: Parsed,
    /// go.d's file, and those of its jobs that the first names not.
    pub go_d: Option<(PathBuf, Parsed)>,
    /// The nodes that jobs may name.
    pub vnodes: Vec<Arc<Vnode>>,
    /// What is wrong in the files of virtual nodes.
    pub vnode_problems: Vec<(PathBuf, Problem)>,
}

impl Loaded {
    /// All jobs, and the file of each.
    pub fn jobs(&self) -> impl Iterator<Item = (&Job, &Path)> {
        let own = self.path.as_deref().unwrap_or(Path::new(FILE_NAME));
        let own = self.parsed.jobs.iter().map(move |job| (job, own));
        let others = self.go_d.iter();
        own.chain(
            others.flat_map(|(path, parsed)| parsed.jobs.iter().map(|job| (job, path.as_path()))),
        )
    }
}

/// Reads the file of the operator's folder, else of the stock one, and what lies beside
/// it.
#[must_use]
pub fn from_dirs(user: Option<&Path>, stock: Option<&Path>) -> Loaded {
    let (vnodes, vnode_problems) = user.map(read_vnodes).unwrap_or_default();
    let mut loaded = Loaded {
        parsed: Parsed {
            import_go_d: true,
            ..file::parse("", &[])
        },
        ..Loaded::default()
    };
    for dir in user.into_iter().chain(stock) {
        let path = dir.join(FILE_NAME);
        if let Some(parsed) = parsed(&path, &vnodes) {
            (loaded.path, loaded.parsed) = (Some(path), parsed);
            break;
        }
    }
    if let Some(dir) = user.filter(|_| loaded.parsed.import_go_d) {
        let path = dir.join(GO_D_FILE);
        let parsed = parsed(&path, &vnodes);
        loaded.go_d = parsed.map(|parsed| (path, imported(parsed, &loaded.parsed.jobs)));
    }
    (loaded.vnodes, loaded.vnode_problems) = (vnodes, vnode_problems);
    loaded
}

/// Reads this very file.
#[must_use]
pub fn from_file(path: &Path) -> Loaded {
    let dir = path.parent().unwrap_or(Path::new("."));
    let (vnodes, vnode_problems) = read_vnodes(dir);
    let missing = || failed((1, 1), "no such file".to_owned());
    Loaded {
        path: Some(path.to_owned()),
        parsed: parsed(path, &vnodes).unwrap_or_else(missing),
        go_d: None,
        vnodes,
        vnode_problems,
    }
}

/// What a file says; `None` where there is none.
fn parsed(path: &Path, vnodes: &[Arc<Vnode>]) -> Option<Parsed> {
    Some(match read(path) {
        Ok(text) => resolved(&text, vnodes),
        Err(Unread::Missing) => return None,
        Err(Unread::Failed(told)) => failed((1, 1), told),
        Err(Unread::NotText(at)) => failed(at, NOT_TEXT.to_owned()),
    })
}

/// A fleet refers to one secret many times, and a program is run once for all.
fn resolved(text: &str, vnodes: &[Arc<Vnode>]) -> Parsed {
    let leash = Leash::default();
    let end = Instant::now() + secrets::PATIENCE;
    let known: RefCell<Vec<(Reference, Result<Secret, String>)>> = RefCell::default();
    file::parse_with(text, vnodes, &|reference| {
        let mut known = known.borrow_mut();
        if let Some((_, value)) = known.iter().find(|(name, _)| name == reference) {
            return value.clone();
        }
        // All of a file together have the time of one: the others wait.
        let left = end.saturating_duration_since(Instant::now());
        let value = secrets::read(reference, left, &leash);
        known.push((reference.clone(), value.clone()));
        value
    })
}

fn failed((line, column): (u64, u64), text: String) -> Parsed {
    let problem = Problem {
        severity: Severity::Error,
        line,
        column,
        text,
    };
    Parsed {
        problems: vec![problem],
        ..Parsed::default()
    }
}

/// go.d's jobs that none of `own` leads to. go.d says where an instance may be, so that
/// one that is not there is no outage.
fn imported(mut parsed: Parsed, own: &[Job]) -> Parsed {
    let ways = |job: &Job| -> Vec<Job> {
        let first = Job {
            alternatives: Vec::new(),
            ..job.clone()
        };
        std::iter::once(first)
            .chain(job.alternatives.iter().cloned())
            .collect()
    };
    let own_ways: Vec<Job> = own.iter().flat_map(ways).collect();
    parsed.jobs.retain(|job| {
        let ways = ways(job);
        let mut pairs = ways
            .iter()
            .flat_map(|a| own_ways.iter().map(move |b| (a, b)));
        !pairs.any(|(a, b)| is_same(&a.address, &b.address))
    });
    let own = own.iter().map(|job| job.name.clone());
    let mut taken: BTreeSet<String> = own.collect();
    for job in &mut parsed.jobs {
        job.quiet = true;
        let wanted = job.name.clone();
        let mut number = 1;
        while !taken.insert(job.name.clone()) {
            number += 1;
            job.name = format!("{wanted}_{number}");
        }
        job.imported = true;
        for other in &mut job.alternatives {
            other.imported = true;
            other.name.clone_from(&job.name);
        }
    }
    parsed
}

/// All virtual nodes of a folder and those in it. Of two with one hostname the first
/// file's stands.
fn read_vnodes(user: &Path) -> (Vec<Arc<Vnode>>, Vec<(PathBuf, Problem)>) {
    let (mut nodes, mut problems) = (Vec::<Arc<Vnode>>::new(), Vec::new());
    for path in files(&user.join(VNODES_DIR), DEEPEST) {
        let (found, told) = match read(&path) {
            Ok(text) => vnodes::parse(&text),
            Err(Unread::Missing) => continue,
            Err(Unread::Failed(told)) => (Vec::new(), failed((1, 1), told).problems),
            Err(Unread::NotText(at)) => (Vec::new(), failed(at, NOT_TEXT.to_owned()).problems),
        };
        problems.extend(told.into_iter().map(|told| (path.clone(), told)));
        for node in found {
            if nodes.iter().all(|known| known.hostname != node.hostname) {
                nodes.push(Arc::new(node));
            }
        }
    }
    (nodes, problems)
}

/// The configuration files in a folder, in the order of their names.
fn files(dir: &Path, depth: usize) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let is_link = path.is_symlink();
        let known = |end: &std::ffi::OsStr| end == "conf" || end == "yaml" || end == "yml";
        if path.is_dir() && !is_link && depth > 0 {
            found.extend(files(&path, depth - 1));
        } else if path.extension().is_some_and(known) && path.is_file() {
            found.push(path);
        }
    }
    found
}

enum Unread {
    Missing,
    Failed(String),
    /// From this line and column on.
    NotText((u64, u64)),
}

fn read(path: &Path) -> Result<String, Unread> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Unread::Missing,
        ErrorKind::PermissionDenied => {
            Unread::Failed("not readable; let the user netdata read it".to_owned())
        }
        _ => Unread::Failed(format!("cannot be read: {error}")),
    };
    // Asked before opening: to open a pipe would wait for its other end.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(Unread::Failed("not a file".to_owned()));
    }
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LARGEST {
        return Err(Unread::Failed(
            "larger than 1 MiB; is it a configuration file?".to_owned(),
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let sound = error.as_bytes().utf8_chunks().next();
        Unread::NotText(end(sound.map_or("", |chunk| chunk.valid())))
    })
}

/// Line and column behind a text.
fn end(text: &str) -> (u64, u64) {
    let line = text.matches('\n').count() + 1;
    let last = text.rsplit('\n').next().unwrap_or_default();
    (line as u64, last.chars().count() as u64 + 1)
}
