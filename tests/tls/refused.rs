//! Whatever is wrong with TLS: each cause is told once, in words of its own that
//! name what to change.

use super::*;

/// Jobs, and what each is told.
#[derive(Default)]
struct Told {
    jobs: String,
    says: Vec<(String, Vec<String>)>,
}

impl Told {
    fn job(&mut self, name: &str, address: &str, keys: &[(&str, &Path)], says: &[&str]) {
        self.jobs += &job(name, address, keys);
        let says = says.iter().map(ToString::to_string).collect();
        self.says.push((name.to_owned(), says));
    }

    /// Each is down, told in one line, and nothing else.
    #[track_caller]
    fn assert_told(&self) {
        let run = plugin(&format!("jobs:\n{}", self.jobs)).start();
        for (name, _) in &self.says {
            run.expect(SOON, name, |c| {
                is_down(c, name) && blocks(c, name, "status") >= 4
            });
        }
        let log = run.stderr();
        let mut wrong = Vec::new();
        for (name, says) in &self.says {
            let begins = format!("job {name} (");
            let told: Vec<&str> = log.lines().filter(|l| l.contains(&begins)).collect();
            let line = told.first().copied().unwrap_or_default();
            if told.len() != 1 || !says.iter().all(|word| line.contains(word)) {
                wrong.push(format!("{name}: {says:?}\n  {told:#?}"));
            }
        }
        assert!(wrong.is_empty(), "{}\n{log}", wrong.join("\n"));
        run.with_checker(Checker::assert_clean);
    }
}

#[test]
fn a_server_that_is_not_to_be_trusted_is_told_with_the_reason() {
    let (dir, ours) = authority();
    let other = Authority::new(dir.path(), "other");
    let ca: (&str, &Path) = ("tls_ca", &ours.file);
    let mut told = Told::default();

    let expired = Secure::start(&ours.sign("expired", HERE, Valid::Expired), None);
    told.job(
        "expired",
        &expired.at("localhost"),
        &[ca],
        &["expired on 2001-02-03", "renew"],
    );
    let later = Secure::start(&ours.sign("later", HERE, Valid::Later), None);
    told.job(
        "later",
        &later.at("localhost"),
        &[ca],
        &["not valid before 2090-05-06", "clock"],
    );
    let names = ["redis.internal", "10.1.2.3"];
    let elsewhere = Secure::start(&ours.sign("elsewhere", &names, Valid::Now), None);
    let says = [
        "for redis.internal, 10.1.2.3, not for localhost",
        "tls_server_name",
    ];
    told.job("elsewhere", &elsewhere.at("localhost"), &[ca], &says);
    told.job(
        "number",
        &elsewhere.at("127.0.0.1"),
        &[ca],
        &["not for 127.0.0.1"],
    );

    let good = Secure::start(&ours.sign("good", HERE, Valid::Now), None);
    let path = other.file.display().to_string();
    let says = ["not signed by a CA in", &path, "(tls_ca)"];
    told.job(
        "otherca",
        &good.at("localhost"),
        &[("tls_ca", &other.file)],
        &says,
    );
    let says = ["a CA that this machine does not trust", "set tls_ca"];
    told.job("system", &good.at("localhost"), &[], &says);
    let mut alone = Vec::new();
    for (name, of_ca) in [("selfsigned", false), ("selfsignedca", true)] {
        let own = Secure::start(&self_signed(dir.path(), name, HERE, of_ca), None);
        let address = own.at("localhost");
        told.job(
            name,
            &address,
            &[ca],
            &["self-signed", "tls_ca", "tls_skip_verify"],
        );
        // It is trusted by itself, not for other names.
        let file = dir.path().join(format!("{name}.pem"));
        let keys: [(&str, &Path); 2] = [("tls_ca", &file), ("tls_server_name", Path::new("other"))];
        told.job(&format!("{name}other"), &address, &keys, &["not for other"]);
        alone.push(own);
    }
    told.assert_told();
}

#[test]
fn a_server_that_does_not_trust_us_or_speaks_otherwise_is_told() {
    let (dir, ours) = authority();
    let other = Authority::new(dir.path(), "other");
    let ca: (&str, &Path) = ("tls_ca", &ours.file);
    let certificate = ours.sign("server", HERE, Valid::Now);
    let mut told = Told::default();

    let strict = Secure::start(&certificate, Some(&ours.file));
    let old = [("--tls-protocols", "TLSv1.2")];
    let strict_12 = Secure::with(&certificate, Some(&ours.file), &old);
    let wrong = other.sign("wrong", &["client"], Valid::Now);
    let shown: [(&str, &Path); 3] = [ca, ("tls_cert", &wrong.cert), ("tls_key", &wrong.key)];
    for (name, server) in [("tls13", &strict), ("tls12", &strict_12)] {
        let says = ["wants a client certificate", "tls_cert and tls_key"];
        told.job(name, &server.at("localhost"), &[ca], &says);
        let says = [
            "refuses the certificate that it is shown",
            "tls-ca-cert-file",
        ];
        told.job(
            &format!("{name}wrong"),
            &server.at("localhost"),
            &shown,
            &says,
        );
    }

    let plain = Server::start(Kind::Redis70);
    let address = plain.tcp_address().replace("redis:", "rediss:");
    told.job(
        "plainport",
        &address,
        &[ca],
        &["speaks no TLS on this port", "write redis://"],
    );
    let address = strict.at("localhost").replace("rediss:", "redis:");
    told.job(
        "tlsport",
        &address,
        &[],
        &["before any answer", "write rediss://"],
    );
    // Takes connections and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("rediss://{}", listener.local_addr().unwrap());
    told.job("mute", &address, &[ca], &["no answer to the TLS handshake"]);
    told.assert_told();
}

#[test]
fn a_file_that_is_no_good_is_told_with_its_key() {
    let (dir, ours) = authority();
    let other = Authority::new(dir.path(), "other");
    let server = Secure::start(&ours.sign("server", HERE, Valid::Now), None);
    let address = server.at("localhost");
    let (one, two) = (
        other.sign("one", &["client"], Valid::Now),
        other.sign("two", &["client"], Valid::Now),
    );
    let ca: (&str, &Path) = ("tls_ca", &ours.file);
    let gone = dir.path().join("gone.pem");
    let mut told = Told::default();
    let path = gone.display().to_string();
    told.job(
        "gone",
        &address,
        &[("tls_ca", &gone)],
        &["tls_ca", &path, "no such file"],
    );
    told.job(
        "folder",
        &address,
        &[("tls_ca", dir.path())],
        &["tls_ca", "not a file"],
    );
    told.job(
        "noca",
        &address,
        &[("tls_ca", &one.key)],
        &["tls_ca", "no certificate in it"],
    );
    let keys: [(&str, &Path); 3] = [ca, ("tls_cert", &one.cert), ("tls_key", &one.cert)];
    told.job(
        "nokey",
        &address,
        &keys,
        &["tls_key", "no private key in it"],
    );
    let keys: [(&str, &Path); 3] = [ca, ("tls_cert", &one.cert), ("tls_key", &two.key)];
    let path = one.cert.display().to_string();
    told.job(
        "nopair",
        &address,
        &keys,
        &["tls_key", "not the key of", "tls_cert", &path],
    );
    let keys: [(&str, &Path); 3] = [ca, ("tls_cert", &gone), ("tls_key", &two.key)];
    told.job("nocert", &address, &keys, &["tls_cert", "no such file"]);
    told.assert_told();
}
