//! The files of TLS: what is in them, and whether they are still the same.
//!
//! Blocks. What is told names key and file, and never what is in it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{Error, RootCertStore};

use crate::config::exposed;
use crate::config::files::{self, Unread};
use crate::config::tls::Tls;

/// A larger file is none of certificates or keys. All CAs of a system have 250 kB.
const LARGEST: u64 = 4 << 20;

/// The CAs of the system, once they were read.
static SYSTEM: Mutex<Option<Arc<RootCertStore>>> = Mutex::new(None);

/// A file as it was seen: another one at its place, or other bytes in it, differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    path: PathBuf,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// How the files of a setting look now.
pub(super) fn stamps(tls: &Tls) -> Result<Vec<Stamp>, String> {
    let files = [
        ("tls_ca", &tls.ca),
        ("tls_cert", &tls.cert),
        ("tls_key", &tls.key),
    ];
    let given = files
        .into_iter()
        .filter_map(|(key, path)| Some((key, path.as_deref()?)));
    given.map(|(key, path)| stamp(key, path)).collect()
}

fn stamp(key: &str, path: &Path) -> Result<Stamp, String> {
    let seen = files::seen(path).map_err(|unread| told(key, path, &unread))?;
    Ok(Stamp {
        path: path.to_owned(),
        inode: seen.ino(),
        size: seen.size(),
        changed: (seen.mtime(), seen.mtime_nsec()),
    })
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, String> {
    let read = files::read(path, LARGEST).map_err(|unread| told(key, path, &unread))?;
    Ok(read.0)
}

fn told(key: &str, path: &Path, unread: &Unread) -> String {
    format!("{key} {}: {unread}", path.display())
}

/// The certificates of a file, at least one.
pub(super) fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(key, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(format!(
            "{key} {}: no certificate in it; it must be a PEM file with BEGIN CERTIFICATE",
            path.display()
        )),
    }
}

/// The private key of `tls_key`.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = read("tls_key", path)?;
    exposed::warn(path);
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        format!(
            "tls_key {}: no private key in it; it must be a PEM file with BEGIN PRIVATE KEY, not \
             encrypted",
            path.display()
        )
    })
}

/// The CAs of `tls_ca`, and its certificates as they are.
pub(super) fn authorities(
    path: &Path,
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), String> {
    let own = certificates("tls_ca", path)?;
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(own.iter().cloned());
    if added == 0 {
        return Err(format!(
            "tls_ca {}: its certificates cannot be read; X.509 version 3 is needed",
            path.display()
        ));
    }
    Ok((roots, own))
}

/// The CAs of the system. Where there are none it is looked again the next time.
pub(super) fn system() -> Result<Arc<RootCertStore>, String> {
    let mut known = SYSTEM.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(roots) = &*known {
        return Ok(Arc::clone(roots));
    }
    let mut roots = RootCertStore::empty();
    let (added, _) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        let told = "this machine has no CAs to trust; install the package ca-certificates, or set \
                    tls_ca to the server's";
        return Err(told.to_owned());
    }
    log::debug!("{added} CAs of the system read");
    Ok(Arc::clone(known.insert(Arc::new(roots))))
}

/// Why a certificate and a key are no pair.
pub(super) fn unfit(cert: &Path, key: &Path, error: &Error) -> String {
    let (cert, key) = (cert.display(), key.display());
    match error {
        Error::InconsistentKeys(_) => format!(
            "tls_key {key}: not the key of the certificate in tls_cert {cert}; set both to a pair"
        ),
        _ => format!("tls_cert {cert} and tls_key {key}: not to be used: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_is_no_good_is_named_with_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("text"), "no PEM").unwrap();
        let key =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        fs::write(path("encrypted"), key).unwrap();
        let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        fs::write(path("odd"), certificate).unwrap();
        let told = [
            (
                stamp("tls_cert", &path("gone")).err(),
                "tls_cert",
                "no such file",
            ),
            (
                stamp("tls_key", dir.path()).err(),
                "tls_key",
                "a folder, not a file",
            ),
            (authorities(&path("text")).err(), "tls_ca", "no certificate"),
            (authorities(&path("odd")).err(), "tls_ca", "cannot be read"),
            (
                private_key(&path("text")).err(),
                "tls_key",
                "no private key",
            ),
            (
                private_key(&path("encrypted")).err(),
                "tls_key",
                "not encrypted",
            ),
        ];
        for (told, key, why) in told {
            let told = told.unwrap();
            assert!(told.starts_with(&format!("{key} /")), "{told}");
            assert!(told.contains(why) && !told.contains("AAAA"), "{told}");
        }
    }

    #[test]
    fn a_file_that_was_replaced_looks_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let (path, next) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&path, "1").unwrap();
        let before = stamp("tls_ca", &path).unwrap();
        assert_eq!(stamp("tls_ca", &path).unwrap(), before);
        fs::write(&next, "2").unwrap();
        fs::rename(&next, &path).unwrap();
        assert_ne!(stamp("tls_ca", &path).unwrap(), before);
    }
}
