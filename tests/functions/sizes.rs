//! `redis-frag:size-classes` and its chart on real servers: what they show is the
//! server's own, and the server is asked rarely.

use std::time::Duration;

use serde_json::Value;

use super::tables::cell;
use super::{answer, call};
use crate::plugin::{SOON, blocks, jobs, plugin};
use crate::support::answers::{Form, assert_form};
use crate::support::{Checker, Kind, Server, eventually};

const CALL: &str = "redis-frag:size-classes instance:a";

fn fragmented(kind: Kind) -> Server {
    let server = Server::start(kind);
    server.fill(60_000_000);
    server.delete_random(70);
    // INFO's allocator figures are of the last cron (server.c, 100 ms): until they know
    // of the deletes, they cannot agree with what the allocator says now.
    eventually(SOON, "INFO knows of the deletes", || {
        let apart = server.info_number("allocator_allocated") - server.info_number("used_memory");
        apart.abs() < 4_000_000.0
    });
    server
}

/// How often MEMORY MALLOC-STATS was answered.
fn asked(server: &Server) -> u64 {
    let info = server.info();
    let mut lines = info.lines();
    // 6.2 counts all MEMORY commands as one.
    let line = lines.find_map(|line| {
        line.strip_prefix("cmdstat_memory|malloc-stats:calls=")
            .or(line.strip_prefix("cmdstat_memory:calls="))
    });
    line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}

/// The cells of a column, of rows of one part.
fn cells(body: &str, part: &str, column: &str) -> Vec<Value> {
    let answer: Value = serde_json::from_str(body).unwrap();
    let index = |id: &str| {
        let index = answer["columns"][id]["index"].as_u64();
        usize::try_from(index.unwrap()).unwrap()
    };
    let rows = answer["data"].as_array().unwrap().iter();
    let rows = rows.filter(|row| row[index("part")] == part);
    rows.map(|row| row[index(column)].clone()).collect()
}

#[test]
fn the_classes_add_up_to_what_info_says_and_are_asked_for_once() {
    for kind in [Kind::Redis62, Kind::Redis70, Kind::Redis82] {
        let server = fragmented(kind);
        let mut run = plugin(&jobs(&[("a", &server.unix_address())])).start();
        run.expect(SOON, "values", |c| blocks(c, "a", "ratio") > 0);
        assert_eq!(asked(&server), 0, "not before somebody asks");
        let (first, _) = call(&mut run, "s1", CALL);
        assert_form(Form::Table, &first.code, &first.body);
        let wasted = cells(&first.body, "class", "wasted");
        assert!(wasted.len() > 10, "{wasted:?}");
        let wasted: Vec<f64> = wasted.iter().map(|cell| cell.as_f64().unwrap()).collect();
        assert!(
            wasted.is_sorted_by(|a, b| a >= b),
            "the worst first: {wasted:?}"
        );
        let sum = wasted.iter().sum::<f64>() * 1_048_576.0;
        // Cells are rounded to a thousandth of a MiB; before 7.4 INFO counts more. Its figures
        // are of the server's last tick, which may come late on a busy machine.
        eventually(SOON, &format!("{}: {sum} in INFO", kind.name()), || {
            let told = server.info_number("allocator_frag_bytes");
            let apart = if kind == Kind::Redis82 {
                60_000.0
            } else {
                0.05 * told
            };
            (sum - told).abs() <= apart
        });
        let allocated = cell(&first.body, "allocated", "bytes").as_f64().unwrap();
        let told = server.info_number("allocator_allocated") / 1_048_576.0;
        assert!((allocated - told).abs() < 2.0, "{allocated} of {told}");
        for number in 0..20 {
            run.send_line(&format!("FUNCTION m{number} 10 \"{CALL}\""))
                .unwrap();
        }
        let later = answer(&run, "m19");
        assert_eq!(asked(&server), 1, "{}", kind.name());
        assert_eq!(
            cells(&later.body, "class", "wasted"),
            cells(&first.body, "class", "wasted")
        );
        std::thread::sleep(Duration::from_millis(2100));
        let (old, _) = call(&mut run, "s2", CALL);
        let age = cell(&old.body, "allocated", "age").as_u64().unwrap();
        assert!((2..10).contains(&age), "its age is told: {age}");
        assert_eq!(asked(&server), 1, "{}", kind.name());
        run.with_checker(Checker::assert_clean);
    }
}

#[test]
fn who_cannot_or_may_not_be_asked_is_told_of() {
    let libc = Server::start(Kind::Valkey91);
    let closed = Server::start(Kind::Redis70);
    let config = format!(
        "jobs:\n  - name: a\n    address: {}\n  - name: off\n    address: {}\n    size_classes: no\n",
        libc.unix_address(),
        closed.unix_address()
    );
    let mut run = plugin(&config).start();
    run.expect(SOON, "values", |c| {
        blocks(c, "a", "ratio") > 0 && blocks(c, "off", "ratio") > 0
    });
    for (id, call_of, code, words) in [
        ("u1", CALL, "422", "only jemalloc tells"),
        (
            "u2",
            "redis-frag:size-classes instance:off",
            "403",
            "size_classes: no",
        ),
        (
            "u3",
            "redis-frag:size-classes instance:nobody",
            "404",
            "no instance",
        ),
        ("u4", "redis-frag:size-classes", "400", "instance:NAME"),
    ] {
        let (answer, _) = call(&mut run, id, call_of);
        assert_eq!(answer.code, code, "{}", answer.body);
        assert_form(Form::Error, &answer.code, &answer.body);
        assert!(answer.body.contains(words), "{}", answer.body);
    }
    assert_eq!((asked(&libc), asked(&closed)), (0, 0));
}

#[test]
fn the_chart_has_the_ten_worst_for_those_who_want_it() {
    let server = fragmented(Kind::Redis82);
    let address = server.unix_address();
    let config = jobs(&[("without", &address), ("with", &address)]) + "  malloc_stats_every: 10\n";
    let run = plugin(&config).start();
    run.expect(SOON, "the chart", |c| {
        blocks(c, "with", "size_class_waste") > 3
    });
    run.with_checker(|checker| {
        let chart = checker.chart("redis_frag_with.size_class_waste").unwrap();
        assert_eq!(chart.dimensions.len(), 10);
        let named = |dimension: &&crate::support::DimensionSeen| dimension.id.starts_with("class_");
        assert_eq!(chart.dimensions.iter().filter(named).count(), 10);
        assert_eq!(blocks(checker, "without", "size_class_waste"), 0);
        // The build comes with it: a server's own jemalloc, switched off.
        let state = checker.chart("redis_frag_with.defrag_state").unwrap();
        assert!(state.dimensions.iter().any(|d| d.id == "off"));
        checker.assert_clean();
    });
    assert_eq!(asked(&server), 1);
    eventually(Duration::from_secs(15), "the next reading", || {
        asked(&server) == 2
    });
}
