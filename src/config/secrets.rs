//! Reads secrets from where they are kept: the environment, files, what programs
//! print. With the limits of Netdata's own resolver, and smaller ones for sizes.
//!
//! May block for as long as a program is given, so that whoever must not wait calls
//! it from a thread of its own. What is told never has a value, nor what a program
//! printed.

use std::io::{ErrorKind, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use super::files::{self, Unread};
use super::job::Secret;
use super::limits;
use super::reference::{Reference, Source};

/// How long a program may take, as with Netdata.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A longer secret is none.
const LONGEST: usize = 64 << 10;

/// What is told of a longer one.
const LARGE: &str = "gives more than 64 KiB, which is no secret; give the secret alone";

/// Pause between looks for the end of a program that has closed its output.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Holds the programs that run for somebody, to end them when it is not wanted any
/// more.
#[derive(Debug, Default)]
pub struct Leash(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    cut: bool,
    group: Option<Pid>,
}

impl Leash {
    /// Ends what runs, and lets nothing more begin.
    pub fn cut(&self) {
        let mut held = self.held();
        held.cut = true;
        held.kill();
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn kill(&self) {
        if let Some(group) = self.group {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Reads what a reference stands for, without the white space around it.
///
/// # Errors
/// Why it cannot be had and what to change: names the reference, never a value.
pub fn read(reference: &Reference, patience: Duration, leash: &Leash) -> Result<Secret, String> {
    let read = match &reference.source {
        Source::Env(name) => variable(name),
        Source::File(path) => file(Path::new(path)),
        Source::Cmd(words) => printed(words, patience, leash),
    };
    let text = read.and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_| "is not UTF-8 text; write it as such".to_owned())
    });
    match text {
        Ok(text) => Ok(Secret::new(text.trim().to_owned())),
        Err(told) => Err(format!("{reference} {told}")),
    }
}

fn variable(name: &str) -> Result<Vec<u8>, String> {
    let missing = "is not set in the environment of the agent; set it for its service";
    // `var_os` of a name with = or NUL is none.
    let value = std::env::var_os(name).ok_or(missing)?;
    Ok(std::os::unix::ffi::OsStringExt::into_vec(value))
}

fn file(path: &Path) -> Result<Vec<u8>, String> {
    let read = files::read(path, LONGEST as u64).map_err(|unread| match unread {
        Unread::Missing => "does not exist; write the secret to this file".to_owned(),
        Unread::Denied => {
            "may not be read; let the user netdata read it and enter its folders".to_owned()
        }
        Unread::NoFile(what) => {
            format!("is no file but {what}; name one that holds the secret alone")
        }
        Unread::Large(_) => LARGE.to_owned(),
        Unread::Dangling | Unread::Circle => format!("is {unread}"),
        Unread::NoFolder | Unread::TooLong | Unread::NoDescriptor(_) | Unread::Failed(_) => {
            unread.to_string()
        }
    })?;
    Ok(read.0)
}

fn within_limit(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    if bytes.len() > LONGEST {
        return Err(LARGE.to_owned());
    }
    Ok(bytes)
}

/// The output of a program, run without a shell in a process group of its own.
fn printed(words: &[String], patience: Duration, leash: &Leash) -> Result<Vec<u8>, String> {
    let (program, arguments) = words.split_first().ok_or("names no program")?;
    let until = Instant::now() + patience;
    let mut command = Command::new(program);
    command.args(arguments).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(Stdio::null());
    let mut child = {
        let mut held = leash.held();
        if held.cut {
            return Err("is not wanted any more".to_owned());
        }
        let child = command.spawn().map_err(|error| unstarted(&error))?;
        held.group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        child
    };
    let mut output = child.stdout.take();
    let output = output.as_mut().map_or(Ok(Vec::new()), |output| {
        let bytes = all_of(output, until)?;
        within_limit(bytes)
    });
    let ended = output.and_then(|bytes| Ok((bytes, end_of(&mut child, until, leash)?)));
    if ended.is_err() {
        leash.held().kill();
        // It is being killed, so this is no wait.
        let _ = child.wait();
        leash.held().group = None;
    }
    let (bytes, status) = ended.map_err(|told| match told.as_str() {
        LATE => format!("{LATE} after {} s; {SLOW}", patience.as_secs_f64()),
        _ => told,
    })?;
    if status.success() {
        return Ok(bytes);
    }
    Err(format!(
        "ends with {status}; run it as the user netdata to see why"
    ))
}

/// What is told when time is up.
const LATE: &str = "has not ended";

/// What to do about it.
const SLOW: &str = "run it as the user netdata to see what it waits for";

fn unstarted(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "does not exist; correct the path".to_owned(),
        ErrorKind::PermissionDenied => {
            "may not be run; let the user netdata execute it and enter its folders".to_owned()
        }
        // fork(2).
        ErrorKind::WouldBlock => format!("cannot be run: {error}; {}", limits::MORE_THREADS),
        _ if limits::wants_descriptor(error) => {
            format!("cannot be run: {error}; {}", limits::MORE_FILES)
        }
        _ => format!("cannot be run: {error}; run it as the user netdata to see why"),
    }
}

/// All that comes out until it is closed, or one byte more than is wanted.
fn all_of(output: &mut ChildStdout, until: Instant) -> Result<Vec<u8>, String> {
    let unread = |error: std::io::Error| format!("cannot be read: {error}");
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    while bytes.len() <= LONGEST {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).ok();
        let ready = poll(&mut [PollFd::new(&*output, PollFlags::IN)], left.as_ref());
        match ready {
            Ok(0) => return Err(LATE.to_owned()),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(unread(error.into())),
        }
        match output.read(&mut piece).map_err(unread)? {
            0 => break,
            length => bytes.extend(piece.iter().take(length)),
        }
    }
    Ok(bytes)
}

