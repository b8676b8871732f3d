//! Recordings: made by `record`, read by `replay`, and by nobody in the case of
//! what they must not hold.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::{code, command, fragmented, objects, run, stderr, stdout, write};
use crate::support::process::short_dir;
use crate::support::{Kind, Server};

fn captures(begin: &str) -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/info");
    let mut found: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .filter(|path| {
            Path::new(path)
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(begin)
        })
        .collect();
    found.sort();
    found
}

fn replay(options: &[&str], files: &[String]) -> Output {
    let files = files.iter().map(String::as_str);
    let args: Vec<&str> = ["replay"]
        .into_iter()
        .chain(options.iter().copied())
        .chain(files)
        .collect();
    run(&args)
}

#[test]
fn every_capture_is_replayed_in_the_order_of_time() {
    let files = captures("");
    let told = replay(&["--json"], &files);
    let found = objects(&told);
    assert_eq!(found.len(), files.len());
    let place = |name: &str| {
        let is_it = |value: &Value| value["instance"].as_str().unwrap().ends_with(name);
        found.iter().position(is_it).unwrap()
    };
    assert!(place("8.2.3-je530_fresh.txt") < place("8.2.3-je530_fragmented.txt"));
    for (name, verdict) in [
        ("6.2.5-je510_filled150.txt", "healthy"),
        ("8.2.3-je530_fragmented.txt", "fragmented"),
        ("8.2.3-je530_defrag_running.txt", "defrag_working"),
        ("9.1.2-libc_bgsave.txt", "forking"),
        ("7.0.15-debian-je530_loading_first.txt", "starting"),
    ] {
        assert_eq!(found[place(name)]["verdict"], verdict, "{name}");
    }
    let text = stdout(&replay(&[], &files));
    let lines: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 1 + files.len(), "{text}");
    assert!(
        text.lines()
            .all(|line| line.contains('$') || line.chars().count() <= 80),
        "{text}"
    );
}

#[test]
fn settings_and_build_beside_a_capture_count() {
    let dir = short_dir();
    let files = captures("redis-8.2.3-je530_fragmented");
    let config = |name: &str, text: &str| write(&dir.path().join(name), text);
    let off = config("off", "1) \"activedefrag\"\n2) \"no\"\n");
    let on = config(
        "on",
        "active-defrag-ignore-bytes\n1073741824\nactivedefrag\nyes\n",
    );
    let own = config(
        "own",
        "___ Begin jemalloc statistics ___\nQuantum size: 8\n",
    );
    let foreign = config(
        "foreign",
        "___ Begin jemalloc statistics ___\nQuantum size: 16\n",
    );
    for (options, state) in [
        (vec![], "unknown"),
        (vec!["--config-get", &off], "off"),
        (vec!["--config-get", &on], "idle"),
        (vec!["--config-get", &off, "--malloc-stats", &own], "off"),
        (
            vec!["--config-get", &off, "--malloc-stats", &foreign],
            "unsupported",
        ),
    ] {
        let told = replay(&[&["--json"], &options[..]].concat(), &files);
        assert_eq!(objects(&told)[0]["defrag"]["state"], state, "{options:?}");
    }
    for bad in [
        replay(&["--config-get", &own], &files),
        replay(&["--malloc-stats", &off], &files),
        replay(&[], std::slice::from_ref(&off)),
        replay(&[], std::slice::from_ref(&own)),
    ] {
        let said = stderr(&bad);
        assert!(
            code(&bad) == 3 && said.contains(dir.path().to_str().unwrap()),
            "{said}"
        );
    }
}

#[test]
fn what_is_no_recording_is_named_and_hostile_ones_stay_text() {
    let dir = short_dir();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let huge = vec![b'a'; 17 << 20];
    for (name, bytes, says) in [
        ("empty", &b""[..], "is empty"),
        ("garbage", b"\x00\xff\xfe\x1b[31m hello", "no INFO text"),
        ("huge", &huge, "16 MiB"),
    ] {
        let told = replay(&[], &[file(name, bytes)]);
        let said = stderr(&told);
        assert!(
            code(&told) == 3 && said.contains(name) && said.contains(says),
            "{said}"
        );
        assert!(told.stdout.is_empty() && !said.contains('\u{1b}'));
    }
    let gone = replay(&[], &["/nonexistent/file".to_owned()]);
    assert!(code(&gone) == 3 && stderr(&gone).contains("/nonexistent/file"));
    let mut bytes =
        b"redis_version:8.0.0\x1b]0;x\x07\r\nmem_allocator:\x1b[31mjemalloc\xc2\x9b2J\r\n\
        used_memory:200000000\nused_memory_rss:900000000\nmem_fragmentation_ratio:1e308\n\
        allocator_allocated:1\nallocator_active:1152921504606846975\nallocator_resident:3\n\
        server_time_usec:18446744073709551615\nuptime_in_seconds:18446744073709551615\n"
            .to_vec();
    bytes.extend(vec![b'x'; 1 << 20]);
    let hostile = file("evil\u{1b}[2J", &bytes);
    let told = replay(&[], std::slice::from_ref(&hostile));
    let text = stdout(&told);
    let strange = |c: char| c.is_control() && c != '\n';
    assert!(
        text.contains("redis") && !text.contains(strange),
        "{text:?}"
    );
    let told = replay(&["--json"], &[hostile.clone(), hostile]);
    assert_eq!(objects(&told).len(), 2);
    let raw = stdout(&told);
    assert!(!raw.contains(strange) && !raw.contains("\\u001b"), "{raw}");
}

