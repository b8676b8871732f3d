//! The configuration as the binary takes it: the plugin's log, `check-config` and its
//! `--connect`, and the arguments.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use redis_frag::config::load;

use super::{SECRET, fixture};
use crate::support::{Kind, Server};

#[test]
fn the_plugin_s_log_has_no_secret_and_its_stdout_only_protocol() {
    for name in [
        "invalid/unclosed_double_quote.conf",
        "invalid/no_colon.conf",
        "invalid/password_a_list.conf",
        "invalid/address_port_word.conf",
        "invalid/jobs_a_scalar.conf",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let text = fs::read_to_string(fixture(name)).unwrap();
        // Nothing is to answer: the job that survives must not find a server.
        let text = text.replace("redis://10.0.0.1", "unix:///nowhere/redis.sock");
        fs::write(folder.path().join(load::FILE_NAME), text).unwrap();
        let mut plugin = redis_frag(&["1", "--debug"], &[("USER", folder.path())]);
        plugin.stdin(Stdio::piped());
        let mut child = plugin.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(100));
        child.stdin.take().unwrap().write_all(b"QUIT\n").unwrap();
        let (_, out, err) = texts(child.wait_with_output().unwrap());
        assert!(err.contains("redis-frag.conf:"), "{name}: {err}");
        assert!(!err.contains(SECRET) && !out.contains(SECRET), "{err}");
        let known = [
            "CHART",
            "CLABEL",
            "DIMENSION",
            "VARIABLE",
            "BEGIN",
            "SET",
            "END",
            "DISABLE",
            "FUNCTION",
        ];
        for line in out.lines().filter(|line| !line.is_empty()) {
            let word = line.split([' ', '_']).next().unwrap();
            assert!(known.contains(&word), "{name}: {line}");
        }
    }
}

#[test]
fn check_config_shows_the_jobs_and_masks_their_secrets() {
    let path = fixture("valid/go_d.conf");
    let (code, out, err) = check(&[path.to_str().unwrap()], &[]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let wanted = [
        "discovery of local instances: no",
        "jobs: 2",
        "\ngood\n",
        "  address              redis://127.0.0.1:6379",
        "  username             netdata",
        "  password             ***",
        "  timeout              2 s",
        "  update_every         1 s",
        "  label                team=cache",
        "\nsocket\n",
        "  address              unix:///tmp/redis.sock",
        "  password             none",
        "  autodetection_retry  every 60 s",
        "  min_used_memory      52428800 bytes",
    ];
    for line in wanted {
        assert!(out.contains(line), "no {line:?} in\n{out}");
    }
}

#[test]
fn the_operator_s_file_stands_in_for_the_stock_one() {
    let (user, stock) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dirs = [("USER", user.path()), ("STOCK", stock.path())];
    let write = |folder: &Path, name: &str| {
        let text = format!("jobs:\n  - name: {name}\n    address: h\n");
        fs::write(folder.join(load::FILE_NAME), text).unwrap();
    };
    let (code, out, _) = check(&[], &dirs);
    assert_eq!(code, Some(0), "{out}");
    assert!(
        out.contains("none found") && out.contains("instances: yes"),
        "{out}"
    );
    write(stock.path(), "from-stock");
    let (_, out, _) = check(&[], &dirs);
    assert!(out.contains("\nfrom-stock\n"), "{out}");
    write(user.path(), "from-user");
    let (_, out, _) = check(&[], &dirs);
    assert!(
        out.contains("\nfrom-user\n") && !out.contains("from-stock"),
        "{out}"
    );
    // A broken one stands in all the same: what it was to forbid must not run.
    fs::write(user.path().join(load::FILE_NAME), "jobs: x\n").unwrap();
    let (code, out, _) = check(&[], &dirs);
    assert_eq!(code, Some(1), "{out}");
    assert!(
        !out.contains("from-stock") && out.contains("instances: no"),
        "{out}"
    );
}

#[test]
fn the_shipped_file_is_sound() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf.d/redis-frag.conf");
    let (code, out, _) = check(&[path.to_str().unwrap()], &[]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("instances: yes\njobs: 0"), "{out}");
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.conf");
    fs::write(&large, "# \n".repeat(400_000)).unwrap();
    for (path, says) in [
        (folder.path().join("none.conf"), "1:1: error: no such file"),
        (folder.path().to_owned(), "1:1: error: a folder, not a file"),
        (
            PathBuf::from("/dev/zero"),
            "1:1: error: a device, not a file",
        ),
        (large, "1:1: error: larger than 1 MiB"),
    ] {
        let (code, out, err) = check(&[path.to_str().unwrap()], &[]);
        assert_eq!((code, err.as_str()), (Some(1), ""), "{out}");
        assert!(out.contains(says), "{out}");
    }
}

