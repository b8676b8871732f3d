//! An agent that does not read, or reads slowly: what waits for it is bounded, and of a
//! minute it gets the newest.

use std::time::{Duration, Instant};

use crate::plugin::{SOON, blocks, jobs, plugin};
use crate::support::{Checker, Kind, PluginRun, Server, becomes_true, process};

/// Bytes by which the server grows with each step, and how often it does: of two values
/// the older one is the smaller.
const STEP: usize = 2_000_000;
const STEP_EVERY: Duration = Duration::from_millis(500);

/// What an instance is behind when more than three seconds are missing.
const GAP: i64 = 3 * 2 * STEP as i64;

/// What comes and goes: while a step is taken in, it is there twice. Less than a second's
/// two steps.
const NOISE: i64 = STEP as i64 * 3 / 2;

/// What waits is no older than two rounds of a second; a busy machine may be late with one
/// more.
const OLDEST: i64 = 2 * 3 * STEP as i64 + NOISE;

/// Within what time all is right again, and what a busy machine may take beyond it: to
/// start the reader again, and to check what had waited.
const RIGHT_WITHIN: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_secs(2);

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("job{number:03}")).collect()
}

/// A plugin with so many jobs that lead to one server, all with values.
fn watching(server: &Server, names: &[String]) -> PluginRun {
    let address = server.unix_address();
    let all: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), address.as_str()))
        .collect();
    let run = plugin(&jobs(&all)).version("v2.10.0").start();
    run.expect(2 * SOON, "values of all", |c| {
        names.iter().all(|name| blocks(c, name, "defrag_moves") > 1)
    });
    run
}

/// Lets the server grow for so long; the largest that the plugin was meanwhile.
fn grow(server: &Server, run: &PluginRun, length: Duration) -> u64 {
    let (start, mut largest) = (Instant::now(), 0);
    let mut number = 0;
    while start.elapsed() < length {
        server.ok(&["SET", &format!("step{number}"), &"x".repeat(STEP)]);
        number += 1;
        std::thread::sleep(STEP_EVERY);
        largest = largest.max(process::memory(run.pid(), "VmRSS"));
    }
    largest
}

/// Within two seconds every instance shows what the server holds now, which is returned.
#[track_caller]
fn assert_right_soon(run: &PluginRun, server: &Server, names: &[String]) -> i64 {
    let start = Instant::now();
    run.let_go();
    let want = server.info_number("used_memory") as i64;
    let wrong = |c: &Checker| {
        let off = |name: &&String| {
            let used = c.last(&format!("redis_frag_{name}.memory"), "used");
            used.is_none_or(|used| (used - want).abs() > NOISE)
        };
        names.iter().filter(off).cloned().collect::<Vec<_>>()
    };
    run.wait_for(RIGHT_WITHIN + SLACK, |c| wrong(c).is_empty());
    let (took, wrong) = (start.elapsed(), run.with_checker(wrong));
    assert!(wrong.is_empty(), "after {took:?}: {wrong:?}");
    want
}

/// What came is in its order, and continues from what came: what follows a gap says no
/// time. How many came before the last gap, and the value behind it.
#[track_caller]
fn assert_in_order(checker: &Checker, name: &str) -> Option<(usize, i64)> {
    let chart = format!("redis_frag_{name}.memory");
    let (used, begins) = (checker.values(&chart, "used"), checker.begins(&chart));
    assert_eq!(used.len(), begins.len(), "{name}");
    let mut behind = None;
    for (place, (pair, begin)) in used.windows(2).zip(&begins[1..]).enumerate() {
        let step = pair[1] - pair[0];
        assert!(step > -NOISE, "{name}: older behind newer: {used:?}");
        assert!(
            step < GAP || begin.is_none(),
            "{name}: continues from what is lost: {used:?} {begins:?}"
        );
        if step >= GAP {
            behind = Some((place + 1, pair[1]));
        }
    }
    behind
}

