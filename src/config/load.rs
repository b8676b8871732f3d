//! Finds the configuration file and reads it.
//!
//! The operator's copy stands in for the stock one, as everywhere in Netdata. What it
//! refers to is read too, but for credentials: those are read when they are needed.
//! Must not interpret the text: that is `file.rs`.

use std::cell::RefCell;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::file::{self, Parsed, Problem, Severity};
use super::job::Secret;
use super::reference::Reference;
use super::secrets::{self, Leash};

/// Name of the file in either folder.
pub const FILE_NAME: &str = "redis-frag.conf";

/// A configuration file is read up to this size; a larger one is none.
const LARGEST: u64 = 1 << 20;

/// What is told of a file in an old encoding.
const NOT_TEXT: &str = "not UTF-8 text; save the file as UTF-8";

/// What was configured, and where.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The file, if there was any.
    pub path: Option<PathBuf>,
    /// What it says; without a file, that nothing is configured.
    pub parsed: Parsed,
}

/// Reads the first of the folders' files that exists.
#[must_use]
pub fn from_dirs<'a>(dirs: impl IntoIterator<Item = &'a Path>) -> Loaded {
    for dir in dirs {
        let path = dir.join(FILE_NAME);
        match read(&path) {
            Ok(text) => {
                return Loaded {
                    path: Some(path),
                    parsed: parsed(&text),
                };
            }
            Err(Unread::Missing) => {}
            Err(Unread::Failed(told)) => return failed(path, (1, 1), told),
            Err(Unread::NotText(at)) => return failed(path, at, NOT_TEXT.to_owned()),
        }
    }
    Loaded {
        path: None,
        parsed: file::parse(""),
    }
}

/// Reads this very file.
#[must_use]
pub fn from_file(path: &Path) -> Loaded {
    let path = path.to_owned();
    match read(&path) {
        Ok(text) => Loaded {
            path: Some(path),
            parsed: parsed(&text),
        },
        Err(Unread::Missing) => failed(path, (1, 1), "no such file".to_owned()),
        Err(Unread::Failed(told)) => failed(path, (1, 1), told),
        Err(Unread::NotText(at)) => failed(path, at, NOT_TEXT.to_owned()),
    }
}

/// A fleet refers to one secret many times, and a program is run once for all.
fn parsed(text: &str) -> Parsed {
    let leash = Leash::default();
    let known: RefCell<Vec<(Reference, Result<Secret, String>)>> = RefCell::default();
    file::parse_with(text, &|reference| {
        let mut known = known.borrow_mut();
        if let Some((_, value)) = known.iter().find(|(name, _)| name == reference) {
            return value.clone();
        }
        let value = secrets::read(reference, secrets::PATIENCE, &leash);
        known.push((reference.clone(), value.clone()));
        value
    })
}

fn failed(path: PathBuf, (line, column): (u64, u64), text: String) -> Loaded {
    let problem = Problem {
        severity: Severity::Error,
        line,
        column,
        text,
    };
    Loaded {
        path: Some(path),
        parsed: Parsed {
            problems: vec![problem],
            ..Parsed::default()
        },
    }
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
        let sound = error.utf8_error().valid_up_to();
        Unread::NotText(end(&String::from_utf8_lossy(&error.as_bytes()[..sound])))
    })
}

/// Line and column behind a text.
fn end(text: &str) -> (u64, u64) {
    let line = text.matches('\n').count() + 1;
    let last = text.rsplit('\n').next().unwrap_or_default();
    (line as u64, last.chars().count() as u64 + 1)
}
