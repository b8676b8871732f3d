//! What a person gets wrong at a shell, and the next step that each error names.

use std::process::Command;

use tempfile::TempDir;

use crate::support::{Kind, Server};

/// What is typed, what it ends with, and what the error says to do next.
const WRONG: &[(&str, i32, &str)] = &[
    ("diagnos", 2, "did you mean diagnose?"),
    ("nonsense-indeed", 2, "there are check-config, diagnose"),
    ("0", 2, "an agent gives 1 to 86400 seconds"),
    ("diagnose --jsn", 64, "a similar argument exists: '--json'"),
    (
        "diagnose --timeout soon x",
        64,
        "write a number and ms, s, m or h, as 60s",
    ),
    (
        "diagnose --interval 0",
        64,
        "write whole seconds from 1 to 86400, as 5",
    ),
    ("5 diagnose", 64, "leave it out before a command"),
    ("diagnose cahce.invalid", 3, "did you mean cache_invalid?"),
    (
        "diagnose http://x",
        64,
        "write redis://host:port, rediss://host:port or unix:///path",
    ),
    ("diagnose redis://:", 64, "write redis://host:port"),
    (
        "diagnose 127.0.0.1:1",
        3,
        "check address and that the server runs",
    ),
    (
        "diagnose /nonexistent/s.sock",
        3,
        "check address and that the server runs",
    ),
    (
        "diagnose nosuchjob.invalid",
        3,
        "no job of the configuration has this name",
    ),
    (
        "diagnose PORT",
        3,
        "--password-file FILE or the variable REDIS_FRAG_PASSWORD",
    ),
    ("diagnose rediss://PORT", 3, "write redis://"),
    ("diagnose --tls-ca /nonexistent PORT", 3, "correct the path"),
    ("diagnose --tls-cert a PORT", 64, "--tls-key <FILE>"),
    (
        "diagnose --password-file /nonexistent PORT",
        64,
        "no such file; correct the path",
    ),
    ("size-classes", 64, "<ADDRESS|JOB>"),
    (
        "size-classes 127.0.0.1:1",
        3,
        "check address and that the server runs",
    ),
    ("replay", 64, "<FILE>"),
    ("replay /nonexistent", 3, "no such file; correct the path"),
    (
        "replay /etc/passwd",
        3,
        "record one: redis-cli INFO everything > FILE",
    ),
    (
        "replay FULL",
        3,
        "a folder, not a file; put a file in its place",
    ),
    (
        "record 127.0.0.1:1 --for 1s -o NEW",
        3,
        "check address and that the server runs",
    ),
    (
        "record PORT --for 1s -o FULL",
        64,
        "name a new folder, so that recordings do not mix",
    ),
    (
        "record PORT --for soon -o NEW",
        64,
        "write a number and ms, s, m or h, as 60s",
    ),
    (
        "record PORT --for 100h --every 50ms -o NEW",
        64,
        "make --for shorter or --every longer",
    ),
    (
        "check-config /nonexistent",
        1,
        "no such file; correct the path",
    ),
    ("explain fragmentd", 64, "did you mean fragmented"),
];

#[test]
fn every_error_names_the_next_step() {
    let server = Server::builder(Kind::Redis82)
        .password("sesame-of-errors")
        .start();
    let folder = TempDir::new().unwrap();
    let full = folder.path().join("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("x"), "x").unwrap();
    std::fs::write(
        folder.path().join("redis-frag.conf"),
        "jobs:\n  - name: cache_invalid\n    address: redis://127.0.0.1:1\n",
    )
    .unwrap();
    for (typed, code, says) in WRONG {
        let words = typed.split(' ').map(|word| {
            word.replace("PORT", &format!("127.0.0.1:{}", server.port()))
                .replace("FULL", &full.display().to_string())
                .replace("NEW", &folder.path().join("new").display().to_string())
        });
        let run = Command::new(env!("CARGO_BIN_EXE_redis-frag"))
            .args(words)
            .env("NETDATA_USER_CONFIG_DIR", folder.path())
            .env("NETDATA_STOCK_CONFIG_DIR", folder.path())
            .env_remove("REDIS_FRAG_PASSWORD")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout).into_owned()
            + &String::from_utf8_lossy(&run.stderr);
        let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(run.status.code(), Some(*code), "{typed}: {said}");
        assert!(flat.contains(says), "{typed}: {said}");
        // A result is on stdout, an error on stderr, and neither is both.
        assert!(
            run.stdout.is_empty() != run.stderr.is_empty(),
            "{typed}: {said}"
        );
    }
}
