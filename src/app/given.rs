//! What a person names on the command line to be read: a file, or a pipe as of
//! `<(command)`.
//!
//! No more of it than is wanted, and not for ever. Must not know what is in it.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::config::exposed;
use crate::config::files::{self, Unread};

/// How long nothing may come out of a pipe: at its other end somebody may be asked for a
/// password.
const PATIENCE: Duration = Duration::from_secs(60);

/// All of it, at most `most` bytes.
///
/// # Errors
/// Why not, and what to change.
pub(super) fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    within(path, most, PATIENCE)
}

/// The same of a file with a secret in it, of which is warned where others may read it.
///
/// # Errors
/// As [`bytes`].
pub(super) fn secret(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    exposed::warn(path);
    bytes(path, most)
}

fn within(path: &Path, most: u64, patience: Duration) -> Result<Vec<u8>, String> {
    let told = |error| match files::unread(path, error) {
        Unread::Denied => "may not be read; run this as a user who may".to_owned(),
        unread => unread.to_string(),
    };
    let mut file = files::open(path).map_err(told)?;
    let kind = file.metadata().map_err(told)?.file_type();
    if kind.is_dir() {
        return Err(Unread::NoFile("a folder").to_string());
    }
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 << 10];
    while bytes.len() as u64 <= most {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(piece.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait(&file, patience)?,
            Err(error) => return Err(told(error)),
        }
    }
    if bytes.len() as u64 > most {
        return Err(Unread::Large(most).to_string());
    }
    if bytes.is_empty() && kind.is_fifo() {
        return Err("nobody writes to this pipe yet, or nothing; let its writer begin first, or name a file".to_owned());
    }
    Ok(bytes)
}

/// Waits for more.
fn wait(file: &File, patience: Duration) -> Result<(), String> {
    let time = Timespec::try_from(patience).ok();
    match poll(&mut [PollFd::new(file, PollFlags::IN)], time.as_ref()) {
        Ok(0) => Err(format!(
            "nothing came out of it for {} s; name a file",
            patience.as_secs_f64()
        )),
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(format!("cannot be read: {error}; name a file")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_pipe_is_read_to_its_end_and_not_waited_for_without_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        assert!(
            Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        let short = Duration::from_millis(50);
        let told = within(&path, 9, short).unwrap_err();
        assert!(told.starts_with("nobody writes"), "{told}");
        // Held open both ways, so that it has a writer and no end.
        let mut both = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        let told = within(&path, 9, short).unwrap_err();
        assert!(
            told.starts_with("nothing came out of it for 0.05 s"),
            "{told}"
        );
        both.write_all(b"0123456789").unwrap();
        let told = within(&path, 9, short).unwrap_err();
        assert!(told.starts_with("larger than"), "{told}");
    }

    #[test]
    fn what_a_shell_makes_of_a_command_is_read_to_its_end() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let path = PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
        let writing = std::thread::spawn(move || {
            for piece in [b"ab", b"cd"] {
                std::thread::sleep(Duration::from_millis(20));
                writer.write_all(piece).unwrap();
            }
        });
        assert_eq!(within(&path, 9, PATIENCE).unwrap(), b"abcd");
        writing.join().unwrap();
    }
}
