//! Completions for shells, from the command line's own definition.

use std::path::Path;
use std::process::Command;

use clap_complete::{Shell, generate};

use crate::support::generated::hold;

/// Each shell's, by the name under which it looks for one.
const FILES: &[(Shell, &str)] = &[
    (Shell::Bash, "packaging/completions/redis-frag.bash"),
    (Shell::Zsh, "packaging/completions/_redis-frag"),
    (Shell::Fish, "packaging/completions/redis-frag.fish"),
];

#[test]
fn the_completions_are_those_of_the_command_line() {
    for (shell, path) in FILES {
        let mut made = Vec::new();
        generate(*shell, &mut super::command(), "redis-frag", &mut made);
        hold(path, &String::from_utf8(made).unwrap());
    }
}

/// What bash offers behind a line.
fn offered(line: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILES[0].1);
    let words: Vec<&str> = line.split(' ').collect();
    let last = words.len() - 1;
    // As bash does: by the function that is registered for the program.
    let script = format!(
        "source '{}'; COMP_WORDS=({line}); COMP_CWORD={last}; \
         set -- $(complete -p redis-frag); while [ $# -gt 0 ] && [ \"$1\" != -F ]; do shift; done; \
         $2 redis-frag '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        file.display(),
        words[last],
        words[last - 1]
    );
    let run = Command::new("bash").args(["-c", &script]).output().unwrap();
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(errors.is_empty(), "{line}: {errors}");
    let text = String::from_utf8(run.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_options() {
    assert_eq!(offered("redis-frag diag"), ["diagnose"]);
    assert_eq!(offered("redis-frag siz"), ["size-classes"]);
    assert_eq!(offered("redis-frag diagnose --wat"), ["--watch"]);
    let tls = offered("redis-frag diagnose --tls-");
    assert!(tls.contains(&"--tls-server-name".to_owned()), "{tls:?}");
}
