//! What the pipe to the agent still holds, and since when.
//!
//! A pipe takes 64 KiB from a writer whose reader is stuck: half a minute of one instance.
//! Looks at the pipe, and never writes. Must not know what the bytes mean.

use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::ioctl_fionread;

/// How long ago what the pipe still holds may have been written, for more to be written
/// behind it. A reader that is there takes all in a few milliseconds.
const UNREAD: Duration = Duration::from_secs(1);

/// How often it is looked whether the reader goes on.
const LOOK_EVERY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// The writing end of a pipe, or anything else, which holds nothing back.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    fd: Option<OwnedFd>,
    /// When each write began that may not have been read yet, and the bytes of all writes
    /// up to it.
    writes: VecDeque<(Instant, u64)>,
    written: u64,
}

impl Pipe {
    /// Of what is written to.
    pub(super) fn of(fd: OwnedFd) -> Self {
        let is_pipe = |fd: &OwnedFd| {
            let stat = fstat(fd);
            stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
        };
        Self {
            fd: Some(fd).filter(is_pipe),
            ..Self::default()
        }
    }

    /// So many bytes were written.
    pub(super) fn wrote(&mut self, began: Instant, bytes: usize) {
        if self.fd.is_some() {
            self.written += bytes as u64;
            self.writes.push_back((began, self.written));
        }
    }

    /// Waits for as long as it holds what was written more than [`UNREAD`] ago and somebody
    /// could read it.
    pub(super) fn wait(&mut self) {
        while let Some(fd) = &self.fd {
            let unread = ioctl_fionread(fd).unwrap_or(0);
            let oldest = oldest(&mut self.writes, self.written.saturating_sub(unread));
            if oldest.is_none_or(|began| began.elapsed() <= UNREAD) || is_closed(fd) {
                return;
            }
        }
    }
}

/// When the oldest began of the writes that are not read up to so many bytes; the others
/// are forgotten.
fn oldest(writes: &mut VecDeque<(Instant, u64)>, read: u64) -> Option<Instant> {
    while writes.front().is_some_and(|(_, end)| *end <= read) {
        writes.pop_front();
    }
    Some(writes.front()?.0)
}

/// Whether nobody can read it any more; waits for that for [`LOOK_EVERY`].
fn is_closed(fd: &impl std::os::fd::AsFd) -> bool {
    let fd: BorrowedFd<'_> = fd.as_fd();
    // Its end is told without being asked for.
    let mut watched = [PollFd::from_borrowed_fd(fd, PollFlags::empty())];
    poll(&mut watched, Some(&LOOK_EVERY)).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{self, Read, Write};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// A moment that is too long ago.
    fn long_ago() -> Instant {
        Instant::now() - 2 * UNREAD
    }

    /// A pipe into which a few bytes were written then, and what reads it.
    fn holding(began: Instant) -> (io::PipeReader, Pipe) {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"old\n").unwrap();
        let mut pipe = Pipe::of(writer.into());
        pipe.wrote(began, 4);
        (reader, pipe)
    }

    /// A thread that waits, and what is told when it is over.
    fn waiting(mut pipe: Pipe) -> mpsc::Receiver<Pipe> {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            pipe.wait();
            tell.send(pipe)
        });
        told
    }

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn nothing_follows_what_has_long_been_unread_until_it_is_read() {
        let (mut reader, pipe) = holding(long_ago());
        let told = waiting(pipe);
        let early = told.recv_timeout(Duration::from_millis(300));
        assert!(early.is_err(), "it holds what is old");
        let mut byte = [0; 1];
        reader.read_exact(&mut byte).unwrap();
        let early = told.recv_timeout(Duration::from_millis(300));
        assert!(early.is_err(), "it holds the rest");
        reader.read_exact(&mut [0; 3]).unwrap();
        let pipe = told.recv_timeout(SOON).unwrap();
        assert!(pipe.writes.is_empty());
    }

    #[test]
    fn who_reads_slowly_but_reads_is_not_waited_for() {
        let (mut reader, mut pipe) = holding(long_ago());
        let mut writer = File::from(pipe.fd.as_ref().unwrap().try_clone().unwrap());
        writer.write_all(b"newer\n").unwrap();
        pipe.wrote(Instant::now() + SOON, 6);
        reader.read_exact(&mut [0; 4]).unwrap();
        pipe.wait();
        assert_eq!(pipe.writes.len(), 1, "what is read is forgotten");
    }

    #[test]
    fn who_cannot_read_any_more_is_not_waited_for() {
        let (reader, pipe) = holding(long_ago());
        let told = waiting(pipe);
        let early = told.recv_timeout(Duration::from_millis(100));
        assert!(early.is_err(), "it may be read");
        drop(reader);
        told.recv_timeout(SOON).unwrap();
    }

    #[test]
    fn what_is_no_pipe_holds_nothing() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"old\n").unwrap();
        // What could still be read of it.
        io::Seek::rewind(&mut file).unwrap();
        let mut pipe = Pipe::of(file.into());
        pipe.wrote(long_ago(), 4);
        waiting(pipe).recv_timeout(SOON).unwrap();
    }
}
