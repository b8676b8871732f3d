//! The clock on the wall is set while the plugin runs, and the plugin or all is stopped for
//! a while, as a machine that is suspended stops: charts go on in the rhythm of the second.
//!
//! The plugin's own wall clock is set by libfaketime; the monotonic one is left alone.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use crate::support::{Kind, PluginBuilder, PluginRun, Server, process};
use crate::watching::{SOON, all_charts, blocks, jobs, shown};
use crate::{Scene, assert_no_spike, assert_tells};

const JOBS: [&str; 3] = ["one", "steady_redis", "steady_valkey"];

/// Between two collections where a clock was set: an interval and a half at most, and half
/// a second for a busy machine. They are no nearer than half an interval; a block that
/// came late makes the next seem early.
const APART: std::ops::Range<f64> = 0.2..2.0;

/// A wall clock of the plugin's own.
struct Clock {
    dir: TempDir,
    /// The process that has it.
    of: Option<u32>,
}

impl Clock {
    fn new() -> Self {
        let clock = Self {
            dir: process::short_dir(),
            of: None,
        };
        clock.set(0.0);
        clock
    }

    /// Sets it to this many seconds from the true time.
    fn set(&self, ahead: f64) {
        let (new, file) = (self.dir.path().join("new"), self.dir.path().join("clock"));
        std::fs::write(&new, format!("{ahead:+}")).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    fn given_to(&self, plugin: PluginBuilder) -> PluginBuilder {
        let file = self.dir.path().join("clock");
        plugin
            .env("LD_PRELOAD", library().to_str().unwrap())
            .env("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap())
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .version("v2.10.0")
    }
}

impl Drop for Clock {
    /// The library's own shared memory stays behind a process that is killed.
    fn drop(&mut self) {
        for name in ["faketime_shm", "sem.faketime_sem"] {
            let left = self.of.map(|pid| format!("/dev/shm/{name}_{pid}"));
            let _ = left.map(std::fs::remove_file);
        }
    }
}

/// Debian keeps it in a folder of the machine's architecture.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten();
    folders
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.exists())
        .expect("no libfaketime (Debian: faketime): run `make setup`")
}

/// The plugin's own time, as it tells it with an answer, seconds since 1970.
fn told_time(run: &mut PluginRun, id: &str) -> f64 {
    run.send_line(&format!(
        "FUNCTION {id} 10 \"redis-frag:diagnosis\" \"0x8\" \"\""
    ))
    .unwrap();
    run.expect(SOON, "an answer", |c| c.answer(id).is_some());
    let head = format!("FUNCTION_RESULT_BEGIN {id} ");
    let lines = run.lines();
    let line = lines.iter().find_map(|(_, line)| line.strip_prefix(&head));
    let expires = line.and_then(|line| line.rsplit_once(' ')).unwrap().1;
    expires.parse().unwrap()
}

/// When blocks of a job came, seconds from the start of the plugin.
fn arrivals(run: &PluginRun, job: &str) -> Vec<f64> {
    let begin = format!("BEGIN 'redis_frag_{job}.status'");
    let lines = run.lines();
    let of = |(at, line): &(Duration, String)| line.starts_with(&begin).then_some(at.as_secs_f64());
    lines.iter().filter_map(of).collect()
}

/// Seconds from the true time, one after the other, and whether the clock goes ahead.
const STEPS: [(f64, bool); 6] = [
    (3600.4, true),
    (0.0, false),
    (-86_400.0, false),
    (-86_397.3, true),
    (-86_400.6, false),
    (86_400.0, true),
];

