//! Whether two addresses lead to one instance.
//!
//! Looks at files for links between sockets. Must not resolve names: what a name means
//! may change, and takes its time.

use std::net::IpAddr;

use super::address::Address;

/// Whether two addresses are one for certain: `localhost` may be either of the
/// loopback's.
#[must_use]
pub fn is_same(one: &Address, other: &Address) -> bool {
    let name = |host: &str| host.eq_ignore_ascii_case("localhost");
    let loopback =
        |host: &str| name(host) || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match (one, other) {
        (Address::Tcp { host: a, port: p }, Address::Tcp { host: b, port: q }) => {
            p == q && (a == b || (name(a) && loopback(b)) || (name(b) && loopback(a)))
        }
        (Address::Unix(a), Address::Unix(b)) => {
            a == b
                || a.canonicalize()
                    .is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_may_be_either_of_the_loopbacks() {
        let tcp = |host: &str, port| Address::Tcp {
            host: host.into(),
            port,
        };
        let here = tcp("127.0.0.1", 6379);
        assert!(
            is_same(&here, &tcp("localhost", 6379))
                && is_same(&tcp("LocalHost", 6379), &tcp("::1", 6379))
        );
        assert!(
            !is_same(&here, &tcp("::1", 6379)),
            "another server may listen there"
        );
        assert!(!is_same(&here, &tcp("127.0.0.1", 6380)) && !is_same(&here, &tcp("db", 6379)));
        assert!(is_same(&tcp("db", 1), &tcp("db", 1)));
        assert!(is_same(
            &Address::Unix("/x/s".into()),
            &Address::Unix("/x/s".into())
        ));
        assert!(!is_same(&Address::Unix("/x/s".into()), &here));
    }
}
