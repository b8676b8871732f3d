//! Finds the configuration files and reads them.
//!
//! The operator's copy stands in for the stock one, as everywhere in Netdata; beside it
//! lie the virtual nodes and go.d's files. References in a file are resolved with it,
//! but for those of credentials. Must not interpret the text: that is `file.rs`.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::exposed;
use super::file::{self, Parsed, Problem, Severity};
use super::files;
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
    /// Those of the files that hold a password which too many may read, and what is wrong
    /// with their modes.
    pub exposed: Vec<(PathBuf, String)>,
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
        if let Some(parsed) = parsed(&path, &vnodes, &mut loaded.exposed) {
            (loaded.path, loaded.parsed) = (Some(path), parsed);
            break;
        }
    }
    if let Some(dir) = user.filter(|_| loaded.parsed.import_go_d) {
        let path = dir.join(GO_D_FILE);
        let parsed = parsed(&path, &vnodes, &mut loaded.exposed);
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
    let missing = || failed((1, 1), files::Unread::Missing.to_string());
    let mut exposed = Vec::new();
    let parsed = parsed(path, &vnodes, &mut exposed);
    Loaded {
        path: Some(path.to_owned()),
        parsed: parsed.unwrap_or_else(missing),
        go_d: None,
        vnodes,
        vnode_problems,
        exposed,
    }
}

/// What a file says; `None` where there is none. Notes it where it holds a secret that too
/// many may read.
fn parsed(
    path: &Path,
    vnodes: &[Arc<Vnode>],
    exposed: &mut Vec<(PathBuf, String)>,
) -> Option<Parsed> {
    let (text, seen) = match read(path) {
        Ok(read) => read,
        Err(Unread::Missing) => return None,
        Err(Unread::Failed(at, told)) => return Some(failed(at, told)),
    };
    let parsed = resolved(&text, vnodes);
    let told = exposed::told(path, seen.mode());
    let told = told.filter(|_| exposed::written_out(parsed.jobs.iter()));
    exposed.extend(told.map(|told| (path.to_owned(), told)));
    Some(parsed)
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
    for path in files(&user.join(VNODES_DIR), DEEPEST, &mut problems) {
        let (found, told) = match read(&path) {
            Ok((text, _)) => vnodes::parse(&text),
            Err(Unread::Missing) => continue,
            Err(Unread::Failed(at, told)) => (Vec::new(), failed(at, told).problems),
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

/// The configuration files in a folder, in the order of their names, whatever they are.
fn files(dir: &Path, depth: usize, problems: &mut Vec<(PathBuf, Problem)>) -> Vec<PathBuf> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound && !dir.is_symlink() => {
            return Vec::new();
        }
        Err(error) => {
            let told = format!("no folder of virtual nodes that can be read: {error}");
            let told = format!("{told}; let the user netdata read and enter it, or remove it");
            let told = failed((1, 1), told).problems.into_iter();
            problems.extend(told.map(|told| (dir.to_owned(), told)));
            return Vec::new();
        }
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let is_link = path.is_symlink();
        let known = |end: &std::ffi::OsStr| end == "conf" || end == "yaml" || end == "yml";
        if path.is_dir() && !is_link && depth > 0 {
            found.extend(files(&path, depth - 1, problems));
        } else if path.extension().is_some_and(known) {
            found.push(path);
        }
    }
    found
}

enum Unread {
    Missing,
    /// From this line and column on.
    Failed((u64, u64), String),
}

fn read(path: &Path) -> Result<(String, Metadata), Unread> {
    let (bytes, seen) = files::read(path, LARGEST).map_err(|unread| match unread {
        files::Unread::Missing => Unread::Missing,
        other => Unread::Failed((1, 1), other.to_string()),
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let sound = error.as_bytes().utf8_chunks().next();
        let at = end(sound.map_or("", |chunk| chunk.valid()));
        Unread::Failed(at, NOT_TEXT.to_owned())
    })?;
    Ok((text, seen))
}

/// Line and column behind a text.
fn end(text: &str) -> (u64, u64) {
    let line = text.matches('\n').count() + 1;
    let last = text.rsplit('\n').next().unwrap_or_default();
    (line as u64, last.chars().count() as u64 + 1)
}
