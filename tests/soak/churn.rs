//! What happens to the servers meanwhile: filled, fragmented, defragmented, saved,
//! emptied, stopped where they are and started anew.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::course::Spell;
use crate::support::Server;

/// Bytes that a server is filled with at most.
const MOST: f64 = 60e6;
const BETWEEN: Duration = Duration::from_millis(300);

/// Does this to the servers until it is told to end; who asks by which server, and what
/// kept them from an answer.
pub fn churn(
    servers: &mut [Server],
    jobs: impl Fn(usize) -> Vec<usize>,
    seed: u64,
    start: Instant,
    end: &AtomicBool,
) -> Vec<Spell> {
    let mut random = Rng::with_seed(seed);
    let mut spells = Vec::new();
    while !end.load(Ordering::Relaxed) {
        let number = random.usize(..servers.len());
        let server = &mut servers[number];
        let from = start.elapsed();
        let mut sick = None;
        // A server that starts anew answers before it is said to be there.
        let mut held = from;
        match random.u32(..40) {
            0 => {
                // One that loads answers INFO before it is said to be there.
                let _ = std::fs::remove_file(server.dir().join("dump.rdb"));
                server.restart();
                sick = Some("restart");
            }
            1 => {
                server.pause();
                sleep(Duration::from_millis(random.u64(500..4000)));
                held = start.elapsed();
                server.resume();
                sick = Some("paused");
            }
            2..=4 => drop(server.ok(&["FLUSHALL"])),
            5..=7 => drop(server.ok(&["CONFIG", "RESETSTAT"])),
            8 | 9 => drop(server.command(&["BGSAVE"])),
            10..=14 => drop(server.delete_random(random.u32(40..95))),
            15..=18 => {
                // The libc's cannot.
                let is_on = if random.bool() { "yes" } else { "no" };
                drop(server.command(&["CONFIG", "SET", "activedefrag", is_on]));
            }
            19 => drop(server.command(&["MEMORY", "PURGE"])),
            20 => drop(server.ok(&[
                "CONFIG",
                "SET",
                "maxmemory",
                random.choice(["0", "1gb"]).unwrap(),
            ])),
            _ if server.info_number("used_memory") < MOST => server.fill(random.u64(1..5_000_000)),
            _ => {}
        }
        if let Some(what) = sick {
            let to = start.elapsed();
            spells.extend(jobs(number).into_iter().map(|job| Spell {
                job,
                what,
                from,
                held,
                to,
            }));
        }
        sleep(BETWEEN);
    }
    spells
}
