//! Texts that are too much for a configuration, or no text: bombs, depths, lengths and
//! encodings. Each is told within bounded time and memory.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use super::assert_tame;
use crate::cli::{command, stderr, stdout};
use crate::support::process;

/// Address space of a command; what it is shown would need more to be kept whole. Less
/// than 100 MB are its own code.
const ROOM: &str = "--as=400000000";

/// For one command, in a debug build on a busy machine: none takes half a second alone.
const LIMIT: Duration = Duration::from_secs(10);

/// Runs the program with little memory, and says how it ended within the limit.
#[track_caller]
pub fn within_limits(prepare: impl FnOnce(&mut Command)) -> Output {
    // What would wait for good is ended, and its code is no command's.
    let mut limited = Command::new("timeout");
    let seconds = LIMIT.as_secs().to_string();
    limited
        .args(["--signal=KILL", &seconds, "prlimit", ROOM])
        .arg(env!("CARGO_BIN_EXE_redis-frag"));
    for (name, value) in command().get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    // Each thread's own would take 64 MiB of addresses and use none of it.
    limited.env("MALLOC_ARENA_MAX", "1").stdin(Stdio::null());
    prepare(&mut limited);
    let output = limited.output().unwrap();
    let code = output.status.code();
    assert!(
        code.is_some_and(|code| code <= 64),
        "{limited:?}: {output:?}"
    );
    let text = [stdout(&output), stderr(&output)].concat();
    assert_tame("a command", &text, 2_100);
    assert!(!text.contains("panicked"), "{text}");
    output
}

/// Texts that are too much, or no text. What is told of each, if there is anything to
/// be told; else it has the job `good`.
pub fn texts() -> Vec<(&'static str, Vec<u8>, Option<&'static str>)> {
    let laughs = |value: &str| {
        let mut text = format!("x-0: &a0 {value}\n");
        for level in 1..30 {
            let eight = format!("*a{}, ", level - 1).repeat(8);
            text += &format!("x-{level}: &a{level} [{eight}]\n");
        }
        text + "jobs: *a29\n"
    };
    let mut merges = "x-0: &m0 {a: 1}\n".to_owned();
    for level in 1..40 {
        let two = format!("*m{0}, *m{0}", level - 1);
        merges += &format!("x-{level}: &m{level} {{<<: [{two}], b{level}: 1}}\n");
    }
    merges += "jobs:\n- {name: a, address: /s, <<: *m39}\n";
    let good = "jobs:\n- name: good\n  address: unix:///nowhere/s\n";
    let utf16 =
        |bytes: fn(u16) -> [u8; 2]| good.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    vec![
        ("laughs", laughs("lol").into_bytes(), Some("aliases repeat")),
        (
            "lists",
            laughs("[lol, lol]").into_bytes(),
            Some("aliases repeat"),
        ),
        ("merges", merges.into_bytes(), Some(": error: ")),
        ("itself", b"jobs: &a [*a]\n".to_vec(), Some(": error: ")),
        ("flow", b"[".repeat(500_000), Some(": error: ")),
        (
            "braces",
            b"jobs: "
                .iter()
                .copied()
                .chain(b"{a: ".repeat(200_000))
                .collect(),
            Some(": error: "),
        ),
        (
            "blocks",
            (0..900)
                .map(|n| " ".repeat(n) + "a:\n")
                .collect::<String>()
                .into_bytes(),
            Some(": error: "),
        ),
        ("dashes", b"- ".repeat(400_000), Some(": error: ")),
        (
            "key",
            [&b"k".repeat(1_000_000)[..], b": 1\n"].concat(),
            Some(": error: "),
        ),
        (
            "large key",
            [&b"k".repeat(10 << 20)[..], b": 1\n"].concat(),
            Some("larger than 1 MiB"),
        ),
        (
            "documents",
            b"---\na: 1\n".repeat(100_000),
            Some("second document"),
        ),
        (
            "mistakes",
            b"jobs:\n"
                .iter()
                .copied()
                .chain(b"- name: [\n".repeat(90_000))
                .collect(),
            Some("1:1: error: too many mistakes"),
        ),
        (
            "anchors",
            (0..48_000)
                .map(|n| format!("x-{n}: &a{n} 1\n"))
                .chain([good.to_owned()])
                .collect::<String>()
                .into_bytes(),
            None,
        ),
        ("text", b"lorem ipsum ".repeat(80_000), Some(": error: ")),
        (
            "utf16-le",
            [&b"\xff\xfe"[..], &utf16(u16::to_le_bytes)].concat(),
            Some("1:1: error: not UTF-8"),
        ),
        (
            "utf16-be",
            [&b"\xfe\xff"[..], &utf16(u16::to_be_bytes)].concat(),
            Some("1:1: error: not UTF-8"),
        ),
        ("utf16 bare", utf16(u16::to_le_bytes), Some("1:")),
        (
            "nul",
            good.replace("good", "go\0od").into_bytes(),
            Some(": error: "),
        ),
        ("nuls", vec![0; 900_000], Some(": error: ")),
        ("bom", format!("\u{feff}{good}").into_bytes(), None),
        ("crlf", good.replace('\n', "\r\n").into_bytes(), None),
        ("cr", good.replace('\n', "\r").into_bytes(), None),
        (
            "bom crlf",
            format!("\u{feff}{good}").replace('\n', "\r\n").into_bytes(),
            None,
        ),
    ]
}

#[test]
fn a_text_that_is_too_much_or_none_is_told_and_not_swallowed() {
    let dir = process::short_dir();
    for (name, bytes, says) in texts() {
        let path = dir.path().join("redis-frag.conf");
        fs::write(&path, bytes).unwrap();
        let output = within_limits(|c| {
            c.arg("check-config").arg(&path);
        });
        let text = stdout(&output);
        let start = format!("{}:", path.display());
        let mut told = text.lines().filter(|line| line.starts_with(&start));
        match says {
            Some(says) => {
                assert!(told.any(|line| line.contains(says)), "{name}: {text}");
                assert_eq!(output.status.code(), Some(1), "{name}: {text}");
            }
            None => {
                assert_eq!(told.next(), None, "{name}");
                assert!(text.contains("\ngood\n"), "{name}: {text}");
            }
        }
        assert!(text.len() < 100_000, "{name}: {} bytes", text.len());
    }
}
