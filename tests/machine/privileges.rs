//! How little the plugin needs, and that it leaves no trace: it runs as nobody, without
//! capabilities, on file systems that cannot be written; it listens nowhere, writes no
//! file, and asks the kernel for nothing that changes anything.
//!
//! Also what a person runs at a shell, of which `record` alone writes, where it is told to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::common::{BINARY, SOON, alone, or_skip};
use crate::support::certificates::{Authority, Valid};
use crate::support::folder::files;
use crate::support::process::{self, short_dir};
use crate::support::trace::{self, Call};
use crate::support::{Checker, Cluster, Kind, PluginRun, Server, eventually, secrets};

const TEST: &str = "what the plugin asks of the kernel";

/// In mounts of its own that cannot be written, as nobody, and so for ever.
const BARE: &str = "while read -r _ place _; do \
    mount -o remount,bind,ro \"$place\" 2>/dev/null || true; \
    done </proc/self/mounts; \
    exec setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all \
    --inh-caps=-all --ambient-caps=-all --no-new-privs --pdeathsig KILL \"$@\"";

/// The words that run a program so; why not, where we may not.
fn bare() -> Result<Vec<String>, String> {
    let words = ["unshare", "-m", "sh", "-c", BARE, "sh"].map(str::to_owned);
    let output = Command::new(&words[0])
        .args(&words[1..])
        .arg("true")
        .output();
    let output = output.map_err(|e| format!("cannot run unshare: {e}"))?;
    match output.status.success() {
        true => Ok(words.to_vec()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// The program and secrets where nobody may read them.
struct Ground {
    dir: tempfile::TempDir,
}

impl Ground {
    fn new() -> Ground {
        use std::os::unix::fs::PermissionsExt;
        let dir = short_dir();
        let program = dir.path().join("redis-frag");
        std::fs::copy(BINARY, &program).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(dir.path().join("secret"), "hunter2").unwrap();
        Ground { dir }
    }

    fn program(&self) -> PathBuf {
        self.dir.path().join("redis-frag")
    }

    fn secret(&self) -> String {
        self.dir.path().join("secret").display().to_string()
    }
}

/// Every kind of server, and the configuration of all ways to reach them.
struct World {
    /// Nobody tells of it: it is found.
    unnamed: Server,
    /// Wants a password.
    locked: Server,
    _others: Vec<Server>,
    cluster: Cluster,
    config: String,
    /// Ports and sockets that may be connected to.
    ways: BTreeSet<String>,
}

fn world(ground: &Ground) -> World {
    let authority = Authority::new(ground.dir.path(), "ours");
    let certificate = authority.sign("server", &["localhost", "127.0.0.1"], Valid::Now);
    let tls = process::free_port();
    let secure = Server::builder(Kind::Redis70)
        .tls(tls, &certificate, None)
        .start();
    let locked = Server::builder(Kind::Redis82).password("hunter2").start();
    let socket = Server::builder(Kind::Valkey91).socket_only().start();
    let unnamed = Server::builder(Kind::Redis70).port_only().start();
    let cluster = Cluster::start(Kind::Redis62);
    let (secret, ca) = (ground.secret(), authority.file.display().to_string());
    let config = format!(
        "jobs:\n\
         - {{name: tls, address: 'rediss://localhost:{tls}', tls_ca: '{ca}'}}\n\
         - {{name: file, address: '{0}', password: '${{file:{secret}}}'}}\n\
         - {{name: cmd, address: '{1}', password: '${{cmd:/bin/cat {secret}}}'}}\n\
         - {{name: socket, address: '{2}', malloc_stats_every: 10}}\n\
         - {{name: nobody, address: 'redis://127.0.0.1:1'}}\n\
         - {{name: c, address: '{3}', cluster: yes}}\n",
        locked.tcp_address(),
        locked.unix_address(),
        socket.unix_address(),
        cluster.node(0).tcp_address(),
    );
    let mut ways = BTreeSet::from([tls.to_string(), "1".to_owned()]);
    ways.extend([&unnamed, &locked].map(|server| server.port().to_string()));
    ways.extend((0..6).map(|number| cluster.node(number).port().to_string()));
    let sockets = [&locked, &socket].map(|server| server.socket().display().to_string());
    ways.extend(sockets);
    World {
        unnamed,
        locked,
        _others: vec![secure, socket],
        cluster,
        config,
        ways,
    }
}

/// The rows of a table of the kernel's on the sockets of a process' network.
fn rows(pid: u32, table: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    text.lines().skip(1).map(words).collect()
}

/// What a process has open that it should not: files to be written, and sockets at which
/// anybody could reach it.
fn wrongly_open(pid: u32) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut sockets = BTreeSet::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
        let entry = entry.unwrap();
        // Closed meanwhile is no error.
        let Ok(target) = std::fs::read_link(entry.path()) else {
            continue;
        };
        let target = target.display().to_string();
        if let Some(socket) = target.strip_prefix("socket:[") {
            sockets.insert(socket.trim_end_matches(']').to_owned());
        } else if target.starts_with('/') && target != "/dev/null" {
            let number = entry.file_name().display().to_string();
            let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}"));
            let info = info.unwrap_or_default();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
            let flags = flags.map_or(0, |flags| u32::from_str_radix(flags.trim(), 8).unwrap());
            if flags & 0o3 != 0 {
                wrong.push(format!("{target} open with {flags:o}"));
            }
        }
    }
    let ours = |row: &Vec<String>, column: usize| {
        row.get(column).is_some_and(|inode| sockets.contains(inode))
    };
    const LISTENS: &str = "0A";
    const CONNECTED: &str = "01";
    for (table, column) in [
        ("tcp", 9),
        ("tcp6", 9),
        ("udp", 9),
        ("udp6", 9),
        ("raw", 9),
        ("raw6", 9),
    ] {
        for row in rows(pid, table).iter().filter(|row| ours(row, column)) {
            let harmless = match &table[..3] {
                "tcp" => row[3] != LISTENS,
                // The C library asks so which of several addresses is the better one.
                "udp" => row[3] == CONNECTED,
                _ => false,
            };
            if !harmless {
                wrong.push(format!("{table}: {row:?}"));
            }
        }
    }
    for row in rows(pid, "unix").iter().filter(|row| ours(row, 6)) {
        // It listens, or has a name by which it is reached.
        if row[3] != "00000000" || row.len() > 7 {
            wrong.push(format!("unix: {row:?}"));
        }
    }
    if rows(pid, "packet").iter().any(|row| ours(row, 8)) {
        wrong.push("a packet socket".to_owned());
    }
    wrong
}

