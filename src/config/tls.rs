//! TLS as a job wishes it: files and names, in the keys of Netdata's collectors.
//!
//! Pure data: which files are meant, not what is in them. Any of the keys means TLS,
//! whatever the scheme of the address, as in go.d (pkg/tlscfg/config.go). Must not
//! open anything.

use std::path::{Path, PathBuf};

use super::address::Address;

/// How the server's certificate is verified, and which one is shown to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tls {
    /// PEM file with the CAs that are trusted; `None` is those of the system.
    pub ca: Option<PathBuf>,
    /// PEM file with the certificate to show; goes with `key`.
    pub cert: Option<PathBuf>,
    /// PEM file with the private key of `cert`.
    pub key: Option<PathBuf>,
    /// Whether any certificate will do.
    pub skip_verify: bool,
    /// Name that the certificate must be for; `None` is the host of the address.
    pub server_name: Option<String>,
}

impl Tls {
    /// Whether nothing of it was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A certificate goes with its key: whether either is given.
///
/// # Errors
/// A sentence that names the key to add.
pub fn pair(cert: bool, key: bool) -> Result<(), String> {
    match (cert, key) {
        (true, false) => Err("tls_cert without tls_key, so no certificate is shown; add the file with its key".into()),
        (false, true) => Err("tls_key without tls_cert, so no certificate is shown; add the file with its certificate".into()),
        _ => Ok(()),
    }
}

/// What the scheme of an address and the keys say together.
///
/// # Errors
/// A sentence that says what to write instead: a unix socket has no TLS.
pub fn together(
    address: &Address,
    scheme: Option<Tls>,
    keys: Option<Tls>,
) -> Result<Option<Tls>, String> {
    if keys.is_some() && matches!(address, Address::Unix(_)) {
        let told = "a unix socket speaks no TLS; take the tls_ keys away, or write \
                    rediss://host:port";
        return Err(told.to_owned());
    }
    Ok(match (scheme, keys) {
        (Some(scheme), Some(keys)) => Some(Tls {
            skip_verify: keys.skip_verify || scheme.skip_verify,
            ..keys
        }),
        (scheme, keys) => keys.or(scheme),
    })
}

/// `tls_ca`, `tls_cert` and `tls_key`: nothing, or a path from the root on, for what
/// the agent's folder is nobody knows.
///
/// # Errors
/// A sentence that says what to write.
pub(super) fn file(text: &str) -> Result<Option<PathBuf>, String> {
    let path = Path::new(text.trim());
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    if path.is_absolute() {
        return Ok(Some(path.to_owned()));
    }
    Err("not an absolute path; write it from / on".to_owned())
}

/// `tls_server_name`: nothing, or a host's name or number.
///
/// # Errors
/// A sentence that says what to write.
pub(super) fn server_name(text: &str) -> Result<Option<String>, String> {
    let name = text.trim();
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    if name.len() <= 253 && name.chars().all(fits) {
        return Ok(Some(name.to_owned()).filter(|name| !name.is_empty()));
    }
    Err("not a host's name; write one that the server's certificate is for".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_scheme_go_together_and_a_unix_socket_with_neither() {
        let host = Address::parse("h").unwrap().0;
        let keys = Tls {
            ca: Some("/x".into()),
            ..Tls::default()
        };
        let any = Tls {
            skip_verify: true,
            ..Tls::default()
        };
        let both = Tls {
            skip_verify: true,
            ..keys.clone()
        };
        for (scheme, given, want) in [
            (None, None, None),
            (None, Some(&keys), Some(&keys)),
            (Some(&any), None, Some(&any)),
            (Some(&any), Some(&keys), Some(&both)),
        ] {
            let got = together(&host, scheme.cloned(), given.cloned());
            assert_eq!(got, Ok(want.cloned()));
        }
        let socket = Address::Unix("/s".into());
        assert_eq!(together(&socket, None, None), Ok(None));
        assert!(together(&socket, None, Some(keys)).is_err());
    }

    #[test]
    fn paths_begin_at_the_root_and_nothing_is_nothing() {
        assert_eq!(file(" "), Ok(None));
        assert_eq!(file("/a b"), Ok(Some("/a b".into())));
        assert!(file("ca.pem").unwrap_err().contains("absolute"));
        assert_eq!(server_name(""), Ok(None));
        assert_eq!(server_name("a.b"), Ok(Some("a.b".into())));
        assert_eq!(server_name("::1"), Ok(Some("::1".into())));
        assert!(server_name("a b").is_err());
    }
}
