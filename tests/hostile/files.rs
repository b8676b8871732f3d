//! Whatever may stand where a file should: each costs itself alone, is told with its
//! place and what to do, and takes neither long nor much memory.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use redis_frag::config::files::{self, Unread};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::texts::within_limits;
use crate::cli::{command, stderr, stdout};
use crate::support::{Checker, Fake, PluginRun, process};
use crate::watching::{FRAGMENTED, SOON, blocks, jobs, plugin};

/// What can stand in a file's place, by its name there and what is told of it.
const THINGS: &[(&str, &str)] = &[
    ("folder", "a folder, not a file"),
    ("pipe", "a pipe, not a file"),
    ("socket", "a socket, not a file"),
    ("zero", "a device, not a file"),
    ("random", "a device, not a file"),
    ("stdin", "a device, not a file"),
    ("to-folder", "a folder, not a file"),
    ("dangling", "a link that leads nowhere"),
    ("circle", "links that lead in a circle"),
    ("sparse", "larger than"),
];

/// Puts such a thing at a path.
fn put(thing: &str, path: &Path) {
    match thing {
        "folder" => fs::create_dir(path).unwrap(),
        "pipe" => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        // It stays when nobody listens any more.
        "socket" => drop(UnixListener::bind(path).unwrap()),
        "zero" => symlink("/dev/zero", path).unwrap(),
        "random" => symlink("/dev/urandom", path).unwrap(),
        "stdin" => symlink("/dev/stdin", path).unwrap(),
        "to-folder" => symlink("/tmp", path).unwrap(),
        "dangling" => symlink("/nonexistent/file", path).unwrap(),
        "circle" => symlink(path, path).unwrap(),
        "sparse" => fs::File::create(path).unwrap().set_len(1 << 30).unwrap(),
        other => panic!("{other}?"),
    }
}

/// A folder with all of them.
fn things() -> tempfile::TempDir {
    let dir = process::short_dir();
    for (thing, _) in THINGS {
        put(thing, &dir.path().join(thing));
    }
    dir
}

#[test]
fn what_stands_in_place_of_a_configuration_file_is_named() {
    for (thing, says) in THINGS {
        let dir = process::short_dir();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("go.d")).unwrap();
        fs::create_dir_all(at("vnodes/sound")).unwrap();
        let sound = "- hostname: far\n  guid: 4ea21e84-93b4-418b-b83e-79397610cd6e\n";
        fs::write(at("vnodes/sound/one.conf"), sound).unwrap();
        let good = "import_go_d: yes\njobs:\n- {name: good, address: /nowhere/s, vnode: far}\n";
        fs::write(at("redis-frag.conf"), good).unwrap();
        let places = ["go.d/redis.conf", "vnodes/odd.conf", "redis-frag.conf"];
        for place in places {
            // A folder is one of virtual nodes like any other.
            let is_none = place == "vnodes/odd.conf" && *thing == "folder";
            if place == "redis-frag.conf" {
                fs::remove_file(at(place)).unwrap();
            }
            put(thing, &at(place));
            let output = within_limits(|c| {
                c.arg("check-config")
                    .env("NETDATA_USER_CONFIG_DIR", dir.path());
            });
            let text = stdout(&output);
            let told = format!("{}:1:1: error: {says}", at(place).display());
            assert_eq!(text.contains(&told), !is_none, "{thing} {place}: {text}");
            // Whatever became of the others' file, this job is one.
            let lives = place != "redis-frag.conf";
            assert_eq!(text.contains("\ngood\n"), lives, "{thing} {place}: {text}");
        }
    }
}

