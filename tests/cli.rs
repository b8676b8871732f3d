//! What a person runs at a shell, through the real binary and against real
//! servers: reports, JSON and exit codes.
//!
//! Each other subject has a file of its own below `cli/`.

mod errors;
mod explain;
mod live;
mod replay;
mod size_classes;
mod streams;
mod terminal;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::process::short_dir;
use crate::support::{Kind, Server, eventually, secrets};

const SOON: Duration = Duration::from_secs(20);

/// The keys of a diagnosis, in their order.
const KEYS: [&str; 15] = [
    "instance",
    "server",
    "verdict",
    "severity",
    "evidence",
    "ruled_out",
    "missing",
    "waste",
    "reclaim",
    "defrag",
    "known_issues",
    "advice",
    "risks",
    "headroom",
    "host",
];

const HEADROOM: &[&str] = &[
    "limit",
    "limited_by",
    "cgroup",
    "rss",
    "cow",
    "free",
    "first_met",
    "copy_bound",
    "copy_usual",
    "rss_at_maxmemory",
    "now",
    "worst_case",
];

const HOST: &[&str] = &[
    "pid",
    "rss",
    "peak",
    "swap",
    "huge_pages",
    "huge_pages_enabled",
    "oom_kills",
    "cgroups",
    "memory",
    "available",
    "swap_total",
    "swap_free",
    "overcommit",
    "swappiness",
    "transparent_hugepage",
    "unsure",
];

/// The program, apart from any configuration of this machine and this shell.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redis-frag"));
    for name in [
        "NO_COLOR",
        "TERM",
        "COLUMNS",
        "LINES",
        "REDIS_FRAG_PASSWORD",
    ] {
        command.env_remove(name);
    }
    command
        .env("NETDATA_USER_CONFIG_DIR", "/nonexistent")
        .env("NETDATA_STOCK_CONFIG_DIR", "/nonexistent")
        .stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(args: &[&str]) -> Output {
    let output = command().args(args).output().unwrap();
    // Both are searched for secrets, whichever the test looks at.
    stdout(&output);
    stderr(&output);
    output
}

/// What a command printed, without any secret.
#[track_caller]
pub fn stdout(output: &Output) -> String {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    secrets::assert_none(&text, "a command's output");
    text
}

/// What a command told on standard error, without any secret.
#[track_caller]
pub fn stderr(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    secrets::assert_none(&text, "a command's errors");
    text
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// One object a line, each of the shape that is promised.
#[track_caller]
pub fn objects(output: &Output) -> Vec<Value> {
    let text = stdout(output);
    text.lines().map(|line| shaped(line)).collect()
}

#[track_caller]
fn shaped(line: &str) -> Value {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    let at = |name: &str| {
        line.find(&format!("\"{name}\":"))
            .unwrap_or_else(|| panic!("no {name}: {line}"))
    };
    let places: Vec<usize> = KEYS.iter().map(|name| at(name)).collect();
    let keys = value.as_object().unwrap();
    let unreachable = keys.contains_key("error");
    assert_eq!(keys.len(), KEYS.len() + usize::from(unreachable), "{line}");
    assert!(
        places[0] < places[1] && places[10] < places[11],
        "in order: {line}"
    );
    has(&value["server"], &["flavour", "version", "allocator"]);
    for (name, parts) in [
        (
            "waste",
            &["total", "fragmented", "releasable", "process", "other"][..],
        ),
        ("reclaim", &["active_defrag", "memory_purge", "restart"]),
    ] {
        has(&value[name], parts);
        for (part, size) in value[name].as_object().unwrap() {
            assert!(size.is_i64() || size.is_null(), "{name}.{part}: {size}");
        }
    }
    has(&value["defrag"], &["state", "reason"]);
    for fact in value["evidence"].as_array().unwrap() {
        has(fact, &["field", "value", "threshold", "relation"]);
        for name in ["value", "threshold"] {
            let text = fact[name].to_string();
            let decimals = text.split_once('.').map_or(0, |(_, d)| d.len());
            assert!(
                fact[name].is_null() || fact[name].is_number() && decimals <= 3,
                "{fact}"
            );
        }
    }
    assert!(!value["evidence"].as_array().unwrap().is_empty(), "{line}");
    for ruled in value["ruled_out"].as_array().unwrap() {
        has(ruled, &["verdict", "reason"]);
    }
    for issue in value["known_issues"].as_array().unwrap() {
        has(issue, &["id", "effect", "remedy", "source", "strikes"]);
    }
    for advice in value["advice"].as_array().unwrap() {
        has(advice, &["action", "command", "why", "caution"]);
    }
    for risk in value["risks"].as_array().unwrap() {
        has(risk, &["risk", "severity", "why"]);
    }
    has(&value["headroom"], HEADROOM);
    has(&value["host"], HOST);
    value
}

#[track_caller]
fn has(value: &Value, names: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("{value}"));
    assert_eq!(object.len(), names.len(), "{value}");
    for name in names {
        assert!(object.contains_key(*name), "no {name}: {value}");
    }
}

