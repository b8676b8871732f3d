//! Tells the program which commit it is built from, for `--version`: in release builds
//! alone, so that a commit does not build everything anew in daily work.
//!
//! `REDIS_FRAG_COMMIT` says it where there is no git, as a packager's build. Knows no time
//! but the commit's: the same commit gives the same program.

use std::env;
use std::path::Path;
use std::process::Command;

/// What goes into the program; a change of anything else is none of it.
const SOURCES: &[&str] = &[
    "src",
    "docs/guide",
    "health.d",
    "Cargo.toml",
    "Cargo.lock",
    "packaging/build.rs",
];

fn main() {
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    println!("cargo::rerun-if-env-changed=REDIS_FRAG_COMMIT");
    let given = env::var("REDIS_FRAG_COMMIT").ok();
    let given = given.filter(|commit| !commit.trim().is_empty());
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = given.or_else(|| if is_release { commit() } else { None });
    let told = match commit {
        Some(commit) => format!("{version} ({})", commit.trim()),
        None => version,
    };
    println!("cargo::rustc-env=REDIS_FRAG_VERSION={told}");
    println!("cargo::rerun-if-changed=packaging/build.rs");
}

/// The short id of the commit and its day, with `+` where the sources differ from it.
fn commit() -> Option<String> {
    let root = env::var("CARGO_MANIFEST_DIR").ok()?;
    // A source that was unpacked inside of somebody else's repository is not of it.
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != Path::new(&root).canonicalize().ok()? {
        return None;
    }
    // Moves with each commit, checkout and reset.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo::rerun-if-changed={log}");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let told = git(&["log", "-1", "--format=%h %cs", "--abbrev=8"])?;
    let mut status = vec!["status", "--porcelain", "--untracked-files=all", "--"];
    status.extend(SOURCES);
    let changed = !git(&status)?.is_empty();
    let (id, day) = told.split_once(' ')?;
    Some(format!("{id}{} {day}", if changed { "+" } else { "" }))
}

fn git(arguments: &[&str]) -> Option<String> {
    // A look at the state must not stand in the way of a commit that is under way.
    let mut command = Command::new("git");
    let run = command.arg("--no-optional-locks").args(arguments);
    let run = run.output().ok()?;
    let text = String::from_utf8(run.stdout).ok()?;
    run.status.success().then(|| text.trim().to_owned())
}
