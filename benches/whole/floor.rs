//! The floor: a bare epoll loop that sends the same INFO to the same servers and drops
//! the replies, in a process of its own.
//!
//! The calls are those of a loop in C: wait until something is due or came, one write
//! for each question, one read for each reply. Must not do anything else.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use redis_frag::source::sections::EVERY_TIME;
use rustix::event::{Timespec, epoll};

use crate::load::{Idle, Servers};
use crate::measure::Cost;
use crate::support::process::{self, Tie};

/// The first argument of the process that is the floor.
pub const WORD: &str = "floor";

/// Longer than any reply: what is left would be read as another one.
const ROOM: usize = 64 << 10;

/// What it takes to ask so many instances, `batch` of them at a time.
pub fn measure(
    servers: &Servers,
    idle: Idle,
    instances: usize,
    batch: usize,
    window: Duration,
) -> Cost {
    let this = std::env::current_exe().unwrap();
    let mut child = process::spawn(&this, Tie::DiesWithUs, |command| {
        command
            .arg(WORD)
            .arg(batch.to_string())
            .args(servers.sockets(instances))
            .stdin(Stdio::null());
    })
    .unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let cost = Cost::measure(child.id(), servers, idle, || {
        std::thread::sleep(window);
    });
    process::kill(&mut child);
    cost
}

/// Is the floor, until killed: how many at a time, then a socket for each instance.
pub fn run(words: &[String]) -> ! {
    let (batch, sockets) = words.split_first().unwrap();
    let batch: usize = batch.parse().unwrap();
    let request = request();
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let mut streams: Vec<UnixStream> = sockets.iter().map(|socket| open(socket)).collect();
    for (index, stream) in streams.iter().enumerate() {
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&poll, stream, data, epoll::EventFlags::IN).unwrap();
    }
    let count = streams.len();
    let pause = Duration::from_secs(1).mul_f64(batch as f64 / count as f64);
    let mut events = Vec::with_capacity(256);
    let mut reply = vec![0; ROOM];
    let (mut next, mut index) = (Instant::now(), 0);
    loop {
        while next <= Instant::now() {
            for _ in 0..batch {
                streams[index].write_all(&request).unwrap();
                index = (index + 1) % count;
            }
            next += pause;
        }
        let left = next.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap();
        events.clear();
        match epoll::wait(
            &poll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&timeout),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("epoll: {error}"),
        }
        for event in &events {
            let index = usize::try_from(event.data.u64()).unwrap();
            match streams[index].read(&mut reply) {
                Ok(0) => panic!("a server went away"),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("read: {error}"),
            }
        }
    }
}

fn open(socket: &str) -> UnixStream {
    let stream = UnixStream::connect(Path::new(socket)).unwrap();
    stream.set_nonblocking(true).unwrap();
    stream
}

/// The question that the plugin asks a server that takes several sections.
fn request() -> Vec<u8> {
    let mut request = format!("*{}\r\n$4\r\nINFO\r\n", EVERY_TIME.len() + 1);
    for section in EVERY_TIME {
        request += &format!("${}\r\n{section}\r\n", section.len());
    }
    request.into_bytes()
}