#[test]
fn an_agent_that_does_not_read_for_a_minute_costs_little_and_gets_the_newest() {
    // What waits for it: some 2 MiB (`queue::MOST_LATE`), in buffers that grow by doubling;
    // and what is allocated while definitions are made.
    const MOST: u64 = 4 << 20;
    const UNREAD: Duration = Duration::from_secs(60);
    let server = Server::start(Kind::Redis70);
    let names = names(100);
    let mut run = watching(&server, &names);
    let before = process::memory(run.pid(), "VmRSS");
    run.hold();
    for number in 0..50 {
        let call = format!("FUNCTION call{number} 100 \"redis-frag:diagnosis\" 0x8 me");
        run.send_line(&call).unwrap();
    }
    let largest = grow(&server, &run, UNREAD);
    let grown = largest.saturating_sub(before);
    assert!(grown < MOST, "{grown} bytes more than {before}");
    let now = assert_right_soon(&run, &server, &names);
    let answered = |c: &Checker| c.answers().iter().filter(|a| a.code == "200").count();
    run.expect(SOON, "answers to all", |c| answered(c) == 50);
    run.with_checker(|checker| {
        for name in &names {
            let (_, behind) = assert_in_order(checker, name).expect("nothing was thrown away");
            assert!(behind > now - OLDEST, "{name}: {behind} long before {now}");
        }
        checker.assert_clean();
    });
    assert_told_once(&run);
}

/// The log says when it began and, where somebody reads again, that it is over.
#[track_caller]
fn assert_told_once(run: &PluginRun) {
    const BEGIN: &str = "the agent does not read what it is told, or too slowly";
    const END: &str = "the agent reads again: values were thrown away ";
    let told = |what: &str| {
        run.stderr()
            .lines()
            .filter(|line| line.contains(what))
            .count()
    };
    // It is told behind the write that somebody has read.
    becomes_true(SOON, || told(END) > 0);
    assert_eq!((told(BEGIN), told(END)), (1, 1), "{}", run.stderr());
}

/// One instance says so little that the pipe would hold half a minute of it.
#[test]
fn of_a_small_fleet_not_even_the_pipe_keeps_what_is_old() {
    // By then all is thrown away several times; in the pipe there would be room for more.
    const UNREAD: Duration = Duration::from_secs(20);
    // Those of a second, two at most, and one that came before nobody read.
    const OLD: usize = 3;
    let server = Server::start(Kind::Redis70);
    let names = names(1);
    let run = watching(&server, &names);
    run.hold();
    let chart = format!("redis_frag_{}.memory", names[0]);
    let before = run.with_checker(|c| c.values(&chart, "used").len());
    grow(&server, &run, UNREAD);
    let now = assert_right_soon(&run, &server, &names);
    run.with_checker(|checker| {
        let gap = assert_in_order(checker, &names[0]);
        let (place, behind) = gap.expect("nothing was thrown away");
        let old = place - before;
        assert!(old <= OLD, "{old} old ones: {:?}", checker.begins(&chart));
        assert!(behind > now - OLDEST, "{behind} long before {now}");
        checker.assert_clean();
    });
    assert_told_once(&run);
}

#[test]
fn an_agent_that_reads_slowly_costs_little_and_gets_the_newest() {
    // Buffers of what waits, and the library's of a busy minute.
    const MOST: u64 = 4 << 20;
    let server = Server::start(Kind::Redis70);
    let names = names(10);
    let run = watching(&server, &names);
    let before = process::memory(run.pid(), "VmRSS");
    // They tell ten times as much.
    run.read_slowly(4_000);
    let lines = run.with_checker(Checker::lines);
    let grown = grow(&server, &run, Duration::from_secs(25)).saturating_sub(before);
    assert!(grown < MOST, "{grown} bytes more than {before}");
    assert!(run.with_checker(Checker::lines) > lines, "nothing is read");
    assert_right_soon(&run, &server, &names);
    let caught_up = becomes_true(SOON, || {
        run.with_checker(|c| names.iter().all(|name| assert_in_order(c, name).is_some()))
    });
    assert!(caught_up, "nothing was thrown away");
    run.with_checker(Checker::assert_clean);
}
