//! The worst case of a fork beside a real one: every key is written anew while a
//! child saves. What is predicted and what is copied go to standard error.
//!
//! Copies belong to cgroup and machine, never to the parent's RSS.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::common::{MB, TICK, alone, diagnose, or_skip, say, status};
use crate::support::{Cgroup, Kind, Rewrite, Server, eventually};

/// What a child allocates and writes for itself while it saves, and its code.
const OWN: u64 = 4 * MB;

const SAVED: Duration = Duration::from_secs(60);

/// One save under writes.
#[derive(Debug)]
struct Save {
    used: u64,
    bound: u64,
    /// By the child, as the server tells at its end.
    copied: u64,
    /// RSS of the parent before, and when all was written.
    rss: (u64, u64),
    /// Charged to the cgroup, without page cache: before, and at most.
    charged: Option<(u64, u64)>,
}

#[test]
fn what_a_child_copies_stays_below_the_bound_and_out_of_the_parents_rss() {
    let _alone = alone();
    say(&format!(
        "\n{:<13} {:<12} {:<11} {:>7} {:>7} {:>7} {:>15} {:>15}   (MB)",
        "server", "data", "rewritten", "used", "bound", "copied", "parent's RSS", "cgroup"
    ));
    thread::scope(|scope| {
        let stories = Kind::ALL.map(|kind| scope.spawn(move || story(kind)));
        for story in stories {
            if let Err(panic) = story.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

fn story(kind: Kind) {
    let group = or_skip("copies charged to a cgroup", Cgroup::new(1 << 30));
    let server = Server::builder(kind).socket_only().start();
    if let Some(group) = &group {
        group.take(server.pid());
    }
    server.fill(150 * MB);
    let mut saves = Vec::new();
    for how in [Rewrite::InPlace, Rewrite::OtherSizes] {
        let save = save(&server, group.as_ref(), || server.rewrite(how));
        save.tell(kind, "whole", &format!("{how:?}"));
        saves.push((false, how, save));
    }
    server.delete_random(70);
    for how in [Rewrite::InPlace, Rewrite::SameSizes, Rewrite::OtherSizes] {
        let save = save(&server, group.as_ref(), || server.rewrite(how));
        save.tell(kind, "70% deleted", &format!("{how:?}"));
        saves.push((true, how, save));
    }
    // Free pages that the allocator keeps are the child's too, and copied when new
    // data comes into them: more than the pages with data, never more than all.
    server.delete_random(100);
    server.fill(30 * MB);
    let refilled = save(&server, group.as_ref(), || server.fill(60 * MB));
    refilled.tell(kind, "all deleted", "60 MB more");
    let bound = refilled.bound + OWN;
    assert!(refilled.copied <= bound, "{}: {refilled:?}", kind.name());
    for (fragmented, how, save) in saves {
        check(kind, fragmented, how, &save);
    }
}

/// Saves, and writes meanwhile. Where the child ends too soon, again with a slower
/// one.
fn save(server: &Server, group: Option<&Cgroup>, write: impl Fn()) -> Save {
    let number = |field: &str| server.info_number(field) as u64;
    for delay in [10, 200, 800] {
        thread::sleep(TICK);
        server.ok(&["CONFIG", "SET", "rdb-key-save-delay", &delay.to_string()]);
        let report = diagnose(&server.unix_address());
        let bound = report["headroom"]["copy_bound"].as_u64().unwrap();
        let (used, before) = (number("used_memory"), status(server.pid(), "VmRSS"));
        let charged = |group: &Cgroup| group.used() - group.cache();
        let charged_before = group.map(charged);
        server.ok(&["BGSAVE"]);
        let done = AtomicBool::new(false);
        let (after, most) = thread::scope(|scope| {
            let watch = scope.spawn(|| {
                let mut most = 0;
                while !done.load(Ordering::Relaxed) {
                    most = most.max(group.map_or(0, charged));
                    thread::sleep(Duration::from_millis(20));
                }
                most
            });
            write();
            let after = status(server.pid(), "VmRSS");
            let in_time = number("rdb_bgsave_in_progress") == 1;
            thread::sleep(TICK);
            done.store(true, Ordering::Relaxed);
            (in_time.then_some(after), watch.join().unwrap())
        });
        eventually(SAVED, "the save's end", || {
            number("rdb_bgsave_in_progress") == 0
        });
        assert_eq!(server.info_field("rdb_last_bgsave_status").unwrap(), "ok");
        if let Some(after) = after {
            return Save {
                used,
                bound,
                copied: number("rdb_last_cow_size"),
                rss: (before, after),
                charged: charged_before.map(|before| (before, most)),
            };
        }
    }
    panic!("{}: the child was never slow enough", server.kind().name());
}

impl Save {
    fn tell(&self, kind: Kind, data: &str, written: &str) {
        let mb = |bytes: u64| bytes as f64 / MB as f64;
        let pair = |(before, after)| format!("{:.1} → {:.1}", mb(before), mb(after));
        say(&format!(
            "{:<13} {data:<12} {written:<11} {:>7.1} {:>7.1} {:>7.1} {:>15} {:>15}",
            kind.name(),
            mb(self.used),
            mb(self.bound),
            mb(self.copied),
            pair(self.rss),
            self.charged.map_or("?".to_owned(), pair)
        ));
    }
}

fn check(kind: Kind, fragmented: bool, how: Rewrite, save: &Save) {
    let what = format!(
        "{}, fragmented {fragmented}, {how:?}: {save:?}",
        kind.name()
    );
    assert!(save.copied <= save.bound + OWN, "above the bound: {what}");
    if how == Rewrite::InPlace {
        // The bound is no idle one, and used memory would be none.
        let least = if fragmented {
            15 * save.used / 10
        } else {
            9 * save.bound / 10
        };
        assert!(save.copied >= least, "hardly copied: {what}");
    }
    let (before, after) = save.rss;
    // New values take pages of their own before the old ones are free.
    let new = if how == Rewrite::InPlace {
        MB
    } else {
        save.copied / 10
    };
    assert!(after <= before + new, "in the parent's RSS: {what}");
    if let Some((charged, most)) = save.charged {
        // What the parent gives back meanwhile stays with the child, and is no copy.
        assert!(
            most - charged >= 8 * save.copied / 10,
            "not charged: {what}"
        );
        assert!(
            most <= before + save.bound + OWN,
            "above the worst case: {what}"
        );
    }
}