#[test]
fn a_recording_tells_the_same_and_no_secret() {
    let server = fragmented(Kind::Redis82);
    // A quarter is left: at four times its size the severity would go by chance.
    server.delete_random(50);
    thread::sleep(Duration::from_millis(300));
    server.ok(&["CONFIG", "SET", "requirepass", "Pw-record-1"]);
    server.ok(&["SET", "key-Pw-2", "value-Pw-3"]);
    let dir = short_dir();
    let folder = dir.path().join("capture");
    let output = folder.display().to_string();
    let address = server
        .unix_address()
        .replace("unix://", "unix://:Pw-record-1@");
    let args = [
        "record",
        &address,
        "--for",
        "1s",
        "--every",
        "400ms",
        "--malloc-stats",
        "-o",
        &output,
    ];
    let recorded = run(&args);
    assert_eq!(code(&recorded), 0, "{}", stderr(&recorded));
    assert!(recorded.stdout.is_empty() && stderr(&recorded).contains("samples in"));
    assert_eq!(code(&run(&args)), 64, "not into a full folder");

    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    let run_id = server.info_field("run_id").unwrap();
    let socket = server.dir().display().to_string();
    for path in &files {
        let text = fs::read_to_string(path).unwrap();
        for secret in ["Pw-", &run_id, &socket, &server.port().to_string()] {
            assert!(!text.contains(secret), "{secret} in {}", path.display());
        }
    }
    let named = |begin: &str| -> Vec<String> {
        let names = files.iter().map(|path| path.display().to_string());
        names
            .filter(|path| path.contains(&format!("/{begin}")))
            .collect()
    };
    let infos = named("info-");
    assert!((2..=3).contains(&infos.len()), "{files:?}");
    assert!(
        fs::read_to_string(&named("README")[0])
            .unwrap()
            .contains("redis-frag replay --config-get")
    );
    let (config, stats) = (named("config-get"), named("malloc-stats"));
    let options = [
        "--json",
        "--config-get",
        &config[0],
        "--malloc-stats",
        &stats[0],
    ];
    let replayed = objects(&replay(&options, &infos));
    let live = command()
        .env("REDIS_FRAG_PASSWORD", "Pw-record-1")
        .args([
            "diagnose",
            "--json",
            "--malloc-stats",
            &server.unix_address(),
        ])
        .output()
        .unwrap();
    let live = &objects(&live)[0];
    let last = replayed.last().unwrap();
    for name in [
        "verdict",
        "severity",
        "defrag",
        "server",
        "missing",
        "known_issues",
    ] {
        assert_eq!(last[name], live[name], "{name}");
    }
    let actions = |value: &Value| -> Vec<String> {
        let advice = value["advice"].as_array().unwrap().iter();
        advice.map(|advice| advice["action"].to_string()).collect()
    };
    assert_eq!(actions(last), actions(live));
}

#[test]
fn a_recording_of_nobody_leaves_nothing() {
    let dir = short_dir();
    let folder = dir.path().join("capture");
    let output = folder.display().to_string();
    let told = run(&["record", "127.0.0.1:1", "--for", "1s", "-o", &output]);
    assert!(code(&told) == 3 && stderr(&told).contains("check address"));
    assert!(!folder.exists());
    let plain = Server::start(Kind::Redis62);
    let told = run(&[
        "record",
        &plain.tcp_address(),
        "--for",
        "50ms",
        "-o",
        &output,
    ]);
    assert_eq!(code(&told), 0, "{}", stderr(&told));
    let text = fs::read_to_string(folder.join("info-000001.txt")).unwrap();
    assert!(
        text.contains("used_memory:") && !text.contains("# Clients"),
        "{text}"
    );
    assert!(
        !folder.join("malloc-stats.txt").exists(),
        "nobody asked for it"
    );
}