fn end_of(child: &mut Child, until: Instant, leash: &Leash) -> Result<ExitStatus, String> {
    loop {
        {
            // Once it is waited for, its number may be another's.
            let mut held = leash.held();
            let ended = child.try_wait();
            if let Some(status) = ended.map_err(|error| format!("is lost: {error}"))? {
                held.group = None;
                return Ok(status);
            }
        }
        if Instant::now() >= until {
            return Err(LATE.to_owned());
        }
        sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::config::reference::Template;

    const SHORT: Duration = Duration::from_millis(300);

    fn told(text: &str) -> Result<String, String> {
        let template = Template::parse(text).unwrap();
        let filled = template.filled(|reference| read(reference, SHORT, &Leash::default()))?;
        Ok(filled.reveal().to_owned())
    }

    /// A script, as the words that run it: it is not executed itself, since what
    /// another test's child still has open for writing cannot be.
    fn script(folder: &Path, name: &str, body: &str) -> String {
        let path = folder.join(name);
        fs::write(&path, format!("{body}\n")).unwrap();
        format!("/bin/sh {}", path.display())
    }

    #[test]
    fn a_file_is_read_and_trimmed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let text = format!("${{file:{}}}", path.display());
        for (content, want) in [
            (&b"hunter2"[..], "hunter2"),
            (b" \t hun ter2\r\n\n", "hun ter2"),
            (b"", ""),
            (b"\xc2\xa0p\xc3\xa9\n", "pé"),
        ] {
            fs::write(&path, content).unwrap();
            assert_eq!(told(&text).as_deref(), Ok(want));
        }
        fs::write(&path, vec![b'h'; LONGEST]).unwrap();
        assert_eq!(told(&text).map(|text| text.len()), Ok(LONGEST));
    }

    #[test]
    fn what_is_no_secret_file_is_told_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| format!("{}/{name}", folder.path().display());
        fs::write(at("large"), vec![b'h'; LONGEST + 1]).unwrap();
        fs::write(at("bytes"), b"hunter2\xff").unwrap();
        let made = Command::new("mkfifo").arg(at("pipe")).status().unwrap();
        assert!(made.success());
        for (name, says) in [
            ("none", "does not exist"),
            ("", "is no file"),
            ("pipe", "is no file"),
            ("large", "64 KiB"),
            ("bytes", "UTF-8"),
            ("large/x", "no folder; correct the path"),
            (&"x".repeat(300), "longer than a path may be; correct it"),
        ] {
            let error = told(&format!("${{file:{}}}", at(name))).unwrap_err();
            let begins = error.starts_with(&format!("${{file:{}}} ", at(name)));
            assert!(begins && error.contains(says), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_variable_is_read_or_missed_by_its_name() {
        let home = std::env::var("PATH").unwrap();
        assert_eq!(told("${env:PATH}").unwrap(), home.trim());
        for name in ["REDIS_FRAG_NOT_SET", "a=b", " PATH"] {
            let error = told(&format!("${{env:{name}}}")).unwrap_err();
            assert!(
                error.starts_with(&format!("${{env:{name}}} is not set")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_program_is_run_without_a_shell() {
        let folder = tempfile::tempdir().unwrap();
        let words = script(
            folder.path(),
            "words",
            r#"printf ' %s|' "$@"; echo; echo loud >&2"#,
        );
        let text = format!("${{cmd:{words} $HOME  'a b'}}");
        assert_eq!(told(&text).as_deref(), Ok("$HOME| 'a| b'|"));
        let reads = script(folder.path(), "reads", "cat; echo end");
        assert_eq!(told(&format!("${{cmd:{reads}}}")).as_deref(), Ok("end"));
        let much = script(
            folder.path(),
            "much",
            "head -c 65536 /dev/zero | tr '\\0' h",
        );
        let length = told(&format!("${{cmd:{much}}}")).map(|text| text.len());
        assert_eq!(length, Ok(LONGEST));
    }

    #[test]
    fn a_program_that_fails_is_told_without_what_it_printed() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("plain");
        fs::write(&plain, "hunter2").unwrap();
        let one = |name, body| script(folder.path(), name, body);
        for (program, says) in [
            (
                one("fails", "echo hunter2; echo hunter2 >&2; exit 3"),
                "exit status: 3",
            ),
            (one("killed", "echo hunter2; kill -9 $$"), "signal: 9"),
            (one("floods", "yes hunter2"), "64 KiB"),
            (one("hangs", "echo hunter2; sleep 60"), "after 0.3 s"),
            (
                one("closes", "echo hunter2; exec >&-; sleep 60"),
                "after 0.3 s",
            ),
            (one("leaves", "sleep 60 & echo hunter2"), "after 0.3 s"),
            (one("bytes", "printf 'hunter2\\377'"), "UTF-8"),
            (format!("{} x", plain.display()), "may not be run"),
            ("/nonexistent/hunter x".to_owned(), "does not exist"),
        ] {
            let begun = Instant::now();
            let error = told(&format!("${{cmd:{program} an-argument}}")).unwrap_err();
            let program = program.split(' ').next().unwrap();
            assert!(begun.elapsed() < Duration::from_secs(5), "{error}");
            let begins = error.starts_with(&format!("${{cmd:{program} …}} "));
            assert!(begins && error.contains(says), "{error}");
            assert!(
                !error.contains("hunter2") && !error.contains("argument"),
                "{error}"
            );
        }
    }

    /// Whether a process with this number runs; one that waits to be reaped does not.
    fn runs(pid: &str) -> bool {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.contains("State:") && !status.contains("State:\tZ")
    }

    #[test]
    fn nothing_of_it_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let noted = folder.path().join("pid");
        let body = format!(
            "sleep 60 & echo $! > {0}.new; mv {0}.new {0}; wait",
            noted.display()
        );
        let program = script(folder.path(), "tree", &body);
        let text = format!("${{cmd:{program}}}");
        let gone = |what: &str| {
            let pid = fs::read_to_string(&noted).unwrap().trim().to_owned();
            let begun = Instant::now();
            while runs(&pid) {
                assert!(
                    begun.elapsed() < Duration::from_secs(5),
                    "{what}: {pid} runs on"
                );
                sleep(Duration::from_millis(5));
            }
            fs::remove_file(&noted).unwrap();
        };
        told(&text).unwrap_err();
        gone("late");

        let leash = Arc::new(Leash::default());
        let theirs = Arc::clone(&leash);
        let template = Template::parse(&text).unwrap();
        let reader = std::thread::spawn(move || {
            template.filled(|reference| read(reference, PATIENCE, &theirs))
        });
        while !noted.exists() {
            sleep(Duration::from_millis(5));
        }
        leash.cut();
        assert!(reader.join().unwrap().is_err());
        gone("cut");
        let template = Template::parse(&text).unwrap();
        let again = template.filled(|reference| read(reference, PATIENCE, &leash));
        assert!(again.unwrap_err().contains("not wanted"));
        assert!(!noted.exists());
    }
}
