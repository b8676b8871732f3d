//! Passwords by reference beside real servers: from files, variables, commands and
//! inside an address; changed while the plugin runs; commands that hang, fail or are
//! not to be run again; and that nothing of it comes out anywhere.
//!
//! Drives the binary alone; knows of the crate only what it promises to users.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Kind, PluginRun, Server, eventually};
use crate::watching::{SOON, blocks, is_down, plugin};

/// Each its own, so that whichever leaks can be told.
const SECRETS: [&str; 6] = [
    "Ref-old-1/@:x",
    "Ref-new-2%41+y",
    "Ref-user-3",
    "Ref-wrong-4",
    "Ref-argument-5",
    "Ref-printed-6",
];

/// A try comes every two seconds, and the server must be asked.
const HEALED_WITHIN: Duration = Duration::from_secs(8);

/// Nothing that came out of the plugin holds a secret, percent-encoded or not.
#[track_caller]
fn assert_no_secret(run: &PluginRun) {
    let mut said = run.stderr();
    for (_, line) in run.lines() {
        said += &line;
        said.push('\n');
    }
    assert!(said.lines().count() > 10, "{said}");
    for secret in SECRETS {
        // Unmistakable, and the same in every encoding but that of `-`.
        let part = &secret[4..secret.len().min(10)];
        for form in [secret, part, &part.replace('-', "%2D")] {
            let line = said.lines().find(|line| line.contains(form));
            assert_eq!(line, None, "{form} leaked");
        }
    }
}

/// A folder with secrets, and programs that print them.
struct Vault(tempfile::TempDir);

impl Vault {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Puts a secret into a file, at once as a whole.
    fn put(&self, name: &str, secret: &str) {
        let fresh = self.at("fresh");
        fs::write(&fresh, format!("  {secret}\n\n")).unwrap();
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o640)).unwrap();
        fs::rename(fresh, self.at(name)).unwrap();
    }

    /// A reference to a file.
    fn file(&self, name: &str) -> String {
        format!("${{file:{}}}", self.at(name).display())
    }

    /// A reference to a program, which notes each run. The shell runs it: a file that
    /// another test's child holds open for writing cannot be run.
    fn cmd(&self, name: &str, body: &str) -> String {
        let script = self.at(name);
        let runs = self.at(&format!("{name}.runs"));
        let text = format!("echo >> {}\n{body}\n", runs.display());
        fs::write(&script, text).unwrap();
        format!("${{cmd:/bin/sh {} {}}}", script.display(), SECRETS[4])
    }

    /// How often a program was run.
    fn runs(&self, name: &str) -> usize {
        let noted = fs::read(self.at(&format!("{name}.runs")));
        noted.unwrap_or_default().len()
    }
}

/// The configuration of jobs: name, and its other keys.
fn config(jobs: &[(&str, &[(&str, &str)])]) -> String {
    let mut text = "jobs:\n".to_owned();
    for (name, keys) in jobs {
        text += &format!("- name: {name}\n");
        for (key, value) in *keys {
            text += &format!("  {key}: '{value}'\n");
        }
    }
    text
}

/// Waits for values that are not there yet.
#[track_caller]
fn expect_values(run: &PluginRun, job: &str, within: Duration) {
    let before = run.with_checker(|c| blocks(c, job, "memory"));
    run.expect(within, &format!("values of {job}"), |c| {
        !is_down(c, job) && blocks(c, job, "memory") > before + 1
    });
}

