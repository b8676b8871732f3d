//! The common life of an instance: fresh, filled, seven keys of ten deleted at
//! random, purged, saving. The guide takes this fragmentation for a past peak.

use redis_frag::model::advice::Action;
use redis_frag::model::defrag::State;
use redis_frag::model::history::History;
use redis_frag::model::verdict::{Figure, Relation, Severity, Verdict};

use super::{DEFRAG, MEGABYTE, Seen, Watcher, on_each, start};
use crate::support::{Kind, Server};

/// Enough that more than 100 MB are fragmented in the end.
const FILLED: u64 = 200 * MEGABYTE;
const DELETED_PERCENT: u32 = 70;

/// Microseconds that the saving child waits at each key, so that it takes seconds.
const SLOW_SAVE: &str = "100";

#[test]
fn the_life_of_an_instance() {
    on_each(&Kind::ALL, |kind| {
        let mut server = start(kind);
        let mut watcher = Watcher::of(&server);
        fresh(&server, &mut watcher);

        server.fill(FILLED);
        let filled = watcher.look_after_a_tick(&server);
        healthy(&filled);

        server.delete_random(DELETED_PERCENT);
        let deleted = watcher.look_after_a_tick(&server);
        as_the_guide_sees_it(&deleted);
        if kind.has_jemalloc() {
            fragmented(&server, &deleted);
        } else {
            unattributed(&deleted);
        }

        server.ok(&["MEMORY", "PURGE"]);
        let purged = watcher.look_after_a_tick(&server);
        purged_in_vain(&deleted, &purged);

        server.ok(&["CONFIG", "SET", "rdb-key-save-delay", SLOW_SAVE]);
        server.ok(&["BGSAVE"]);
        forking(&watcher.look(&server));
        // The child would outlive a killed server for a while.
        server.terminate();
    });
}

fn fresh(server: &Server, watcher: &mut Watcher) {
    let seen = watcher.look_until(server, "memory statistics are there", |seen| {
        if seen.sample.ratio().is_none() {
            seen.is(Verdict::Starting);
            assert_eq!(seen.found.severity, Severity::Unknown);
        }
        seen.sample.ratio().is_some()
    });
    // Box B of the guide, noise: 4 to 14 times the data.
    assert!(seen.ratio() > 4.0, "{seen}");
    seen.is(Verdict::Small);
    assert_eq!(seen.found.severity, Severity::Fine);
    assert_eq!(seen.fact("used_memory").relation, Relation::Below);
    assert!(seen.bytes("used_memory") < 2_000_000, "{seen}");
    assert!(seen.bytes("waste.total") < 20_000_000, "{seen}");
    assert_eq!(seen.found.advice, [], "{seen}");
}

fn healthy(seen: &Seen) {
    seen.is(Verdict::Healthy);
    assert_eq!(seen.found.severity, Severity::Fine);
    let ratio = seen.fact("mem_fragmentation_ratio");
    assert_eq!(ratio.relation, Relation::Below);
    assert_eq!(ratio.threshold, Some(Figure::Ratio(1.5)));
    assert_eq!(seen.found.advice, [], "{seen}");
    assert!(seen.not(Verdict::Swapping).contains("is not below 1"));
    assert!(seen.not(Verdict::Small).ends_with("are used"));
}

/// The guide's boxes D and J: allocator_frag_ratio is not above 4, so this would be
/// a past peak, to be purged.
fn as_the_guide_sees_it(seen: &Seen) {
    let fields = &seen.sample.fields;
    let times = fields.used_memory_peak.unwrap() / fields.used_memory.unwrap();
    assert!(times >= 2, "{seen}");
    assert!(fields.allocator_frag_ratio.unwrap() < 4.0, "{seen}");
    assert!((2.5..4.0).contains(&seen.ratio()), "{seen}");
}

