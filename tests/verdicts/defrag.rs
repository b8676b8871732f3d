//! Active defrag at work, paused by a fork, finished, and switched on where it
//! does not start.

use std::thread;
use std::time::Duration;

use redis_frag::model::advice::Action;
use redis_frag::model::defrag::State;
use redis_frag::model::verdict::{Figure, Severity, Verdict};

use super::{DEFRAG, LIMIT, MEGABYTE, Seen, Watcher, on_each, start};
use crate::support::{Kind, Server, eventually};

const DEFRAGGERS: [Kind; 2] = [Kind::Redis62, Kind::Redis82];

/// Microseconds that the saving child waits at each key, so that it takes seconds.
const SLOW_SAVE: &str = "50";

fn set(server: &Server, settings: &[(&str, &str)]) {
    for (name, value) in settings {
        server.ok(&["CONFIG", "SET", name, value]);
    }
}

/// At that many percent of a CPU. Switched off in between: 6.2 minds new settings
/// at the next scan only.
fn defrag_at(server: &Server, percent: &str) {
    set(server, &[("activedefrag", "no")]);
    eventually(LIMIT, "defrag stops", || {
        server.info_number("active_defrag_running") == 0.0
    });
    let settings = [
        ("active-defrag-cycle-max", percent),
        ("active-defrag-cycle-min", percent),
        ("activedefrag", "yes"),
    ];
    set(server, &settings);
}

#[test]
fn a_run_of_active_defrag() {
    on_each(&DEFRAGGERS, |kind| {
        let server = start(kind);
        let mut watcher = Watcher::of(&server);
        server.fill(200 * MEGABYTE);
        server.delete_random(70);
        watcher.look_after_a_tick(&server).is(Verdict::Fragmented);

        defrag_at(&server, "4");
        let seen = watcher.look_until(&server, "defrag moves", |seen| {
            seen.sample.fields.active_defrag_hits > Some(2000)
        });
        working(&seen, 4.0);

        set(&server, &[("rdb-key-save-delay", SLOW_SAVE)]);
        server.ok(&["BGSAVE"]);
        paused(&watcher.look(&server));
        let seen = watcher.look_until(&server, "the child ends", |seen| {
            seen.sample.forking() == Some(false)
        });
        working(&seen, 4.0);

        // By now less is fragmented than a scan would begin for.
        set(&server, &[("active-defrag-ignore-bytes", "1mb")]);
        defrag_at(&server, "90");
        finished(&server, &mut watcher);
    });
}

fn working(seen: &Seen, effort: f64) {
    assert!(seen.ratio() > 1.5, "{seen}");
    seen.is(Verdict::DefragWorking);
    assert_eq!(seen.found.severity, Severity::Fine);
    assert_eq!(seen.state, Some(State::Running));
    let aim = seen.fact("active_defrag_running").value;
    assert_eq!(aim, Some(Figure::Percent(effort)), "{seen}");
    assert!(seen.bytes("allocator_frag_bytes") > 0);
    seen.fact("defrag hit rate");
    assert_eq!(seen.first(), Action::Wait, "{seen}");
    assert!(seen.not(Verdict::Forking).starts_with("no child"));
    assert!(seen.not(Verdict::Healthy).contains("is not below 1.5"));
}

fn paused(seen: &Seen) {
    // The server goes on to say that it runs.
    assert!(seen.sample.fields.active_defrag_running > Some(0), "{seen}");
    assert_eq!(seen.state, Some(State::Paused), "{seen}");
    seen.is(Verdict::Forking);
    assert_eq!(seen.found.severity, Severity::Fine);
    assert!(seen.found.defrag_reason.contains("rests while a child"));
    assert_eq!(seen.first(), Action::Wait);
    seen.refuses(Action::ActiveDefrag, "it is on already");
    seen.refuses(Action::MemoryPurge, "a child is saving");
}

/// What defrag has emptied goes back by itself, but not at once.
fn finished(server: &Server, watcher: &mut Watcher) {
    let mut seen = watcher.look(server);
    eventually(LIMIT, "defrag ends", || {
        // Between two scans it is idle for a second.
        thread::sleep(Duration::from_millis(300));
        let before = seen.state;
        seen = watcher.look(server);
        let idle = (before, seen.state) == (Some(State::Idle), Some(State::Idle));
        idle && seen.sample.allocator_frag().unwrap() < 1.1
    });
    match seen.found.verdict {
        Verdict::RetainedPages => {
            assert_eq!(seen.found.severity, Severity::Warning, "{seen}");
            assert!(seen.parts().releasable > seen.parts().fragmented, "{seen}");
            seen.fact("active_defrag_hits");
            assert_eq!(seen.first(), Action::MemoryPurge, "{seen}");
            seen.refuses(Action::ActiveDefrag, "it would not start");
        }
        other => assert_eq!(other, Verdict::Healthy, "{seen}"),
    }
    eventually(LIMIT, "the pages go back", || {
        server.ok(&["MEMORY", "PURGE"]);
        watcher.look_after_a_tick(server).found.verdict == Verdict::Healthy
    });
}

/// Fragmented, but too little or not enough of it for the server's thresholds.
#[test]
fn defrag_that_would_not_start_is_not_advised() {
    on_each(&DEFRAGGERS, |kind| {
        let server = start(kind);
        let mut watcher = Watcher::of(&server);
        server.fill(140 * MEGABYTE);
        server.delete_random(55);
        let seen = watcher.look_after_a_tick(&server);
        seen.is(Verdict::Fragmented);
        let bytes = "of 100.0 MiB (active-defrag-ignore-bytes)";
        seen.refuses(Action::ActiveDefrag, bytes);
        assert!(
            !seen
                .advice(Action::ActiveDefrag)
                .caution
                .contains("threshold-lower")
        );

        // And indeed: a scan would begin within a second.
        set(&server, &[("activedefrag", "yes")]);
        thread::sleep(Duration::from_millis(1500));
        let seen = watcher.look(&server);
        assert_eq!(seen.state, Some(State::Idle), "{seen}");
        assert!(seen.found.defrag_reason.contains(bytes), "{seen}");
        assert_eq!(seen.sample.fields.active_defrag_hits, Some(0), "{seen}");
        seen.is(Verdict::Fragmented);
        seen.refuses(Action::ActiveDefrag, bytes);
        set(&server, &[("activedefrag", "no")]);

        set(
            &server,
            &[
                ("active-defrag-ignore-bytes", "1mb"),
                ("active-defrag-threshold-upper", "900"),
                ("active-defrag-threshold-lower", "800"),
            ],
        );
        let seen = watcher.look(&server);
        seen.refuses(
            Action::ActiveDefrag,
            "of 800% (active-defrag-threshold-lower)",
        );
        assert!(
            !seen
                .advice(Action::ActiveDefrag)
                .caution
                .contains("ignore-bytes")
        );

        set(&server, &[("active-defrag-threshold-lower", "10")]);
        watcher.look(&server).offers(Action::ActiveDefrag, DEFRAG);
        set(&server, &[("activedefrag", "yes")]);
        watcher.look_until(&server, "it starts", |seen| {
            seen.state == Some(State::Running)
        });
    });
}
