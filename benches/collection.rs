//! What one collection costs beside waiting for the server: parse, derive, diagnose,
//! write, and the kernel's readings of an instance on this machine.
//!
//! `cargo bench --bench collection`. The reply is a real one of Redis 8.2.3; the
//! client library's own INFO reader runs beside ours for comparison.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use redis::{FromRedisValue, InfoDict, Value};
use redis_frag::model::derive::Derived;
use redis_frag::model::history::History;
use redis_frag::model::info::Info;
use redis_frag::model::sample::Sample;
use redis_frag::model::server::Server;
use redis_frag::model::thresholds::Thresholds;
use redis_frag::netdata::stream::{Identity, Output, Stream};
use redis_frag::source::host::{Kernel, Watched};
use redis_frag::source::processes;

/// `INFO everything` of a server with little to tell: the capture nearest to 6 KB.
const REPLY: &[u8] = include_bytes!("../tests/fixtures/info/redis-8.2.3-je530_fresh.txt");

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

/// One instance, as it is watched.
struct Instance {
    thresholds: Thresholds,
    history: History,
    stream: Stream,
    server: Option<Arc<Server>>,
    at: Duration,
}

impl Instance {
    /// One that has been watched for some minutes.
    fn new() -> Self {
        let mut instance = Self {
            thresholds: Thresholds::default(),
            history: History::default(),
            stream: stream(),
            server: None,
            at: Duration::ZERO,
        };
        let mut output = Output::default();
        for _ in 0..400 {
            output.clear();
            instance.round(REPLY, &mut output);
        }
        instance
    }

    fn sample(&mut self, info: &Info<'_>) -> Sample {
        self.at += Duration::from_secs(1);
        Sample::new(self.at, info, self.server.as_ref())
    }

    fn round(&mut self, reply: &[u8], output: &mut Output) {
        let sample = self.sample(&Info::parse(reply));
        let derived = Derived::new(&sample, &self.thresholds, &mut self.history);
        self.stream.write(&derived, true, output);
        if self.server.is_none() {
            self.server.clone_from(&sample.server);
        }
    }
}

/// Each stage alone, and all of them: what a second costs for an instance. The target
/// of all together is 12 µs.
fn collection(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("collection, {} bytes", REPLY.len()));
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
    let info = Info::parse(REPLY);
    group.bench_function("sample", |bencher| {
        let mut instance = Instance::new();
        bencher.iter(|| instance.sample(black_box(&info)))
    });
    group.bench_function("derive and diagnose", |bencher| {
        let mut instance = Instance::new();
        let mut sample = instance.sample(&info);
        bencher.iter(|| {
            sample.at += Duration::from_secs(1);
            let derived = Derived::new(&sample, &instance.thresholds, &mut instance.history);
            black_box(derived.verdict)
        })
    });
    group.bench_function("write", |bencher| {
        let mut instance = Instance::new();
        let sample = instance.sample(&info);
        let derived = Derived::new(&sample, &instance.thresholds, &mut instance.history);
        let mut output = Output::default();
        bencher.iter(|| {
            output.clear();
            instance
                .stream
                .write(black_box(&derived), true, &mut output);
        })
    });
    group.bench_function("parse, derive, diagnose and write", |bencher| {
        let mut instance = Instance::new();
        let mut output = Output::default();
        bencher.iter(|| {
            output.clear();
            instance.round(black_box(REPLY), &mut output);
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
