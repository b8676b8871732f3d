//! One instance to watch, as understood from a file, the command line or by
//! default.
//!
//! Data only. Secrets are in here and never come out by `Debug`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::model::families::Families;
use crate::model::thresholds::Thresholds;

use super::address::Address;
use super::query::Protocol;
use super::reference::Template;
use super::tls::Tls;
use super::vnodes::Vnode;

/// Place of the first chart on the dashboard where the file says nothing: go.d's.
pub const DEFAULT_PRIORITY: u32 = 70_000;

/// Makes a name fit for chart ids: letters, digits, `_` and `-`; everything else
/// becomes `_`, as go.d does it with spaces and dots.
#[must_use]
pub fn clean_name(name: &str) -> String {
    let keep = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    name.trim().chars().take(100).map(keep).collect()
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one place that sends it to the server.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How to be let in, by word or by reference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// ACL user; `None` is the default user.
    pub username: Option<Template>,
    /// Password; without one nothing is sent.
    pub password: Option<Template>,
}

/// Sentinels to be asked which instances there are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sentinel {
    /// Where they listen; one that answers is enough.
    pub addresses: Vec<Address>,
    /// How to be let in by them; the instances have the job's own.
    pub credentials: Credentials,
    /// Names of the primaries to follow; empty: all that they know.
    pub masters: Vec<String>,
}

/// One instance to watch, or the way to several.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Name, fit for chart ids.
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// TLS; over TCP alone.
    pub tls: Option<Tls>,
    /// Version of the protocol to speak.
    pub protocol: Protocol,
    /// How to be let in.
    pub credentials: Credentials,
    /// Longest wait for a connection, and for a reply.
    pub timeout: Duration,
    /// Seconds between collections.
    pub update_every: u32,
    /// Seconds between tries while the instance was never reached; 0 leaves it
    /// to the back-off.
    pub autodetection_retry: u32,
    /// Place of its charts on the dashboard.
    pub priority: u32,
    /// Families of charts that it has.
    pub charts: Families,
    /// Labels on its charts.
    pub labels: BTreeMap<String, String>,
    /// The node whose charts they are; `None`: the agent's own.
    pub vnode: Option<Arc<Vnode>>,
    /// From where on a figure matters.
    pub thresholds: Thresholds,
    /// Seconds between readings of the allocator's own statistics, which block the
    /// server for about a millisecond; 0 leaves it alone, and so do charts without the
    /// family size classes.
    pub malloc_stats_every: u32,
    /// Whether they may be read when a person asks for size classes.
    pub size_classes: bool,
    /// Whether nobody named it: it was found.
    pub discovered: bool,
    /// Whether it was named for another collector.
    pub imported: bool,
    /// How long it is missed before it is forgotten, where that is sooner than of all
    /// that were found.
    pub forget_after: Option<Duration>,
    /// Whether it is charted only from its first answer on: where it was only presumed
    /// to be there, its absence is no outage.
    pub quiet: bool,
    /// Other ways to what is meant: the first that works is taken.
    pub alternatives: Vec<Job>,
    /// Whether all nodes of its cluster are followed.
    pub cluster: bool,
    /// Sentinels that tell what to watch.
    pub sentinel: Option<Sentinel>,
}

impl Job {
    /// A job with every default.
    #[must_use]
    pub fn new(name: &str, address: Address) -> Self {
        Self {
            name: name.to_owned(),
            address,
            tls: None,
            protocol: Protocol::default(),
            credentials: Credentials::default(),
            timeout: Duration::from_secs(1),
            update_every: 1,
            autodetection_retry: 0,
            priority: DEFAULT_PRIORITY,
            charts: Families::ALL,
            labels: BTreeMap::new(),
            vnode: None,
            thresholds: Thresholds::default(),
            malloc_stats_every: 0,
            size_classes: true,
            discovered: false,
            imported: false,
            forget_after: None,
            quiet: false,
            alternatives: Vec::new(),
            cluster: false,
            sentinel: None,
        }
    }

    /// Where it listens, as an address to show: `rediss://` where TLS is spoken, and
    /// no credentials.
    #[must_use]
    pub fn url(&self) -> String {
        let address = self.address.to_string();
        match address.strip_prefix("redis://") {
            Some(rest) if self.tls.is_some() => format!("rediss://{rest}"),
            _ => address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_by_tls_shows_it() {
        let mut job = Job::new("a", Address::parse("[::1]:7").unwrap().0);
        assert_eq!(job.url(), "redis://[::1]:7");
        job.tls = Some(Tls::default());
        assert_eq!(job.url(), "rediss://[::1]:7");
    }

    #[test]
    fn a_job_shows_no_password() {
        let mut job = Job::new("a", Address::parse("h:1").unwrap().0);
        job.credentials.password = Some(Template::literal("hunter2"));
        let shown = format!("{job:?}");
        assert!(
            shown.contains("***") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
