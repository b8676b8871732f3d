//! What commands do to what is watched, and what happens to a job to the agent.

use std::fs;

use super::*;
use crate::support::eventually;

#[test]
fn a_job_waits_for_the_agents_word_and_a_disabled_one_is_never_asked() {
    let server = Server::start(Kind::Redis70);
    let address = server.unix_address();
    let mut hand = Hand::start(&jobs(&[("off", &address), ("on", &address)]));
    for name in ["off", "on"] {
        hand.expect(name, "named", |config| config.status == "accepted");
    }
    let (off, took) = hand.agent("off", "disable");
    assert_eq!(
        (off.code.as_str(), took < AT_ONCE),
        ("200", true),
        "{took:?}"
    );
    let (on, took) = hand.agent("on", "enable");
    assert_eq!(
        (on.code.as_str(), took < AT_ONCE),
        ("202", true),
        "{took:?}"
    );
    hand.expect_status("on", "running");
    hand.run
        .expect(SOON, "values", |c| blocks(c, "on", "ratio") > 3);
    hand.run.with_checker(|checker| {
        let charts = checker.charts();
        assert!(!charts.iter().any(|id| id.contains("_off.")), "{charts:?}");
        let first = config(checker, "on").unwrap();
        assert_eq!(first.statuses, ["accepted", "running"]);
        assert!(first.source.starts_with("file=/") && first.creates == 1);
        assert_eq!(
            config(checker, "off").unwrap().statuses,
            ["accepted", "disabled"]
        );
        checker.assert_clean();
    });
}

#[test]
fn without_a_word_jobs_begin_after_two_seconds() {
    let server = Server::start(Kind::Redis70);
    let hand = Hand::start(&jobs(&[("a", &server.unix_address())]));
    hand.expect_status("a", "running");
    let named = |line: &str| line.starts_with("CONFIG redis-frag:redis:a create");
    let lines = hand.run.lines();
    let at = |f: &dyn Fn(&str) -> bool| lines.iter().find(|(_, line)| f(line)).unwrap().0;
    let (named, charted) = (at(&named), at(&|line| line.starts_with("CHART")));
    let waited = charted - named;
    let two = Duration::from_secs(2);
    assert!(waited >= two - AT_ONCE && waited < two * 3, "{waited:?}");
    hand.run.with_checker(Checker::assert_clean);
}

#[test]
fn a_server_that_hangs_delays_nobody() {
    let (hangs, fine) = (Server::start(Kind::Redis70), Server::start(Kind::Redis70));
    hangs.pause();
    let addresses = [
        ("hangs", hangs.unix_address()),
        ("fine", fine.unix_address()),
    ];
    let config = jobs(&addresses.each_ref().map(|(n, a)| (*n, a.as_str())));
    let mut hand = Hand::start(&config);
    hand.expect("hangs", "named", |config| config.creates == 1);
    let (first, took) = hand.agent("hangs", "enable");
    assert_eq!(
        (first.code.as_str(), took < AT_ONCE),
        ("202", true),
        "{took:?}"
    );
    let (_, took) = hand.agent("fine", "enable");
    assert!(took < AT_ONCE, "{took:?}");
    hand.expect_status("hangs", "failed");
    let start = Instant::now();
    let enable = hand.put(&format!("{TEMPLATE}:hangs enable"), None, "user=me");
    let (get, took) = hand.agent("hangs", "get");
    assert_eq!(
        (get.code.as_str(), took < AT_ONCE),
        ("200", true),
        "{took:?}"
    );
    let told = answer(&hand.run, &enable);
    assert_eq!(told.code, "202");
    assert!(told.body.contains("no answer in time"), "{}", told.body);
    assert!(start.elapsed() < Duration::from_secs(8));
    let (disable, took) = hand.agent("hangs", "disable");
    assert_eq!(
        (disable.code.as_str(), took < AT_ONCE),
        ("200", true),
        "{took:?}"
    );
    hangs.resume();
    let enabled = hand.job("hangs", "enable");
    assert_eq!(enabled.code, "200", "{}", enabled.body);
    hand.run.with_checker(Checker::assert_clean);
}

#[test]
fn charts_end_when_a_job_is_disabled_and_come_back() {
    let server = Server::start(Kind::Redis82);
    let mut hand = Hand::start(NO_JOBS);
    hand.add("a", &server.unix_address());
    hand.expect_status("a", "running");
    hand.run
        .expect(SOON, "values", |c| blocks(c, "a", "ratio") > 1);
    let off = hand.job("a", "disable");
    assert_eq!(off.code, "200");
    hand.run.expect(SOON, "obsolete", |c| !is_charted(c, "a"));
    let before = hand.run.with_checker(|c| blocks(c, "a", "ratio"));
    let on = hand.job("a", "enable");
    assert_eq!(
        (on.code.as_str(), on.body.contains("running")),
        ("200", true)
    );
    hand.run.expect(SOON, "again", |c| {
        is_charted(c, "a") && blocks(c, "a", "ratio") > before + 1
    });
    let bad = hand.update("a", &form(NOWHERE));
    assert_eq!(bad.code, "202", "the agent keeps it: {}", bad.body);
    assert!(bad.body.contains("cannot connect"), "{}", bad.body);
    hand.expect_status("a", "failed");
    let restart = hand.job("a", "restart");
    assert_eq!(restart.code, "422", "{}", restart.body);
    let good = hand.update("a", &form(&server.unix_address()));
    assert_eq!(good.code, "200", "{}", good.body);
    let removed = hand.job("a", "remove");
    assert_eq!(removed.code, "200");
    hand.run.expect(SOON, "gone", |c| {
        !is_charted(c, "a") && config(c, "a").is_some_and(|config| config.deleted)
    });
    assert_eq!(hand.job("a", "get").code, "404");
    hand.run.with_checker(Checker::assert_clean);
}

