//! The functions of the running plugin: what is asked over its standard input is
//! answered once each, well formed, soon, and holds up no collection.
//!
//! Drives the binary alone, but for the properties of the reader of requests.

mod agents;
mod properties;
mod sizes;
mod tables;

use std::time::{Duration, Instant};

use crate::plugin::{SOON, blocks, jobs, plugin};
use crate::support::answers::{Form, assert_answered_once, assert_form};
use crate::support::{AnswerSeen, Checker, Fake, Kind, PluginRun, Server};
pub use crate::watching::FRAGMENTED;

/// How soon a call is answered, whatever the instances do.
pub const AT_ONCE: Duration = Duration::from_millis(100);

/// What the recorded agent wrote.
const RECORDED: &str = include_str!("fixtures/agent/netdata-2.10.0.stdin.txt");

/// Calls a function and waits for its answer: the answer, and how long it took.
pub fn call(run: &mut PluginRun, id: &str, function: &str) -> (AnswerSeen, Duration) {
    let start = Instant::now();
    run.send_line(&format!("FUNCTION {id} 10 \"{function}\" \"0x8\" \"\""))
        .unwrap();
    let answer = answer(run, id);
    (answer, start.elapsed())
}

/// Waits for the answer to a call.
#[track_caller]
pub fn answer(run: &PluginRun, id: &str) -> AnswerSeen {
    run.expect(SOON, &format!("the answer to {id}"), |c| {
        c.answer(id).is_some()
    });
    run.with_checker(|c| c.answer(id).unwrap().clone())
}

/// The ids of the calls among these lines, and what each calls.
fn calls(lines: &str) -> Vec<(String, String)> {
    let call = |line: &str| {
        let begins = line.starts_with("FUNCTION ") || line.starts_with("FUNCTION_PAYLOAD ");
        let id = line.split(' ').nth(1).filter(|_| begins)?;
        Some((id.to_owned(), line.split('"').nth(1)?.to_owned()))
    };
    lines.lines().filter_map(call).collect()
}

#[test]
fn what_a_real_agent_asked_is_answered_once_and_at_once() {
    let server = Server::start(Kind::Redis82);
    let mut run = plugin(&jobs(&[("local", &server.unix_address())]))
        .version("v2.10.0")
        .start();
    run.expect(SOON, "values", |c| blocks(c, "local", "ratio") > 0);
    let mut took = Vec::new();
    for line in RECORDED.lines().filter(|line| *line != "QUIT") {
        run.send_line(line).unwrap();
        let begins = calls(line).pop();
        let id = match &begins {
            Some((id, _)) if !line.starts_with("FUNCTION_PAYLOAD") => id.clone(),
            _ if line == "FUNCTION_PAYLOAD_END" => took_next(&run),
            _ => continue,
        };
        let start = Instant::now();
        answer(&run, &id);
        if !is_config(&id) {
            took.push(start.elapsed());
        }
    }
    let late = took.iter().filter(|took| **took > AT_ONCE).count();
    assert!(late <= 1, "a busy machine may cost one: {took:?}");
    let ids: Vec<String> = calls(RECORDED).into_iter().map(|(id, _)| id).collect();
    run.with_checker(|checker| {
        assert_answered_once(checker, &ids);
        for (id, function) in calls(RECORDED) {
            let answer = checker.answer(&id).unwrap();
            let (code, form) = match function.as_str() {
                "redis-frag:diagnosis info" => ("200", Form::Info),
                "redis-frag:diagnosis" => ("200", Form::Table),
                // Dynamic configuration has its own tests, and its own time.
                _ => continue,
            };
            assert_eq!(answer.code, code, "{function}: {}", answer.body);
            assert_form(form, &answer.code, &answer.body);
        }
        checker.assert_clean();
    });
    run.send_line("QUIT").unwrap();
    let (status, took) = run.wait_exit(SOON).unwrap();
    assert!(
        status.success() && took < Duration::from_secs(1),
        "{took:?}"
    );
}

/// Whether a recorded call is of dynamic configuration.
fn is_config(id: &str) -> bool {
    let calls = calls(RECORDED);
    let mut of_it = calls.iter().filter(|(call, _)| call == id);
    of_it.any(|(_, function)| function.starts_with("config "))
}

/// The id of the only call that has a payload and no answer yet.
fn took_next(run: &PluginRun) -> String {
    let answered = |id: &str| run.with_checker(|c| c.answer(id).is_some());
    let lines = RECORDED
        .lines()
        .filter(|l| l.starts_with("FUNCTION_PAYLOAD "));
    let mut ids = lines.filter_map(|line| calls(line).pop());
    ids.find(|(id, _)| !answered(id)).unwrap().0
}