#[test]
fn a_password_is_had_from_wherever_it_is_kept() {
    let server = Server::builder(Kind::Redis70).password(SECRETS[0]).start();
    let user = format!(">{}", SECRETS[1]);
    server.ok(&["ACL", "SETUSER", SECRETS[2], "on", &user, "+info"]);
    let vault = Vault::new();
    for (name, secret) in [("default", SECRETS[0]), ("of-user", SECRETS[1])] {
        vault.put(name, secret);
    }
    let pair = format!("{}:{}", SECRETS[2], "Ref-new-2%2541%2By");
    vault.put("pair", &pair);
    let at = server.tcp_address();
    let in_address = |user_info: &str| at.replace("redis://", &format!("redis://{user_info}@"));
    let encoded = vault.file("default").replace("file:", "file+urienc:");
    let (file, cmd) = (
        vault.file("default"),
        vault.cmd("prints", &format!("cat {}", vault.at("default").display())),
    );
    let of_user = vault.file("of-user");
    let run = plugin(&config(&[
        ("file", &[("address", &at), ("password", &file)]),
        ("cmd", &[("address", &at), ("password", &cmd)]),
        (
            "env",
            &[("address", &at), ("password", "${env:FRAG_PASSWORD}")],
        ),
        (
            "user",
            &[
                ("address", &at),
                ("username", "${env:FRAG_USER}"),
                ("password", &of_user),
            ],
        ),
        (
            "address",
            &[("address", &in_address(&format!(":{encoded}")))],
        ),
        ("pair", &[("address", &in_address(&vault.file("pair")))]),
        (
            "host",
            &[
                ("address", "redis://${env:FRAG_HOST}"),
                ("password", &file),
                ("timeout", "${env:FRAG_TIMEOUT}"),
            ],
        ),
    ]))
    .env("FRAG_PASSWORD", &format!(" {}\n", SECRETS[0]))
    .env("FRAG_USER", SECRETS[2])
    .env("FRAG_HOST", at.trim_start_matches("redis://"))
    .env("FRAG_TIMEOUT", "2")
    .arg("-d")
    .start();
    for job in ["file", "cmd", "env", "user", "address", "pair", "host"] {
        expect_values(&run, job, SOON);
    }
    assert_eq!(vault.runs("prints"), 1);
    assert!(!run.stderr().contains("WARN"), "{}", run.stderr());
    run.with_checker(|c| c.assert_clean());
    assert_no_secret(&run);
}

