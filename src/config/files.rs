//! Files that a user names, read so that nobody waits for them and none is larger than
//! it may be.
//!
//! Whatever stands at the path: a folder, a pipe without its other end, a link that leads
//! nowhere. Must not know what is in a file.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use thiserror::Error;

use super::limits;

/// Why a file could not be read, and what to change.
#[derive(Debug, Error)]
pub enum Unread {
    /// There is none of this name.
    #[error("no such file; correct the path")]
    Missing,
    /// A link without its end.
    #[error("a link that leads nowhere; let it lead to the file, or remove it")]
    Dangling,
    /// A link that leads to itself.
    #[error("links that lead in a circle; let one lead to the file, or remove them")]
    Circle,
    /// This user may not read it.
    #[error("not readable; let the user netdata read it, and enter its folder")]
    Denied,
    /// It is something else: a folder, a pipe, a device.
    #[error("{0}, not a file; put a file in its place, or correct the path")]
    NoFile(&'static str),
    /// It holds more than so many bytes.
    #[error("larger than {}; correct the path", size(*.0))]
    Large(u64),
    /// What should be a folder on its way is none.
    #[error("cannot be read: a part of its path is no folder; correct the path")]
    NoFolder,
    /// The path, or a name in it, is longer than the system takes.
    #[error("cannot be read: its path is longer than a path may be; correct it")]
    TooLong,
    /// No file can be opened, whichever: the system's own reason.
    #[error(
        "cannot be read: no file can be opened any more ({0}); {more}",
        more = limits::MORE_FILES
    )]
    NoDescriptor(io::Error),
    /// The system's own reason.
    #[error("cannot be read: {0}; check the disk it is on")]
    Failed(io::Error),
}

/// As limits are written: whole KiB or MiB.
fn size(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{} KiB", bytes >> 10),
        large => format!("{large} MiB"),
    }
}

/// What is known of a file without opening it, for to open a device may do something.
///
/// # Errors
/// Why it is none.
pub fn seen(path: &Path) -> Result<Metadata, Unread> {
    let seen = path.metadata().map_err(|error| unread(path, error))?;
    is_file(&seen).map(|()| seen)
}

/// All of a file of at most `most` bytes, and what is known of it.
///
/// # Errors
/// Why it could not be read.
pub fn read(path: &Path, most: u64) -> Result<(Vec<u8>, Metadata), Unread> {
    seen(path)?;
    let mut file = open(path).map_err(|error| unread(path, error))?;
    // Another may stand there by now.
    let opened = file.metadata().map_err(|error| unread(path, error))?;
    is_file(&opened)?;
    let mut bytes = Vec::new();
    let limited = (&mut file).take(most.saturating_add(1));
    { limited }
        .read_to_end(&mut bytes)
        .map_err(Unread::Failed)?;
    if bytes.len() as u64 > most {
        return Err(Unread::Large(most));
    }
    Ok((bytes, opened))
}

/// Opens without waiting for the other end of a pipe.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn is_file(seen: &Metadata) -> Result<(), Unread> {
    let kind = seen.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a folder",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(Unread::NoFile(what))
}

/// What an error means.
pub(crate) fn unread(path: &Path, error: io::Error) -> Unread {
    match error.kind() {
        ErrorKind::NotFound if path.is_symlink() => Unread::Dangling,
        ErrorKind::NotFound => Unread::Missing,
        ErrorKind::PermissionDenied => Unread::Denied,
        ErrorKind::NotADirectory => Unread::NoFolder,
        ErrorKind::InvalidFilename => Unread::TooLong,
        _ if limits::wants_descriptor(&error) => Unread::NoDescriptor(error),
        _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => Unread::Circle,
        _ => Unread::Failed(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_path_or_a_limit_is_not_laid_on_the_disk() {
        let told = |path: &str| read(Path::new(path), 9).unwrap_err().to_string();
        let below_a_file = told("/etc/passwd/ca.pem");
        assert!(below_a_file.ends_with("no folder; correct the path"));
        let long = told(&format!("/tmp/{}", "x".repeat(300)));
        assert!(long.ends_with("longer than a path may be; correct it"));
        for number in [Errno::MFILE, Errno::NFILE] {
            let told = unread(Path::new("/x"), number.into()).to_string();
            assert!(told.contains("LimitNOFILE") && !told.contains("disk"));
        }
        let broken = unread(Path::new("/x"), Errno::IO.into()).to_string();
        assert!(broken.ends_with("check the disk it is on"));
    }
}
