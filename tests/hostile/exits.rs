//! The same words on their way to a person: reports, JSON, recordings, the checked
//! configuration, and why there is no result.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Output;

use super::{assert_tame, bulk, info, is_strange, quoted, words};
use crate::cli::{command, objects, stderr, stdout};
use crate::support::{Fake, process};

/// A cleaned text has 400 characters at most, and stands behind a label or before a name.
const LONGEST: usize = 600;

/// What a command printed and complained of.
#[track_caller]
fn assert_output(what: &str, output: &Output, longest: usize) {
    assert_tame(what, &stdout(output), longest);
    assert_tame(what, &stderr(output), 2_100);
    assert!(
        output.status.code().is_some(),
        "{what}: {:?}",
        output.status
    );
}

fn saying(word: &[u8]) -> Fake {
    let word = word.to_vec();
    Fake::answering(move |asked| match asked[0].to_ascii_uppercase().as_str() {
        "INFO" => bulk(&info(&word)),
        "CONFIG" => [
            b"*2\r\n",
            &*bulk(b"active-defrag-threshold-lower"),
            &bulk(&word),
        ]
        .concat(),
        "MEMORY" => bulk(&[&b"___ Begin jemalloc statistics ___\nopt.x: \""[..], &word].concat()),
        _ => b"-ERR no\r\n".to_vec(),
    })
}

#[test]
fn a_terminal_is_shown_nothing_but_text() {
    let fakes: Vec<(&str, Vec<u8>, Fake)> = words()
        .into_iter()
        .map(|(key, word)| (key, word.clone(), saying(&word)))
        .collect();
    let addresses = fakes.iter().map(|(.., fake)| fake.unix_address());
    let addresses: Vec<String> = addresses.collect();
    let run = |args: &[&str]| command().args(args).output().unwrap();
    let all: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let told = run(&[&["diagnose", "--malloc-stats"], &all[..]].concat());
    assert_output("diagnose", &told, LONGEST);
    assert_eq!(stdout(&told).matches("What to do").count(), all.len());
    let told = run(&[&["diagnose", "--json"], &all[..]].concat());
    assert_output("diagnose --json", &told, 20_000);
    assert_eq!(objects(&told).len(), all.len());
    assert!(!stdout(&told).contains("\\u00"), "{}", stdout(&told));
    for address in [all[0], all[6], all[7], all[9]] {
        for json in [&[][..], &["--json"]] {
            let told = run(&[&["size-classes", address], json].concat());
            assert_output("size-classes", &told, LONGEST);
        }
    }
}

#[test]
fn a_recording_and_its_replay_are_text() {
    let folder = process::short_dir();
    let run = |args: &[&OsStr]| command().args(args).output().unwrap();
    let arg = OsStr::new;
    for (key, word) in words() {
        let path = folder.path().join(OsStr::from_bytes(&named(&word)));
        fs::write(&path, info(&word)).unwrap();
        let told = run(&[arg("replay"), path.as_os_str(), path.as_os_str()]);
        assert_output(key, &told, LONGEST);
        assert!(
            stdout(&told).contains("fragmented"),
            "{key}: {}",
            stdout(&told)
        );
        let told = run(&[arg("replay"), arg("--json"), path.as_os_str()]);
        assert_output(key, &told, 20_000);
        assert_eq!(objects(&told).len(), 1);
        // Why not is told as tame.
        fs::write(&path, &word).unwrap();
        let told = run(&[arg("replay"), path.as_os_str()]);
        assert_output(key, &told, LONGEST);
        assert_eq!((told.status.code(), told.stdout.len()), (Some(3), 0));
        let told = run(&[
            arg("replay"),
            arg("--evil"),
            OsStr::from_bytes(&named(&word)),
        ]);
        assert_output(key, &told, LONGEST);
    }
    let (_, word) = words().swap_remove(6);
    for (key, word) in [("lines", words().swap_remove(0).1), ("escape", word)] {
        let fake = saying(&word);
        let output = folder.path().join(key);
        let told = run(&[
            arg("record"),
            arg(&fake.unix_address()),
            arg("--for"),
            arg("50ms"),
            arg("--malloc-stats"),
            arg("-o"),
            output.as_os_str(),
        ]);
        assert_output(key, &told, LONGEST);
        assert!(told.status.success(), "{}", stderr(&told));
        let mut files = 0;
        for entry in fs::read_dir(&output).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            assert!(
                !text
                    .replace("\r\n", "\n")
                    .contains(|c| c != '\n' && is_strange(c)),
                "{text:?}"
            );
            files += 1;
        }
        assert!(files >= 3, "{files}");
    }
}

/// A name of a file with this in it.
fn named(word: &[u8]) -> Vec<u8> {
    let fits = word.iter().filter(|byte| !b"/\0".contains(byte)).take(60);
    fits.copied().collect()
}

#[test]
fn a_checked_configuration_is_shown_one_line_a_key() {
    let folder = process::short_dir();
    let file = folder.path().join("redis-frag.conf");
    let mut text = "jobs:\n".to_owned();
    let lossy = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
    let of = |prefix: &str, word: &[u8]| quoted(&format!("{prefix}{}", lossy(word)));
    // A longer key is no YAML.
    let key_of = |word: &[u8]| quoted(&lossy(word).chars().take(90).collect::<String>());
    let nasty = words();
    for (key, word) in &nasty {
        let path: String = named(word)
            .iter()
            .map(|byte| format!("%{byte:02x}"))
            .collect();
        text += &format!(
            "- name: {key}\n  address: 'unix:///nowhere/{path}'\n  username: {}\n  password: {}\n  \
             labels: {{{}: {}}}\n  {}: 1\n",
            of("me", word),
            of("${file:/", word),
            key_of(word),
            of("", word),
            key_of(word),
        );
        text += &format!(
            "- name: tls-{key}\n  address: rediss://127.0.0.1:1\n  tls_ca: {}\n  tls_key: {}\n  \
             tls_cert: {}\n  timeout: 1\n",
            of("/nowhere/", word),
            of("/nowhere/", word),
            of("/nowhere/", word),
        );
        // All that it says is wrong.
        text += &format!(
            "- name: bad-{key}\n  address: {}\n  vnode: {}\n  timeout: {}\n  password: {}\n",
            of("redis://", word),
            of("", word),
            of("", word),
            of("${", word),
        );
    }
    fs::write(&file, &text).unwrap();
    let known = [
        "file",
        "discovery",
        "jobs",
        "forget_after",
        "import_go_d",
        "job",
        "cannot",
        "TLS",
    ];
    for connect in [&[][..], &["--connect"]] {
        let mut check = command();
        let told = check
            .arg("check-config")
            .args(connect)
            .arg(&file)
            .output()
            .unwrap();
        assert_output("check-config", &told, 2_100);
        let text = stdout(&told);
        // Whatever stands at a margin is ours.
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with(' '))
        {
            let word = line.split([':', ' ']).next().unwrap();
            let of_job = |(key, _): &(&str, _)| word == *key || word == format!("tls-{key}");
            let ours = known.contains(&word) || nasty.iter().any(of_job);
            assert!(ours || line.starts_with(file.to_str().unwrap()), "{line}");
        }
        for (key, _) in &nasty {
            // A path that is not UTF-8 cannot be written in an address.
            let is_path = *key != "bytes";
            assert_eq!(
                text.contains(&format!("\n{key}\n")),
                is_path,
                "{key}: {text}"
            );
            assert!(text.contains(&format!("\ntls-{key}\n")), "{key}: {text}");
            assert!(!text.contains(&format!("\nbad-{key}\n")), "{key}: {text}");
        }
    }
}
