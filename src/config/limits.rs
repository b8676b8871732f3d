//! What a process may have too little of, told in words that name the limit to raise.
//!
//! Pure. Must not know what for it was wanted.

use std::io;

use rustix::io::Errno;

/// Where more open files come from: systemd.exec(5), proc(5).
pub const MORE_FILES: &str = "raise the limit of open files of the agent's service (LimitNOFILE), \
                              or of the machine (fs.file-max)";

/// Where more threads come from: systemd.resource-control(5), getrlimit(2).
pub const MORE_THREADS: &str = "raise the limit of threads and processes of the agent's service \
                                (TasksMax), container (pids limit) or user (ulimit -u)";

/// Whether a file or socket could not be opened for want of descriptors: of this process
/// or of the machine. It says nothing of the file.
#[must_use]
pub fn wants_descriptor(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE]
        .map(|errno| Some(errno.raw_os_error()))
        .contains(&number)
}
