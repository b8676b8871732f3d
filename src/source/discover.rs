//! Where instances usually listen on this machine, and which of two ways to the
//! same one is taken.
//!
//! Must not ask anybody: it only names addresses and keeps the claims.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::address::Address;
use crate::config::job::Job;

/// Unix sockets by default or custom: Debian's redis.conf and valkey.conf,
/// Fedora's, upstream's commented example, go.d's stock jobs.
const SOCKETS: &[(&str, &str)] = &[
    ("local_redis_server", "/run/redis/redis-server.sock"),
    ("local_redis", "/run/redis/redis.sock"),
    ("local_redis_run", "/run/redis.sock"),
    ("local_redis_tmp", "/tmp/redis.sock"),
    ("local_valkey_server", "/run/valkey/valkey-server.sock"),
    ("local_valkey", "/run/valkey/valkey.sock"),
    ("local_valkey_run", "/run/valkey.sock"),
    ("local_valkey_tmp", "/tmp/valkey.sock"),
];

/// Jobs for the usual local addresses, the surest first.
#[must_use]
pub fn local() -> Vec<Job> {
    let tcp = (
        "local",
        Address::Tcp {
            host: "127.0.0.1".into(),
            port: 6379,
        },
    );
    let unix = SOCKETS
        .iter()
        .map(|(name, path)| (*name, Address::Unix(PathBuf::from(path))));
    std::iter::once(tcp)
        .chain(unix)
        .map(|(name, address)| Job {
            discovered: true,
            ..Job::new(name, address)
        })
        .collect()
}

/// Who may chart a process before whom: a job that somebody configured, then the
/// usual addresses in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(usize);

impl Rank {
    /// Configured jobs come first, and beside each other: two for one process are
    /// the operator's wish.
    pub const CONFIGURED: Self = Self(0);

    /// The rank of a job that was not configured, by its place among all.
    #[must_use]
    pub fn discovered(place: usize) -> Self {
        Self(place + 1)
    }
}

/// Which job charts which server process, so that one reached over TCP and a
/// socket is charted once. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    owners: Arc<Mutex<HashMap<String, (String, Rank)>>>,
}

impl Claims {
    /// Claims the process `run_id` for a job and says whether the job has it.
    #[must_use]
    pub fn claim(&self, run_id: &str, job: &str, rank: Rank) -> bool {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        match owners.get(run_id) {
            Some((owner, _)) if owner == job => true,
            Some((_, theirs)) if *theirs <= rank => rank == Rank::CONFIGURED,
            _ => {
                // The process that it had before is gone, and its run_id with it.
                owners.retain(|_, (owner, _)| owner != job);
                owners.insert(run_id.to_owned(), (job.to_owned(), rank));
                true
            }
        }
    }

    /// Gives up what a job has claimed: its instance is gone or another now.
    pub fn release(&self, job: &str) {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.retain(|_, (owner, _)| owner != job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_is_charted_once_and_configured_jobs_go_first() {
        let claims = Claims::default();
        let (first, second) = (Rank::discovered(0), Rank::discovered(1));
        assert!(claims.claim("r1", "socket", second));
        assert!(claims.claim("r1", "socket", second), "still its own");
        assert!(claims.claim("r1", "local", first), "the surer way to it");
        assert!(
            !claims.claim("r1", "socket", second),
            "and the other yields"
        );
        assert!(claims.claim("r2", "socket", second), "another process");
        assert!(
            claims.claim("r1", "mine", Rank::CONFIGURED),
            "configured goes first"
        );
        assert!(!claims.claim("r1", "local", first));
        assert!(
            claims.claim("r1", "mine_too", Rank::CONFIGURED),
            "both configured: both charted"
        );
        claims.release("mine");
        assert!(claims.claim("r1", "local", first), "free again");
        assert!(
            claims.claim("r3", "local", first),
            "its server is started anew"
        );
        assert!(
            claims.claim("r1", "socket", second),
            "one claim for each job"
        );
    }

    #[test]
    fn local_jobs_have_names_of_their_own() {
        let mut names: Vec<String> = local().into_iter().map(|job| job.name).collect();
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
