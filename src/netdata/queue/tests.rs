//! What waits is bounded, of values the newest win and none is too old; answers are whole.

use super::*;

/// Of lines that do not wait.
const NOW: Duration = Duration::ZERO;

fn lines(definitions: &str, values: &str) -> Output {
    Output {
        definitions: definitions.to_owned(),
        values: values.to_owned(),
        update_every: 1,
        continues: None,
    }
}

/// Values alone, of an instance with such an interval.
fn each(update_every: u32, values: &str) -> Output {
    Output {
        update_every,
        ..lines("", values)
    }
}

/// What is taken at this second, all that waits.
fn taken(queue: &mut Queue, second: u64) -> String {
    let mut text = String::new();
    queue.take(&mut text, Duration::from_secs(second));
    text
}

fn all(queue: &mut Queue) -> String {
    let (mut all, mut text) = (String::new(), String::new());
    while !queue.is_empty() {
        queue.take(&mut text, NOW);
        all.push_str(&text);
    }
    all
}

#[test]
fn what_waits_is_bounded_definitions_stay_and_the_newest_values_win() {
    let mut queue = Queue::default();
    queue.put(&lines("CHART\n", "old\n"), NOW);
    let big = "x".repeat(MOST_WAITING / 4);
    for _ in 0..40 {
        queue.put(&lines("", &big), NOW);
        assert!(queue.waiting <= MOST_WAITING);
    }
    queue.put(&lines("", "newest\n"), NOW);
    // Room for the three of them that fit behind the first, then for four each.
    assert_eq!(queue.dropped(), 8);
    let text = all(&mut queue);
    assert!(
        text.starts_with("CHART\n") && text.ends_with("newest\n"),
        "{text:.40}"
    );
    assert!(!text.contains("old\n"));
    assert_eq!((queue.waiting, queue.defining), (0, 0));
}

/// An agent that is stuck, while one instance is collected each second: what of it
/// waits at the end, and how often values were thrown away.
fn stuck_for(seconds: u64) -> (Vec<String>, u64) {
    let mut queue = Queue::default();
    for second in 0..seconds {
        let now = Duration::from_millis(1000 * second + second % 3);
        queue.put(&lines("", &format!("{second}\n")), now);
    }
    let waiting = all(&mut queue);
    (
        waiting.lines().map(str::to_owned).collect(),
        queue.dropped(),
    )
}

#[test]
fn values_wait_for_as_long_as_an_agent_can_place_them_and_then_only_the_newest_do() {
    let (waiting, dropped) = stuck_for(3);
    assert_eq!(
        (waiting.len(), dropped),
        (3, 0),
        "none is three seconds old"
    );
    for seconds in 10..90 {
        let (waiting, dropped) = stuck_for(seconds);
        let newest: Vec<String> = (seconds.saturating_sub(2)..seconds)
            .map(|second| second.to_string())
            .collect();
        assert!(
            dropped > 0 && newest.ends_with(&waiting),
            "{seconds}: {waiting:?}"
        );
    }
}

#[test]
fn an_agent_that_reads_again_may_be_late_again() {
    let mut queue = Queue::default();
    let at = |seconds| Duration::from_secs(seconds);
    for second in 0..21 {
        queue.put(&lines("", "x\n"), at(second));
    }
    assert!(!all(&mut queue).is_empty(), "it has read");
    let dropped = queue.dropped();
    for second in 21..=24 {
        queue.put(&lines("", "y\n"), at(second));
    }
    assert_eq!((queue.dropped(), all(&mut queue).len()), (dropped, 8));
    // Definitions never grow old.
    queue.put(&lines("CHART\n", "z\n"), at(30));
    queue.put(&lines("", "z\n"), at(40));
    assert_eq!(
        (queue.dropped(), all(&mut queue)),
        (dropped + 1, "CHART\n".to_owned())
    );
    queue.put(&lines("CHART\n", ""), at(50));
    queue.put(&lines("", "z\n"), at(60));
    assert_eq!(
        (queue.dropped(), all(&mut queue)),
        (dropped + 1, "CHART\nz\n".to_owned())
    );
}

