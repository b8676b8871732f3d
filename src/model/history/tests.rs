//! Rates, restarts, resets, and how much of the past is kept.

use super::*;
use crate::model::info::Info;

fn push(history: &mut History, second: u64, text: &str) -> Rates {
    let text = format!("redis_version:8.2.3\n{text}");
    let at = Duration::from_secs(second);
    history.push(&Sample::new(at, &Info::parse(text.as_bytes()), None))
}

fn counters(hits: u64, misses: u64, millis: u64) -> String {
    format!(
        "run_id:a\nactive_defrag_hits:{hits}\nactive_defrag_misses:{misses}\n\
         total_active_defrag_time:{millis}\n"
    )
}

#[test]
fn rates_are_per_second_and_the_first_sample_has_none() {
    let mut history = History::default();
    assert_eq!(
        push(&mut history, 10, &counters(100, 0, 0)),
        Rates::default()
    );
    let rates = push(&mut history, 12, &counters(300, 50, 1000));
    assert_eq!((rates.hits, rates.misses), (Some(100.0), Some(25.0)));
    assert_eq!(rates.defrag_time, Some(50.0));
    assert_eq!(rates.efficiency, Some(80.0));
}

#[test]
fn a_restart_begins_anew() {
    let mut history = History::default();
    push(&mut history, 1, &counters(100, 100, 0));
    let other = counters(900, 900, 0).replace("run_id:a", "run_id:b");
    assert_eq!(push(&mut history, 2, &other), Rates::default());
    let mut history = History::default();
    push(
        &mut history,
        1,
        "uptime_in_seconds:50\nactive_defrag_hits:1\n",
    );
    let rates = push(
        &mut history,
        2,
        "uptime_in_seconds:1\nactive_defrag_hits:9\n",
    );
    assert_eq!(rates, Rates::default(), "no run_id, but a younger process");
}

#[test]
fn a_counter_that_falls_is_a_gap_and_costs_only_itself() {
    let mut history = History::default();
    push(&mut history, 1, &counters(100, 10, 0));
    let rates = push(&mut history, 2, &counters(5, 20, 500));
    assert_eq!((rates.hits, rates.misses), (None, Some(10.0)));
    assert_eq!(rates.efficiency, None, "the minute begins anew");
    assert_eq!(
        push(&mut history, 3, &counters(6, 20, 500)).efficiency,
        Some(100.0)
    );
}

#[test]
fn the_reset_defect_of_defrag_time_is_a_gap() {
    let mut history = History::default();
    push(&mut history, 1, &counters(0, 0, 0));
    assert_eq!(
        push(&mut history, 2, &counters(0, 0, 2_193_392)).defrag_time,
        None
    );
    assert_eq!(
        push(&mut history, 3, &counters(0, 0, 2_194_392)).defrag_time,
        Some(100.0)
    );
}

#[test]
fn an_outage_is_not_a_rate() {
    let mut history = History::default();
    push(&mut history, 1, &counters(0, 0, 0));
    assert_eq!(
        history.push(&Sample::unreachable(Duration::from_secs(2))),
        Rates::default()
    );
    assert_eq!(push(&mut history, 30, &counters(900, 0, 0)).hits, None);
    assert_eq!(push(&mut history, 31, &counters(901, 0, 0)).hits, Some(1.0));
}

#[test]
fn a_time_that_nobody_can_tell_is_not_a_rate() {
    let mut history = History::default();
    push(&mut history, 1, &counters(0, 0, 0));
    history.interrupt();
    assert_eq!(push(&mut history, 2, &counters(900, 0, 0)).hits, None);
    assert_eq!(push(&mut history, 3, &counters(901, 0, 0)).hits, Some(1.0));
}

#[test]
fn efficiency_looks_back_one_minute_and_the_ring_stays_small() {
    let mut history = History::default();
    for second in 0..200 {
        push(&mut history, second, &counters(1000 * second, 0, 0));
    }
    let mut rates = Rates::default();
    for second in 200..270 {
        rates = push(&mut history, second, &counters(200_000, 10 * second, 0));
    }
    assert_eq!(
        rates.efficiency,
        Some(0.0),
        "the good times are over a minute ago"
    );
    assert!(history.ring.len() <= MARKS, "{}", history.ring.len());
}