#[test]
fn an_outage_is_told_and_its_end() {
    let mut server = Server::start(Kind::Redis62);
    let mut hand = Hand::start(NO_JOBS);
    hand.add("a", &server.unix_address());
    hand.expect_status("a", "running");
    server.terminate();
    hand.expect_status("a", "failed");
    server.restart();
    hand.expect_status("a", "running");
    hand.run.with_checker(|checker| {
        let told = &config(checker, "a").unwrap().statuses;
        assert_eq!(*told, ["accepted", "running", "failed", "running"]);
        checker.assert_clean();
    });
}

/// The agent keeps what was sent, and sends it again to a plugin that begins.
#[test]
fn the_dashboards_job_goes_before_the_files_of_its_name_which_comes_back() {
    let (of_file, other) = (Server::start(Kind::Redis70), Server::start(Kind::Redis82));
    let file = jobs(&[("a", &of_file.unix_address())]);
    let mut hand = Hand::start(&file);
    hand.expect("a", "named", |config| config.source_type == "user");
    let added = hand.template("add a", &form(&other.unix_address()));
    assert_eq!(added.code, "202");
    hand.agent("a", "enable");
    let again = hand.update("a", &form(&other.unix_address()));
    assert!(
        ["200", "202"].contains(&again.code.as_str()),
        "{}",
        again.body
    );
    hand.expect("a", "the dashboard's", |config| {
        config.source_type == "dyncfg" && config.status == "running"
    });
    let get = hand.job("a", "get");
    assert!(get.body.contains(&other.unix_address()), "{}", get.body);
    // A file that is read anew does not change that.
    fs::write(
        hand.run.dir().join("etc/redis-frag.conf"),
        format!("{file}  update_every: 2\n"),
    )
    .unwrap();
    hand.run.signal("HUP");
    eventually(SOON, "a word on it", || {
        hand.run.stderr().contains("goes before the file's")
    });
    let server = |c: &Checker| {
        let chart = c.chart("redis_frag_a.status").unwrap();
        (chart.labels["version"].clone(), chart.update_every)
    };
    hand.run
        .expect(SOON, "values", |c| blocks(c, "a", "ratio") > 2);
    assert_eq!(hand.run.with_checker(server), ("8.2.3".to_owned(), 1));
    assert_eq!(hand.job("a", "remove").code, "200");
    hand.expect("a", "the file's again", |config| {
        config.source_type == "user"
    });
    hand.agent("a", "enable");
    hand.expect_status("a", "running");
    hand.run.expect(SOON, "the file's values", |c| {
        let chart = c.chart("redis_frag_a.status").unwrap();
        chart.labels["version"] == "7.0.15" && chart.update_every == 2
    });
    hand.run.with_checker(Checker::assert_clean);
}

#[test]
fn jobs_of_files_are_told_as_the_files_change() {
    let server = Server::start(Kind::Redis70);
    let address = server.unix_address();
    let mut hand = Hand::start(&jobs(&[("a", &address), ("b", &address)]));
    for name in ["a", "b"] {
        hand.expect(name, "named", |config| config.creates == 1);
        hand.agent(name, "enable");
    }
    let removed = hand.job("a", "remove");
    assert_eq!(removed.code, "405", "{}", removed.body);
    let path = hand.run.dir().join("etc/redis-frag.conf");
    fs::write(path, jobs(&[("b", &address), ("c", &address)])).unwrap();
    hand.run.signal("HUP");
    hand.expect("a", "deleted", |config| config.deleted);
    hand.expect("c", "named", |config| config.source_type == "user");
    hand.run.with_checker(|checker| {
        assert_eq!(config(checker, "b").unwrap().creates, 1);
        checker.assert_clean();
    });
}

#[test]
fn calls_that_are_open_at_the_end_are_answered() {
    let server = Server::start(Kind::Redis70);
    server.pause();
    let mut hand = Hand::start(NO_JOBS);
    hand.add("a", &server.unix_address());
    let form = form(&server.unix_address()).replace('}', ",\"timeout\":30}");
    let test = hand.put(&format!("{TEMPLATE} test t"), Some(&form), "user=me");
    let cancelled = hand.put(&format!("{TEMPLATE} test u"), Some(&form), "user=me");
    let restart = hand.put(&format!("{TEMPLATE}:a restart"), None, "user=me");
    hand.run
        .send_line(&format!("FUNCTION_CANCEL {cancelled}"))
        .unwrap();
    assert_eq!(answer(&hand.run, &cancelled).code, "499");
    hand.run.send_line("QUIT").unwrap();
    let (status, took) = hand.run.wait_exit(SOON).unwrap();
    assert!(
        status.success() && took < Duration::from_secs(1),
        "{took:?}"
    );
    assert_eq!(answer(&hand.run, &test).code, "503");
    assert!(["503", "422"].contains(&answer(&hand.run, &restart).code.as_str()));
    hand.run.with_checker(Checker::assert_clean);
}
