//! The floor: a bare epoll loop that sends the same INFO to the same servers and drops
//! the replies, in a process of its own.
//!
//! The calls are those of a loop in C: wait until something is due or came, one write
//! for each question, one read for each reply. Must not do anything else.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use redis_frag::source::sections::EVERY_TIME;
use rustix::event::{Timespec, epoll};

use crate::load::{Idle, Servers};
use crate::measure::Cost;
use crate::support::process::{self, Tie};

/// The first argument of the process that is the floor.
pub const WORD: &str = "floor";

/// Stands for a number at a time.
const WITHOUT_PAUSE: usize = 0;

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
    let sockets: Vec<PathBuf> = servers.sockets(instances).collect();
    measure_sockets(servers, idle, batch, &sockets, window)
}

fn measure_sockets(
    servers: &Servers,
    idle: Idle,
    batch: usize,
    sockets: &[PathBuf],
    window: Duration,
) -> Cost {
    let this = std::env::current_exe().unwrap();
    let mut child = process::spawn(&this, Tie::DiesWithUs, |command| {
        command
            .arg(WORD)
            .arg(batch.to_string())
            .args(sockets)
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

/// What the question itself takes of one server: fifty connections ask it again as soon
/// as all have their reply, so that it is never woken for one question alone.
pub fn without_pause(servers: &Servers, idle: Idle, window: Duration) -> Cost {
    let first = servers.sockets(1).cycle().take(50);
    let sockets: Vec<PathBuf> = first.collect();
    measure_sockets(servers, idle, WITHOUT_PAUSE, &sockets, window)
}

/// Is the floor, until killed: how many at a time, then a socket for each instance.
pub fn run(words: &[String]) -> ! {
    let (batch, sockets) = words.split_first().unwrap();
    let batch: usize = batch.parse().unwrap();
    let request = request();
    if batch == WITHOUT_PAUSE {
        ask_without_pause(&request, sockets);
    }
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

fn ask_without_pause(request: &[u8], sockets: &[String]) -> ! {
    let mut streams: Vec<UnixStream> = sockets
        .iter()
        .map(|socket| UnixStream::connect(Path::new(socket)).unwrap())
        .collect();
    let mut reply = vec![0; ROOM];
    loop {
        for stream in &mut streams {
            stream.write_all(request).unwrap();
        }
        for stream in &mut streams {
            assert!(stream.read(&mut reply).unwrap() > 0, "a server went away");
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
