//! Texts of the kernel's, whatever they say: no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_frag::source::{procfs, sockets};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let _ = procfs::status(&text);
    let _ = procfs::start_time(&text);
    let _ = procfs::meminfo(&text);
    let _ = procfs::smaps_rollup(&text);
    let _ = procfs::huge_pages(&text);
    let _ = procfs::kernel_version(&text);
    let _ = procfs::counter(&text, "oom_kill");
    let _ = sockets::listening_paths(&text);
    let _ = sockets::own_addresses(&text);
    for line in text.lines() {
        let _ = sockets::tcp(line);
        let _ = sockets::inode_of_link(line);
    }
});
