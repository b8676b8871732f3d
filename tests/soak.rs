//! A long time with a hundred instances, of which some are always sick, on servers that
//! are filled, fragmented, defragmented and restarted underneath: nothing grows, every
//! missing second has its reason, and neither the checker nor a real agent complains.
//!
//! `REDIS_FRAG_SOAK=3600` for an hour and `REDIS_FRAG_SOAK_SEED` for another course;
//! without them a short form. In release form (`make soak`) it is what users run.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop at the line"
)]

#[path = "soak/account.rs"]
mod account;
#[path = "soak/churn.rs"]
mod churn;
#[path = "soak/course.rs"]
mod course;
#[path = "soak/size.rs"]
mod size;
mod support;
#[path = "faults/table.rs"]
mod table;
mod watching;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use account::{Missing, missing};
use course::{Spell, Turn, turns};
use size::{Size, middle};
use support::certificates::{Authority, Valid};
use support::process::{free_port, short_dir};
use support::{Agent, Checker, Fault, Kind, PluginRun, Proxy, Server, becomes_true};
use watching::{SOON, blocks, is_down, plugin, shown};

const SHORT: Duration = Duration::from_secs(60);
/// Instances of each server.
const EACH: usize = 5;
/// Bytes by which it may grow after it is warm.
const GROWTH: u64 = 1 << 20;
/// Bytes that are resident at the worst of times beyond what is usual: replies of 4 MiB
/// that are given up, and the table of all instances for who asks.
const AT_WORST: u64 = 16 << 20;

/// How often it is looked whether a fault is due.
const PAUSE: Duration = Duration::from_millis(20);
/// Where this test itself is woken so late, the plugin is no sooner.
const STALL: Duration = Duration::from_millis(250);
/// How much later a block may come on a busy machine.
const SLACK: Duration = Duration::from_millis(700);
const STOOD_STILL: &str = "the machine stood still";

/// How long, and with how many servers of each kind.
fn measure() -> (Duration, usize) {
    let asked = std::env::var("REDIS_FRAG_SOAK").ok();
    let seconds = asked.map(|text| text.parse().expect("REDIS_FRAG_SOAK is seconds"));
    match seconds.map(Duration::from_secs) {
        Some(long) if long > SHORT => (long, 5),
        other => (other.unwrap_or(SHORT), 1),
    }
}

fn seed() -> u64 {
    let asked = std::env::var("REDIS_FRAG_SOAK_SEED").ok();
    asked.map_or(1, |text| {
        text.parse().expect("REDIS_FRAG_SOAK_SEED is a number")
    })
}

/// The ways to the servers: by unix socket, TCP and, where the server speaks it, TLS.
struct Ways {
    proxies: Vec<Proxy>,
    config: String,
}

impl Ways {
    fn to(servers: &[Server], tls: &[Option<u16>], ca: &Path) -> Self {
        let (mut proxies, mut config) = (Vec::new(), "jobs:\n".to_owned());
        for number in 0..servers.len() * EACH {
            let (server, tls) = (&servers[number / EACH], tls[number / EACH]);
            let (proxy, address, more) = match (number % EACH, tls) {
                (0 | 1, Some(port)) => {
                    let proxy = Proxy::to_port(port);
                    let address = format!("rediss://127.0.0.1:{}", proxy.port());
                    (proxy, address, format!(", tls_ca: '{}'", ca.display()))
                }
                (0 | 1, _) => plain(Proxy::tcp(server)),
                _ => plain(Proxy::unix(server)),
            };
            config += &format!("- {{name: {}, address: '{address}'{more}}}\n", name(number));
            proxies.push(proxy);
        }
        Self { proxies, config }
    }
}

fn plain(proxy: Proxy) -> (Proxy, String, String) {
    let address = proxy.address().to_owned();
    (proxy, address, String::new())
}

/// The instances that lead to a server.
fn jobs_of(server: usize) -> Vec<usize> {
    (server * EACH..(server + 1) * EACH).collect()
}

fn name(job: usize) -> String {
    format!("i{job:03}")
}

/// When blocks of one instance came.
#[derive(Clone, Default)]
struct Blocks {
    ratio: Vec<Duration>,
    status: Vec<Duration>,
}

type Came = Arc<Mutex<Vec<Blocks>>>;

/// Notes the beginning of each block of an instance's ratio and status.
fn note(came: &Came, start: Instant, line: &str) {
    let begin = || -> Option<(usize, bool)> {
        let rest = line.strip_prefix("BEGIN")?.trim_start_matches([' ', '\'']);
        let (job, rest) = rest.strip_prefix("redis_frag_i")?.split_once('.')?;
        let (chart, _) = rest.split_once('\'')?;
        let is_ratio = (chart == "ratio").then_some(true);
        let which = is_ratio.or_else(|| (chart == "status").then_some(false))?;
        Some((job.parse().ok()?, which))
    };
    if let Some((job, is_ratio)) = begin() {
        let blocks = &mut came.lock().unwrap()[job];
        let of_chart = if is_ratio {
            &mut blocks.ratio
        } else {
            &mut blocks.status
        };
        of_chart.push(start.elapsed());
    }
}

