//! What one collection costs beside waiting for the server: parse, derive, write, and
//! the kernel's readings of an instance on this machine.
//!
//! `cargo bench --bench collection`. The reply is a real one of Redis 8.2.3; the
//! client library's own INFO reader runs beside ours for comparison.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use redis::{FromRedisValue, InfoDict, Value};
use redis_frag::model::derive::Derived;
use redis_frag::model::history::History;
use redis_frag::model::info::Info;
use redis_frag::model::sample::Sample;
use redis_frag::model::thresholds::Thresholds;
use redis_frag::netdata::stream::{Identity, Stream};
use redis_frag::source::host::{Kernel, Watched};
use redis_frag::source::processes;

/// `INFO everything` while active defrag runs: as long as a reply gets.
const REPLY: &[u8] = include_bytes!("../tests/fixtures/info/redis-8.2.3-je530_defrag_running.txt");

fn stream() -> Stream {
    let identity = Identity {
        name: "bench".into(),
        address: "redis://127.0.0.1:6379".into(),
        priority: 70_000,
        update_every: 1,
        ..Identity::default()
    };
    Stream::new(identity, true)
}

fn collection(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("collection");
    group.throughput(Throughput::Bytes(REPLY.len() as u64));
    group.bench_function("parse", |bencher| {
        bencher.iter(|| Info::parse(black_box(REPLY)))
    });
    let bulk = Value::BulkString(REPLY.to_vec());
    group.bench_function("parse, InfoDict of the redis crate", |bencher| {
        bencher.iter_batched(
            || bulk.clone(),
            InfoDict::from_redis_value,
            BatchSize::SmallInput,
        )
    });
    group.bench_function("parse, derive and write", |bencher| {
        let thresholds = Thresholds::default();
        let (mut history, mut stream) = (History::default(), stream());
        let mut at = Duration::ZERO;
        let mut server = None;
        bencher.iter(|| {
            at += Duration::from_secs(1);
            let sample = Sample::new(at, &Info::parse(black_box(REPLY)), server.as_ref());
            let output = stream.write(&Derived::new(&sample, &thresholds, &mut history), true);
            server.clone_from(&sample.server);
            output
        })
    });
    group.finish();
}

/// What the kernel is asked beside, for an instance on this machine: here of this very
/// process, beside the one file alone.
fn kernel(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("kernel");
    let (kernel, pid) = (Kernel::new(None), std::process::id());
    let start_time = kernel.start_time(pid).unwrap_or_default();
    let mut watched = Watched::new(&kernel, pid, start_time);
    let limits = watched
        .read(&kernel)
        .and_then(|host| host.cgroups)
        .map_or(0, |groups| groups.len());
    group.bench_function(
        format!("readings of less than a second, {limits} cgroups with a limit"),
        |bencher| bencher.iter(|| watched.read(&kernel)),
    );
    group.bench_function("look again", |bencher| {
        bencher.iter(|| watched.look_again(&kernel))
    });
    group.bench_function("look again, and readings that nobody shares", |bencher| {
        bencher.iter(|| watched.look_again(&kernel).then(|| watched.read(&kernel)))
    });
    group.bench_function("read /proc/PID/status alone", |bencher| {
        bencher.iter(|| std::fs::read_to_string(format!("/proc/{pid}/status")))
    });
    let count = std::fs::read_dir("/proc").map_or(0, Iterator::count);
    group.bench_function(
        format!("look for servers, {count} files in /proc"),
        |bencher| bencher.iter(|| processes::all(&kernel)),
    );
    group.finish();
}

criterion_group!(benches, collection, kernel);
criterion_main!(benches);