/// Secrets, and the files of TLS.
#[test]
fn what_stands_in_place_of_a_job_s_file_costs_that_job() {
    let dir = things();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let fake = Fake::start(FRAGMENTED, &[]);
    let mut config = jobs(&[("good", &fake.unix_address())]);
    for (thing, _) in THINGS {
        let path = dir.path().join(thing).display().to_string();
        config += &format!(
            "- {{name: secret-{thing}, address: '{}', password: '${{file:{path}}}'}}\n",
            fake.unix_address()
        );
        for (job, keys) in [
            ("ca", format!("tls_ca: {path}")),
            ("cert", format!("tls_cert: {path}, tls_key: {path}")),
        ] {
            let address = format!("rediss://127.0.0.1:{port}");
            config += &format!("- {{name: {job}-{thing}, address: '{address}', {keys}}}\n");
        }
    }
    let file = dir.path().join("redis-frag.conf");
    fs::write(&file, config).unwrap();
    let output = within_limits(|c| {
        c.args(["check-config", "--connect"]).arg(&file);
    });
    let text = stdout(&output);
    assert!(text.contains("\ngood "), "{text}");
    for (thing, says) in THINGS {
        for job in ["secret", "ca", "cert"] {
            let start = format!("{job}-{thing} (");
            let line = text.lines().find(|line| line.starts_with(&start));
            let line = line.unwrap_or_else(|| panic!("{start}: {text}"));
            let says = match (job, *thing) {
                ("secret", "sparse") => "64 KiB",
                ("secret", _) => says.split(',').next().unwrap(),
                _ => says,
            };
            assert!(line.contains(says) && line.contains(thing), "{line}");
        }
    }
}

/// A person may name a pipe, as a shell makes one of a command.
#[test]
fn what_a_person_names_is_read_to_its_end_and_no_further() {
    let dir = things();
    let recording = dir.path().join("recording");
    fs::write(&recording, FRAGMENTED).unwrap();
    for (thing, says) in THINGS {
        let path = dir.path().join(thing);
        let says = match *thing {
            "pipe" => "nobody writes to this pipe",
            "zero" | "random" | "sparse" => "larger than",
            // It is read as what it is: empty.
            "stdin" => "empty",
            "socket" => "cannot be read",
            _ => says,
        };
        for options in [
            &["replay"][..],
            &["diagnose", "/nowhere/s", "--password-file"],
        ] {
            let output = within_limits(|c| {
                c.args(options).arg(&path);
            });
            let told = stderr(&output);
            assert!(
                told.contains(says) && told.contains(thing),
                "{options:?} {thing}: {told}"
            );
            let code = if options.len() == 1 { 3 } else { 64 };
            assert_eq!(output.status.code(), Some(code), "{told}");
        }
        for option in ["--config-get", "--malloc-stats"] {
            let output = within_limits(|c| {
                c.arg("replay").arg(&recording).arg(option).arg(&path);
            });
            assert_eq!(output.status.code(), Some(3), "{option} {thing}");
            assert!(stderr(&output).contains(thing), "{}", stderr(&output));
        }
    }
    let endless = dir.path().join("endless");
    put("pipe", &endless);
    let mut writer = Command::new("sh");
    writer
        .arg("-c")
        .arg("exec yes used_memory:1 > \"$0\"")
        .arg(&endless);
    let mut writer = writer.stderr(Stdio::null()).spawn().unwrap();
    // Until it has opened the pipe there is nobody who writes.
    let opened = fs::OpenOptions::new().read(true).open(&endless).unwrap();
    let output = within_limits(|c| {
        c.arg("replay").arg(&endless);
    });
    drop(opened);
    writer.wait().unwrap();
    assert!(
        stderr(&output).contains("larger than 16 MiB"),
        "{}",
        stderr(&output)
    );
    let mut replay = command();
    let mut child = replay
        .args(["replay", "--json", "/dev/stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(FRAGMENTED.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(stdout(&output).contains("\"verdict\":\"fragmented\""));
}

