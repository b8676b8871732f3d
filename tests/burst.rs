//! A thousand calls at once while fifty instances are collected each second.
//!
//! A binary of its own: it measures how late a collection is, and is a load itself.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop at the line"
)]

mod support;
mod watching;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use support::answers::{Form, assert_answered_once, check};
use support::process::resident;
use support::{Checker, Fake, PluginRun, becomes_true};
use watching::{FRAGMENTED, SOON, blocks, jobs, plugin};

const INSTANCES: usize = 50;
const CALLS: usize = 1000;

/// How much later than in quiet seconds a collection may come.
const LATE: Duration = Duration::from_millis(100);

/// Bytes by which a burst like those before may make the plugin larger.
const FLAT: u64 = 4 << 20;

#[test]
fn a_burst_is_answered_and_no_collection_is_late() {
    let fake = Fake::start(FRAGMENTED, &[]);
    let address = fake.unix_address();
    let names: Vec<String> = (0..INSTANCES).map(|n| format!("job{n:02}")).collect();
    let all: Vec<(&str, &str)> = names
        .iter()
        .map(|n| (n.as_str(), address.as_str()))
        .collect();
    let mut run = plugin(&jobs(&all)).version("v2.10.0").start();
    run.expect(SOON, "all values", |c| {
        names.iter().all(|n| blocks(c, n, "ratio") > 5)
    });
    let quiet = longest(&run, &names, 2);
    let mut sizes = Vec::new();
    let mut late = Vec::new();
    let mut ids = Vec::new();
    for burst in 0..4 {
        let from = run.with_checker(|c| blocks(c, &names[0], "status"));
        ids.extend(send(&mut run, burst));
        let answered = becomes_true(SOON, || {
            run.with_checker(|c| c.answers().iter().filter(|a| a.ended).count()) >= ids.len()
        });
        assert!(answered, "{}", run.with_checker(|c| c.answers().len()));
        std::thread::sleep(Duration::from_millis(1200));
        sizes.push(resident(run.pid()));
        late.push(longest(&run, &names, from));
    }
    let in_time = late.iter().filter(|late| **late < quiet + LATE).count();
    assert!(
        in_time >= 3,
        "a busy machine may cost one: {late:?} between collections, {quiet:?} before"
    );
    assert!(sizes[3] < sizes[1] + FLAT, "{sizes:?}");
    run.with_checker(|checker| {
        assert_answered_once(checker, &ids);
        let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
        for seen in checker.answers() {
            *codes.entry(&seen.code).or_default() += 1;
            let (form, wrong) = check(&seen.code, &seen.body);
            let want = if seen.code == "200" {
                None
            } else {
                Some(Form::Error)
            };
            assert!(want.is_none() || form == want, "{seen:?}");
            assert_eq!(wrong, [""; 0]);
        }
        assert!(codes["200"] >= 2 * CALLS, "{codes:?}");
        checker.assert_clean();
    });
}

/// Sends a burst, with cancels in between; the ids of its calls.
fn send(run: &mut PluginRun, burst: usize) -> Vec<String> {
    let mut ids = Vec::new();
    let mut text = String::new();
    for number in 0..CALLS {
        let id = format!("b{burst}n{number:04}");
        let about = match number % 4 {
            0 => " info".to_owned(),
            1 => format!(" instance:job{:02}", number % INSTANCES),
            2 => String::new(),
            _ => " nonsense".to_owned(),
        };
        text += &format!("FUNCTION {id} 10 \"redis-frag:diagnosis{about}\" \"0x8\" \"\"\n");
        if number % 5 == 0 {
            text += &format!("FUNCTION_CANCEL {id}\n");
        }
        ids.push(id);
    }
    let start = Instant::now();
    run.send_line(text.trim_end()).unwrap();
    assert!(start.elapsed() < SOON, "it reads what is sent");
    ids
}

/// The longest time between two collections of an instance, as the plugin tells
/// it, from this block on.
fn longest(run: &PluginRun, names: &[String], from: usize) -> Duration {
    let of = |checker: &Checker, name: &String| {
        let begins = checker.begins(&format!("redis_frag_{name}.status"));
        begins[from..].iter().copied().max().flatten().unwrap_or(0)
    };
    let most = run.with_checker(|c| names.iter().map(|name| of(c, name)).max());
    Duration::from_micros(most.unwrap_or(0))
}

/// Whoever calls and reads nothing costs a bounded number of bytes.
#[test]
fn calls_of_an_agent_that_reads_nothing_are_bounded() {
    let fake = Fake::start(FRAGMENTED, &[]);
    let mut run = plugin(&jobs(&[("one", &fake.unix_address())])).start();
    run.expect(SOON, "values", |c| blocks(c, "one", "ratio") > 1);
    let before = resident(run.pid());
    run.hold();
    for burst in 0..20 {
        send(&mut run, burst);
    }
    std::thread::sleep(Duration::from_millis(500));
    let grown = resident(run.pid()).saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes");
    run.let_go();
    run.expect(SOON, "values again", |c| blocks(c, "one", "ratio") > 3);
    run.with_checker(Checker::assert_clean);
}
