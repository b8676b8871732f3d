//! The part of a job that names Sentinels, and what it cannot stand beside.
//!
//! Pure. What is told never repeats a value. Must not ask anybody.

use serde_saphyr::Location;

use super::address::Address;
use super::file::Reader;
use super::job::{Credentials, Secret, Sentinel};
use super::raw::{RawJob, RawSentinel};
use super::values::credential;

impl Reader<'_> {
    /// `sentinel:` of a job. Credentials may stand in the addresses too; the keys go
    /// first.
    pub(super) fn sentinel(&mut self, raw: &RawSentinel, job: Location) -> Sentinel {
        self.keys(&raw.unknown, &raw.twice, RawSentinel::KEYS, RawJob::KEYS);
        let username = self.value(raw.username.as_ref(), credential);
        let password = self.value(raw.password.as_ref(), credential);
        let mut sentinel = Sentinel::default();
        for text in raw.addresses.iter().flatten() {
            if let Some((address, credentials)) = self.value(Some(text), Address::parse) {
                sentinel.addresses.push(address);
                let Credentials { username, password } = credentials;
                let own = &mut sentinel.credentials;
                own.username = own.username.take().or(username);
                own.password = own.password.take().or(password);
            }
        }
        if raw.addresses.as_ref().is_none_or(Vec::is_empty) {
            let told = "sentinel without addresses; write below it addresses: and a list such as \
                        - redis://host:26379";
            self.error(job, told);
        }
        let own = &mut sentinel.credentials;
        own.username = username.or(own.username.take());
        own.password = password.map(Secret::new).or(own.password.take());
        let masters = raw.masters.iter().flatten();
        sentinel.masters = masters.map(|name| name.value.clone()).collect();
        sentinel
    }

    /// A job says in one way what it stands for.
    pub(super) fn one_way(&mut self, raw: &RawJob) {
        if raw.sentinel.is_none() {
            return;
        }
        if let Some(address) = &raw.address {
            let told = "address beside sentinel; take address away: the Sentinels tell where the \
                        instances are";
            self.error(address.referenced, told);
        }
        if let Some(cluster) = &raw.cluster {
            let told = "cluster beside sentinel; take one of them away: a cluster has no Sentinels";
            self.error(cluster.referenced, told);
        }
    }
}
