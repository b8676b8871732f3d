//! Files with secrets in them that more may read or change than should: told once each,
//! with what mends it, and again when something has changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::cli::{command, stderr, stdout};
use crate::support::certificates::Valid;
use crate::support::{Authority, Kind, PluginRun, Server, process};
use crate::watching::{SOON, blocks, plugin};

const SECRETS: [&str; 3] = ["Mode-file-1", "Mode-word-2", "Mode-next-3"];

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// How often a file was told of with this mode and this remedy.
fn told(log: &str, path: &Path, mode: &str, remedy: &str) -> usize {
    let shown = path.display();
    let start = format!("{shown}: mode {mode}: ");
    let remedy = format!("chmod {remedy} {shown}, with netdata as its group");
    let lines = log.lines().filter(|line| line.contains("[WARN]"));
    let lines = lines.filter(|line| line.contains(&start) && line.contains(&remedy));
    lines.count()
}

fn warnings(log: &str) -> usize {
    log.matches(": mode 0").count()
}

/// Waits for so many more values, in which nothing is to be told again.
fn a_while(run: &PluginRun, job: &str) {
    let before = run.with_checker(|c| blocks(c, job, "memory"));
    run.expect(SOON, job, |c| blocks(c, job, "memory") > before + 2);
}

#[test]
fn a_secret_that_others_may_read_is_told_once_and_again_when_something_changed() {
    let server = Server::builder(Kind::Redis70).password(SECRETS[0]).start();
    let dir = process::short_dir();
    let at = |name: &str| -> PathBuf { dir.path().join(name) };
    for (name, mode) in [("open", 0o644), ("shared", 0o660), ("sound", 0o640)] {
        fs::write(at(name), SECRETS[0]).unwrap();
        set(&at(name), mode);
    }
    let address = server.unix_address();
    let mut config = "import_go_d: yes\njobs:\n".to_owned();
    for name in ["open", "shared", "sound", "open-too"] {
        let file = at(name.trim_end_matches("-too"));
        config += &format!(
            "- {{name: {name}, address: '{address}', password: '${{file:{}}}'}}\n",
            file.display()
        );
    }
    let word = SECRETS[0];
    let go_d = format!(
        "jobs:\n- {{name: word, address: '{}', password: {word}}}\n",
        server.tcp_address()
    );
    let mut run = plugin(&config).user_file("go.d/redis.conf", &go_d).start();
    let (own, go_d) = (
        run.dir().join("etc/redis-frag.conf"),
        run.dir().join("etc/go.d/redis.conf"),
    );
    for job in ["open", "shared", "sound"] {
        a_while(&run, job);
    }
    let log = run.stderr();
    let mode = fs::metadata(&go_d).unwrap().permissions().mode() & 0o7777;
    assert_eq!(told(&log, &at("open"), "0644", "0640"), 1, "{log}");
    assert_eq!(told(&log, &at("shared"), "0660", "0640"), 1, "{log}");
    assert_eq!(
        told(&log, &go_d, &format!("{mode:04o}"), "0640"),
        1,
        "{log}"
    );
    // The own file holds references alone.
    assert!(
        warnings(&log) == 3 && !log.contains(&format!("{}: mode", own.display())),
        "{log}"
    );

    set(&at("shared"), 0o640);
    set(&go_d, 0o640);
    run.signal("HUP");
    run.expect(SOON, "told again", |_| {
        told(&run.stderr(), &at("open"), "0644", "0640") == 2
    });
    a_while(&run, "open");
    assert_eq!(warnings(&run.stderr()), 4, "{}", run.stderr());

    // Read again when it is refused, and looked at again then.
    fs::write(at("sound"), SECRETS[2]).unwrap();
    set(&at("sound"), 0o604);
    server.ok(&["CONFIG", "SET", "requirepass", SECRETS[2]]);
    server.ok(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    run.expect(SOON, "told of a change", |_| {
        told(&run.stderr(), &at("sound"), "0604", "0600") == 1
    });
    a_while(&run, "sound");
    assert_eq!(warnings(&run.stderr()), 5, "{}", run.stderr());
    for secret in SECRETS {
        assert!(!run.stderr().contains(secret));
    }
    run.with_checker(|c| c.assert_clean());
    run.close_stdin();
    run.wait_exit(SOON).unwrap();
}

/// The configuration itself, where it has a password, and the key of a job's certificate.
#[test]
fn its_own_file_with_a_password_and_a_key_are_told_too() {
    let server = Server::builder(Kind::Valkey91).password(SECRETS[1]).start();
    let dir = process::short_dir();
    let authority = Authority::new(dir.path(), "CA");
    let certificate = authority.sign("client", &["127.0.0.1"], Valid::Now);
    let key = certificate.key.clone();
    set(&key, 0o644);
    let mut run = plugin(&format!(
        "jobs:\n- {{name: word, address: '{}', password: {}}}\n\
         - {{name: key, address: 'rediss://127.0.0.1:1', tls_cert: {}, tls_key: {}}}\n",
        server.unix_address(),
        SECRETS[1],
        certificate.cert.display(),
        key.display()
    ))
    .start();
    let own = run.dir().join("etc/redis-frag.conf");
    let again = |run: &PluginRun| {
        let read = |run: &PluginRun| run.stderr().matches("redis-frag.conf: 2 jobs").count();
        let before = read(run);
        run.signal("HUP");
        run.expect(SOON, "read anew", |_| read(run) > before);
    };
    a_while(&run, "word");
    let mode = fs::metadata(&own).unwrap().permissions().mode() & 0o7777;
    run.expect(SOON, "told of both", |_| {
        let log = run.stderr();
        told(&log, &own, &format!("{mode:04o}"), "0640") == 1
            && told(&log, &key, "0644", "0640") == 1
    });
    assert_eq!(warnings(&run.stderr()), 2, "{}", run.stderr());
    set(&own, 0o640);
    set(&key, 0o600);
    again(&run);
    a_while(&run, "word");
    assert_eq!(warnings(&run.stderr()), 2, "{}", run.stderr());
    set(&own, 0o660);
    set(&key, 0o602);
    again(&run);
    run.expect(SOON, "told of what is new", |_| {
        let log = run.stderr();
        told(&log, &own, "0660", "0640") == 1 && told(&log, &key, "0602", "0600") == 1
    });
    assert_eq!(warnings(&run.stderr()), 4, "{}", run.stderr());
    run.with_checker(|c| c.assert_clean());
    run.close_stdin();
    run.wait_exit(SOON).unwrap();
}

#[test]
fn check_config_tells_of_all_files_with_secrets() {
    let dir = process::short_dir();
    let at = |name: &str| -> PathBuf { dir.path().join(name) };
    let authority = Authority::new(dir.path(), "CA");
    let key = authority.sign("client", &["127.0.0.1"], Valid::Now).key;
    fs::write(at("secret"), SECRETS[0]).unwrap();
    fs::write(at("public"), SECRETS[1]).unwrap();
    let text = format!(
        "jobs:\n- name: a\n  address: rediss://127.0.0.1:1\n  password: '${{file:{}}}'\n  \
         tls_cert: {}\n  tls_key: {}\n- name: b\n  address: redis://:{}@127.0.0.1:1\n  labels: \
         {{host: '${{file:{}}}'}}\n",
        at("secret").display(),
        key.display(),
        key.display(),
        SECRETS[1],
        at("public").display(),
    );
    let own = at("redis-frag.conf");
    fs::write(&own, &text).unwrap();
    let secret = at("secret");
    let files = [(&secret, "secret"), (&key, "key"), (&own, "own")];
    let check = || {
        let output = command().arg("check-config").arg(&own).output().unwrap();
        assert_eq!(
            (output.status.code(), stderr(&output).as_str()),
            (Some(0), "")
        );
        stdout(&output)
    };
    for (path, _) in files {
        set(path, 0o666);
    }
    set(&at("public"), 0o644);
    let text = check();
    for (path, name) in files {
        let line = format!(
            "{0}: warning: mode 0666: anybody may read and change the secret in it; chmod 0640 {0},",
            path.display()
        );
        assert_eq!(text.matches(&line).count(), 1, "{name}: {text}");
    }
    // What a label says is no secret.
    assert_eq!(text.matches(": warning: mode").count(), 3, "{text}");
    for (path, _) in files {
        set(path, 0o640);
    }
    assert!(!check().contains(": warning: mode"));
}

#[test]
fn a_password_file_of_the_command_line_is_looked_at_too() {
    let server = Server::builder(Kind::Redis70).password(SECRETS[0]).start();
    let dir = process::short_dir();
    let file = dir.path().join("password");
    fs::write(&file, SECRETS[0]).unwrap();
    for (mode, warned) in [(0o644, 1), (0o600, 0)] {
        set(&file, mode);
        let mut diagnose = command();
        diagnose.args(["diagnose", &server.unix_address(), "--password-file"]);
        let output = diagnose.arg(&file).output().unwrap();
        assert!(
            stdout(&output).contains("redis 7.0.15"),
            "{}",
            stdout(&output)
        );
        let log = stderr(&output);
        assert_eq!(told(&log, &file, "0644", "0640"), warned, "{log}");
        assert_eq!(log.lines().count(), warned, "{log}");
    }
}
