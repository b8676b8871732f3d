//! What a person runs at a shell, by TLS.

use super::*;
use crate::cli::{code, run, stderr, stdout};

#[test]
fn an_address_is_reached_by_tls_with_options_or_the_scheme() {
    let (_dir, ours) = authority();
    let server = Secure::start(&ours.sign("server", HERE, Valid::Now), Some(&ours.file));
    server.server.fill(4 << 20);
    let client = ours.sign("client", &["client"], Valid::Now);
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (ca, cert, key) = (path(&ours.file), path(&client.cert), path(&client.key));
    let address = server.at("localhost");
    let shown = ["--tls-cert", &cert, "--tls-key", &key];
    let verified = [&shown[..], &["--tls-ca", &ca]].concat();
    let any = [&shown[..], &["--tls-skip-verify"]].concat();
    let bare = address.trim_start_matches("rediss://");
    for (address, options) in [
        (address.as_str(), &verified),
        (bare, &verified),
        (&address, &any),
    ] {
        let words = [&["diagnose", address][..], options].concat();
        let output = run(&words);
        let out = stdout(&output);
        assert_eq!(code(&output), 0, "{words:?} {out}{}", stderr(&output));
        assert!(out.contains(&server.at("localhost")), "{out}");
        let words = [&["size-classes", address][..], options].concat();
        let output = run(&words);
        let out = stdout(&output);
        assert_eq!(code(&output), 0, "{words:?} {out}{}", stderr(&output));
        assert!(out.contains("wasted"), "{out}");
    }
    let named = [&verified[..], &["--tls-server-name", "other"]].concat();
    let words = [&["diagnose", &address][..], &named].concat();
    let output = run(&words);
    let told = stdout(&output) + &stderr(&output);
    assert_eq!(code(&output), 3, "{told}");
    let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("not for other") && words.contains("--tls-ca FILE"),
        "{told}"
    );
    let output = run(&[&["size-classes", &address][..], &named].concat());
    let told = stdout(&output) + &stderr(&output);
    assert_eq!(code(&output), 3, "{told}");
    let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("not for other"), "{told}");
}

#[test]
fn half_a_pair_and_tls_to_a_socket_are_wrong_usage() {
    for (words, says) in [
        (&["diagnose", "h:1", "--tls-cert", "x"][..], "--tls-key"),
        (&["diagnose", "h:1", "--tls-key", "x"], "--tls-cert"),
        (
            &["size-classes", "/s", "--tls-skip-verify"],
            "a unix socket speaks no TLS",
        ),
    ] {
        let output = run(words);
        assert_eq!(code(&output), 64, "{words:?}");
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
    }
}