/// The server is first to have a new password, and throws out whoever has the old one.
fn rotate(server: &Server) {
    server.ok(&["CONFIG", "SET", "requirepass", SECRETS[1]]);
    server.ok(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
}

#[test]
fn a_changed_password_heals_itself() {
    let server = Server::builder(Kind::Redis82).password(SECRETS[0]).start();
    let vault = Vault::new();
    vault.put("secret", SECRETS[0]);
    let at = server.unix_address();
    let encoded = vault.file("secret").replace("file:", "file+urienc:");
    let in_address = at.replace("unix://", &format!("unix://:{encoded}@"));
    let cmd = vault.cmd("prints", &format!("cat {}", vault.at("secret").display()));
    let jobs = ["file", "cmd", "address"];
    let run = plugin(&config(&[
        (
            "file",
            &[("address", &at), ("password", &vault.file("secret"))],
        ),
        ("cmd", &[("address", &at), ("password", &cmd)]),
        ("address", &[("address", &in_address)]),
    ]))
    .arg("-d")
    .start();
    for job in jobs {
        expect_values(&run, job, SOON);
    }
    rotate(&server);
    for job in jobs {
        run.expect(SOON, "refused", |c| {
            let refused = |line: &str| {
                line.contains(&format!("job {job} ")) && line.contains("refuses username or")
            };
            is_down(c, job) && run.stderr().lines().any(refused)
        });
    }
    vault.put("secret", SECRETS[1]);
    for job in jobs {
        expect_values(&run, job, HEALED_WITHIN);
    }
    let runs = vault.runs("prints");
    assert!((2..6).contains(&runs), "{runs} runs");

    // The other way round, nobody is down: what is refused is read again at once.
    vault.put("secret", SECRETS[0]);
    let down = |job: &str| {
        run.with_checker(|c| {
            let down = c.values(&format!("redis_frag_{job}.status"), "down");
            down.iter().sum::<i64>()
        })
    };
    let before = jobs.map(down);
    server.ok(&["CONFIG", "SET", "requirepass", SECRETS[0]]);
    server.ok(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    for job in jobs {
        let seen = run.with_checker(|c| blocks(c, job, "status"));
        run.expect(SOON, "more", |c| blocks(c, job, "status") > seen + 4);
    }
    for (job, before) in jobs.into_iter().zip(before) {
        // The collection that finds the connection closed is lost.
        assert!(down(job) <= before + 1, "{job} was down");
    }
    assert_no_secret(&run);
}

/// What was read is kept, so that a file that is gone is missed when it is needed again.
#[test]
fn a_secret_s_file_that_vanishes_is_missed_when_what_it_held_is_refused() {
    let server = Server::builder(Kind::Valkey91).password(SECRETS[0]).start();
    let vault = Vault::new();
    vault.put("secret", SECRETS[0]);
    let (at, file) = (server.unix_address(), vault.file("secret"));
    let keys = [("address", &*at), ("password", &*file)];
    let run = plugin(&config(&[("gone", &keys)])).arg("-d").start();
    expect_values(&run, "gone", SOON);
    fs::remove_file(vault.at("secret")).unwrap();
    expect_values(&run, "gone", SOON);
    let kill = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
    assert_eq!(server.command(&kill).unwrap(), redis::Value::Int(1));
    expect_values(&run, "gone", SOON);
    assert!(!run.stderr().contains("does not exist"), "{}", run.stderr());

    rotate(&server);
    let missed = format!("{file} does not exist; write the secret to this file");
    let told = |line: &&str| line.contains("job gone ") && line.contains(&missed);
    run.expect(SOON, "down", |c| {
        is_down(c, "gone") && run.stderr().lines().any(|line| told(&line))
    });
    let seen = run.with_checker(|c| blocks(c, "gone", "status"));
    run.expect(SOON, "down for long", |c| {
        blocks(c, "gone", "status") > seen + 4
    });
    let warned = |log: &str| {
        log.lines()
            .filter(told)
            .filter(|l| l.contains("WARN"))
            .count()
    };
    assert_eq!(warned(&run.stderr()), 1, "{}", run.stderr());
    vault.put("secret", SECRETS[1]);
    expect_values(&run, "gone", HEALED_WITHIN);
    assert_no_secret(&run);
}

#[test]
fn a_command_is_not_run_again_while_the_server_is_down() {
    let mut server = Server::builder(Kind::Redis62).password(SECRETS[0]).start();
    let vault = Vault::new();
    vault.put("secret", SECRETS[0]);
    let good = vault.cmd("good", &format!("cat {}", vault.at("secret").display()));
    let wrong = vault.cmd("wrong", &format!("echo {}", SECRETS[3]));
    let fails = vault.cmd("fails", &format!("echo {}; exit 3", SECRETS[5]));
    let at = server.unix_address();
    let run = plugin(&config(&[
        ("good", &[("address", &at), ("password", &good)]),
        ("wrong", &[("address", &at), ("password", &wrong)]),
        ("fails", &[("address", &at), ("password", &fails)]),
    ]))
    .arg("-d")
    .start();
    expect_values(&run, "good", SOON);
    server.terminate();
    run.expect(SOON, "down", |c| is_down(c, "good"));
    let seen = run.with_checker(|c| blocks(c, "good", "status"));
    run.expect(SOON, "down for long", |c| {
        blocks(c, "good", "status") > seen + 10
    });
    server.restart();
    expect_values(&run, "good", SOON);
    assert_eq!(vault.runs("good"), 1, "it was right all the time");
    // 2, 4 and 8 seconds lie between the runs of what is refused or fails.
    for name in ["wrong", "fails"] {
        let runs = vault.runs(name);
        assert!((2..6).contains(&runs), "{name}: {runs} runs");
    }
    let log = run.stderr();
    let told = |job: &str| {
        let warned = |line: &&str| line.contains("WARN") && line.contains(&format!("job {job} "));
        log.lines().filter(warned).count()
    };
    assert_eq!(told("fails"), 1, "{log}");
    assert!(log.contains("/bin/sh …} ends with exit status: 3"), "{log}");
    assert_no_secret(&run);
}

/// Whether a process runs that has this among its words.
fn is_running(word: &Path) -> bool {
    let word = word.display().to_string();
    let entries = fs::read_dir("/proc").unwrap().map_while(Result::ok);
    entries
        .filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok())
        .any(|line| line.split('\0').any(|part| part == word))
}

#[test]
fn a_command_that_hangs_costs_only_its_own_instance() {
    let server = Server::builder(Kind::Redis82).password(SECRETS[0]).start();
    let vault = Vault::new();
    vault.put("secret", SECRETS[0]);
    let hangs = vault.cmd("hangs", &format!("echo {}; sleep 600", SECRETS[5]));
    let at = server.unix_address();
    // More of them than there are threads to look up names.
    let hanging: Vec<String> = (0..20).map(|number| format!("hangs{number}")).collect();
    let keys = [("address", &*at), ("password", &*hangs)];
    let mut jobs: Vec<(&str, &[(&str, &str)])> =
        hanging.iter().map(|name| (&**name, &keys[..])).collect();
    let by_name = at_localhost(&server);
    let file = vault.file("secret");
    let good = [("address", &*by_name), ("password", &*file)];
    jobs.push(("good", &good));
    let mut run = plugin(&config(&jobs)).arg("-d").start();
    expect_values(&run, "good", SOON);
    // Within the time that the commands have.
    run.expect(SOON, "values", |c| blocks(c, "good", "memory") > 8);
    run.with_checker(|c| {
        let down = c.values("redis_frag_good.status", "down");
        assert!(!down.contains(&1), "{down:?}");
    });
    run.expect(SOON, "the command told", |_| {
        run.stderr().contains("has not ended after 10 s")
    });
    run.expect(SOON, "down", |c| is_down(c, "hangs0"));
    // Run again in its time, and ended with the plugin.
    eventually(SOON, "runs again", || {
        vault.runs("hangs") > hanging.len() && is_running(&vault.at("hangs"))
    });
    run.send_line("QUIT").unwrap();
    let (status, took) = run.wait_exit(SOON).unwrap();
    assert!(
        status.success() && took < Duration::from_secs(2),
        "{took:?}"
    );
    eventually(SOON, "no command left", || !is_running(&vault.at("hangs")));
    assert_no_secret(&run);
}

fn at_localhost(server: &Server) -> String {
    format!("redis://localhost:{}", server.port())
}

#[test]
fn diagnose_takes_references_too_and_tells_what_is_wrong_with_them() {
    let server = Server::builder(Kind::Redis82).password(SECRETS[0]).start();
    let vault = Vault::new();
    vault.put("secret", SECRETS[0]);
    let slow = vault.cmd(
        "slow",
        &format!("sleep 1.5; cat {}", vault.at("secret").display()),
    );
    let at = server.unix_address();
    let (file, gone) = (vault.file("secret"), vault.file("gone"));
    let text = config(&[
        ("file", &[("address", &at), ("password", &file)]),
        ("slow", &[("address", &at), ("password", &slow)]),
        ("gone", &[("address", &at), ("password", &gone)]),
    ]);
    fs::write(vault.at("redis-frag.conf"), text).unwrap();
    for (arguments, code, says) in [
        (&["diagnose", "file"][..], 0, "small"),
        // Longer than the timeout, which is the server's.
        (&["diagnose", "slow"], 0, "small"),
        (&["size-classes", "file"], 0, "jemalloc"),
        (&["diagnose", "gone"], 3, "does not exist; write"),
        (&["size-classes", "gone"], 3, "does not exist; write"),
    ] {
        let begun = Instant::now();
        let output = Command::new(env!("CARGO_BIN_EXE_redis-frag"))
            .args(arguments)
            .arg("--debug")
            .env("NETDATA_USER_CONFIG_DIR", vault.at(""))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(begun.elapsed() < SOON);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
        for secret in SECRETS {
            assert!(!said.contains(secret), "{arguments:?}: {said}");
        }
    }
}

#[test]
fn check_config_shows_references_and_not_what_they_stand_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(env!("CARGO_BIN_EXE_redis-frag"))
        .arg("check-config")
        .arg(root.join("tests/fixtures/config/valid/references.conf"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(!out.contains("hunter2"), "{out}");
    let wanted = [
        "  username             ${env:REDIS_FRAG_NOT_SET}",
        "  password             ***${file:/nonexistent/redis}",
        "  address              redis://10.0.0.2:7",
        "  username             me${env:REDIS_FRAG_NOT_SET}",
        "  password             ${cmd+urienc:/nonexistent/vault …}",
        "  address              unix:///run/redis.sock",
        "  username             ${file:/nonexistent/user:and:password}",
        "\nby-echo\n",
        "  address              redis://10.0.0.3:7000",
        "  timeout              2 s",
        "  label                ${no}reference=abc",
        "  username             ${NAME}",
    ];
    for line in wanted {
        assert!(out.contains(line), "no {line:?} in\n{out}");
    }
}

/// Servers without AUTH repeat what they were sent.
#[test]
fn a_server_that_repeats_a_login_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let include = folder.path().join("taken.conf");
    fs::write(&include, "rename-command AUTH \"\"\n").unwrap();
    let renamed = Server::builder(Kind::Redis70)
        .arg("--include", include.to_str().unwrap())
        .start();
    let address = renamed.unix_address();
    let job = |name: &str, address: &str| {
        format!(
            "- name: {name}\n  address: {address}\n  username: {0}\n  password: {1}\n",
            SECRETS[2], SECRETS[5]
        )
    };
    let echo = crate::support::Fake::echoing();
    let mut config = format!("jobs:\n{}", job("two", &address));
    config += &job("three", &format!("'{address}?protocol=3'"));
    config += &job("echo", &echo.unix_address());
    config += &job(
        "echo_three",
        &format!("'{}?protocol=3'", echo.unix_address()),
    );
    let run = plugin(&config).arg("-d").start();
    for name in ["two", "echo", "echo_three"] {
        run.expect(SOON, "down", |c| is_down(c, name));
    }
    let log = run.stderr();
    assert!(log.contains("it knows no AUTH"), "{log}");
    assert_no_secret(&run);
}
