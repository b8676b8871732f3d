//! The part of a job that names Sentinels, and what it cannot stand beside.
//!
//! Pure. What is told never repeats a value. Must not ask anybody.

use serde_saphyr::Location;

use super::address::Options;
use super::file::Reader;
use super::job::{Credentials, Sentinel};
use super::login;
use super::raw::{RawJob, RawSentinel};
use super::reference::Template;

impl Reader<'_> {
    /// `sentinel:` of a job, and what its addresses say beside. Credentials may stand in
    /// the addresses too, and go first there. TLS is spoken with all, instances too, where
    /// one is asked by TLS.
    pub(super) fn sentinel(&mut self, raw: &RawSentinel, job: Location) -> (Sentinel, Options) {
        self.keys(&raw.unknown, &raw.twice, RawSentinel::KEYS, RawJob::KEYS);
        let template = |_: &Self, text: &str| Template::parse(text);
        let username = self.unfilled(raw.username.as_ref(), template);
        let password = self.unfilled(raw.password.as_ref(), template);
        let (mut sentinel, mut options) = (Sentinel::default(), Options::default());
        for text in raw.addresses.iter().flatten() {
            let read = self.unfilled(Some(text), |reader, text| {
                login::address(text, |text| reader.filled(text))
            });
            if let Some((address, credentials, own)) = read {
                sentinel.addresses.push(address);
                options.tls = options.tls.or(own.tls);
                options.protocol = own.protocol;
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
        own.username = own.username.take().or(username);
        own.password = own.password.take().or(password);
        for name in raw.masters.iter().flatten() {
            let name = self.value(Some(name), |name| Ok(name.to_owned()));
            sentinel.masters.extend(name);
        }
        (sentinel, options)
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
