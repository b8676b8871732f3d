//! What servers, names, labels and virtual nodes say, on its way through the running
//! plugin: charts, labels, functions, dynamic configuration and the log.

use std::os::unix::fs::symlink;
use std::path::Path;

use redis_frag::config::file;
use serde_json::{Value, json};

use super::{assert_tame, bulk, info, is_strange, quoted, words};
use crate::functions::answer;
use crate::support::answers::{Form, assert_form};
use crate::support::{Fake, PluginRun, process};
use crate::watching::{SOON, blocks, is_down, plugin};

/// The longest line that an agent of any version takes whole.
const LONGEST_LINE: usize = 15_000;

/// A little more than the plugin's own bound, for the time and the level before it.
const LONGEST_LOG: usize = 2_100;

/// Says this word in whatever it is asked, where texts can stand.
fn saying(word: &[u8]) -> Fake {
    let word = word.to_vec();
    Fake::answering(move |asked| {
        match asked
            .first()
            .map(|name| name.to_ascii_uppercase())
            .as_deref()
        {
            Some("INFO") => bulk(&info(&word)),
            Some("CONFIG") => {
                let pair = [
                    bulk(b"activedefrag"),
                    bulk(&word),
                    bulk(&word),
                    bulk(b"yes"),
                ];
                [b"*4\r\n", &*pair.concat()].concat()
            }
            Some("MEMORY") => {
                let report = include_bytes!("../fixtures/malloc-stats/redis-8.2.3-je530.txt");
                bulk(&[&word, &b"\n"[..], report, b"\n", &word].concat())
            }
            _ => [b"-ERR ", &*on_one_line(&word), b"\r\n"].concat(),
        }
    })
}

/// Refuses whatever it is asked with this word.
fn refusing(word: &[u8]) -> Fake {
    let word = on_one_line(word);
    Fake::answering(move |_| [b"-", &*word, b" ", &*word, b"\r\n"].concat())
}

/// An error of RESP2 ends at the first line end.
fn on_one_line(word: &[u8]) -> Vec<u8> {
    let word = word.iter().filter(|byte| !b"\r\n".contains(byte));
    word.copied().collect()
}

fn text(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

/// So much of it as fits into a key of YAML.
fn short(word: &[u8]) -> String {
    text(word).chars().take(90).collect()
}

/// The name that a job of this name has in ids.
fn id(name: &str) -> String {
    let keep = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    name.trim().chars().take(100).map(keep).collect()
}

/// The address of a fake by a path with this word in it.
fn odd_address(folder: &Path, fake: &Fake, word: &str) -> String {
    let name: String = word
        .chars()
        .filter(|c| !"/\0".contains(*c))
        .take(12)
        .collect();
    let link = folder.join(&name);
    let socket = fake.unix_address();
    symlink(socket.trim_start_matches("unix://"), &link).unwrap();
    let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
    format!("unix://{}/{encoded}", folder.display())
}

/// All texts in a value.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(members) => {
            for (name, member) in members {
                found.push(name.clone());
                texts(member, found);
            }
        }
        _ => {}
    }
}

#[track_caller]
fn assert_answer(what: &str, body: &str, longest: usize) -> Value {
    assert!(body.lines().all(|line| line.len() < LONGEST_LINE), "{what}");
    let value: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{what}: {e}: {body}"));
    let mut found = Vec::new();
    texts(&value, &mut found);
    for text in found {
        let strange = text.chars().find(|c| is_strange(*c));
        assert_eq!(strange, None, "{what}: {text:?}");
        assert!(text.chars().count() <= longest, "{what}: {text:.200}");
    }
    value
}

/// Calls and waits: code and body.
fn call(run: &mut PluginRun, id: &str, function: &str) -> (String, String) {
    let line = format!("FUNCTION {id} 10 \"{function}\" \"0x7ff\" \"user=me\"");
    run.send_line(&line).unwrap();
    let answer = answer(run, id);
    (answer.code, answer.body)
}

#[test]
fn whatever_is_said_stays_text_wherever_it_comes_out() {
    let folder = process::short_dir();
    let (mut config, mut vnodes) = ("discovery: {local: no}\njobs:\n".to_owned(), String::new());
    let (mut fakes, mut told, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (key, word)) in words().into_iter().enumerate() {
        let (fake, silent, text) = (saying(&word), refusing(&word), text(&word));
        let name = format!("{key}-{text}");
        let address = odd_address(folder.path(), &fake, &text);
        // To the checker, the replacement character is what it read in place of bad bytes.
        let hostname = quoted(&format!("{key} {text}").replace('\u{fffd}', "?"));
        let word = quoted(&short(&word));
        let yaml = quoted(&name);
        config += &format!(
            "- name: {yaml}\n  address: {}\n  labels: {{{word}: {word}, role: {word}}}\n",
            quoted(&address)
        );
        // Half of them are of other machines, which agents see under names of their own.
        if number % 2 == 0 {
            config += &format!("  vnode: {hostname}\n");
        }
        config += &format!("- name: no-{key}\n  address: {}\n", silent.unix_address());
        vnodes += &format!(
            "- hostname: {hostname}\n  guid: 4ea21e84-93b4-418b-b83e-79397610cd{number:02x}\n  \
             labels: {{{word}: {word}}}\n"
        );
        told.push(id(&name));
        refused.push(format!("no-{key}"));
        fakes.extend([fake, silent]);
    }
    let mut run = plugin(&config)
        .version("v2.10.0")
        .arg("--debug")
        .user_file("vnodes/nodes.conf", &vnodes)
        .start();
    for (number, name) in told.iter().chain(&refused).enumerate() {
        let created = format!("redis-frag:redis:{name}");
        run.expect(SOON, &created, |c| c.config(&created).is_some());
        let line = format!("FUNCTION e{number} 10 \"config {created} enable\" \"0x7ff\" \"\"");
        run.send_line(&line).unwrap();
    }
    for name in &told {
        run.expect(SOON, name, |c| blocks(c, name, "ratio") > 1);
    }
    for name in &refused {
        run.expect(SOON, name, |c| is_down(c, name));
    }
    functions(&mut run, &told);
    asked_for_what_is_not(&mut run);
    run.send_line("QUIT").unwrap();
    let (status, _) = run.wait_exit(SOON).unwrap();
    assert!(status.success());
    run.with_checker(|checker| {
        checker.assert_clean();
        assert_eq!(checker.count("DISABLE"), 0);
        assert!(checker.count("HOST_DEFINE") >= told.len() / 2);
        let odd = |chart: &&str| !chart.starts_with("redis_frag_");
        assert_eq!(checker.charts().into_iter().find(odd), None);
        for id in checker.charts() {
            for (name, value) in &checker.chart(id).unwrap().labels {
                assert!(name.len() <= 200 && value.len() <= 200, "{id}: {name}");
            }
        }
    });
    let log = run.stderr();
    assert_tame("the log", &log, LONGEST_LOG);
    for name in &refused {
        assert!(log.contains(&format!("job {name}: ")), "{name}: {log}");
    }
    for (_, line) in run.lines() {
        assert!(line.len() < LONGEST_LINE, "{line:.200}");
        assert_tame("the protocol", &line, LONGEST_LINE);
    }
}

