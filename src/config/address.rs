//! Where an instance listens: the forms that go.d's redis collector takes.
//!
//! Pure. Must not resolve names or open anything.

use std::fmt;
use std::path::PathBuf;

use super::job::Credentials;
use super::query::{Protocol, Query};
use super::reference::Template;
use super::tls::Tls;

/// Port of Redis where an address names none.
const DEFAULT_PORT: u16 = 6379;

/// Where an instance listens. Shown without credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A TCP port.
    Tcp {
        /// Name or number; an IPv6 number without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// A unix socket.
    Unix(PathBuf),
}

/// How to speak there, as far as the address says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// TLS: `rediss://`.
    pub tls: Option<Tls>,
    /// `?protocol=`
    pub protocol: Protocol,
}

impl Address {
    /// Reads `redis://[user:password@]host[:port][/db][?options]`, `rediss://` for the
    /// same by TLS, `unix://[user:password@]/path[?options]`, and for a person's ease
    /// `host`, `host:port` and `/path`. No database is ever selected.
    ///
    /// # Errors
    /// A sentence that says what to write instead. It never repeats what was
    /// given, which may hold a password.
    pub fn parse(text: &str) -> Result<(Self, Credentials, Options), String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("empty; write redis://host:port or unix:///path".into());
        }
        if text.starts_with('/') {
            let address = Self::Unix(PathBuf::from(text));
            return Ok((address, Credentials::default(), Options::default()));
        }
        let given = if let Some(path) = text.strip_prefix("unix:").filter(|p| !p.starts_with("//"))
        {
            format!("unix://{path}")
        } else if text.contains("://") {
            text.to_owned()
        } else {
            format!("redis://{text}")
        };
        let (scheme, rest) = given.split_once("://").unwrap_or(("redis", text));
        match scheme.to_ascii_lowercase().as_str() {
            "redis" | "tcp" => Self::tcp(&format!("redis://{rest}"), false),
            "rediss" => Self::tcp(&format!("redis://{rest}"), true),
            "unix" | "redis+unix" => Self::unix(rest),
            _ => Err(
                "unknown scheme; write redis://host:port, rediss://host:port or unix:///path"
                    .into(),
            ),
        }
    }

    fn tcp(given: &str, by_tls: bool) -> Result<(Self, Credentials, Options), String> {
        // A / or # of a password would end the host, and its rest be shown as one.
        let (_, rest) = given.split_once("://").unwrap_or_default();
        let mut parts = rest.splitn(2, ['/', '?', '#']).skip(1);
        if parts.any(|behind| behind.contains('@')) {
            let told = "an @ behind the host; write the password below as password:, or its \
                        special characters as % and two hex digits";
            return Err(told.to_owned());
        }
        let url = url::Url::parse(given)
            .map_err(|error| format!("not an address ({error}); write redis://host:port"))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        // redis://:6379 is this machine, as redis-cli and go-redis have it.
        let host = if host.is_empty() { "localhost" } else { host };
        let host = decoded(host)?;
        let port = url.port().unwrap_or(DEFAULT_PORT);
        let password = url.password().map(decoded).transpose()?;
        let credentials = Credentials::new(decoded(url.username())?, password.unwrap_or_default());
        let database = url.path().trim_matches('/');
        if !database.bytes().all(|byte| byte.is_ascii_digit()) {
            let told = "no number of a database behind the port; write redis://host:port";
            return Err(told.to_owned());
        }
        let query = Query::parse(url.query().unwrap_or_default(), by_tls)?;
        let tls = Tls {
            skip_verify: query.skip_verify,
            ..Tls::default()
        };
        let options = Options {
            tls: by_tls.then_some(tls),
            protocol: query.protocol,
        };
        Ok((Self::Tcp { host, port }, credentials, options))
    }

    fn unix(rest: &str) -> Result<(Self, Credentials, Options), String> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let options = Options {
            tls: None,
            protocol: Query::parse(query, false)?.protocol,
        };
        let (user_info, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => return Err("no path in it; write unix:///run/redis/redis.sock".into()),
        };
        let user_info = match user_info.strip_suffix('@') {
            Some(user_info) => user_info,
            None if user_info.is_empty() => "",
            None => return Err("a host before the path; write unix:///run/redis/redis.sock".into()),
        };
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        let credentials = Credentials::new(decoded(user)?, decoded(password)?);
        Ok((
            Self::Unix(PathBuf::from(decoded(path)?)),
            credentials,
            options,
        ))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "redis://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "redis://{host}:{port}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