/// A server of which most memory is in holes.
pub fn fragmented(kind: Kind) -> Server {
    let server = Server::start(kind);
    server.fill(160 << 20);
    server.delete_random(75);
    // RSS is read ten times a second.
    thread::sleep(Duration::from_millis(300));
    server
}

fn write(path: &Path, text: &str) -> String {
    std::fs::write(path, text).unwrap();
    path.display().to_string()
}

#[test]
fn one_instance_is_reported_for_people_and_programs() {
    let server = fragmented(Kind::Redis82);
    let address = server.unix_address();
    let told = run(&["diagnose", &address]);
    let text = stdout(&told);
    assert!((1..=2).contains(&code(&told)), "{}: {text}", code(&told));
    let first = text.lines().next().unwrap();
    assert!(first.contains("fragmented: "), "{text}");
    for part in [
        "redis 8.2.3",
        "jemalloc-5.3.0",
        "[##",
        "xx fragmented",
        "mem_fragmentation_ratio",
        "at least 1.50",
        &format!(
            "-s {} CONFIG SET activedefrag yes",
            server.socket().display()
        ),
        "Ruled out",
        "no child is saving or rewriting",
    ] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colours in a pipe: {text}");
    for line in text.lines().filter(|line| !line.contains('$')) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let told = run(&["diagnose", "--json", &address]);
    let found = objects(&told);
    assert_eq!(found.len(), 1);
    let found = &found[0];
    assert_eq!(found["instance"], address.as_str());
    assert_eq!(found["server"]["version"], "8.2.3");
    assert_eq!(found["verdict"], "fragmented");
    assert_eq!(found["defrag"]["state"], "off");
    assert_eq!(found["advice"][0]["action"], "active_defrag");
    assert_eq!(found["missing"], serde_json::json!([]));
    let waste = &found["waste"];
    let sum: i64 = ["fragmented", "releasable", "process", "other"]
        .iter()
        .map(|part| waste[part].as_i64().unwrap())
        .sum();
    assert_eq!(waste["total"], sum);
}

#[test]
fn several_come_worst_first_and_the_worst_decides() {
    let bad = fragmented(Kind::Redis62);
    let small = Server::start(Kind::Valkey91);
    let healthy = Server::start(Kind::Redis82);
    healthy.fill(80 << 20);
    thread::sleep(Duration::from_millis(300));
    let addresses = [
        healthy.tcp_address(),
        "127.0.0.1:1".to_owned(),
        bad.unix_address(),
        small.tcp_address(),
    ];
    let mut args = vec!["diagnose"];
    args.extend(addresses.iter().map(String::as_str));
    let told = run(&args);
    let text = stdout(&told);
    assert!((1..=2).contains(&code(&told)), "{text}");
    let table: Vec<&str> = text.lines().skip(1).take(4).collect();
    assert!(table[0].contains("fragmented"), "{text}");
    assert!(
        table[1].starts_with("UNKNOWN") && table[1].contains("unreachable"),
        "{text}"
    );
    assert!(
        table[2].starts_with("FINE") && table[3].starts_with("FINE"),
        "{text}"
    );
    args.push("--json");
    let verdicts: Vec<Value> = objects(&run(&args))
        .into_iter()
        .map(|found| found["verdict"].clone())
        .collect();
    assert_eq!(verdicts, ["fragmented", "unknown", "healthy", "small"]);
    assert_eq!(code(&run(&["diagnose", &healthy.tcp_address()])), 0);
    let with_unknown = run(&["diagnose", &healthy.tcp_address(), "127.0.0.1:1"]);
    assert_eq!(code(&with_unknown), 3, "could not tell is worse than fine");
}