#[test]
fn a_clock_that_is_set_costs_no_second_and_no_wrong_value() {
    let server = Server::start(Kind::Redis82);
    let mut clock = Clock::new();
    let config = jobs(&[("one", &server.unix_address())]);
    let mut scene = Scene::with(&config, |plugin| clock.given_to(plugin));
    clock.of = Some(scene.run.pid());
    scene
        .run
        .expect(SOON, "all charts", |c| all_charts(c, "one"));
    for (number, (ahead, _)) in STEPS.into_iter().enumerate() {
        let count = |c: &_| JOBS.map(|job| blocks(c, job, "status"));
        let from = scene.run.with_checker(count);
        clock.set(ahead);
        scene.run.expect(SOON, "the next seconds", |c| {
            let grown = count(c).into_iter().zip(from);
            grown.into_iter().all(|(now, from)| now >= from + 2)
        });
        let told = told_time(&mut scene.run, &format!("step{number}"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let off = told - now.as_secs_f64() - ahead;
        assert!(off.abs() < 60.0, "the plugin's clock is off by {off} s");
    }
    let went_ahead = STEPS.into_iter().filter(|(_, ahead)| *ahead).count();
    for job in JOBS {
        let arrivals = arrivals(&scene.run, job);
        let apart = arrivals.windows(2).map(|two| two[1] - two[0]);
        let odd: Vec<f64> = apart.filter(|apart| !APART.contains(apart)).collect();
        assert!(odd.is_empty(), "{job}: {odd:?} of {arrivals:?}");
        scene.run.with_checker(|checker| {
            let begins = checker.begins(&format!("redis_frag_{job}.status"));
            let unknown = begins.iter().filter(|begin| begin.is_none()).count();
            assert_eq!(unknown, 1 + went_ahead, "{job}: {begins:?}");
            for begin in begins.iter().flatten() {
                assert!((400_000..2_000_000).contains(begin), "{job}: {begins:?}");
            }
            // No rate over a time that nobody can tell.
            let (rates, all) = (blocks(checker, job, "cpu"), begins.len());
            assert!(rates < all - STEPS.len(), "{job}: {rates} of {all}");
        });
        assert_no_spike(&scene.run, job);
    }
    assert_tells(&scene.run, "one", &server);
    scene.assert_never_down();
}

#[test]
fn a_stop_and_a_suspended_machine_are_one_gap_and_no_burst() {
    let server = Server::start(Kind::Redis62);
    let mut clock = Clock::new();
    let config = jobs(&[("one", &server.tcp_address())]);
    let scene = Scene::with(&config, |plugin| clock.given_to(plugin));
    clock.of = Some(scene.run.pid());
    let run = &scene.run;
    run.expect(SOON, "all charts", |c| all_charts(c, "one"));
    let servers: Vec<&Server> = scene.healthy.iter().map(|(_, server)| server).collect();
    let servers = [servers, vec![&server]].concat();
    // Stopped for so long, the clock is set by so much meanwhile, and the servers stop too.
    for (stopped, step, all) in [(2, 3600.0, false), (10, 0.0, false), (3, 0.0, true)] {
        let before = run.with_checker(|c| JOBS.map(|job| blocks(c, job, "status")));
        if all {
            servers.iter().for_each(|server| server.pause());
        }
        run.signal("STOP");
        clock.set(step);
        std::thread::sleep(Duration::from_secs(stopped));
        if all {
            servers.iter().for_each(|server| server.resume());
        }
        run.signal("CONT");
        run.expect(SOON, "the next seconds", |c| {
            let now = JOBS.map(|job| blocks(c, job, "status"));
            now.iter()
                .zip(before)
                .all(|(now, before)| *now >= before + 3)
        });
        for (job, before) in JOBS.into_iter().zip(before) {
            let arrivals = arrivals(run, job);
            let apart: Vec<f64> = arrivals.windows(2).map(|two| two[1] - two[0]).collect();
            // One may have been on its way when all stopped.
            let gaps = apart
                .iter()
                .skip(before - 1)
                .filter(|apart| !APART.contains(apart));
            let gaps: Vec<&f64> = gaps.collect();
            assert!(gaps.len() <= 1, "{job}: {gaps:?} of {arrivals:?}");
            run.with_checker(|checker| {
                let begins = checker.begins(&format!("redis_frag_{job}.status"));
                let longest = begins.iter().skip(before - 1).flatten().max().copied();
                let longest = longest.unwrap_or(0) as f64 / 1e6;
                let slack = stopped as f64 + 2.0;
                assert!(longest < slack, "{job}: {begins:?}");
                let took = shown(checker, job, "response_time", "info").unwrap();
                assert!(took < 1000.0, "{job}: {took} ms");
            });
        }
    }
    for job in JOBS {
        assert_no_spike(run, job);
    }
    assert_tells(run, "one", &server);
    scene.assert_never_down();
}
