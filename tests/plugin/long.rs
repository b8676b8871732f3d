//! A long run: four servers filled, fragmented, mended and restarted underneath,
//! while a strict checker reads every line.
//!
//! Seconds by `REDIS_FRAG_LONG_RUN`; a short form by default.

use std::time::{Duration, Instant};

use super::{SOON, all_charts, assert_no_gap, blocks, jobs, plugin};
use crate::support::{Kind, Server};

/// Names of the jobs; `gone` has nobody listening.
const JOBS: [&str; 4] = ["a", "b", "c", "d"];

fn seconds() -> u64 {
    let asked = std::env::var("REDIS_FRAG_LONG_RUN").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(20)
}

/// One thing after another happens to a server, over and over.
fn churn(servers: &mut [Server], step: usize) {
    let server = &mut servers[step % JOBS.len()];
    match step % 6 {
        0 => server.fill(20_000_000),
        1 => {
            server.delete_random(60);
        }
        2 => {
            server.ok(&["CONFIG", "RESETSTAT"]);
        }
        3 => {
            server.ok(&["BGSAVE"]);
        }
        4 => {
            server.ok(&["CONFIG", "SET", "maxmemory", "2gb"]);
        }
        _ => {
            server.ok(&["FLUSHALL"]);
        }
    }
}

#[test]
fn a_long_run_has_no_wrong_line_and_misses_no_second() {
    let mut servers: Vec<Server> = Kind::ALL.into_iter().map(Server::start).collect();
    let addresses: Vec<String> = servers.iter().map(Server::unix_address).collect();
    let mut listed: Vec<(&str, &str)> = JOBS
        .into_iter()
        .zip(addresses.iter().map(String::as_str))
        .collect();
    listed.push(("gone", "unix:///nonexistent/socket"));
    let run = plugin(&jobs(&listed)).start();
    run.expect(SOON, "all charts", |c| {
        JOBS.iter().all(|job| all_charts(c, job))
    });
    let before = run.with_checker(|c| JOBS.map(|job| blocks(c, job, "ratio")));
    let start = Instant::now();
    let mut step = 0;
    while start.elapsed() < Duration::from_secs(seconds()) {
        churn(&mut servers, step);
        step += 1;
        std::thread::sleep(Duration::from_millis(300));
    }
    let whole = usize::try_from(start.elapsed().as_secs()).unwrap();
    run.with_checker(|checker| {
        for (job, before) in JOBS.iter().zip(before) {
            let got = blocks(checker, job, "ratio") - before;
            assert!(got + 2 >= whole, "{job}: {got} of {whole} seconds");
            assert_no_gap(checker, job, "ratio");
        }
        let down = blocks(checker, "gone", "status");
        assert!(down >= whole, "gone: told {down} times in {whole} seconds");
        assert!(checker.lines() > 100 * whole, "{} lines", checker.lines());
        checker.assert_clean();
        eprintln!(
            "{whole} s, {step} steps, {} lines, no violation",
            checker.lines()
        );
    });
}
