//! What stands in the tables, against what the instance says.

use serde_json::Value;

use super::{FRAGMENTED, call};
use crate::plugin::{SOON, blocks, jobs, plugin};
use crate::support::answers::{Form, assert_form};
use crate::support::{Checker, Fake};

/// A cell by its row's key and its column's id.
#[track_caller]
pub fn cell(body: &str, row: &str, column: &str) -> Value {
    let answer: Value = serde_json::from_str(body).unwrap();
    let columns = answer["columns"].as_object().unwrap();
    let key = columns.values().find(|c| c["unique_key"] == true).unwrap();
    let index = |column: &Value| usize::try_from(column["index"].as_u64().unwrap()).unwrap();
    let rows = answer["data"].as_array().unwrap();
    let row = rows.iter().find(|cells| cells[index(key)] == row).unwrap();
    row[index(&columns[column])].clone()
}

const SMALL: &str = "redis_version:8.2.3\r\nmem_allocator:jemalloc-5.3.0\r\nused_memory:1000000\r\n\
    used_memory_rss:9000000\r\nmem_fragmentation_ratio:9.00\r\nmem_fragmentation_bytes:8000000\r\n";

#[test]
fn each_instance_is_a_row_with_verdict_waste_and_remedy() {
    let (bad, small) = (
        Fake::start(FRAGMENTED, &[("activedefrag", "no")]),
        Fake::start(SMALL, &[]),
    );
    let config = jobs(&[
        ("small", &small.unix_address()),
        ("bad", &bad.unix_address()),
        ("gone", "unix:///nowhere/s"),
    ]);
    let mut run = plugin(&config).start();
    run.expect(SOON, "values", |c| {
        blocks(c, "bad", "ratio") > 1 && blocks(c, "small", "ratio") > 1
    });
    let (answer, _) = call(&mut run, "t1", "redis-frag:diagnosis");
    assert_form(Form::Table, &answer.code, &answer.body);
    let is = |row: &str, column: &str, want: Value| {
        assert_eq!(cell(&answer.body, row, column), want, "{row} {column}");
    };
    is("bad", "verdict", "fragmented".into());
    is("bad", "severity", "warning".into());
    is("bad", "waste", 314.713.into());
    is("bad", "fragmented", 286.102.into());
    is("bad", "ratio", 2.65.into());
    is("bad", "defrag", "off".into());
    is("bad", "remedy", "active defrag".into());
    let client = format!("redis-cli -s {}", &bad.unix_address()["unix://".len()..]);
    is(
        "bad",
        "remedy_command",
        format!("{client} CONFIG SET activedefrag yes").into(),
    );
    assert!(cell(&answer.body, "bad", "remedy_bytes").as_f64().unwrap() > 200.0);
    is("bad", "swap", Value::Null);
    is("small", "verdict", "small".into());
    is("small", "remedy", Value::Null);
    is("gone", "status", "never reached".into());
    is("gone", "waste", Value::Null);
    is("gone", "age", Value::Null);
    let all: Value = serde_json::from_str(&answer.body).unwrap();
    let colours: Vec<&Value> = all["data"].as_array().unwrap().iter().collect();
    let colours: Vec<&str> = colours
        .iter()
        .map(|row| {
            let last = row.as_array().unwrap().last().unwrap();
            last["rowOptions"]["severity"].as_str().unwrap()
        })
        .collect();
    assert_eq!(colours, ["error", "warning", "normal"], "worst first");

    let (info, _) = call(&mut run, "t2", "redis-frag:diagnosis info");
    assert_form(Form::Info, &info.code, &info.body);
    let info: Value = serde_json::from_str(&info.body).unwrap();
    let options = info["required_params"][0]["options"].as_array().unwrap();
    let ids: Vec<&str> = options.iter().map(|o| o["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["*", "bad", "gone", "small"]);

    let (one, _) = call(&mut run, "t3", "redis-frag:diagnosis instance:bad");
    assert_form(Form::Table, &one.code, &one.body);
    let one: Value = serde_json::from_str(&one.body).unwrap();
    let parts: Vec<&str> = one["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[1].as_str().unwrap())
        .collect();
    let mut seen = parts.clone();
    seen.dedup();
    assert_eq!(seen[..4], ["verdict", "data", "evidence", "ruled out"]);
    assert!(
        parts.contains(&"advice") && parts.contains(&"active defrag"),
        "{parts:?}"
    );
    let (gone, _) = call(&mut run, "t4", "redis-frag:diagnosis instance:gone");
    assert_form(Form::Table, &gone.code, &gone.body);
    run.with_checker(Checker::assert_clean);
}

#[test]
fn a_verdict_says_since_when_it_holds() {
    let fake = Fake::start(SMALL, &[]);
    let mut run = plugin(&jobs(&[("one", &fake.unix_address())])).start();
    run.expect(SOON, "values", |c| blocks(c, "one", "ratio") > 2);
    let (before, _) = call(&mut run, "s1", "redis-frag:diagnosis");
    fake.set_info(FRAGMENTED);
    let count = run.with_checker(|c| blocks(c, "one", "ratio"));
    run.expect(SOON, "more values", |c| {
        blocks(c, "one", "ratio") > count + 2
    });
    let (after, _) = call(&mut run, "s2", "redis-frag:diagnosis");
    let since = |body: &str| cell(body, "one", "since").as_u64().unwrap();
    let (first, second) = (since(&before.body), since(&after.body));
    assert!(
        (1000..20_000).contains(&(second - first)),
        "{first} {second}"
    );
}

/// A server behind a password: nothing of it comes out, whatever is asked.
#[test]
fn no_secret_is_told() {
    let fake = Fake::start(FRAGMENTED, &[]);
    let config = format!(
        "jobs:\n- name: one\n  address: {}\n  username: u5er\n  password: hunter2secret\n",
        fake.unix_address()
    );
    let mut run = plugin(&config).start();
    run.expect(SOON, "something", |c| blocks(c, "one", "status") > 0);
    for (id, about) in [("p1", ""), ("p2", " info"), ("p3", " instance:one")] {
        let (answer, _) = call(&mut run, id, &format!("redis-frag:diagnosis{about}"));
        assert_eq!(answer.code, "200");
        assert!(!answer.body.contains("hunter2secret"), "{}", answer.body);
    }
}
