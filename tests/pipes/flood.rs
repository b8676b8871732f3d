//! Input that floods, never ends, is cut or is no text: the plugin stays small, no
//! collection is missing, and what is asked behind it is answered.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::functions::{FRAGMENTED, answer};
use crate::plugin::{SOON, assert_no_gap, blocks, jobs, plugin};
use crate::support::{Checker, Fake, PluginRun, eventually, process};

/// Bytes by which it may grow whatever comes: a payload of 1 MiB in a buffer that grows by
/// doubling, its copies as text, and 8 MiB of answers at the very most.
const MOST: u64 = 12 << 20;

/// Bytes of what is too long.
const HUGE: usize = 100_000_000;

/// A plugin with one instance that has values.
fn watching(fake: &Fake) -> PluginRun {
    let address = fake.unix_address();
    let run = plugin(&jobs(&[("one", &address)]))
        .version("v2.10.0")
        .start();
    run.expect(SOON, "values", |c| blocks(c, "one", "ratio") > 1);
    run
}

/// The code of each answer by its call; none was answered twice.
#[track_caller]
fn codes(run: &PluginRun) -> BTreeMap<String, String> {
    run.with_checker(|checker| {
        let mut codes = BTreeMap::new();
        for answer in checker.answers() {
            let before = codes.insert(answer.id.clone(), answer.code.clone());
            assert_eq!(before, None, "{} is answered twice", answer.id);
        }
        codes
    })
}

/// Sends what `flood` sends, twice, and a call behind it: that is answered, the plugin has
/// not grown, and no collection is missing. The codes of the other answers by their calls.
#[track_caller]
fn borne(what: &str, flood: impl Fn(&mut PluginRun, u32)) -> BTreeMap<String, String> {
    let fake = Fake::start(FRAGMENTED, &[]);
    let mut run = watching(&fake);
    let before = process::memory(run.pid(), "VmHWM");
    for turn in 0..2 {
        flood(&mut run, turn);
        let call = format!("\nFUNCTION behind{turn} 10 \"redis-frag:diagnosis\" 0x8 me");
        run.send_line(&call).unwrap();
        assert_eq!(answer(&run, &format!("behind{turn}")).code, "200", "{what}");
    }
    let grown = process::memory(run.pid(), "VmHWM") - before;
    assert!(grown < MOST, "{what}: {grown} bytes more than {before}");
    let collected = run.with_checker(|c| blocks(c, "one", "status"));
    run.expect(SOON, "collections go on", |c| {
        blocks(c, "one", "status") > collected + 1
    });
    run.with_checker(|checker| {
        assert_no_gap(checker, "one", "ratio");
        checker.assert_clean();
    });
    let mut codes = codes(&run);
    codes.retain(|id, _| !id.starts_with("behind"));
    codes
}

/// These calls, all with this code.
fn all(ids: &[&str], code: &str) -> BTreeMap<String, String> {
    let pairs = ids.iter().map(|id| ((*id).to_owned(), code.to_owned()));
    pairs.collect()
}

#[test]
fn a_million_short_lines_are_passed_over_and_calls_among_them_are_answered() {
    let codes = borne("a million lines", |run, turn| {
        let noise = [
            &b"x\n"[..],
            b"\n",
            b"\0\0\n",
            b"\xff\xfe \xc3\n",
            b"FUNCTION\n",
        ];
        let many = noise.concat().repeat(1000);
        for number in 0..100 {
            run.send(&many).unwrap();
            let call = format!("FUNCTION within{turn}-{number} 10 nothing 0x8 me");
            run.send_line(&call).unwrap();
        }
    });
    assert_eq!(codes.len(), 200);
    assert!(codes.values().all(|code| code == "404"), "{codes:?}");
}

/// Calls faster than anybody answers: what is too many is refused, or passed over.
#[test]
fn a_flood_of_calls_costs_no_collection() {
    let codes = borne("calls", |run, turn| {
        let call = |number| format!("FUNCTION n{turn}-{number} 10 nothing 0x8 me\n");
        let all: String = (0..50_000).map(call).collect();
        run.send(all.as_bytes()).unwrap();
        let mut again = 0;
        eventually(SOON, "calls are taken again", || {
            again += 1;
            let id = format!("n{turn}-again{again}");
            let call = format!("FUNCTION {id} 10 nothing 0x8 me");
            run.send_line(&call).unwrap();
            // Of those that nobody could take in the meantime some have no answer at all.
            run.wait_for(Duration::from_secs(1), |c| c.answer(&id).is_some());
            let code = run.with_checker(|c| c.answer(&id).map(|answer| answer.code.clone()));
            code.as_deref() == Some("404")
        });
    });
    assert!(codes.len() > 1000, "{}", codes.len());
    let known = |code: &String| code == "404" || code == "503";
    assert!(codes.values().all(known), "{codes:?}");
}

