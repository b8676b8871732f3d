//! TLS to real servers, by a CA of the tests' own: what is verified and what is
//! refused, each with what to change; certificates that are replaced on disk.
//!
//! Debian's redis-server is built with TLS, the others are not.

mod refused;
mod shell;

use std::net::TcpListener;
use std::path::Path;

use tempfile::TempDir;

use crate::plugin::{SOON, blocks, is_down, plugin};
use crate::support::certificates::{Authority, Certificate, Valid, self_signed};
use crate::support::process::{free_port, short_dir};
use crate::support::{Checker, Kind, Server};

/// Names of the server under test in its certificates.
const HERE: &[&str] = &["localhost", "127.0.0.1"];

/// A server that speaks TLS, and its port for it.
pub struct Secure {
    server: Server,
    port: u16,
}

impl Secure {
    fn start(certificate: &Certificate, clients: Option<&Path>) -> Secure {
        Secure::with(certificate, clients, &[])
    }

    fn with(certificate: &Certificate, clients: Option<&Path>, args: &[(&str, &str)]) -> Secure {
        let port = free_port();
        let builder = Server::builder(Kind::Redis70).tls(port, certificate, clients);
        let builder = args
            .iter()
            .fold(builder, |b, (name, value)| b.arg(name, value));
        Secure {
            server: builder.start(),
            port,
        }
    }

    /// `rediss://HOST:port`
    fn at(&self, host: &str) -> String {
        format!("rediss://{host}:{}", self.port)
    }
}

/// A folder, and a CA in it.
fn authority() -> (TempDir, Authority) {
    let dir = short_dir();
    let authority = Authority::new(dir.path(), "ours");
    (dir, authority)
}

/// One line of `jobs:`.
fn job(name: &str, address: &str, keys: &[(&str, &Path)]) -> String {
    let keys = keys
        .iter()
        .map(|(key, path)| format!(", {key}: '{}'", path.display()));
    format!(
        "- {{name: {name}, address: '{address}'{}}}\n",
        keys.collect::<String>()
    )
}

#[test]
fn a_verified_server_is_watched_in_every_way_that_leads_to_it() {
    let (dir, ours) = authority();
    let server = Secure::start(&ours.sign("server", HERE, Valid::Now), None);
    let strict = Secure::start(&ours.sign("strict", HERE, Valid::Now), Some(&ours.file));
    let elsewhere = Secure::start(&ours.sign("else", &["redis.internal"], Valid::Now), None);
    let own = self_signed(dir.path(), "own", HERE, true);
    let alone = Secure::start(&own, None);
    let client = ours.sign("client", &["client"], Valid::Now);
    let ca: (&str, &Path) = ("tls_ca", &ours.file);
    let shown: [(&str, &Path); 3] = [ca, ("tls_cert", &client.cert), ("tls_key", &client.key)];
    let plain = server.at("127.0.0.1").replace("rediss", "redis");
    let all = [
        job("name", &server.at("localhost"), &[ca]),
        job("number", &server.at("127.0.0.1"), &[ca]),
        job("scheme", &plain, &[ca]),
        job(
            "any",
            &server.at("127.0.0.1"),
            &[("tls_skip_verify", Path::new("yes"))],
        ),
        job(
            "url",
            &format!("{}?skip_verify=true&protocol=3", server.at("localhost")),
            &[],
        ),
        job("shown", &strict.at("127.0.0.1"), &shown),
        job(
            "othername",
            &elsewhere.at("127.0.0.1"),
            &[ca, ("tls_server_name", Path::new("redis.internal"))],
        ),
        job("pinned", &alone.at("127.0.0.1"), &[("tls_ca", &own.cert)]),
    ]
    .concat();
    let run = plugin(&format!("jobs:\n{all}")).arg("-d").start();
    let names = [
        "name",
        "number",
        "scheme",
        "any",
        "url",
        "shown",
        "othername",
        "pinned",
    ];
    for name in names {
        run.expect(SOON, name, |c| blocks(c, name, "ratio") >= 2);
    }
    run.with_checker(|checker| {
        checker.assert_clean();
        for name in names {
            let chart = checker.chart(&format!("redis_frag_{name}.ratio")).unwrap();
            let address = &chart.labels["address"];
            assert!(address.starts_with("rediss://"), "{name}: {address}");
        }
    });
    // Read once for all eight, of which none needs them.
    let log = run.stderr();
    assert!(!log.contains("CAs of the system read"), "{log}");
}

#[test]
fn a_ca_that_is_replaced_on_disk_counts_from_the_next_connection() {
    let (dir, ours) = authority();
    let first = ours.sign("server", HERE, Valid::Now);
    let mut server = Secure::start(&first, None);
    let config = job("one", &server.at("localhost"), &[("tls_ca", &ours.file)]);
    let run = plugin(&format!("jobs:\n{config}")).start();
    run.expect(SOON, "values", |c| blocks(c, "one", "ratio") >= 2);
    let begun = run.with_checker(|c| blocks(c, "one", "ratio"));
    // The same files, another CA and another certificate: the connection stays.
    let next = Authority::new(dir.path(), "ours");
    next.sign("server", HERE, Valid::Now);
    run.expect(SOON, "goes on", |c| blocks(c, "one", "ratio") >= begun + 2);
    server.server.restart();
    run.expect(SOON, "answers again", |c| {
        !is_down(c, "one") && blocks(c, "one", "ratio") >= begun + 6
    });
    run.with_checker(Checker::assert_clean);
    let log = run.stderr();
    assert!(!log.contains("certificate"), "{log}");
}

/// A file that is mended while the job waits is enough, too.
#[test]
fn a_file_that_was_missing_is_taken_when_it_comes() {
    let (dir, ours) = authority();
    let server = Secure::start(&ours.sign("server", HERE, Valid::Now), None);
    let path = dir.path().join("later.pem");
    let config = job("one", &server.at("localhost"), &[("tls_ca", &path)]);
    let run = plugin(&format!("jobs:\n{config}")).start();
    run.expect(SOON, "down", |c| is_down(c, "one"));
    let log = run.stderr();
    let says = format!("TLS: tls_ca {}: no such file", path.display());
    assert!(log.contains(&says), "{log}");
    std::fs::copy(&ours.file, &path).unwrap();
    run.expect(SOON, "up", |c| blocks(c, "one", "ratio") >= 2);
}