/// Whatever happens to an instance, it is told that it is up or down: each second, at the
/// end of the 0.9 s that it has to answer, if not before.
fn untold(job: usize, told: &[Duration], stalls: &[&Spell]) -> Vec<String> {
    let most = Duration::from_millis(1900) + SLACK;
    let near = |from: Duration, to: Duration| {
        let excuses = |stall: &&&Spell| stall.to >= from && stall.from <= to;
        stalls.iter().any(|stall| excuses(&stall))
    };
    told.windows(2)
        .filter(|two| two[1] > two[0] + most && !near(two[0], two[1]))
        .map(|two| format!("{}: neither up nor down after {:.1?}", name(job), two[0]))
        .collect()
}

/// Lets the faults come and go, and has a look at the plugin each second. Gives the
/// spells as they were and what was seen.
fn follow(
    run: &mut PluginRun,
    proxies: &[Proxy],
    turns: Vec<Turn>,
    (start, end): (Instant, Duration),
) -> (Vec<Spell>, Vec<Size>) {
    let (mut spells, mut sizes) = (Vec::<Spell>::new(), Vec::new());
    let mut turns = turns.into_iter().peekable();
    let mut second = 0;
    while start.elapsed() < end {
        while let Some(turn) = turns.next_if(|turn| turn.at <= start.elapsed()) {
            if turn.fault == Fault::None {
                let held = start.elapsed();
                proxies[turn.job].set(turn.fault);
                let mut own = spells.iter_mut().filter(|spell| spell.job == turn.job);
                let open = own.find(|spell| spell.to == Duration::MAX).unwrap();
                (open.held, open.to) = (held, start.elapsed());
            } else {
                spells.push(Spell {
                    job: turn.job,
                    what: turn.what,
                    from: start.elapsed(),
                    held: Duration::MAX,
                    to: Duration::MAX,
                });
                proxies[turn.job].set(turn.fault);
            }
        }
        if start.elapsed() >= Duration::from_secs(second) {
            second = start.elapsed().as_secs() + 1;
            sizes.push(Size::of(run.pid(), start.elapsed()));
            ask(run, second);
        }
        let before = start.elapsed();
        sleep(PAUSE);
        let after = start.elapsed();
        if after > before + PAUSE + STALL {
            let busy = |job| Spell {
                job,
                what: STOOD_STILL,
                from: before,
                held: before,
                to: after,
            };
            spells.extend((0..proxies.len()).map(busy));
        }
    }
    (spells, sizes)
}

/// What a dashboard asks, and an operator who changes nothing.
fn ask(run: &mut PluginRun, second: u64) {
    if second.is_multiple_of(5) {
        let about = if second.is_multiple_of(2) {
            ""
        } else {
            " instance:i000"
        };
        let call = format!("FUNCTION f{second} 10 \"redis-frag:diagnosis{about}\" \"0x8\" \"\"");
        run.send_line(&call).unwrap();
    }
    if second.is_multiple_of(60) {
        run.signal("HUP");
    }
}