#[test]
fn a_line_without_an_end_is_passed_over() {
    let codes = borne("a line without an end", |run, _| {
        run.send(&vec![b'x'; HUGE]).unwrap();
    });
    assert!(codes.is_empty(), "{codes:?}");
}

#[test]
fn a_payload_that_is_too_long_is_refused_at_once_and_passed_over() {
    let piece = format!("{}\n", "x".repeat(9_999));
    let in_lines = borne("a payload in lines", |run, turn| {
        let what = "\"config redis-frag:redis test x\" 0x8 me application/json";
        let head = format!("FUNCTION_PAYLOAD long{turn} 10 {what}");
        run.send_line(&head).unwrap();
        for _ in 0..HUGE / piece.len() {
            run.send(piece.as_bytes()).unwrap();
        }
        // Before its end: nothing is gained by waiting.
        answer(run, &format!("long{turn}"));
        run.send_line("FUNCTION_PAYLOAD_END").unwrap();
    });
    assert_eq!(in_lines, all(&["long0", "long1"], "413"));
    let in_one = borne("a payload in one line", |run, turn| {
        let what = "redis-frag:diagnosis 0x8 me text/plain";
        let head = format!("FUNCTION_PAYLOAD long{turn} 10 {what}");
        run.send_line(&head).unwrap();
        run.send(&vec![b'x'; HUGE]).unwrap();
        run.send_line("\nFUNCTION_PAYLOAD_END").unwrap();
    });
    assert_eq!(in_one, all(&["long0", "long1"], "413"));
}

#[test]
fn a_payload_that_never_ends_is_given_up_at_the_next_request() {
    let codes = borne("a payload without an end", |run, turn| {
        let what = "redis-frag:diagnosis 0x8 me text/plain";
        let head = format!("FUNCTION_PAYLOAD open{turn} 10 {what}");
        run.send_line(&head).unwrap();
        for _ in 0..50 {
            run.send_line(&"x".repeat(10_000)).unwrap();
        }
    });
    assert_eq!(codes, all(&["open0", "open1"], "400"));
}

#[test]
fn what_is_no_text_is_answered_too() {
    let codes = borne("no text", |run, turn| {
        let what = "redis-frag:diagnosis 0x8 me x/y";
        let mut bytes = format!("FUNCTION_PAYLOAD odd{turn} 10 {what}\n").into_bytes();
        bytes.extend(b"{\0\xff\xfe\xc3\n\0\0\0\nFUNCTION_PAYLOAD_END\n");
        bytes.extend(b"FUNCTION id\xff\xc3\0");
        bytes.extend(format!("{turn} 10 redis-frag:diagnosis 0x8 me\n").bytes());
        bytes.extend(format!("FUNCTION arg{turn} 10 ").bytes());
        bytes.extend(b"\"redis-frag:diagnosis instance:\xff\0\x1b[2J\" 0x8 \xff\n");
        run.send(&bytes).unwrap();
        answer(run, &format!("arg{turn}"));
    });
    // No answer can name a call by an id that is no text.
    let mut want = all(&["odd0", "odd1"], "400");
    want.extend(all(&["arg0", "arg1"], "404"));
    assert_eq!(codes, want);
}

/// In the middle of a payload, of a line, of a character: the call is told, and the
/// plugin ends.
#[test]
fn input_that_is_cut_off_ends_it_clean() {
    let fake = Fake::start(FRAGMENTED, &[]);
    let head = "FUNCTION_PAYLOAD cut 10 redis-frag:diagnosis 0x8 me text/plain";
    let rests: [&[u8]; 5] = [
        b"\n{\"half\":\n",
        b"\n{\"half",
        b"\n{\"h\xc3",
        b"",
        b"\nFUNCTION_PAYLOAD_EN",
    ];
    let mut runs = rests.map(|_| watching(&fake));
    for (run, rest) in runs.iter_mut().zip(rests) {
        run.send(head.as_bytes()).unwrap();
        run.send(rest).unwrap();
        run.close_stdin();
        let (status, took) = run.wait_exit(SOON).expect("it did not end");
        assert!(status.success(), "{status}");
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(codes(run), all(&["cut"], "400"), "{rest:?}");
        run.with_checker(Checker::assert_clean);
    }
}
