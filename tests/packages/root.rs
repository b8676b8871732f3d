//! A bare Debian with a Netdata agent, as a folder: a copy for each test, and what is done
//! inside of it. Must not know what is installed there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{eventually, skipped};
use crate::well;

/// What a running system writes by itself: no part of what a package leaves.
const LIVING: &[&str] = &[
    "./proc",
    "./sys",
    "./dev",
    "./tmp",
    "./run",
    "./var/log",
    "./var/cache",
    "./var/lib/dpkg",
    "./var/lib/netdata",
];

pub struct Root {
    dir: TempDir,
}

impl Root {
    /// A fresh one; `None` where none could be made, which is said.
    pub fn new() -> Option<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("target"),
            PathBuf::from,
        );
        let bare = target.join("test-root");
        if !bare.join("usr/sbin/netdata").exists() || !rustix::process::geteuid().is_root() {
            skipped("no bare system to install the package in: tests/setup.sh makes one, as root");
            return None;
        }
        let dir = TempDir::new().unwrap();
        well(
            Command::new("cp")
                .args(["-a", "--reflink=auto"])
                .arg(bare.join("."))
                .arg(dir.path()),
        );
        Some(Self { dir })
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path.trim_start_matches('/'))
    }

    /// Runs a line of shell inside, with nobody to answer a question.
    #[track_caller]
    pub fn run(&self, line: &str) -> String {
        well(
            Command::new("chroot")
                .arg(self.dir.path())
                .args(["/bin/sh", "-c", line])
                .env("DEBIAN_FRONTEND", "noninteractive")
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .stdin(Stdio::null()),
        )
    }

    /// Installs a package file.
    #[track_caller]
    pub fn install(&self, package: &Path) -> String {
        fs::copy(package, self.path("tmp/package.deb")).unwrap();
        self.run("dpkg --install /tmp/package.deb")
    }

    /// Every file and folder there is, but for what a living system writes.
    pub fn files(&self) -> BTreeSet<String> {
        let found = self.run("find . -xdev");
        let lives = |line: &&str| !LIVING.iter().any(|folder| line.starts_with(folder));
        found.lines().filter(lives).map(str::to_owned).collect()
    }

    /// Starts the agent inside on a port, with the system's own `/proc`; it ends with what
    /// is returned.
    pub fn agent(&self, port: u16) -> Running {
        let root = self.dir.path().display();
        let line = format!(
            "mount -t proc proc '{root}/proc' && exec chroot '{root}' /usr/sbin/netdata -D -i 127.0.0.1 -p {port}"
        );
        // A space of names of its own: what is mounted goes with it.
        let child = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "sh", "-c", &line])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Running { child, port }
    }
}

/// An agent inside.
pub struct Running {
    child: Child,
    port: u16,
}

impl Running {
    /// Waits until the agent's answer to a question has all of these.
    #[track_caller]
    pub fn until(&self, question: &str, has: &[&str]) -> String {
        let url = format!("http://127.0.0.1:{}{question}", self.port);
        let mut last = String::new();
        eventually(
            Duration::from_secs(90),
            &format!("{question} has {has:?}"),
            || {
                let answer = ureq::get(&url).call().ok();
                last = answer
                    .and_then(|mut answer| answer.body_mut().read_to_string().ok())
                    .unwrap_or_default();
                has.iter().all(|piece| last.contains(piece))
            },
        );
        last
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The first process of its space of pids: with it all others go. It has another
        // user by now, so that the end of its parent is not told to it.
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        for first in children.unwrap_or_default().split_whitespace() {
            let _ = Command::new("kill").args(["-9", first]).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
