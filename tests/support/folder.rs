//! What is in a folder, so that a test can say that nothing was written there.
//!
//! Looks at names and times; must not open a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The files and folders in a folder and below, and when each was written.
#[track_caller]
pub fn files(folder: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let mut all = BTreeMap::new();
    let entries = std::fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("cannot read {}: {e}", folder.display()));
    for entry in entries {
        let seen = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)));
        let (path, data) = seen.unwrap_or_else(|e| panic!("in {}: {e}", folder.display()));
        let written = data.modified().expect("a file system that keeps times");
        if data.is_dir() {
            all.extend(files(&path));
        }
        all.insert(path, written);
    }
    all
}