/// A form that is to be pasted into a file says the same there.
fn as_a_file(run: &mut PluginRun, id: &str, word: &str) {
    let form = json!({ "address": "/nowhere/s", "labels": { "role": word } });
    let call = format!("{id} 10 \"config redis-frag:redis userconfig x\" \"0x7ff\" \"user=me\"");
    let payload = format!("{form}\nFUNCTION_PAYLOAD_END");
    let lines = format!("FUNCTION_PAYLOAD {call} \"application/json\"\n{payload}");
    run.send_line(&lines).unwrap();
    let shown = answer(run, id);
    assert_eq!(shown.code, "200", "{}", shown.body);
    assert_tame("a file", &shown.body, 2_000);
    let parsed = file::parse(&shown.body, &[]);
    assert_eq!(parsed.problems, [], "{}", shown.body);
    assert_eq!(parsed.jobs[0].labels["role"], word, "{}", shown.body);
}

fn functions(run: &mut PluginRun, names: &[String]) {
    let (code, body) = call(run, "all", "redis-frag:diagnosis");
    assert_form(Form::Table, &code, &body);
    let all = assert_answer("all", &body, 600);
    // To a table of strings, markup is text: no column says that it is anything else.
    assert!(
        body.contains("jemalloc-<script>alert(1)</script>"),
        "{body}"
    );
    let columns = all["columns"].as_object().unwrap();
    for (name, column) in columns {
        for key in ["type", "visualization"] {
            let kind = column[key].as_str().unwrap();
            assert!(
                !["feedTemplate", "richValue", "detail-string"].contains(&kind),
                "{name}"
            );
        }
        assert_ne!(column["value_options"]["transform"], "xml", "{name}");
    }
    for (number, name) in names.iter().enumerate() {
        for function in ["diagnosis", "size-classes"] {
            let id = format!("{function}{number}");
            let about = format!("redis-frag:{function} instance:{name}");
            let (code, body) = call(run, &id, &about);
            // What is not UTF-8 is no report of an allocator.
            let told = function == "diagnosis" || !name.starts_with("bytes");
            let form = if told { Form::Table } else { Form::Error };
            assert_form(form, &code, &body);
            assert_answer(&about, &body, 2_000);
        }
        // What a form has must come back from it as it is.
        let about = format!("config redis-frag:redis:{name} get");
        let (code, body) = call(run, &format!("get{number}"), &about);
        assert_eq!(code, "200", "{body}");
        let form: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(form["labels"]["role"], short(&words()[number].1), "{body}");
    }
}

/// Names and payloads of the agent's own making.
fn asked_for_what_is_not(run: &mut PluginRun) {
    for (number, (key, word)) in words().into_iter().enumerate() {
        let word: String = text(&word).replace(['\r', '\n', '"', '\''], " ");
        for (place, about) in [
            format!("redis-frag:diagnosis instance:{word}"),
            format!("redis-frag:size-classes {word}"),
            format!("redis-frag:{word}"),
            format!("config redis-frag:redis:{word} get"),
            format!("config {word} {word} {word}"),
        ]
        .into_iter()
        .enumerate()
        {
            let (code, body) = call(run, &format!("n{number}-{place}"), &about);
            assert!(code.starts_with(['4', '5']), "{key}: {code} {body}");
            assert_answer(&about, &body, 2_000);
        }
        let value = serde_json::to_string(&word).unwrap();
        let form = format!("{{\"address\":{value},\"labels\":{{{value}:{value}}},{value}:1}}");
        let id = format!("p{number}");
        let call = format!("{id} 10 \"config redis-frag:redis test x\" \"0x7ff\" \"user=me\"");
        let payload = format!("{form}\nFUNCTION_PAYLOAD_END");
        let lines = format!("FUNCTION_PAYLOAD {call} \"application/json\"\n{payload}");
        run.send_line(&lines).unwrap();
        let tried = answer(run, &id);
        assert!(tried.code.starts_with('4'), "{key}: {}", tried.body);
        assert_answer(key, &tried.body, 2_000);
        as_a_file(run, &format!("u{number}"), &short(word.as_bytes()));
    }
}
