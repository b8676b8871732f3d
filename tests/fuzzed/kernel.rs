//! Texts of the kernel's, whatever they say: no panic.
//!
//! A process may call itself what it likes, and so may a cgroup or a socket.

use redis_frag::source::{procfs, sockets};

/// Bytes are what a file says.
pub fn body(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = procfs::memory(bytes);
    let _ = procfs::status(&text);
    let _ = procfs::start_time(&text);
    let _ = procfs::parent(&text);
    let _ = procfs::is_stuck(&text);
    let _ = procfs::meminfo(&text);
    let _ = procfs::smaps_rollup(&text);
    let _ = procfs::huge_pages(&text);
    let _ = procfs::huge_pages_wait(&text);
    let _ = procfs::overcommit(&text);
    let _ = procfs::kernel_version(&text);
    let _ = procfs::size(&text);
    let _ = procfs::counter(&text, "oom_kill");
    let paths = sockets::listening_paths(&text);
    assert!(paths.len() <= text.lines().count());
    let _ = sockets::own_addresses(&text);
    for line in text.lines() {
        let _ = sockets::tcp(line);
        let _ = sockets::inode_of_link(line);
    }
}