#[test]
fn help_and_version_go_to_stdout_and_bad_arguments_to_stderr() {
    for (arguments, says) in [
        (&["--help"][..], "check-config"),
        (&["check-config", "--help"], "secrets masked"),
        (
            &["--version"],
            concat!("redis-frag ", env!("CARGO_PKG_VERSION")),
        ),
    ] {
        let (code, out, err) = texts(redis_frag(arguments, &[]).output().unwrap());
        assert_eq!((code, err.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(out.contains(says), "{out}");
    }
    for arguments in [
        &["0"][..],
        &["-1"],
        &["soon"],
        &["86401"],
        &["1", "2"],
        &["--nonsense"],
        &["check-confg"],
        &["check-config", "a", "b"],
        &["1", "check-config"],
    ] {
        let (code, out, err) = texts(redis_frag(arguments, &[]).output().unwrap());
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(!err.is_empty(), "{arguments:?}");
    }
}

/// The binary, with these folders of the agent and nothing else of one.
fn redis_frag(arguments: &[&str], dirs: &[(&str, &Path)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redis-frag"));
    command
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (kind, path) in dirs {
        command.env(format!("NETDATA_{kind}_CONFIG_DIR"), path);
    }
    command
}

pub fn check(arguments: &[&str], dirs: &[(&str, &Path)]) -> (Option<i32>, String, String) {
    let mut command = redis_frag(&["check-config"], dirs);
    texts(command.args(arguments).output().unwrap())
}

fn texts(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        crate::support::secrets::assert_none(&text, "a command");
        text
    };
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// The words of the row of a job, by its columns.
fn row(table: &str, job: &str) -> Vec<String> {
    let line = table
        .lines()
        .rev()
        .find(|line| line.starts_with(&format!("{job}  ")));
    let cells = line.unwrap_or_default().split("  ");
    let cells = cells.map(str::trim).filter(|cell| !cell.is_empty());
    cells.map(str::to_owned).collect()
}

#[test]
fn connecting_tells_how_far_each_job_leads() {
    let defrags = Server::start(Kind::Redis82);
    let cannot = Server::start(Kind::Redis70);
    let libc = Server::start(Kind::Valkey91);
    let closed = Server::builder(Kind::Redis62).password(SECRET).start();
    cannot.ok(&[
        "ACL",
        "SETUSER",
        "poor",
        "on",
        &format!(">{SECRET}"),
        "-@all",
        "+info",
    ]);
    cannot.ok(&[
        "ACL",
        "SETUSER",
        "none",
        "on",
        &format!(">{SECRET}"),
        "-@all",
    ]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("redis-frag.conf");
    let mut text = "jobs:\n".to_owned();
    for (name, address, more) in [
        ("defrags", defrags.unix_address(), ""),
        ("cannot", cannot.tcp_address(), ""),
        ("libc", libc.unix_address(), ""),
        ("closed", closed.unix_address(), ""),
        ("wrong", closed.unix_address(), "password: not-it"),
        ("opened", closed.unix_address(), "password: hunter2"),
        (
            "poor",
            cannot.unix_address(),
            "username: poor\n    password: hunter2",
        ),
        (
            "none",
            cannot.unix_address(),
            "username: none\n    password: hunter2",
        ),
        ("away", "unix:///nowhere.sock".to_owned(), ""),
        ("ways", "unix:///nowhere.sock".to_owned(), ""),
        ("ways", libc.unix_address(), ""),
    ] {
        text += &format!("  - name: {name}\n    address: {address}\n    {more}\n");
    }
    fs::write(&path, &text).unwrap();
    let (code, out, err) = check(&["--connect", path.to_str().unwrap()], &[]);
    assert_eq!(
        (code, err.as_str()),
        (Some(1), ""),
        "some do not answer\n{out}"
    );
    assert!(!out.contains(SECRET) && !out.contains("not-it"), "{out}");
    for (job, want) in [
        (
            "job",
            "job|address|reachable|authenticated|permitted|server|version|allocator|defrag",
        ),
        (
            "defrags",
            "@|yes|yes|yes|redis|8.2.3|jemalloc-5.3.0|yes, off",
        ),
        ("cannot", "@|yes|yes|yes|redis|7.0.15|jemalloc-5.3.0|no"),
        ("libc", "@|yes|yes|yes|valkey|9.1.2|libc|no"),
        ("closed", "@|yes|no|-|-|-|-|-"),
        ("wrong", "@|yes|no|-|-|-|-|-"),
        (
            "opened",
            "@|yes|yes|yes|redis|6.2.5|jemalloc-5.1.0|yes, off",
        ),
        (
            "poor",
            "@|yes|yes|INFO, no CONFIG GET|redis|7.0.15|jemalloc-5.3.0|unknown",
        ),
        ("none", "@|yes|yes|no|-|-|-|-"),
        ("away", "@|no|-|-|-|-|-|-"),
        ("ways", "@|yes|yes|yes|valkey|9.1.2|libc|no"),
    ] {
        let cells = row(&out, job);
        let want: Vec<&str> = want.split('|').collect();
        let rest = &cells[cells.len().min(2)..];
        assert_eq!(
            rest,
            &want[if job == "job" { 2 } else { 1 }..],
            "{job}\n{out}"
        );
    }
    for (job, told) in [
        ("closed", "wants a password"),
        ("wrong", "refuses username or password"),
        ("none", "may not run INFO"),
        ("away", "cannot connect"),
    ] {
        let mut lines = out
            .lines()
            .filter(|line| line.starts_with(&format!("{job} (")));
        assert!(
            lines.next().unwrap_or_default().contains(told),
            "{job}\n{out}"
        );
    }
    // One way of two is enough.
    let start = text.find("  - name: ways").unwrap();
    fs::write(&path, format!("jobs:\n{}", &text[start..])).unwrap();
    let (code, out, _) = check(&["--connect", path.to_str().unwrap()], &[]);
    assert_eq!(code, Some(0), "{out}");
}