/// What a program asked for and should not have; `written` is a folder that it was told
/// to write to.
fn wrongly_asked(
    calls: &[Call],
    written: Option<&Path>,
    may_connect: impl Fn(&str) -> bool,
) -> Vec<String> {
    let wrong = |call: &&Call| {
        let told = written.is_some_and(|folder| Path::new(call.path()).starts_with(folder));
        let rest = &call.rest;
        let of = |families: &[&str]| families.iter().any(|family| rest.contains(family));
        match call.name.as_str() {
            // To ask which addresses the machine has.
            "bind" => !of(&["sa_family=AF_NETLINK"]),
            "socket" => {
                let raw = of(&["SOCK_RAW", "SOCK_PACKET"]) && !of(&["AF_NETLINK"]);
                raw || !of(&["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"])
            }
            "connect" => !may_connect(rest),
            "execve" => call.path() != "/bin/cat",
            _ => call.changes() && !told && call.path() != "/dev/null",
        }
    };
    let wrong = calls.iter().filter(wrong);
    wrong
        .map(|call| format!("{}({}", call.name, call.rest))
        .collect()
}

/// The port or path that a call connects to; `None` where it ends a connection, or picks
/// one of several addresses of this machine.
fn way(rest: &str) -> Option<&str> {
    let between = |from: &str, to: char| rest.split_once(from)?.1.split(to).next();
    let way = between("port=htons(", ')').or_else(|| between("sun_path=\"", '"'));
    way.filter(|way| *way != "0")
}

/// Whether a call connects to somebody on this machine.
fn stays_here(rest: &str) -> bool {
    ["AF_UNIX", "AF_UNSPEC", "\"127.", "\"::1\""]
        .iter()
        .any(|here| rest.contains(here))
}

/// The C library's own look for a service that would know names.
const NAME_SERVICE: &str = "/var/run/nscd/socket";

