//! What 500 instances by verified TLS cost in resident memory, beside 500 by plain
//! TCP: the plugin as it is shipped, one real server for all, the system's CAs and the
//! server's own in the root store.
//!
//! `cargo bench --bench tls`. The server is Debian's redis-server; the CAs of the
//! system are put into one file with the test's own, which SSL_CERT_FILE names.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should stop"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use support::certificates::{Authority, Valid};
use support::process::{free_port, short_dir};
use support::{Kind, PluginRun, Server};

const JOBS: usize = 500;

/// How long each plugin is watched once all its instances have answered.
const WATCHED: Duration = Duration::from_secs(20);

/// The CAs of the system on Debian.
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Resident bytes that 500 verified connections are to stay below.
const TARGET: u64 = 30_000_000;

/// Bytes that one of them may take beyond a plain one: rustls keeps 4 kB to read into, and
/// as much again becomes a hole whenever a longer reply was read. A store of CAs for each,
/// or sessions kept to be resumed, would be far above.
const MOST_EACH: u64 = 24 << 10;

fn main() {
    let dir = short_dir();
    let ours = Authority::new(dir.path(), "ours");
    let certificate = ours.sign("server", &["localhost"], Valid::Now);
    let system = std::fs::read_to_string(SYSTEM).unwrap_or_default();
    let bundle = dir.path().join("bundle.pem");
    let all = system + &std::fs::read_to_string(&ours.file).unwrap();
    std::fs::write(&bundle, &all).unwrap();
    let roots = all.matches("BEGIN CERTIFICATE").count();

    let secure = free_port();
    let by_tls = Server::builder(Kind::Redis70)
        .tls(secure, &certificate, None)
        .start();
    let by_tcp = Server::builder(Kind::Redis70).start();

    let tls = measure(&by_tls, &format!("rediss://localhost:{secure}"), &bundle);
    let tcp = measure(&by_tcp, &by_tcp.tcp_address(), &bundle);
    say(&format!(
        "{JOBS} jobs, one collection a second, {roots} CAs in the root store:"
    ));
    say(&format!("  by verified TLS  {tls}"));
    say(&format!("  by plain TCP     {tcp}"));
    let each = tls.rss.saturating_sub(tcp.rss) / JOBS as u64;
    let verdict = if tls.rss < TARGET { "below" } else { "above" };
    say(&format!(
        "  TLS takes {each} bytes a connection; {verdict} the {} MB that are aimed at",
        TARGET / 1_000_000
    ));
    say("cargo bench --bench tls");
    assert!(
        tls.rss < TARGET,
        "{} bytes: see what connections keep",
        tls.rss
    );
    assert!(
        each < MOST_EACH,
        "{each} bytes each: see what connections keep"
    );
}

#[expect(clippy::print_stdout, reason = "a benchmark's result, for a person")]
fn say(line: &str) {
    println!("{line}");
}

/// What a plugin took.
struct Cost {
    /// Bytes.
    rss: u64,
    /// The most it ever had, bytes.
    peak: u64,
    /// Until every instance had answered.
    start: Duration,
    /// Share of one core.
    cpu: f64,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = |bytes: u64| f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX)) / 1024.0;
        write!(
            f,
            "RSS {:.1} MiB, peak {:.1} MiB; all answered after {:.1} s; {:.1}% of a core",
            mib(self.rss),
            mib(self.peak),
            self.start.as_secs_f64(),
            self.cpu
        )
    }
}

/// Watches the server by as many jobs. It must be reached by every one.
fn measure(server: &Server, address: &str, bundle: &Path) -> Cost {
    let job = |number| format!("- {{name: job{number:03}, address: '{address}', timeout: 5}}\n");
    let jobs: String = (0..JOBS).map(job).collect();
    let began = Instant::now();
    let run = PluginRun::builder(Path::new(env!("CARGO_BIN_EXE_redis-frag")))
        .arg("1")
        .user_config(&format!("jobs:\n{jobs}"))
        .env("SSL_CERT_FILE", bundle.to_str().unwrap())
        .env_remove("SSL_CERT_DIR")
        .start();
    run.expect(Duration::from_secs(120), "every instance answers", |c| {
        (0..JOBS).all(|n| {
            c.values(&format!("redis_frag_job{n:03}.ratio"), "ratio")
                .len()
                > 1
        })
    });
    let start = began.elapsed();
    let before = ticks(run.pid());
    std::thread::sleep(WATCHED);
    let used = ticks(run.pid()) - before;
    let clients = server.info_number("connected_clients");
    assert!(clients >= JOBS as f64, "{clients} clients");
    Cost {
        rss: status(run.pid(), "VmRSS:"),
        peak: status(run.pid(), "VmHWM:"),
        start,
        cpu: used / WATCHED.as_secs_f64(),
    }
}

/// A size in `/proc/PID/status`, bytes.
fn status(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib << 10
}

/// Ticks of processor time, of which a second has a hundred: so a percentage, for
/// each second.
fn ticks(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let number = |at: usize| fields.split(' ').nth(at).unwrap().parse::<f64>().unwrap();
    number(11) + number(12)
}
