//! A cluster that speaks TLS alone, whose certificates know its nodes by name.

use std::time::Duration;

use crate::support::certificates::{Authority, Valid};
use crate::support::{Kind, Server, eventually, process};
use crate::watching::{SOON, plugin};
use crate::{charted, is_up, label};

#[test]
fn nodes_are_verified_by_the_hostnames_that_they_announce() {
    let dir = process::short_dir();
    let ours = Authority::new(dir.path(), "ours");
    // Not for 127.0.0.1, which is where the nodes say that they are.
    let certificate = ours.sign("node", &["localhost"], Valid::Now);
    let node = || {
        let (port, bus) = (process::free_port(), process::free_port());
        let builder = Server::builder(Kind::Redis70).cluster(Duration::from_secs(5));
        let builder = builder.tls(port, &certificate, Some(&ours.file));
        let node = builder
            .arg("--tls-cluster", "yes")
            .arg("--cluster-port", &bus.to_string())
            .arg("--cluster-announce-hostname", "localhost")
            .start();
        (node, port, bus)
    };
    let ((first, port, _), (_second, other, bus)) = (node(), node());
    let (met, its_bus) = (other.to_string(), bus.to_string());
    first.ok(&["CLUSTER", "MEET", "127.0.0.1", &met, &its_bus]);
    eventually(SOON, "they know each other", || {
        let nodes = first.ok(&["CLUSTER", "NODES"]);
        nodes.matches("master").count() == 2 && nodes.matches(",localhost").count() == 2
    });

    let file = |path: &std::path::Path| path.display().to_string();
    let config = format!(
        "jobs:\n- name: c\n  address: rediss://localhost:{port}\n  cluster: yes\n  tls_ca: {}\n  \
         tls_cert: {}\n  tls_key: {}\n",
        file(&ours.file),
        file(&certificate.cert),
        file(&certificate.key)
    );
    let run = plugin(&config).start();
    let names = [port, other].map(|port| (format!("c_localhost_{port}"), port));
    run.expect(SOON, "both are up", |c| {
        names.iter().all(|(name, _)| is_up(c, name))
    });
    run.with_checker(|checker| {
        for (name, port) in &names {
            let address = label(checker, name, "address");
            assert_eq!(address, Some(format!("rediss://localhost:{port}")));
        }
        assert_eq!(
            charted(checker),
            names.iter().map(|(name, _)| name.clone()).collect()
        );
        checker.assert_clean();
    });
}
