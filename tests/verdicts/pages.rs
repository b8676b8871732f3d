//! Pages that the allocator keeps: big values were written in a row and most of
//! them were deleted. Here the guide's remedy, a purge, is the right one.

use redis_frag::model::advice::Action;
use redis_frag::model::verdict::{Figure, Relation, Severity, Verdict};

use super::{LIMIT, PURGE, Watcher, on_each, start};
use crate::support::{Kind, Server, eventually};

const VALUES: usize = 300;
const VALUE_BYTES: usize = 1_000_000;
/// One value in so many stays.
const KEPT: usize = 3;

fn write_and_free(server: &Server) {
    let value = "v".repeat(VALUE_BYTES);
    for number in 0..VALUES {
        server.ok(&["SET", &format!("big:{number}"), &value]);
    }
    let doomed: Vec<String> = (0..VALUES)
        .filter(|number| number % KEPT != 0)
        .map(|number| format!("big:{number}"))
        .collect();
    let mut command = vec!["DEL"];
    command.extend(doomed.iter().map(String::as_str));
    server.ok(&command);
}

/// jemalloc returns them by itself within ten seconds, and now and then most of
/// them at once; without its thread they stay for the moment of the look.
#[test]
fn big_values_freed_leave_pages_to_purge() {
    on_each(&[Kind::Redis62, Kind::Redis70, Kind::Redis82], |kind| {
        let server = start(kind);
        server.ok(&["CONFIG", "SET", "jemalloc-bg-thread", "no"]);
        let mut watcher = Watcher::of(&server);
        write_and_free(&server);
        let seen = watcher.look_after_a_tick(&server);

        assert!(seen.ratio() > 2.0, "{seen}");
        seen.is(Verdict::RetainedPages);
        assert_eq!(seen.found.severity, Severity::Warning);
        assert_eq!(seen.fact("waste.releasable").relation, Relation::AtLeast);
        assert!(seen.bytes("waste.releasable") > 150_000_000, "{seen}");
        let peak = seen.fact("used_memory_peak / used_memory");
        assert_eq!(peak.threshold, Some(Figure::Ratio(2.0)), "{seen}");
        assert!(seen.not(Verdict::Fragmented).contains("holes"), "{seen}");
        assert_eq!(seen.first(), Action::MemoryPurge, "{seen}");
        seen.offers(Action::MemoryPurge, PURGE);
        let because = if kind.can_defrag() {
            "it would not start"
        } else {
            "this build cannot"
        };
        seen.refuses(Action::ActiveDefrag, because);

        let mut purged = None;
        eventually(LIMIT, "a purge returns them", || {
            server.ok(&["MEMORY", "PURGE"]);
            let seen = watcher.look_after_a_tick(&server);
            let done = seen.found.verdict == Verdict::Healthy;
            purged = Some(seen);
            done
        });
        let returned = seen.rss() - purged.unwrap().rss();
        let promised = seen.reclaim.memory_purge.unwrap();
        assert!(
            (returned - promised).abs() < promised / 10,
            "{returned} came back of the {promised} promised"
        );
    });
}

/// The C library gives each of them its own mapping, and takes it back at once.
#[test]
fn with_libc_big_values_leave_nothing() {
    let server = start(Kind::Valkey91);
    write_and_free(&server);
    Watcher::of(&server)
        .look_after_a_tick(&server)
        .is(Verdict::Healthy);
}