/// As where one write is long under way.
#[test]
fn what_is_taken_is_not_older_than_what_waits_may_be() {
    let at = Duration::from_secs;
    let mut queue = Queue::default();
    queue.put(&lines("", "in time\n"), NOW);
    assert_eq!(taken(&mut queue, 3), "in time\n");
    queue.put(&lines("CHART\n", "late\n"), at(10));
    queue.put(&lines("", "continues from it\n"), at(13));
    assert_eq!(taken(&mut queue, 14), "CHART\n");
    assert_eq!((queue.dropped(), queue.waiting), (1, 0));
    // It has read since.
    queue.put(&lines("", "in time\n"), at(20));
    assert_eq!(taken(&mut queue, 23), "in time\n");
    // Nothing was read since the last ones went: the bound is another.
    queue.put(&lines("", "late\n"), at(30));
    queue.put(&lines("", "later\n"), at(36));
    queue.put(&lines("", "new\n"), at(37));
    assert_eq!(taken(&mut queue, 39), "");
    assert_eq!(queue.dropped(), 3);
}

#[test]
fn values_grow_old_by_their_own_interval() {
    let at = Duration::from_secs;
    let mut queue = Queue::default();
    let put = |queue: &mut Queue, every, second| {
        queue.put(&each(every, &format!("{second} ")), at(second));
    };
    for second in [0, 10, 20, 30] {
        put(&mut queue, 10, second);
    }
    assert_eq!((queue.dropped(), queue.waiting), (0, 11));
    put(&mut queue, 10, 40);
    assert_eq!((queue.dropped(), queue.waiting), (1, 0));
    put(&mut queue, 10, 50);
    put(&mut queue, 10, 60);
    assert_eq!(taken(&mut queue, 60), "50 60 ");
    put(&mut queue, 60, 100);
    assert_eq!(taken(&mut queue, 279), "100 ");
    // Of those that share a block the first to grow old counts, whichever it is.
    for (first, second) in [(10, 1), (1, 10)] {
        put(&mut queue, first, 400);
        put(&mut queue, second, 400);
        assert_eq!(queue.blocks.len(), 1);
        let dropped = queue.dropped();
        assert_eq!(taken(&mut queue, 406), "");
        assert_eq!(queue.dropped(), dropped + 1);
    }
    // The same where nothing was taken since some were thrown away.
    put(&mut queue, 10, 420);
    put(&mut queue, 10, 480);
    put(&mut queue, 10, 481);
    put(&mut queue, 1, 481);
    let dropped = queue.dropped();
    put(&mut queue, 1, 483);
    assert_eq!((queue.dropped(), queue.waiting), (dropped + 1, 0));
    // What has no interval never does.
    queue.put(&each(0, "word\n"), at(500));
    assert_eq!(taken(&mut queue, 100_000), "word\n");
}

/// Whoever says them may not know yet that those before were thrown away.
#[test]
fn values_do_not_continue_from_lost_ones() {
    let at = Duration::from_secs;
    let mut queue = Queue::default();
    queue.put(&lines("", "late\n"), NOW);
    assert_eq!(taken(&mut queue, 6), "");
    let from = |known| Output {
        continues: Some(known),
        ..lines("CHART\n", "v\n")
    };
    queue.put(&from(0), at(6));
    assert_eq!(
        (taken(&mut queue, 6).as_str(), queue.dropped()),
        ("CHART\n", 1)
    );
    queue.put(&from(1), at(7));
    assert_eq!(taken(&mut queue, 7), "CHART\nv\n");
}

/// Instances that come and go define charts again and again.
#[test]
fn definitions_are_bounded_too_and_their_loss_is_told() {
    let mut queue = Queue::default();
    queue.put(&lines(&"x".repeat(BEHIND), ""), NOW);
    assert!(!queue.is_behind());
    queue.put(&lines("x", ""), NOW);
    assert!(queue.is_behind());
    all(&mut queue);
    assert!(!queue.is_behind());
    let definitions = "x".repeat(MOST_DEFINITIONS / 8);
    for _ in 0..20 {
        queue.put(&lines(&definitions, "v"), NOW);
        assert!(queue.defining <= MOST_DEFINITIONS, "{}", queue.defining);
    }
    assert!(queue.lost() >= 1 && queue.dropped() >= queue.lost());
}

