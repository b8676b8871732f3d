//! `charts:`: what is not wanted is not told to the agent, and nothing else is missing.

use std::collections::BTreeSet;

use super::{SOON, blocks, charts_of, jobs, plugin};
use crate::functions::call;
use crate::support::{Checker, Kind, Server};

/// The families of a job's charts.
fn families(checker: &Checker, job: &str) -> BTreeSet<String> {
    let charts = charts_of(checker, job).into_iter();
    charts
        .map(|(_, id)| checker.chart(&id).unwrap().family.clone())
        .collect()
}

#[test]
fn only_the_chosen_families_are_told_and_functions_answer_all() {
    let server = Server::start(Kind::Redis82);
    let other = Server::start(Kind::Redis82);
    let one = jobs(&[
        ("some", &server.unix_address()),
        ("least", &other.unix_address()),
    ]);
    let config = format!("charts: [memory, active defrag]\n{one}  charts: [collector]\n");
    let mut run = plugin(&config).version("v2.10.0").start();
    run.expect(SOON, "values of both", |c| {
        blocks(c, "some", "defrag_moves") > 1 && blocks(c, "least", "status") > 2
    });
    run.with_checker(|checker| {
        let wanted = ["active defrag", "collector", "memory"].map(str::to_owned);
        assert_eq!(families(checker, "some"), BTreeSet::from(wanted));
        let least = charts_of(checker, "least");
        let names: Vec<&str> = least.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["status"]);
        checker.assert_clean();
    });
    let (answer, _) = call(&mut run, "all", "redis-frag:diagnosis");
    assert_eq!(answer.code, "200", "{}", answer.body);
    let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let rows = told["data"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{}", answer.body);
    let text = answer.body;
    for word in ["\"some\"", "\"least\"", "\"small\""] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let sizes = "redis-frag:size-classes instance:some";
    let (answer, _) = call(&mut run, "sizes", sizes);
    assert_eq!(answer.code, "200", "{}", answer.body);
}

/// The chart of size classes is wanted by nobody, so the server is not asked for it.
#[test]
fn a_family_that_is_off_asks_the_server_nothing() {
    let server = Server::start(Kind::Redis82);
    let job = jobs(&[("some", &server.unix_address())]);
    let asked = |charts: &str| {
        let config = format!("{job}  malloc_stats_every: 10\n  charts: [{charts}]\n");
        let run = plugin(&config).start();
        run.expect(SOON, "some rounds", |c| blocks(c, "some", "status") > 4);
        server.info().contains("cmdstat_memory")
    };
    assert!(!asked("memory"));
    assert!(asked("size classes"), "else the test could not fail");
}
