//! Replies that belong to another question: whatever becomes of the instance, what it
//! shows is the server's own of that second.
//!
//! The server grows all the time, so that of two values the older one is the smaller.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::beside_few;
use crate::heard::{Heard, Mark, Word, is_value};
use crate::support::{Checker, Fault, Kind, Proxy, Server};
use crate::watching::{SOON, assert_no_gap, is_down, jobs, plugin};

const WELL: &str = "well";
/// Bytes by which the server grows with each step, and how often it does.
const STEP: u64 = 400_000;
const STEP_EVERY: Duration = Duration::from_millis(100);
/// Bytes by which it grows in a second at least, for values to be told apart: buffers of
/// connections come and go.
const GROWTH: f64 = 600_000.0;

/// How long replies are wrong, and how long it is looked at what comes then, rounds.
const WRONG_FOR: usize = 8;
const LOOK_FOR: usize = 6;
/// What is promised of a fault that is over, rounds.
const RIGHT_IN: usize = 3;

#[test]
fn a_reply_that_comes_twice_makes_no_later_value_an_old_one() {
    let _beside = beside_few();
    let server = Server::start(Kind::Redis82);
    let ways = [Proxy::unix(&server), Proxy::tcp(&server)];
    let [unix, tcp] = ways.each_ref().map(Proxy::address);
    let config = jobs(&[("unix", unix), ("tcp", tcp), (WELL, &server.unix_address())]);
    let heard = Heard::by(WELL);
    let start = heard.mark();
    let run = plugin(&config).listener(heard.listener()).start();
    let rounds = |mark: Mark, rounds| {
        run.expect(SOON, "some seconds", |_| {
            heard.round() >= mark.round + rounds
        });
    };
    let (from, ended) = growing(&server, || {
        rounds(start, 3);
        let from = heard.mark();
        ways.iter().for_each(|way| way.set(Fault::Twice));
        rounds(heard.mark(), WRONG_FOR);
        ways.iter().for_each(|way| way.set(Fault::None));
        let ended = heard.mark();
        rounds(ended, LOOK_FOR);
        (from, ended)
    });
    let log = run.stderr();
    let well = by_second(&heard, WELL, start);
    for job in ["unix", "tcp"] {
        let (mut compared, mut old) = (0, Vec::new());
        for (second, used) in by_second(&heard, job, from) {
            let (Some(now), Some(before)) = (well.get(&second), well.get(&(second - 1))) else {
                continue;
            };
            if now - before > GROWTH {
                compared += 1;
                if used < (now + before) / 2.0 {
                    old.push(format!("{used} of {before}..{now}"));
                }
            }
        }
        assert!(old.is_empty(), "{job}: {old:#?}\n{log}");
        assert!(compared >= 3, "{job}: {compared} of {well:?}\n{log}");
        let back = heard.first(job, ended, is_value);
        let within = back.map(|back| back.round.saturating_sub(ended.round));
        assert!(
            within.is_some_and(|rounds| rounds <= RIGHT_IN),
            "{job}: {within:?}\n{log}"
        );
        assert!(!run.with_checker(|c| is_down(c, job)), "{job}: {log}");
    }
    run.with_checker(|c| assert_no_gap(c, WELL, "ratio"));
    run.with_checker(Checker::assert_clean);
}

/// Lets the server grow while this goes on.
fn growing<T>(server: &Server, meanwhile: impl FnOnce() -> T) -> T {
    /// Also where `meanwhile` panics.
    struct Over<'a>(&'a AtomicBool);

    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                server.fill(STEP);
                thread::sleep(STEP_EVERY);
            }
        });
        let _over = Over(&is_over);
        meanwhile()
    })
}

/// The values of an instance since then by the second of the wall clock, at whose beginning
/// all are asked.
fn by_second(heard: &Heard, job: &str, from: Mark) -> BTreeMap<u64, f64> {
    let all = heard.since(job, from).into_iter();
    all.filter_map(|told| match told.word {
        Word::Used(used) => Some((told.at.as_secs(), used)),
        _ => None,
    })
    .collect()
}
