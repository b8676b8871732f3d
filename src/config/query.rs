//! What stands behind the `?` of an address: the options of go-redis, which go.d's
//! addresses may have (options.go `setupConnParams`, v9).
//!
//! Pure. Two have a meaning here; the others are about a pool of connections or
//! retries, are held to their form and have no effect.

use super::known;

/// Version of the servers' protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// RESP2, which every server speaks.
    #[default]
    Resp2,
    /// RESP3, of Redis 6 and later.
    Resp3,
}

/// What an address asks for beside a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Query {
    /// `protocol`
    pub protocol: Protocol,
    /// `skip_verify`, which counts for `rediss://` alone.
    pub skip_verify: bool,
}

/// What the value of an option may be.
#[derive(Debug, Clone, Copy)]
enum Form {
    Any,
    Whole,
    Time,
    Switch,
}

/// The options and their forms.
const OPTIONS: &[(&str, Form)] = &[
    ("db", Form::Whole),
    ("protocol", Form::Whole),
    ("client_name", Form::Any),
    ("max_retries", Form::Whole),
    ("min_retry_backoff", Form::Time),
    ("max_retry_backoff", Form::Time),
    ("dial_timeout", Form::Time),
    ("read_timeout", Form::Time),
    ("write_timeout", Form::Time),
    ("pool_fifo", Form::Switch),
    ("pool_size", Form::Whole),
    ("pool_timeout", Form::Time),
    ("min_idle_conns", Form::Whole),
    ("max_idle_conns", Form::Whole),
    ("max_active_conns", Form::Whole),
    ("max_concurrent_dials", Form::Whole),
    ("conn_max_idle_time", Form::Time),
    ("idle_timeout", Form::Time),
    ("conn_max_lifetime", Form::Time),
    ("max_conn_age", Form::Time),
    ("conn_max_lifetime_jitter", Form::Time),
    ("skip_verify", Form::Switch),
];

impl Query {
    /// Reads `name=value&…`; of an option that stands twice the last counts.
    ///
    /// # Errors
    /// A sentence that names the option, never a value.
    pub fn parse(text: &str, with_tls: bool) -> Result<Self, String> {
        let mut query = Self::default();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            let Some((name, form)) = OPTIONS.iter().find(|(known, _)| *known == name) else {
                return Err(unknown(&name));
            };
            if !form.fits(&value) {
                return Err(format!("its option {name} {}", form.wish()));
            }
            match *name {
                "protocol" => query.protocol = protocol(&value)?,
                // Without TLS it is unknown to go-redis too.
                "skip_verify" if !with_tls => return Err(unknown(name)),
                "skip_verify" => query.skip_verify = is_yes(&value),
                _ => {}
            }
        }
        Ok(query)
    }
}

fn unknown(name: &str) -> String {
    match known::named(name) {
        Some(name) => format!("an unknown option {name} behind its ?; take it away"),
        None => "an unknown option behind its ?; take it away".to_owned(),
    }
}

fn protocol(value: &str) -> Result<Protocol, String> {
    match value {
        "" | "0" | "2" => Ok(Protocol::Resp2),
        "3" => Ok(Protocol::Resp3),
        _ => Err("its option protocol is neither 2 nor 3".to_owned()),
    }
}

fn is_yes(value: &str) -> bool {
    matches!(value, "true" | "1")
}

impl Form {
    /// As go-redis reads it; nothing at all leaves the default.
    fn fits(self, value: &str) -> bool {
        let unsigned = value.strip_prefix(['-', '+']).unwrap_or(value);
        let whole = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
        value.is_empty()
            || match self {
                Self::Any => true,
                Self::Whole => whole,
                Self::Time => whole || is_go_duration(unsigned),
                Self::Switch => ["true", "1", "false", "0"].contains(&value),
            }
    }

    fn wish(self) -> &'static str {
        match self {
            Self::Any => "has any value",
            Self::Whole => "is no whole number",
            Self::Time => "is no time; write it like 3s or 500ms",
            Self::Switch => "is neither true nor false",
        }
    }
}

/// Numbers with units, as `1h30m` (time.ParseDuration).
fn is_go_duration(text: &str) -> bool {
    const UNITS: &[&str] = &["ns", "us", "µs", "μs", "ms", "s", "m", "h"];
    let mut rest = text;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let Some(end) = number.filter(|end| *end > 0) else {
            return false;
        };
        let (digits, behind) = rest.split_at(end);
        let unit = behind.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, behind) = behind.split_at(unit.unwrap_or(behind.len()));
        if digits.parse::<f64>().is_err() || !UNITS.contains(&unit) {
            return false;
        }
        rest = behind;
    }
    !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_redis_takes_is_taken() {
        for (text, protocol, skip_verify) in [
            ("", Protocol::Resp2, false),
            ("protocol=3", Protocol::Resp3, false),
            ("protocol=2&skip_verify=true", Protocol::Resp2, true),
            ("protocol=2&protocol=3", Protocol::Resp3, false),
            ("protocol=&db=7&client_name=a%20b", Protocol::Resp2, false),
            (
                "dial_timeout=3&read_timeout=6s&write_timeout=1h1.5m&pool_timeout=-1",
                Protocol::Resp2,
                false,
            ),
            (
                "pool_size=2&pool_fifo=0&max_retries=-1",
                Protocol::Resp2,
                false,
            ),
        ] {
            let want = Query {
                protocol,
                skip_verify,
            };
            assert_eq!(Query::parse(text, true), Ok(want), "{text}");
        }
        for (name, form) in OPTIONS {
            let value = if matches!(form, Form::Switch) {
                "1"
            } else {
                "3"
            };
            let text = format!("{name}={value}");
            assert!(Query::parse(&text, true).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_it_refuses_is_named_and_no_value_is() {
        for (text, says) in [
            ("protocoll=3", "unknown option protocoll"),
            ("pa55=hunter2", "unknown option behind"),
            ("protocol=4", "neither 2 nor 3"),
            ("protocol=hunter2", "protocol is no whole number"),
            ("pool_size=hunter2", "pool_size is no whole number"),
            ("dial_timeout=hunter2", "dial_timeout is no time"),
            ("dial_timeout=3x", "dial_timeout is no time"),
            ("pool_fifo=hunter2", "pool_fifo is neither"),
        ] {
            let told = Query::parse(text, true).unwrap_err();
            assert!(
                told.contains(says) && !told.contains("hunter2"),
                "{text}: {told}"
            );
        }
        let told = Query::parse("skip_verify=true", false).unwrap_err();
        assert!(told.contains("skip_verify"), "{told}");
    }
}