#[test]
fn jobs_of_the_configuration_go_by_name() {
    let (one, two) = (Server::start(Kind::Redis82), Server::start(Kind::Valkey91));
    let dir = short_dir();
    let config = format!(
        "jobs:\n  - name: one\n    address: {}\n  - name: two\n    address: {}\n",
        one.tcp_address(),
        two.unix_address()
    );
    write(&dir.path().join("redis-frag.conf"), &config);
    let names = |args: &[&str]| -> (Vec<String>, i32) {
        let told = command()
            .env("NETDATA_USER_CONFIG_DIR", dir.path())
            .args(["diagnose", "--json"])
            .args(args)
            .output()
            .unwrap();
        let name = |found: Value| found["instance"].as_str().unwrap().to_owned();
        let mut names: Vec<String> = objects(&told).into_iter().map(name).collect();
        names.sort();
        (names, code(&told))
    };
    assert_eq!(names(&["two"]), (vec!["two".to_owned()], 0));
    assert_eq!(names(&[]), (vec!["one".to_owned(), "two".to_owned()], 0));
    let both = (vec!["one".to_owned(), one.tcp_address()], 0);
    assert_eq!(names(&["one", &one.tcp_address()]), both);
    let told = command()
        .env("NETDATA_USER_CONFIG_DIR", dir.path())
        .args(["diagnose", "no-such-job.invalid"])
        .output()
        .unwrap();
    assert_eq!(code(&told), 3);
    let said = stdout(&told)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(said.contains("no job of the configuration"), "{said}");
}

#[test]
fn out_of_reach_says_what_to_change() {
    let locked = Server::builder(Kind::Redis82)
        .password("Pw-right-1")
        .start();
    let address = locked.tcp_address();
    let dir = short_dir();
    let right = write(&dir.path().join("right"), "Pw-right-1\n");
    let wrong = write(&dir.path().join("wrong"), "Pw-wrong-2\n");
    let in_url = address.replace("redis://", "redis://:Pw-wrong-3@");
    for (args, exit, says) in [
        (vec!["127.0.0.1:1"], 3, "check address"),
        (vec![&*address], 3, "REDIS_FRAG_PASSWORD"),
        (
            vec![&*address, "--password-file", &wrong],
            3,
            "--password-file FILE",
        ),
        (vec![&*in_url], 3, "refuses username or password"),
        (vec![&*address, "--password-file", &right], 0, "small"),
    ] {
        let told = run(&[&["diagnose"], &args[..]].concat());
        let text = stdout(&told) + &stderr(&told);
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            code(&told) == exit && flat.contains(says),
            "{args:?}: {text}"
        );
        assert!(!text.contains("Pw-"), "{text}");
        let json = run(&[&["diagnose", "--json"], &args[..]].concat());
        let found = objects(&json);
        assert_eq!(found[0]["error"].is_string(), exit == 3, "{args:?}");
        assert!(!stdout(&json).contains("Pw-"));
    }
    let by_variable = command()
        .env("REDIS_FRAG_PASSWORD", "Pw-right-1")
        .args(["diagnose", &address])
        .output()
        .unwrap();
    assert_eq!(code(&by_variable), 0);
    locked.pause();
    let told = run(&["diagnose", &address, "--timeout", "300ms"]);
    locked.resume();
    assert!(code(&told) == 3 && stdout(&told).contains("no answer in time"));
}

#[test]
fn wrong_usage_is_not_a_diagnosis() {
    for args in [
        &["diagnose", "--no-such-option"][..],
        &["diagnose", "http://x"],
        &["diagnose", "h:1", "--password-file", "/nonexistent"],
        &["diagnose", "h:1", "--timeout", "soon"],
        &["replay"],
        &["record", "h:1"],
        &["record", "h:1", "--for", "5s", "-o", "/"],
    ] {
        let told = run(args);
        assert_eq!(code(&told), 64, "{args:?}: {}", stderr(&told));
        assert!(
            !told.stderr.is_empty() && told.stdout.is_empty(),
            "{args:?}"
        );
    }
    for args in [
        &["diagnose", "--help"][..],
        &["replay", "-h"],
        &["--version"],
    ] {
        let told = run(args);
        assert!(code(&told) == 0 && !told.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn defrag_at_work_is_looked_at_twice() {
    let server = fragmented(Kind::Redis82);
    for (setting, value) in [
        ("active-defrag-ignore-bytes", "1mb"),
        ("active-defrag-cycle-min", "1"),
        ("active-defrag-cycle-max", "1"),
        ("activedefrag", "yes"),
    ] {
        server.ok(&["CONFIG", "SET", setting, value]);
    }
    eventually(SOON, "defrag runs", || {
        server.info_number("active_defrag_running") > 0.0
    });
    let told = run(&["diagnose", &server.unix_address()]);
    let text = stdout(&told);
    assert!(text.contains("  running "), "{text}");
    assert!(text.contains("allocations a second"), "no rates: {text}");
}