fn fragmented(server: &Server, seen: &Seen) {
    seen.is(Verdict::Fragmented);
    assert_eq!(seen.found.severity, Severity::Warning);
    assert_eq!(seen.fact("waste.fragmented").relation, Relation::AtLeast);
    assert!(seen.bytes("waste.fragmented") > 105_000_000, "{seen}");
    let severe = seen.fact("allocator_frag_ratio");
    assert_eq!(severe.relation, Relation::Below, "{seen}");
    assert_eq!(severe.threshold, Some(Figure::Ratio(4.0)));
    assert!(seen.not(Verdict::Healthy).contains("is not below 1.5"));

    let reply = server.command(&["CONFIG", "SET", "activedefrag", "yes"]);
    assert_eq!(reply.is_ok(), seen.kind.can_defrag(), "{reply:?}");
    server.ok(&["CONFIG", "SET", "activedefrag", "no"]);
    if seen.kind.can_defrag() {
        assert_eq!(seen.state, Some(State::Off), "{seen}");
        assert_eq!(seen.first(), Action::ActiveDefrag, "{seen}");
        seen.offers(Action::ActiveDefrag, DEFRAG);
        let promised = seen.reclaim.active_defrag.unwrap();
        assert!(promised > 80_000_000, "{seen}");
        let caution = &seen.advice(Action::ActiveDefrag).caution;
        assert!(caution.contains("1% to 25%"), "{caution}");
        assert!(!caution.contains("distribution"), "{caution}");
    } else {
        assert_eq!(seen.state, Some(State::Unsupported), "{seen}");
        seen.refuses(Action::ActiveDefrag, "this build cannot defragment");
        seen.refuses(Action::ActiveDefrag, "quantum 16");
        assert_eq!(seen.reclaim.active_defrag, None, "{seen}");
        without_the_build(seen);
    }
    seen.offers(Action::Restart, None);
}

/// Where MEMORY MALLOC-STATS was not asked, INFO and CONFIG GET do not tell a
/// build that cannot defragment: the advice says that it may fail.
fn without_the_build(seen: &Seen) {
    let mut sample = seen.sample.clone();
    sample.build = None;
    let seen = Seen::new(seen.kind, sample, &mut History::default());
    seen.is(Verdict::Fragmented);
    assert_eq!(seen.state, Some(State::Off), "{seen}");
    seen.offers(Action::ActiveDefrag, DEFRAG);
    let caution = &seen.advice(Action::ActiveDefrag).caution;
    assert!(caution.contains("a distribution's build may refuse it"));
}

fn unattributed(seen: &Seen) {
    // Neither of the made-up 1.00 is believed: "not fragmented" would be wrong.
    assert!(seen.sample.fields.allocator_frag_ratio.unwrap() < 1.01);
    seen.is(Verdict::Unattributed);
    assert_eq!(seen.found.severity, Severity::Warning);
    let absent = seen.fact("allocator statistics");
    assert_eq!((absent.relation, absent.value), (Relation::Absent, None));
    assert!(seen.bytes("waste.total") > 100_000_000, "{seen}");
    for verdict in [
        Verdict::Fragmented,
        Verdict::RetainedPages,
        Verdict::ProcessOverhead,
    ] {
        assert!(seen.not(verdict).contains("gives no statistics"), "{seen}");
    }
    assert_eq!(seen.first(), Action::Restart, "{seen}");
    no_remedy_on_libc(seen);
}

fn no_remedy_on_libc(seen: &Seen) {
    assert_eq!(seen.state, Some(State::Unsupported), "{seen}");
    seen.refuses(Action::ActiveDefrag, "its allocator is libc");
    seen.refuses(Action::MemoryPurge, "answers OK and does nothing");
}

/// The guide's remedy was applied and did not help.
fn purged_in_vain(before: &Seen, after: &Seen) {
    let returned = before.rss() - after.rss();
    assert!(returned < before.rss() / 5, "{returned} of {before}");
    assert!(after.ratio() > 2.0, "{after}");
    if after.kind.has_jemalloc() {
        after.is(Verdict::Fragmented);
        after.refuses(Action::MemoryPurge, "there is little to purge");
        assert!(
            after
                .found
                .ruled_out
                .iter()
                .all(|out| out.verdict != Verdict::RetainedPages)
        );
        let first = if after.kind.can_defrag() {
            Action::ActiveDefrag
        } else {
            Action::Restart
        };
        assert_eq!(after.first(), first, "{after}");
    } else {
        assert!(returned.abs() < 2_000_000, "{returned} of {before}");
        after.is(Verdict::Unattributed);
        no_remedy_on_libc(after);
    }
}

fn forking(seen: &Seen) {
    seen.is(Verdict::Forking);
    assert_eq!(seen.found.severity, Severity::Fine);
    let child = seen.fact("rdb_bgsave_in_progress");
    assert_eq!(child.value, Some(Figure::Count(1)));
    assert!(seen.ratio() > 2.0, "judged afterwards: {seen}");
    assert_eq!(seen.first(), Action::Wait, "{seen}");
    if seen.kind.can_defrag() {
        seen.refuses(Action::ActiveDefrag, "a child is saving");
    } else {
        seen.refuses(Action::ActiveDefrag, "this build cannot");
    }
    if seen.kind.has_jemalloc() {
        seen.refuses(Action::MemoryPurge, "a child is saving");
    }
}
