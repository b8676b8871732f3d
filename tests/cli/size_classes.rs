//! `redis-frag size-classes`, against real servers: table, JSON, exit codes.

use serde_json::Value;

use super::{code, command, fragmented, run, stderr, stdout, write};
use crate::support::process::short_dir;
use crate::support::{Kind, Server};

const KEYS: [&str; 6] = [
    "instance", "server", "wasted", "totals", "classes", "arenas",
];

const OF_A_CLASS: [&str; 14] = [
    "size",
    "kind",
    "allocated",
    "in_use",
    "slabs",
    "half_empty_slabs",
    "regs_per_slab",
    "pages_per_slab",
    "utilisation",
    "wasted",
    "share",
    "string_lengths",
    "key_and_value_lengths",
    "key_lengths",
];

fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap();
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn sorted<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names
}

#[track_caller]
fn object(args: &[&str]) -> Value {
    let told = run(&[&["size-classes", "--json"], args].concat());
    let text = stdout(&told);
    assert!(text.ends_with("}\n") && text.lines().count() == 1, "{text}");
    let value: Value = serde_json::from_str(&text).unwrap();
    let failed = value.get("error").is_some();
    let known: Vec<&str> = if failed {
        [&KEYS[..], &["error"]].concat()
    } else {
        KEYS.to_vec()
    };
    assert_eq!(keys(&value), sorted(&known), "{text}");
    assert_eq!(code(&told), if failed { 3 } else { 0 }, "{text}");
    for class in value["classes"].as_array().unwrap() {
        assert_eq!(keys(class), sorted(&OF_A_CLASS), "{class}");
    }
    value
}

#[test]
fn the_worst_come_first_for_people_and_programs() {
    let server = fragmented(Kind::Redis82);
    let address = server.unix_address();
    let told = run(&["size-classes", &address]);
    let text = stdout(&told);
    assert_eq!(code(&told), 0, "{text}");
    for part in [
        "MiB wasted: ",
        "redis 8.2.3, jemalloc-5.3.0",
        "half-empty",
        "xxxxxxxxxx",
        "1792  strings of 1531 to 1786 bytes",
        "more: --all",
        "metadata",
        "Lua's waste is not in the sum",
        "redis-frag diagnose",
        &format!("-s {} MEMORY PURGE", server.socket().display()),
    ] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colours in a pipe: {text}");
    for line in text.lines().filter(|line| !line.contains(&address[7..])) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let worst = object(&[&address]);
    let all = object(&["--all", &address]);
    assert_eq!(worst["server"]["version"], "8.2.3");
    let wasted = |value: &Value| -> Vec<i64> {
        let classes = value["classes"].as_array().unwrap();
        let small = classes.iter().filter(|class| class["kind"] == "small");
        small
            .map(|class| class["wasted"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(wasted(&worst).len(), 10);
    assert!(wasted(&worst)[9] > 0 && wasted(&all).len() > 20);
    assert!(wasted(&all).is_sorted_by(|one, other| one >= other));
    assert_eq!(all["wasted"], wasted(&all).iter().sum::<i64>());
    let large = all["classes"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&large["kind"], &large["wasted"]),
        (&"large".into(), &Value::Null)
    );
    let lua = all["arenas"].as_array().unwrap().last().unwrap();
    assert_eq!(lua["lua"], true);
    let text = stdout(&run(&["size-classes", "--all", &address]));
    assert!(text.contains("Large size classes") && !text.contains("more: --all"));
}

#[test]
fn a_build_that_cannot_defragment_is_told_of_a_restart() {
    let server = fragmented(Kind::Redis70);
    let text = stdout(&run(&["size-classes", &server.tcp_address()]));
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("by a restart: active defrag needs"), "{text}");
    assert!(!text.contains("Arenas"), "{text}");
}

#[test]
fn what_cannot_be_told_says_why() {
    let libc = Server::start(Kind::Valkey91);
    let locked = Server::builder(Kind::Redis82)
        .password("Pw-right-1")
        .start();
    let dir = short_dir();
    let config = format!(
        "jobs:\n  - name: off\n    address: {}\n    size_classes: no\n",
        libc.tcp_address()
    );
    write(&dir.path().join("redis-frag.conf"), &config);
    for (target, says) in [
        (libc.unix_address(), "built with libc"),
        (locked.tcp_address(), "--password-file"),
        ("127.0.0.1:1".to_owned(), "check address"),
        ("off".to_owned(), "size_classes: no"),
        (
            "no-such-job.invalid".to_owned(),
            "no job of the configuration",
        ),
    ] {
        let told = |more: &[&str]| {
            let mut command = command();
            let command = command.env("NETDATA_USER_CONFIG_DIR", dir.path());
            command
                .arg("size-classes")
                .arg(&target)
                .args(more)
                .output()
                .unwrap()
        };
        let text = told(&[]);
        assert_eq!(code(&text), 3, "{target}");
        let flat = stdout(&text)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert!(flat.contains(says), "{target}: {flat}{}", stderr(&text));
        let json: Value = serde_json::from_str(&stdout(&told(&["--json"]))).unwrap();
        assert!(json["error"].as_str().unwrap().contains(says), "{json}");
        assert!(json["wasted"].is_null());
    }
    for args in [
        &["size-classes"][..],
        &["size-classes", "a", "b"],
        &["size-classes", "http://x"],
        &["size-classes", "h:1", "--malloc-stats"],
    ] {
        let told = run(args);
        assert_eq!(code(&told), 64, "{args:?}: {}", stderr(&told));
    }
    assert_eq!(code(&run(&["size-classes", "--help"])), 0);
}
