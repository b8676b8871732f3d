//! What a conversation takes of memory, and one with a server that answers little.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::config::address::Address;

/// Answers INFO, as if it were all there is: CONFIG gets no reply, and of
/// several sections only the first is read.
fn deaf(listener: UnixListener, sections_asked: &AtomicUsize) {
    for stream in listener.incoming().map_while(Result::ok) {
        let mut bytes = [0; 512];
        while let Ok(length @ 1..) = (&stream).read(&mut bytes) {
            let asked = String::from_utf8_lossy(&bytes[..length]);
            let sections = asked.contains("memory");
            sections_asked.fetch_add(usize::from(sections), Ordering::Relaxed);
            let reply = match (asked.contains("INFO"), sections) {
                (true, true) => "$21\r\nredis_version:8.0.0\r\n\r\n",
                (true, false) => "$36\r\nredis_version:8.0.0\r\nused_memory:7\r\n\r\n",
                _ => continue,
            };
            (&stream).write_all(reply.as_bytes()).unwrap();
        }
    }
}

#[test]
fn what_stays_in_memory_of_each_instance_is_small() {
    let job = Arc::new(Job::new("x", Address::Unix("/nowhere".into())));
    let mut poller = Poller::new(job, Instant::now());
    let sizes = (
        size_of_val(&poller.collect(Duration::ZERO)),
        size_of::<Poller>(),
    );
    // A thousand instances take a thousand times as much, and tasks hold the future
    // in several layers: a sample that lives in it while something is waited for
    // would double it, and so would a way to connect that is in no box.
    assert!(sizes.0 <= 1500 && sizes.1 <= 720, "{sizes:?}");
}

#[test]
fn info_counts_where_nothing_else_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    static SECTIONS_ASKED: AtomicUsize = AtomicUsize::new(0);
    std::thread::spawn(move || deaf(listener, &SECTIONS_ASKED));
    let job = Arc::new(Job::new("x", Address::Unix(path)));
    let mut poller = Poller::new(job, Instant::now());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut used = || {
        let collected = runtime.block_on(poller.collect(Duration::from_millis(300)));
        collected.map(|sample| sample.fields.used_memory)
    };
    assert_eq!(used(), Ok(Some(7)), "CONFIG gets no reply");
    assert_eq!(
        used(),
        Ok(Some(7)),
        "the first section alone, then asked plainly"
    );
    assert_eq!(used(), Ok(Some(7)));
    let asked = SECTIONS_ASKED.load(Ordering::Relaxed);
    assert_eq!(asked, 1, "and plainly from then on");
}