impl Credentials {
    fn new(username: String, password: String) -> Self {
        let literal = |text: String| (!text.is_empty()).then(|| Template::literal(&text));
        Self {
            username: literal(username),
            password: literal(password),
        }
    }
}

/// Undoes percent-encoding.
pub(super) fn decoded(text: &str) -> Result<String, String> {
    let bad = || "a % that no two hex digits follow; write %25 for a % itself".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (high, low) = (digit().ok_or_else(bad)?, digit().ok_or_else(bad)?);
        bytes.push(u8::try_from(16 * high + low).map_err(|_| bad())?);
    }
    String::from_utf8(bytes).map_err(|_| "not UTF-8 behind its % signs".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_go_d_and_of_a_hurried_person_are_read() {
        for (text, address, user, password) in [
            (
                "redis://127.0.0.1:6379",
                "redis://127.0.0.1:6379",
                None,
                None,
            ),
            (
                "redis://@localhost:6379",
                "redis://localhost:6379",
                None,
                None,
            ),
            (
                "redis://cache.example",
                "redis://cache.example:6379",
                None,
                None,
            ),
            ("redis://[::1]:7000/3", "redis://[::1]:7000", None, None),
            ("redis://:pw@h:1", "redis://h:1", None, Some("pw")),
            (
                "redis://me:p%40ss%2F@h:1/0",
                "redis://h:1",
                Some("me"),
                Some("p@ss/"),
            ),
            ("unix:///run/r.sock", "unix:///run/r.sock", None, None),
            (
                "unix://@/tmp/redis.sock",
                "unix:///tmp/redis.sock",
                None,
                None,
            ),
            (
                "unix://me:pw@/tmp/r.sock?db=0",
                "unix:///tmp/r.sock",
                Some("me"),
                Some("pw"),
            ),
            ("redis+unix:///tmp/a%20b", "unix:///tmp/a b", None, None),
            ("/run/r.sock", "unix:///run/r.sock", None, None),
            ("unix:/run/r.sock", "unix:///run/r.sock", None, None),
            ("REDIS://h:1", "redis://h:1", None, None),
            ("localhost", "redis://localhost:6379", None, None),
            ("10.0.0.1:7001", "redis://10.0.0.1:7001", None, None),
        ] {
            let (got, credentials, options) = Address::parse(text).unwrap();
            assert_eq!(got.to_string(), address, "{text}");
            let plain =
                |text: &Option<Template>| text.clone().map(|t| t.reveal().unwrap().to_owned());
            assert_eq!(plain(&credentials.username).as_deref(), user, "{text}");
            assert_eq!(plain(&credentials.password).as_deref(), password, "{text}");
            assert_eq!(options, Options::default(), "{text}");
        }
    }

    #[test]
    fn tls_and_protocol_are_read_from_the_address() {
        let read = |text| Address::parse(text).unwrap().2;
        assert_eq!(read("rediss://h").tls, Some(Tls::default()));
        let skips = read("rediss://:pw@h:1/2?skip_verify=true&protocol=3");
        assert!(skips.tls.unwrap().skip_verify && skips.protocol == Protocol::Resp3);
        for text in [
            "redis://h?protocol=3",
            "h:1?protocol=3&pool_size=3",
            "unix:///s?db=1&protocol=3",
        ] {
            let options = read(text);
            assert_eq!((options.tls, options.protocol), (None, Protocol::Resp3));
        }
    }

    #[test]
    fn a_bad_address_says_what_to_write_and_never_repeats_a_password() {
        for (text, says) in [
            ("rediss://:hunter2@h:1/x", "database"),
            ("redis://:hunter2@h:1/1/2", "database"),
            ("redis://:hunter2@h:1?x=hunter2", "option x"),
            ("unix://:hunter2@/s?skip_verify=1", "skip_verify"),
            ("http://hunter2@h", "redis://host:port"),
            (" ", "redis://host:port"),
            ("redis://:hunter2@h:port", "redis://host:port"),
            ("redis://:12/hunter2@h:1", "password:"),
            ("redis://me:hunter2#x@h:1", "password:"),
            ("redis://:hunter2@h:70000", "redis://host:port"),
            ("redis://:hunter2%4@h", "%25"),
            ("unix://hunter2", "unix:///"),
            ("unix://hunter2/run/r.sock", "unix:///"),
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(
                error.contains(says) && !error.contains("hunter2"),
                "{text}: {error}"
            );
        }
    }
}
