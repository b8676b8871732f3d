//! What the guide says to type, typed: at real servers, in a shell.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use redis_frag::app::explain::pages::PAGES;

use crate::support::{Kind, Server};

/// Programs of a machine, that ask it or are for its administrator: their lines are
/// read by the shell, and not run.
const OF_THE_MACHINE: &[&str] = &[
    "cat",
    "dmesg",
    "echo",
    "free",
    "grep",
    "journalctl",
    "swapoff",
    "sysctl",
    "vmstat",
];

/// Commands whose answer is an error on a server that is as it should be.
const ANSWERED_WITH: &[(&str, &str)] = &[
    ("SCRIPT KILL", "NOTBUSY"),
    ("CONFIG REWRITE", "running without a config file"),
];

/// Runs for ever: it is begun and ended.
const ENDLESS: &str = "redis-cli --latency";

/// Every line of code and every piece of code in a line that is a command.
fn commands() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for page in PAGES {
        let mut in_code = false;
        for line in page.text.lines() {
            if line.starts_with("```") {
                in_code = !in_code;
            } else if in_code {
                found.insert(line.trim().to_owned());
            }
        }
        let prose = page.text.split("```").step_by(2).collect::<String>();
        let prose = prose.split_whitespace().collect::<Vec<_>>().join(" ");
        for code in prose.split('`').skip(1).step_by(2) {
            let first = code.split(' ').next().unwrap_or_default();
            let is_program =
                ["redis-cli", "redis-frag"].contains(&first) || OF_THE_MACHINE.contains(&first);
            if is_program && code.contains(' ') {
                found.insert(code.to_owned());
            } else if code.starts_with("CONFIG SET ") {
                found.insert(format!("redis-cli {code}"));
            }
        }
    }
    found
}

#[test]
fn every_line_of_the_guide_is_one_a_shell_can_read() {
    let commands = commands();
    assert!(commands.len() > 25, "{commands:?}");
    for command in &commands {
        let read = Command::new("bash")
            .args(["-n", "-c", command])
            .output()
            .unwrap();
        assert!(
            read.status.success(),
            "{command}: {}",
            String::from_utf8_lossy(&read.stderr)
        );
        let first = command.split(' ').next().unwrap();
        let known = ["redis-cli", "redis-frag"].contains(&first) || OF_THE_MACHINE.contains(&first);
        assert!(known, "what is {first}, of {command:?}?");
    }
}

#[test]
fn what_the_guide_asks_a_server_is_answered() {
    let server = Server::builder(Kind::Redis82).start();
    server.fill(1_000_000);
    let mut typed = 0;
    for command in commands()
        .iter()
        .filter(|command| command.starts_with("redis-cli "))
    {
        let arguments = command.strip_prefix("redis-cli ").unwrap();
        let line = format!(
            "redis-cli -s {} {arguments} 2>&1",
            server.socket().display()
        );
        let line = if command == ENDLESS {
            format!("timeout 1 {line}; true")
        } else {
            line
        };
        let answer = Command::new("bash")
            .args(["-c", &line])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&answer.stdout);
        let expected = ANSWERED_WITH
            .iter()
            .find(|(asked, _)| command.contains(asked));
        match expected {
            Some((_, error)) => assert!(said.contains(error), "{command}: {said}"),
            None => {
                let refused = ["ERR", "WRONG", "Unrecognized", "NOPERM"]
                    .iter()
                    .any(|word| said.starts_with(word));
                assert!(!refused && answer.status.success(), "{command}: {said}");
            }
        }
        typed += 1;
    }
    assert!(typed > 12, "only {typed} were typed");
}

#[test]
fn what_the_guide_asks_redis_frag_is_answered() {
    let server = Server::builder(Kind::Redis82).start();
    let mut typed = 0;
    for command in commands()
        .iter()
        .filter(|command| command.starts_with("redis-frag "))
    {
        let arguments = command.strip_prefix("redis-frag ").unwrap();
        let address = format!("unix://{}", server.socket().display());
        let arguments: Vec<String> = arguments
            .split(' ')
            .map(|word| {
                word.replace("127.0.0.1:6379", &address)
                    .replace("ID", "expires-stall-7.2")
            })
            .collect();
        // The name of a command alone stands for it, whatever it is given.
        let mut arguments = arguments;
        if arguments.len() == 1 {
            arguments.push("--help".to_owned());
        }
        let run = Command::new(env!("CARGO_BIN_EXE_redis-frag"))
            .args(&arguments)
            .output()
            .unwrap();
        let code = run.status.code();
        assert!(
            code.is_some_and(|code| code < 3),
            "{command}: {code:?} {}",
            String::from_utf8_lossy(&run.stderr)
        );
        assert!(!run.stdout.is_empty(), "{command}");
        typed += 1;
    }
    assert!(typed > 5, "only {typed} were typed");
}