#[test]
fn a_whole_life_leaves_no_trace() {
    let _alone = alone();
    let Some(bare) = or_skip("the plugin without any rights", bare()) else {
        return;
    };
    let ground = Ground::new();
    let world = world(&ground);
    let config = format!("{}discovery: {{local: yes}}\n", world.config);
    let file = ground.dir.path().join("trace");
    let start = |under: &[String]| {
        PluginRun::builder(&ground.program())
            .arg("1")
            .version("v2.10.0")
            .under(under)
            .user_config(&config)
            .start()
    };
    let mut runs = vec![start(&bare)];
    let traced = or_skip(TEST, trace::allowed()).is_some();
    if traced {
        runs.push(start(&[trace::words(&file), bare].concat()));
    }
    let before: Vec<_> = runs.iter().map(|run| files(run.dir())).collect();
    let wrong = live(&mut runs, &world);
    assert_eq!(wrong, BTreeSet::new(), "open meanwhile");
    for (run, before) in runs.iter_mut().zip(before) {
        run.close_stdin();
        let (status, _) = run.wait_exit(SOON).expect("it did not end");
        assert!(status.success(), "{status}\n{}", run.stderr());
        assert_eq!(files(run.dir()), before, "nothing is written beside it");
        run.with_checker(Checker::assert_clean);
    }
    if !traced {
        return;
    }
    let calls = trace::read(&file, &ground.program());
    assert_eq!(wrongly_asked(&calls, None, stays_here), [""; 0]);
    // It was seen at all.
    let connected: BTreeSet<&str> = of(&calls, "connect").filter_map(|c| way(&c.rest)).collect();
    let missing: Vec<_> = world
        .ways
        .iter()
        .filter(|way| !connected.contains(way.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let ran = of(&calls, "execve").filter(|call| call.path() == "/bin/cat");
    assert!(ran.count() >= 1, "the secret's program was not seen");
    let opened = |path: &str| of(&calls, "openat").any(|call| call.path().ends_with(path));
    assert!(opened("redis-frag.conf") && opened("/net/tcp") && opened("/secret"));
}

fn of<'a>(calls: &'a [Call], name: &'a str) -> impl Iterator<Item = &'a Call> {
    calls.iter().filter(move |call| call.name == name)
}

/// That a process has no rights, can get none, and can write nowhere.
#[track_caller]
fn assert_bare(pid: u32) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for row in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let none = format!("{row}:\t0000000000000000\n");
        assert!(status.contains(&none), "{status}");
    }
    assert!(status.contains("NoNewPrivs:\t1\n"), "{status}");
    let try_to_write = format!("/proc/{pid}/root/tmp/redis-frag-was-here");
    let written = std::fs::write(&try_to_write, "").unwrap_err();
    assert_eq!(written.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
}

/// All that a plugin meets: discovery, a cluster, TLS, secrets, functions, dynamic
/// configuration, a server that goes and comes back, files that are read anew. What the
/// first of these had open meanwhile that it should not.
fn live(runs: &mut [PluginRun], world: &World) -> BTreeSet<String> {
    let first = runs[0].pid();
    let mut wrong = BTreeSet::new();
    let mut until = |what: &str, runs: &[PluginRun], holds: &dyn Fn(&Checker) -> bool| {
        eventually(3 * SOON, what, || {
            wrong.extend(wrongly_open(first));
            runs.iter().all(|run| run.with_checker(holds))
        });
    };
    let found = format!("local_{}", world.unnamed.port());
    let mut names = ["tls", "file", "cmd", "socket", &found]
        .map(str::to_owned)
        .to_vec();
    let member = |number| format!("c_127_0_0_1_{}", world.cluster.node(number).port());
    names.extend((0..6).map(member));
    let blocks = |c: &Checker, name: &str| {
        let chart = c.chart(&format!("redis_frag_{name}.ratio"));
        chart.map_or(0, |chart| chart.blocks)
    };
    until("all are charted", runs, &|c| {
        names.iter().all(|name| blocks(c, name) > 2)
    });
    assert_bare(first);
    for run in &mut *runs {
        let config = "\"config redis-frag:redis test x\" 0xffff me application/json";
        for (id, call) in [
            ("a", "FUNCTION a 20 redis-frag:diagnosis 0x8 me".to_owned()),
            (
                "b",
                "FUNCTION b 20 \"redis-frag:size-classes instance:file\" 0x8 me".to_owned(),
            ),
            ("c", format!("FUNCTION_PAYLOAD c 20 {config}")),
        ] {
            run.send_line(&call).unwrap();
            if id == "c" {
                let address = world.unnamed.tcp_address();
                run.send_line(&format!("{{\"address\": \"{address}\"}}"))
                    .unwrap();
                run.send_line("FUNCTION_PAYLOAD_END").unwrap();
            }
        }
    }
    let ok = |c: &Checker, id: &str| c.answer(id).is_some_and(|answer| answer.code == "200");
    until("answers", runs, &|c| {
        ["a", "b", "c"].iter().all(|id| ok(c, id))
    });
    runs[0].signal("HUP");
    let down = |c: &Checker| c.last("redis_frag_file.status", "down") == Some(1);
    world.locked.pause();
    until("a server hangs", runs, &down);
    world.locked.resume();
    until("it is back", runs, &|c| !down(c));
    eventually(SOON, "files are read anew", || {
        runs[0]
            .stderr()
            .contains("SIGHUP: reading the configuration anew")
    });
    wrong
}

/// What a person runs, in a folder of its own.
fn run(program: &Path, words: &[&str], under: &[String]) -> (i32, String) {
    let mut command = Command::new(&under[0]);
    command.args(&under[1..]).arg(program).args(words);
    let output = command
        .current_dir(program.parent().unwrap())
        .env("REDIS_FRAG_PASSWORD", "hunter2")
        .env("HOME", program.parent().unwrap())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    secrets::assert_none(&text, "a command");
    (output.status.code().unwrap_or(-1), text)
}

#[test]
fn what_a_person_runs_writes_nothing_but_a_recording_where_it_is_told_to() {
    let _alone = alone();
    if or_skip(TEST, trace::allowed()).is_none() {
        return;
    }
    let ground = Ground::new();
    let server = Server::builder(Kind::Redis82).password("hunter2").start();
    let outside = short_dir();
    let (file, output) = (
        outside.path().join("trace"),
        outside.path().join("recording"),
    );
    let config = ground.dir.path().join("redis-frag.conf");
    let (address, socket) = (server.tcp_address(), server.unix_address());
    let job = format!("jobs:\n- {{name: a, address: '{address}', password: hunter2}}\n");
    std::fs::write(&config, job).unwrap();
    std::fs::write(ground.dir.path().join("info.txt"), server.info()).unwrap();
    let before = files(ground.dir.path());
    let config = config.display().to_string();
    let recording = output.display().to_string();
    for (words, code) in [
        (vec!["diagnose", &address, "--json", "--malloc-stats"], 0),
        (vec!["diagnose", &socket], 0),
        (vec!["size-classes", &address], 0),
        (vec!["check-config", &config, "--connect"], 0),
        (vec!["replay", "info.txt"], 0),
        (
            vec!["record", &address, "--for", "2s", "--output", &recording],
            0,
        ),
    ] {
        let (got, told) = run(&ground.program(), &words, &trace::words(&file));
        assert_eq!(got, code, "{words:?}: {told}");
        let calls = trace::read(&file, &ground.program());
        let port = server.port().to_string();
        let path = server.socket().display().to_string();
        let expected = |rest: &str| {
            let to = [port.as_str(), &path, NAME_SERVICE];
            stays_here(rest) && way(rest).is_none_or(|way| to.contains(&way))
        };
        let recorded = (words[0] == "record").then_some(output.as_path());
        let wrong = wrongly_asked(&calls, recorded, expected);
        assert_eq!(wrong, [""; 0], "{words:?}");
        let connected = of(&calls, "connect").any(|call| way(&call.rest).is_some());
        assert_eq!(connected, words[0] != "replay", "{words:?}");
        assert_eq!(files(ground.dir.path()), before, "{words:?}");
    }
    let recorded = files(&output);
    assert!(recorded.len() > 2, "{recorded:?}");
    let all: BTreeSet<PathBuf> = files(outside.path()).into_keys().collect();
    let ours = |path: &&PathBuf| !path.starts_with(&output) && **path != file;
    assert_eq!(all.iter().filter(ours).count(), 0, "{all:?}");
}

/// The tests above would see what they look for.
#[test]
fn a_program_that_leaves_traces_is_seen() {
    let _alone = alone();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let dir = short_dir();
    let unix = std::os::unix::net::UnixListener::bind(dir.path().join("s")).unwrap();
    let file = std::fs::File::create(dir.path().join("file")).unwrap();
    let wrong = wrongly_open(std::process::id());
    for kind in ["tcp: ", "udp: ", "unix: "] {
        assert!(
            wrong.iter().any(|told| told.starts_with(kind)),
            "{kind}: {wrong:?}"
        );
    }
    let path = dir.path().join("file").display().to_string();
    assert!(
        wrong.iter().any(|told| told.starts_with(&path)),
        "{wrong:?}"
    );
    drop((listener, datagrams, unix, file));
    if or_skip(TEST, trace::allowed()).is_none() {
        return;
    }
    let (file, shell) = (dir.path().join("trace"), Path::new("/bin/bash"));
    let script = "cd \"$0\"; : >a; mkdir b; mv a b/c; chmod 600 b/c; rm b/c; kill -CONT $$; \
        : </dev/tcp/127.0.0.1/1";
    let words = trace::words(&file);
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .arg(shell)
        .args(["-c", script])
        .arg(dir.path());
    command.stderr(Stdio::null()).status().unwrap();
    let wrong = wrongly_asked(&trace::read(&file, shell), None, |_| false).join("\n");
    for name in [
        "openat(", "mkdir(", "rename", "chmod", "unlink", "kill(", "connect(", "execve(",
    ] {
        assert!(wrong.contains(name), "{name} in\n{wrong}");
    }
}
