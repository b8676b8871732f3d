//! What a program asks of the kernel, by strace: what it opens, connects to, runs, and
//! everything that would leave a trace on the machine.
//!
//! Knows the form of strace's lines, nothing of the program.

use std::path::Path;
use std::process::Command;

/// What is looked at beside what changes something: where it reads, connects and what it
/// runs.
const LOOKED_AT: &[&str] = &[
    "open", "openat", "?openat2", "socket", "connect", "bind", "execve",
];

/// What changes files or other processes, or takes connections. A program that only reads
/// asks for none of these.
const CHANGES: &[&str] = &[
    "listen",
    "accept",
    "accept4",
    "creat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "mknod",
    "mknodat",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "truncate",
    "ftruncate",
    "fallocate",
    "chmod",
    "fchmod",
    "fchmodat",
    "?fchmodat2",
    "chown",
    "lchown",
    "fchown",
    "fchownat",
    "utime",
    "utimes",
    "futimesat",
    "utimensat",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
    "flock",
    "mount",
    "umount2",
    "chroot",
    "pivot_root",
    "setns",
    "unshare",
    "ptrace",
    "process_vm_writev",
    "kill",
    "tkill",
    "tgkill",
    "rt_sigqueueinfo",
    "pidfd_send_signal",
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
    "setgroups",
    "capset",
    "bpf",
    "shmget",
    "mq_open",
    "io_uring_setup",
];

/// The words that run a program so that what it asks for is written to a file, in all its
/// threads and all that it starts.
pub fn words(file: &Path) -> Vec<String> {
    let names: Vec<&str> = [LOOKED_AT, CHANGES].concat();
    let names = format!("trace={}", names.join(","));
    let file = file.display().to_string();
    let words = [
        "strace",
        "-f",
        "-qq",
        "--seccomp-bpf",
        "-s",
        "200",
        "-o",
        &file,
        "-e",
        &names,
    ];
    words.map(str::to_owned).to_vec()
}

/// Whether a program can be traced here; why not.
pub fn allowed() -> Result<(), String> {
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "true"])
        .output();
    let output = output.map_err(|e| format!("cannot run strace (Debian: strace): {e}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// One call of the kernel.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    /// What it was asked, as strace shows it, and what came of it.
    pub rest: String,
}

impl Call {
    /// Whether something would be changed by it.
    pub fn changes(&self) -> bool {
        if self.name.starts_with("open") {
            let ways = [
                "O_WRONLY",
                "O_RDWR",
                "O_CREAT",
                "O_TRUNC",
                "O_APPEND",
                "O_TMPFILE",
            ];
            return ways.iter().any(|way| self.rest.contains(way));
        }
        CHANGES.contains(&self.name.as_str())
    }

    /// The first text in quotes: a path.
    pub fn path(&self) -> &str {
        self.rest.split('"').nth(1).unwrap_or_default()
    }
}

/// What a program asked for from its own beginning on, in the order of time.
pub fn read(file: &Path, program: &Path) -> Vec<Call> {
    let text = std::fs::read_to_string(file)
        .unwrap_or_else(|e| panic!("cannot read {}: {e}", file.display()));
    let begins = format!("execve(\"{}\"", program.display());
    let mut lines = text.lines().skip_while(|line| !line.contains(&begins));
    assert!(
        lines.next().is_some(),
        "{} did not run:\n{text}",
        program.display()
    );
    let call = |line: &str| {
        let (_, call) = line.split_once(' ')?;
        let (name, rest) = call.trim_start().split_once('(')?;
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        plain.then(|| Call {
            name: name.to_owned(),
            rest: rest.to_owned(),
        })
    };
    lines.filter_map(call).collect()
}