#[test]
fn the_same_in_one_piece_and_up_to_the_end() {
    let fake = Fake::start(FRAGMENTED, &[]);
    let mut run = plugin(&jobs(&[("local", &fake.unix_address())]))
        .version("v2.10.0")
        .start();
    run.expect(SOON, "values", |c| blocks(c, "local", "ratio") > 0);
    run.send_line(RECORDED.trim_end()).unwrap();
    assert!(run.wait_exit(SOON).unwrap().0.success());
    let ids: Vec<String> = calls(RECORDED).into_iter().map(|(id, _)| id).collect();
    run.with_checker(|checker| {
        // Some of them may have met the end: that is an answer too.
        assert_answered_once(checker, &ids);
        for seen in checker.answers() {
            assert!(
                ["200", "202", "404", "422", "503"].contains(&seen.code.as_str()),
                "{seen:?}"
            );
        }
        checker.assert_clean();
    });
}

#[test]
fn what_nobody_should_send_costs_nothing() {
    let fake = Fake::start(FRAGMENTED, &[]);
    let mut run = plugin(&jobs(&[("one", &fake.unix_address())]))
        .version("v2.10.0")
        .start();
    run.expect(SOON, "values", |c| blocks(c, "one", "ratio") > 0);
    let long = "x".repeat(200_000);
    let diagnosis = "redis-frag:diagnosis";
    let lines = [
        (format!("FUNCTION {long} 10 \"{diagnosis}\""), None),
        (
            format!("FUNCTION a1 10 \"{diagnosis} {long}\""),
            Some("400"),
        ),
        ("FUNCTION".to_owned(), None),
        ("FUNCTION a2".to_owned(), Some("400")),
        ("FUNCTION a3 10 \"never ended".to_owned(), Some("404")),
        (format!("FUNCTION a4 -7 '{diagnosis}'"), Some("200")),
        (format!("FUNCTION a5 10 {diagnosis}"), Some("200")),
        (
            format!("FUNCTION a6 10 \"{diagnosis} instance:nobody\""),
            Some("404"),
        ),
        (
            format!("FUNCTION a7 10 \"{diagnosis} nonsense\""),
            Some("400"),
        ),
        (
            format!("FUNCTION_PAYLOAD a8 10 \"{diagnosis}\"\n{{\nFUNCTION_PAYLOAD_END"),
            Some("400"),
        ),
        (
            format!(
                "FUNCTION_PAYLOAD a9 10 \"{diagnosis}\"\n{}\nFUNCTION_PAYLOAD_END",
                format!("{long}\n").repeat(20)
            ),
            Some("413"),
        ),
        (
            format!("FUNCTION_PAYLOAD b1 10 \"{diagnosis}\"\n{{"),
            Some("400"),
        ),
        (
            "FUNCTION_CANCEL b1\nFUNCTION_CANCEL\nFUNCTION_PROGRESS b1\nFUNCTION_PAYLOAD_END"
                .into(),
            None,
        ),
        ("\u{0}\u{1}\u{2}".to_owned(), None),
        (
            "FUNCTION_RESULT_BEGIN x 200 text/plain 0\nBEGIN 'x'".to_owned(),
            None,
        ),
        ("FUNCTION 'a b' 10 nothing".to_owned(), Some("404")),
    ];
    for (line, _) in &lines {
        run.send_line(line).unwrap();
    }
    let (last, _) = call(&mut run, "z9", diagnosis);
    assert_eq!(last.code, "200");
    run.with_checker(|checker| {
        for (line, code) in &lines {
            let Some(code) = code else { continue };
            let id = calls(line)
                .pop()
                .map_or_else(|| line.split(' ').nth(1).unwrap().to_owned(), |(id, _)| id);
            let id = if line.contains("'a b'") { "a b" } else { &id };
            let got = checker.answer(id).map(|answer| answer.code.as_str());
            assert_eq!(got, Some(*code), "{line:.60}");
        }
        checker.assert_clean();
    });
}

#[test]
fn an_instance_that_hangs_is_told_at_once_with_its_age() {
    let server = Server::start(Kind::Redis70);
    let fake = Fake::start(FRAGMENTED, &[]);
    let addresses = [
        ("hangs", server.tcp_address()),
        ("other", fake.unix_address()),
    ];
    let mut run = plugin(&jobs(&addresses.each_ref().map(|(n, a)| (*n, a.as_str())))).start();
    run.expect(SOON, "values", |c| {
        blocks(c, "hangs", "ratio") > 1 && blocks(c, "other", "ratio") > 1
    });
    server.pause();
    run.expect(SOON, "down for a while", |c| {
        c.values("redis_frag_hangs.status", "down")
            .iter()
            .sum::<i64>()
            >= 4
    });
    let (answer, took) = call(&mut run, "h1", "redis-frag:diagnosis");
    assert!(took <= AT_ONCE, "{took:?}");
    assert_form(Form::Table, &answer.code, &answer.body);
    let cell = |row: &str, column: &str| tables::cell(&answer.body, row, column);
    assert_eq!(cell("hangs", "status"), "down");
    assert_eq!(cell("other", "status"), "up");
    let age = cell("hangs", "age").as_u64().unwrap();
    assert!((3..20).contains(&age), "{age}");
    assert!(cell("other", "age").as_u64().unwrap() <= 2);
    assert!(
        cell("hangs", "used").as_f64().unwrap() > 0.5,
        "what was known stays"
    );
    server.resume();
    run.with_checker(Checker::assert_clean);
}