/// Root reads whatever it wants.
#[test]
fn what_may_not_be_read_is_told_with_what_to_change() {
    let dir = process::short_dir();
    let at = |name: &str| dir.path().join(name);
    let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let as_root = fs::metadata(dir.path()).is_ok() && process_is_root();
    let program = at("redis-frag");
    fs::copy(env!("CARGO_BIN_EXE_redis-frag"), &program).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let secret = at("secret");
    let fake = Fake::start(FRAGMENTED, &[]);
    let job = |name: &str, keys: &str| {
        format!(
            "- {{name: {name}, address: '{}', {keys}}}\n",
            fake.unix_address()
        )
    };
    let (own, go_d) = (at("redis-frag.conf"), at("go.d/redis.conf"));
    fs::create_dir_all(at("go.d")).unwrap();
    fs::create_dir_all(at("vnodes")).unwrap();
    let keys = format!("password: '${{file:{}}}'", secret.display());
    let text = format!("import_go_d: yes\njobs:\n{}", job("a", &keys));
    fs::write(&own, text).unwrap();
    fs::write(&go_d, format!("jobs:\n{}", job("b", "timeout: 1"))).unwrap();
    fs::write(&secret, "x").unwrap();
    for path in [&secret, &go_d, &at("vnodes")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    }
    let mut check = match as_root {
        true => {
            let mut setpriv = Command::new("setpriv");
            setpriv.args(nobody).arg(&program);
            setpriv
        }
        false => Command::new(&program),
    };
    check.args(["check-config", "--connect"]);
    check.env("NETDATA_USER_CONFIG_DIR", dir.path());
    let output = check.output().unwrap();
    fs::set_permissions(at("vnodes"), fs::Permissions::from_mode(0o755)).unwrap();
    let text = stdout(&output);
    for says in [
        format!(
            "{}:1:1: error: not readable; let the user netdata",
            go_d.display()
        ),
        format!(
            "{}:1:1: error: no folder of virtual nodes",
            at("vnodes").display()
        ),
        format!(
            "${{file:{}}} may not be read; let the user netdata",
            secret.display()
        ),
    ] {
        assert!(text.contains(&says), "{says}: {text}");
    }
    assert_eq!(output.status.code(), Some(1), "{text}");
}

fn process_is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:\t0\t0"))
}

/// Puts something in the place of a file at once.
fn replace(path: &Path, with: impl FnOnce(&Path)) {
    let fresh = path.with_extension("fresh");
    with(&fresh);
    // A folder cannot take the place of a file.
    if fresh.is_dir() && !fresh.is_symlink() {
        fs::remove_file(path).unwrap();
    } else if path.is_dir() && !path.is_symlink() {
        fs::remove_dir(path).unwrap();
    }
    fs::rename(fresh, path).unwrap();
}

fn reload(run: &PluginRun, says: &str) {
    let count = |run: &PluginRun| run.stderr().matches(says).count();
    let before = count(run);
    run.signal("HUP");
    run.expect(SOON, says, |_| count(run) > before);
}

