//! What asking costs the processor of this machine, the servers' own work left out: 50
//! instances that share a slot, two real servers behind unix sockets, beside a bare loop
//! that writes INFO to the same 50 and drops what comes.
//!
//! Without the kernel's word, which is read once a second however often it is asked for.
//!
//! `cargo bench --bench asking`. The time is the thread's own on a processor
//! (`/proc/thread-self/schedstat`); a line is for all 50.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should stop"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use redis_frag::config::address::Address;
use redis_frag::config::job::Job;
use redis_frag::source::poll::Poller;
use redis_frag::source::sections::EVERY_TIME;
use support::{Kind, Server};
use tokio::sync::{mpsc, watch};

/// Instances that are asked together, as many as share a slot.
const INSTANCES: usize = 50;

const PATIENCE: Duration = Duration::from_millis(900);

/// What the kernel counts of this thread's time on a processor.
fn on_processor() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(told.split(' ').next().unwrap().parse().unwrap())
}

/// Time on a processor of so many rounds, in each of which all instances are asked by
/// tasks of their own.
async fn rounds(servers: &[Server], rounds: u64) -> Duration {
    let epoch = Instant::now();
    let (begin, _) = watch::channel(0);
    let (done, mut finished) = mpsc::channel(INSTANCES);
    for (number, server) in (0..INSTANCES).zip(servers.iter().cycle()) {
        let address = Address::Unix(server.socket().to_owned());
        let job = Job::new(&format!("job{number}"), address);
        let mut poller = Poller::new(Arc::new(job), epoch);
        let (mut begun, done) = (begin.subscribe(), done.clone());
        tokio::spawn(async move {
            while begun.changed().await.is_ok() {
                assert!(poller.collect(PATIENCE).await.unwrap().answered());
                done.send(()).await.unwrap();
            }
        });
    }
    // Connected, and asked what is asked once a minute.
    let mut took = Duration::ZERO;
    for round in 0..rounds + 3 {
        let before = on_processor();
        begin.send_replace(round + 1);
        for _ in 0..INSTANCES {
            finished.recv().await.unwrap();
        }
        if round >= 3 {
            took += on_processor() - before;
        }
    }
    took
}

/// The same by a loop that does nothing else.
fn bare(servers: &[Server], rounds: u64) -> Duration {
    let mut request = redis::cmd("INFO");
    request.arg(EVERY_TIME);
    let request = request.get_packed_command();
    let connect = |server: &Server| UnixStream::connect(server.socket()).unwrap();
    let (numbers, servers) = (0..INSTANCES, servers.iter().cycle());
    let mut streams: Vec<_> = numbers.zip(servers).map(|(_, s)| connect(s)).collect();
    let mut room = vec![0; 1 << 16];
    let before = on_processor();
    for _ in 0..rounds {
        for stream in &mut streams {
            stream.write_all(&request).unwrap();
        }
        for stream in &mut streams {
            assert!(stream.read(&mut room).unwrap() > 0);
        }
    }
    on_processor() - before
}

fn asking(criterion: &mut Criterion) {
    let servers = [Server::start(Kind::Redis82), Server::start(Kind::Redis82)];
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let mut group = criterion.benchmark_group("asking 50");
    group.throughput(Throughput::Elements(INSTANCES as u64));
    group.bench_function("a bare loop", |bencher| {
        bencher.iter_custom(|count| bare(&servers, count));
    });
    group.bench_function("collections", |bencher| {
        bencher.iter_custom(|count| runtime.block_on(rounds(&servers, count)));
    });
    group.finish();
}

criterion_group!(benches, asking);
criterion_main!(benches);
