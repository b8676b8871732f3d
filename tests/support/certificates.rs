//! A CA of the tests' own, and certificates that it signs: right, expired, for
//! another name. Written to PEM files, as servers and the plugin read them.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};

/// When certificates are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Valid {
    Now,
    /// Until 2001-02-03.
    Expired,
    /// From 2090-05-06 on.
    Later,
}

/// A CA, and its certificate as a file.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub file: PathBuf,
}

/// A certificate and its key as files.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// Writes `NAME.ca.pem` to the folder, in place of what is there.
    pub fn new(dir: &Path, name: &str) -> Authority {
        let key = KeyPair::generate().expect("no key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = params.self_signed(&key).expect("no certificate of a CA");
        let file = dir.join(format!("{name}.ca.pem"));
        write(&file, &own.pem());
        Authority {
            issuer: Issuer::new(params, key),
            file,
        }
    }

    /// Signs a certificate for these hosts, as `NAME.pem` and `NAME.key`.
    pub fn sign(&self, name: &str, hosts: &[&str], valid: Valid) -> Certificate {
        let (params, key) = params(name, hosts, valid);
        let signed = params.signed_by(&key, &self.issuer).expect("not signed");
        let dir = self.file.parent().expect("a folder");
        files(dir, name, &signed.pem(), &key)
    }
}

/// A certificate that nobody else has signed; of a CA where that is said, as
/// `openssl req -x509` makes it.
pub fn self_signed(dir: &Path, name: &str, hosts: &[&str], of_ca: bool) -> Certificate {
    let (mut params, key) = params(name, hosts, Valid::Now);
    if of_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let own = params.self_signed(&key).expect("no certificate");
    files(dir, name, &own.pem(), &key)
}

fn params(name: &str, hosts: &[&str], valid: Valid) -> (CertificateParams, KeyPair) {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts).expect("no name of a host");
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    (params.not_before, params.not_after) = match valid {
        Valid::Now => (date_time_ymd(2020, 1, 1), date_time_ymd(2090, 1, 1)),
        Valid::Expired => (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 2, 3)),
        Valid::Later => (date_time_ymd(2090, 5, 6), date_time_ymd(2095, 1, 1)),
    };
    (params, KeyPair::generate().expect("no key"))
}

fn files(dir: &Path, name: &str, pem: &str, key: &KeyPair) -> Certificate {
    let (cert, private) = (
        dir.join(format!("{name}.pem")),
        dir.join(format!("{name}.key")),
    );
    write(&cert, pem);
    write(&private, &key.serialize_pem());
    Certificate { cert, key: private }
}

/// In place of the old one in one step, as those who renew certificates do.
fn write(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text)
        .and_then(|()| std::fs::rename(&new, path))
        .unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
}