#[test]
fn nothing_grows_and_every_gap_has_its_reason() {
    let ((length, of_each), seed) = (measure(), seed());
    let dir = short_dir();
    let authority = Authority::new(dir.path(), "ours");
    let certificate = authority.sign("server", &["127.0.0.1"], Valid::Now);
    let kinds: Vec<Kind> = Kind::ALL.into_iter().cycle().take(4 * of_each).collect();
    // Debian's is built with TLS.
    let tls: Vec<Option<u16>> = kinds
        .iter()
        .map(|kind| (*kind == Kind::Redis70).then(free_port))
        .collect();
    let mut servers: Vec<Server> = kinds
        .iter()
        .zip(&tls)
        .map(|(kind, tls)| match tls {
            Some(port) => Server::builder(*kind)
                .tls(*port, &certificate, None)
                .start(),
            None => Server::start(*kind),
        })
        .collect();
    let ways = Ways::to(&servers, &tls, &authority.file);
    let jobs = ways.proxies.len();
    let came: Came = Arc::new(Mutex::new(vec![Blocks::default(); jobs]));
    let start = Instant::now();
    let theirs = Arc::clone(&came);
    let mut run = plugin(&ways.config)
        .listener(move |line| note(&theirs, start, line))
        .start();
    let agent = Agent::builder()
        .plugin(Path::new(env!("CARGO_BIN_EXE_redis-frag")))
        .user_config("redis-frag.conf", &ways.config)
        .health(
            "redis_frag.conf",
            include_str!("../health.d/redis_frag.conf"),
        )
        .start();
    let all_are_well = |c: &Checker| {
        (0..jobs).all(|job| blocks(c, &name(job), "ratio") > 1 && !is_down(c, &name(job)))
    };
    run.expect(SOON, "values of all", all_are_well);
    assert!(becomes_true(SOON, || agent.plugin_pids().len() == 1));
    let plugin_pids = agent.plugin_pids();

    let begun = start.elapsed();
    let end = begun + length;
    let quiet = Size::of(run.pid(), begun);
    let over = AtomicBool::new(false);
    let by_tls: Vec<bool> = (0..jobs)
        .map(|job| job % EACH < 2 && tls[job / EACH].is_some())
        .collect();
    let course = turns(seed, &by_tls, begun, end);
    let (mut spells, sizes) = thread::scope(|scope| {
        let churn = scope.spawn(|| churn::churn(&mut servers, jobs_of, seed, start, &over));
        let (mut spells, sizes) = follow(&mut run, &ways.proxies, course, (start, end));
        over.store(true, Ordering::Relaxed);
        spells.extend(churn.join().unwrap());
        (spells, sizes)
    });
    spells.sort_by_key(|spell| spell.from);
    // Longer than the time in which all must be well.
    sleep(Duration::from_secs(4));
    let last = Size::of(run.pid(), start.elapsed());
    run.expect(SOON, "all are well at the end", all_are_well);

    let ended = start.elapsed();
    let came = came.lock().unwrap();
    let each: Vec<Missing> = (0..jobs)
        .map(|job| {
            let own: Vec<&Spell> = spells.iter().filter(|spell| spell.job == job).collect();
            missing(&came[job].ratio, &own, ended)
        })
        .collect();
    let stalls: Vec<&Spell> = spells
        .iter()
        .filter(|spell| spell.what == STOOD_STILL && spell.job == 0)
        .collect();
    let stood_still: Duration = stalls.iter().map(|spell| spell.to - spell.from).sum();
    let untold: Vec<String> = (0..jobs)
        .flat_map(|job| untold(job, &came[job].status, &stalls))
        .collect();
    let warm = begun + length / 6;
    let (first, second) = (
        middle(&sizes, warm, warm + length / 6),
        middle(&sizes, end - length / 6, end),
    );
    let most = sizes.iter().map(|size| size.resident).max().unwrap();
    let open = sizes.iter().map(|size| size.descriptors).max().unwrap();
    let threads = sizes.iter().map(|size| size.threads).max().unwrap();
    let explained: usize = each.iter().map(|missing| missing.explained).sum();
    let values: usize = came.iter().map(|blocks| blocks.ratio.len()).sum();
    eprintln!(
        "seed {seed}, {:.0} s, {jobs} instances of {} servers: {} faults; {values} collections came, \
         {explained} are missing with a reason; resident {first} bytes when warm, {second} at the \
         end, {most} at most; descriptors {} before, {open} at most, {} after; threads at most \
         {threads}; {} lines; this machine stood still for {stood_still:.1?}",
        length.as_secs_f64(),
        servers.len(),
        spells.len(),
        quiet.descriptors,
        last.descriptors,
        run.with_checker(Checker::lines),
    );
    let of_each = |what: fn(&Missing) -> &Vec<String>| -> Vec<String> {
        let told = |(job, missing): (usize, &Missing)| {
            let lines = what(missing).iter();
            lines
                .map(|line| format!("{}: {line}", name(job)))
                .collect::<Vec<_>>()
        };
        each.iter().enumerate().flat_map(told).collect()
    };
    assert_eq!(
        of_each(|missing| &missing.unexplained),
        [""; 0],
        "seed {seed}"
    );
    assert_eq!(of_each(|missing| &missing.stale), [""; 0], "seed {seed}");
    assert!(
        stood_still <= length / 10,
        "this machine is too busy: {stood_still:?}"
    );
    assert_eq!(untold, [""; 0], "seed {seed}");
    assert!(explained > jobs / 4, "the faults were felt: {explained}");
    assert!(second < first + GROWTH, "resident: {first}, then {second}");
    assert!(
        most < first + AT_WORST,
        "resident: {first}, {most} at worst"
    );
    assert!(
        last.descriptors <= quiet.descriptors + 2,
        "{quiet:?} {last:?}"
    );
    assert!(
        open <= quiet.descriptors + jobs / 2,
        "{quiet:?}, {open} at most"
    );
    run.with_checker(|c| {
        c.assert_clean();
        for (job, server) in (0..jobs).map(|job| (job, &servers[job / EACH])) {
            let used = server.info_number("used_memory");
            let told = shown(c, &name(job), "memory", "used").unwrap();
            assert!(
                (told - used).abs() < 0.2 * used + 2e6,
                "{}: {told} for {used}",
                name(job)
            );
        }
        let asked = c
            .answers()
            .iter()
            .filter(|answer| answer.ended && answer.code == "200");
        assert!(
            asked.count() as u64 + 3 >= length.as_secs() / 5,
            "functions are answered"
        );
    });
    let log = run.stderr();
    let lines = log.lines().count();
    assert!(
        lines < 6 * spells.len() + 4 * jobs + 100,
        "{lines} lines of log for {} faults",
        spells.len()
    );
    assert!(!log.contains("defect"), "{log}");
    assert_eq!(
        agent.plugin_pids(),
        plugin_pids,
        "the agent never had to start it anew"
    );
    assert_eq!(agent.complaints(), [""; 0]);
}