#[test]
fn jobs_live_on_whatever_their_file_becomes_and_follow_it_again() {
    let fakes: Vec<Fake> = (0..3).map(|_| Fake::start(FRAGMENTED, &[])).collect();
    let address: Vec<String> = fakes.iter().map(Fake::unix_address).collect();
    let own = |jobs_: &[(&str, &str)]| format!("import_go_d: yes\n{}", jobs(jobs_));
    let mut run = plugin(&own(&[("a", &address[0])]))
        .user_file("go.d/redis.conf", &jobs(&[("b", &address[1])]))
        // What is in force without the first: no look at this machine.
        .stock_config("import_go_d: yes\njobs: []\n")
        .start();
    let go_on = |run: &PluginRun| {
        let now = |job: &str| run.with_checker(|c| blocks(c, job, "ratio"));
        let before = [now("a"), now("b")];
        run.expect(SOON, "values of both", |c| {
            blocks(c, "a", "ratio") > before[0] + 1 && blocks(c, "b", "ratio") > before[1]
        });
    };
    go_on(&run);
    let file = run.dir().join("etc/redis-frag.conf");
    let bomb = super::texts::texts().swap_remove(0).1;
    for (thing, says) in [
        ("pipe", "a pipe, not a file"),
        ("folder", "a folder, not a file"),
        ("circle", "links that lead in a circle"),
        ("sparse", "larger than 1 MiB"),
    ] {
        replace(&file, |fresh| match thing {
            // It leads to itself once it is in its place.
            "circle" => symlink(&file, fresh).unwrap(),
            thing => put(thing, fresh),
        });
        reload(&run, says);
        go_on(&run);
    }
    for (bytes, says) in [
        (bomb, "aliases repeat"),
        (b"\xff\xfej\0o\0".to_vec(), "not UTF-8"),
    ] {
        replace(&file, |fresh| fs::write(fresh, &bytes).unwrap());
        reload(&run, says);
        go_on(&run);
    }
    let text = own(&[("a", &address[0]), ("c", &address[2])]);
    replace(&file, |fresh| fs::write(fresh, &text).unwrap());
    reload(&run, "redis-frag.conf: 2 jobs");
    run.expect(SOON, "values of c", |c| blocks(c, "c", "ratio") > 0);
    go_on(&run);
    // One that is gone names nothing: its own jobs end once it is read, no other.
    let go_d = run.dir().join("etc/go.d/redis.conf");
    for (path, gone, other, back) in [
        (&file, "a", "b", "redis-frag.conf: 2 jobs"),
        (&go_d, "b", "a", "redis.conf: imported b"),
    ] {
        let text = fs::read(path).unwrap();
        let told = run.stderr().len();
        fs::remove_file(path).unwrap();
        go_on(&run);
        let ends = format!("job {gone}: not in the files any more: ending");
        reload(&run, &ends);
        let obsolete = |c: &Checker| {
            let chart = c.chart(&format!("redis_frag_{gone}.ratio"));
            chart.is_some_and(|chart| chart.obsolete)
        };
        run.expect(SOON, "its charts are taken away", obsolete);
        let before = run.with_checker(|c| blocks(c, other, "ratio"));
        run.expect(SOON, "values of the other", |c| {
            blocks(c, other, "ratio") > before + 1
        });
        let others = format!("job {other}: not in the files any more: ending");
        assert!(!run.stderr()[told..].contains(&others), "{}", run.stderr());
        replace(path, |fresh| fs::write(fresh, &text).unwrap());
        reload(&run, back);
        run.expect(SOON, "its charts again", |c| !obsolete(c));
        go_on(&run);
    }
    run.with_checker(|c| c.assert_clean());
    run.close_stdin();
    assert!(run.wait_exit(SOON).unwrap().0.success());
}

/// Looked at, a file; opened, a pipe. Who opens a pipe waits for its other end.
#[test]
fn a_file_that_is_replaced_while_it_is_read_holds_up_nobody() {
    let dir = process::short_dir();
    let [path, other] = ["file", "pipe"].map(|name| dir.path().join(name));
    fs::write(&path, "whole").unwrap();
    put("pipe", &other);
    let (done, is_done) = mpsc::channel();
    let theirs = path.clone();
    // Not joined: where it waits it waits for good.
    thread::spawn(move || {
        let mut seen = [0; 2];
        // So often that the other was there between two looks, too.
        while seen.iter().any(|count| *count < 2_000) {
            match files::read(&theirs, 100) {
                Ok((bytes, _)) if bytes == b"whole" => seen[0] += 1,
                Err(Unread::NoFile("a pipe")) => seen[1] += 1,
                other => panic!("{other:?}"),
            }
        }
        done.send(()).unwrap();
    });
    let start = Instant::now();
    while let Err(error) = is_done.try_recv() {
        assert_eq!(error, mpsc::TryRecvError::Empty, "the reader ended");
        assert!(start.elapsed() < SOON, "it waits");
        renameat_with(CWD, &path, CWD, &other, RenameFlags::EXCHANGE).unwrap();
    }
}