#[test]
fn what_many_instances_say_together_is_one_write_in_their_order() {
    let mut queue = Queue::default();
    let mut want = String::new();
    for number in 0..50 {
        let values = format!("{number:03}\n").repeat(100);
        // One is new among them.
        let definitions = if number == 20 { "CHART\n" } else { "" };
        want.push_str(definitions);
        want.push_str(&values);
        queue.put(&lines(definitions, &values), NOW);
    }
    let mut text = String::new();
    queue.take(&mut text, NOW);
    assert!(text == want && queue.is_empty());
    // The next round finds the buffers of this one.
    let address = queue.spare.as_ptr();
    assert!(queue.spare.capacity() > 0);
    queue.put(&lines("", "next\n"), NOW);
    assert_eq!(queue.blocks[0].lines.as_ptr(), address);
    let buffer = text.as_ptr();
    queue.take(&mut text, NOW);
    assert_eq!((text.as_str(), text.as_ptr()), ("next\n", address));
    assert_eq!(queue.spare.as_ptr(), buffer);
}

#[test]
fn one_write_has_an_end_and_large_buffers_go() {
    let mut queue = Queue::default();
    let values = "x".repeat(ONE_WRITE / 3);
    for _ in 0..20 {
        queue.put(&lines("", &values), NOW);
    }
    queue.put(&lines(&"d".repeat(9 * ONE_WRITE), ""), NOW);
    let (mut text, mut writes) = (String::new(), 0);
    while !queue.is_empty() {
        queue.take(&mut text, NOW);
        assert!(text.len() <= 2 * ONE_WRITE || text.ends_with('d'));
        writes += 1;
    }
    assert!(writes >= 4, "{writes}");
    queue.take(&mut text, NOW);
    assert!(queue.spare.capacity() <= 2 * ONE_WRITE);
}

#[test]
fn answers_are_whole_bounded_and_behind_what_is_collected() {
    let mut queue = Queue::default();
    let body: Arc<str> = "x".repeat(1 << 20).into();
    let give = |queue: &mut Queue, id: &str, body: &Arc<str>| {
        let answer = Answer::new(id, 200, Arc::clone(body), 0);
        queue.answer(answer, || Answer::error(id, 503, "busy"))
    };
    // Many share one body, and weigh little.
    for number in 0..20 {
        assert!(give(&mut queue, &format!("shared{number}"), &body));
    }
    for number in 0..20 {
        let own: Arc<str> = body.to_string().into();
        assert!(give(&mut queue, &format!("own{number}"), &own));
    }
    queue.put(&lines("", "newest\n"), NOW);
    assert!(queue.answering <= MOST_ANSWERS.0 + 20 * 100);
    let short: Arc<str> = "{}\n".into();
    let mut kept = 40;
    while give(&mut queue, "more", &short) {
        kept += 1;
    }
    assert_eq!(kept, MOST_REFUSALS);
    let text = all(&mut queue);
    assert_eq!(queue.answering, 0);
    assert!(text.starts_with("newest\nFUNCTION_RESULT_BEGIN shared0 200"));
    let count = |what: &str| text.matches(what).count();
    assert_eq!(count("FUNCTION_RESULT_BEGIN shared"), 20);
    let refused = (0..20).filter(|n| text.contains(&format!("BEGIN own{n} 503")));
    assert_eq!(
        refused.count(),
        14,
        "6 of 1 MiB beside the first and the heads"
    );
    assert_eq!(count("FUNCTION_RESULT_BEGIN"), MOST_REFUSALS);
    assert_eq!(count("FUNCTION_RESULT_END\n"), MOST_REFUSALS);
}