/// Bytes that an instance's past takes: what users plan with.
#[test]
fn the_past_of_an_instance_stays_small() {
    let bytes = |history: &History| {
        size_of::<History>()
            + history.ring.capacity() * size_of::<Examined>()
            + history.fragmented.capacity() * size_of::<(Duration, i64)>()
    };
    let mut history = History::default();
    for second in 0..400 {
        push(&mut history, second, &counters(7, 7, 0));
    }
    assert_eq!(history.ring.len(), 1, "at rest");
    let at_rest = bytes(&history);
    assert!(at_rest <= 400, "{at_rest} bytes");
    for second in 400..1200 {
        let text = counters(1000 * second, 7, 0);
        let fragmented = "mem_allocator:jemalloc-5.1.0\nactive_defrag_running:5\n\
                          allocator_allocated:1000\nallocator_active:2000\n";
        push(&mut history, second, &format!("{text}{fragmented}"));
    }
    assert!(history.ring.len() > 10 && history.fragmented.len() > 10);
    let at_work = bytes(&history);
    assert!(at_work <= 1200, "{at_work} bytes");
}

#[test]
fn a_long_rest_before_the_work_is_not_a_part_of_its_minute() {
    let mut history = History::default();
    for second in 0..1000 {
        push(&mut history, second, &counters(50, 50, 0));
    }
    let rates = push(&mut history, 1000, &counters(140, 60, 0));
    assert_eq!(rates.efficiency, Some(90.0));
    for second in 1001..1061 {
        push(&mut history, second, &counters(140, 60 + second - 1000, 0));
    }
    let rates = push(&mut history, 1061, &counters(140, 121, 0));
    assert_eq!(rates.efficiency, Some(0.0));
}

fn defragging(history: &mut History, second: u64, fragmented: u64) -> Rates {
    let text = format!(
        "mem_allocator:jemalloc-5.1.0\nactive_defrag_running:5\n\
         allocator_allocated:100000000\nallocator_active:{}\n",
        100_000_000 + fragmented
    );
    push(history, second, &text)
}

#[test]
fn five_minutes_tell_whether_the_fragmented_bytes_fall() {
    for (step, want) in [(0, Some(false)), (100_000, Some(true))] {
        let mut history = History::default();
        for second in 0..300 {
            let rates = defragging(&mut history, second, 200_000_000 - step * second);
            assert_eq!(
                rates.frag_falling, None,
                "second {second}: too early to tell"
            );
        }
        let rates = defragging(&mut history, 300, 200_000_000 - step * 300);
        assert_eq!(rates.frag_falling, want, "{step} bytes a second");
        assert_eq!(rates.running_for, Some(PATIENCE));
        assert!(history.fragmented.len() <= MARKS);
        push(&mut history, 301, "active_defrag_running:0\n");
        let rates = defragging(&mut history, 302, 1);
        assert_eq!(rates.running_for, Some(Duration::ZERO), "a new run");
    }
}

#[test]
fn a_long_save_does_not_make_a_run_look_ineffective() {
    let mut history = History::default();
    for second in 0..100 {
        defragging(&mut history, second, 200_000_000 - 100_000 * second);
    }
    let paused = |second| {
        let text = "mem_allocator:jemalloc-5.1.0\nactive_defrag_running:5\n\
                    rdb_bgsave_in_progress:1\nallocator_allocated:100000000\n\
                    allocator_active:290000000\n";
        push(&mut history, second, text)
    };
    let rates = (100..700).map(paused).last().unwrap();
    assert_eq!(rates.running_for, Some(Duration::from_secs(99)));
    assert_eq!(rates.frag_falling, None, "the run rested for ten minutes");
    for second in 700..900 {
        let rates = defragging(&mut history, second, 190_000_000);
        assert_eq!(rates.frag_falling, None, "second {second}");
    }
    let rates = defragging(&mut history, 901, 180_000_000);
    assert_eq!(rates.frag_falling, Some(true));
}

#[test]
fn time_that_stands_still_gives_no_rate() {
    let mut history = History::default();
    push(&mut history, 5, &counters(1, 1, 1));
    assert_eq!(push(&mut history, 5, &counters(9, 9, 9)).hits, None);
}
