//! What the plugin takes of the machine, second by second.

use std::fs;
use std::time::Duration;

use crate::support::process::resident;

/// One look at it.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub at: Duration,
    /// Bytes.
    pub resident: u64,
    pub descriptors: usize,
    pub threads: usize,
}

impl Size {
    pub fn of(pid: u32, at: Duration) -> Self {
        let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
        Self {
            at,
            resident: resident(pid),
            descriptors: count("fd"),
            threads: count("task"),
        }
    }
}

/// The middle one of what was resident between two times, bytes.
pub fn middle(sizes: &[Size], from: Duration, to: Duration) -> u64 {
    let within = sizes.iter().filter(|size| (from..to).contains(&size.at));
    let mut all: Vec<u64> = within.map(|size| size.resident).collect();
    all.sort_unstable();
    all[all.len() / 2]
}
