//! Every server of this machine is found without being named, on whatever port or
//! socket, and forgotten some time after it is gone.

use std::time::Duration;

use crate::support::process::free_port;
use crate::support::{Agent, Checker, Kind, PluginRun, Server, eventually};
use crate::watching::{SOON, blocks, is_down, plugin};

/// How soon one is found.
const FOUND: Duration = Duration::from_secs(10);

/// A configuration that looks for instances and forgets soon.
const LOOKS: &str = "discovery:\n  local: yes\n  forget_after: 4\n";

fn by_port(server: &Server) -> String {
    format!("local_{}", server.port())
}

/// `/tmp/rf-x/s` to `local_tmp_rf-x_s`.
fn by_socket(server: &Server) -> String {
    let path = server.socket().display().to_string();
    format!("local{}", path.replace(['/', '.'], "_"))
}

fn expect(run: &PluginRun, name: &str) {
    run.expect(FOUND, &format!("values of {name}"), |c| {
        blocks(c, name, "ratio") > 1
    });
}

fn charts(checker: &Checker, name: &str) -> usize {
    let prefix = format!("redis_frag_{name}.");
    let charts = checker.charts();
    charts.iter().filter(|id| id.starts_with(&prefix)).count()
}

/// Whether its charts were taken off the dashboard.
fn is_obsolete(run: &PluginRun, name: &str) -> bool {
    let line = format!("CHART 'redis_frag_{name}.status'");
    let of_it = |text: &String| text.starts_with(&line);
    let mut lines = run.lines().into_iter().map(|(_, text)| text).filter(of_it);
    lines
        .next_back()
        .is_some_and(|text| text.contains("'obsolete'"))
}

#[test]
fn six_come_and_go_and_none_is_charted_twice() {
    let secret = "correct horse";
    let mut port = Server::builder(Kind::Redis70).port_only().start();
    let socket = Server::builder(Kind::Redis82).socket_only().start();
    let both = Server::start(Kind::Redis62);
    let locked_port = Server::builder(Kind::Redis82)
        .port_only()
        .password(secret)
        .start();
    let locked_both = Server::builder(Kind::Redis70).password(secret).start();
    // One of the two with a password has a job.
    let config = format!(
        "{LOOKS}jobs:\n  - name: mine\n    address: {}\n    password: {secret}\n",
        locked_both.tcp_address()
    );
    let run = plugin(&config).start();
    let names = [by_port(&port), by_socket(&socket), by_port(&both)];
    for name in &names {
        expect(&run, name);
    }
    expect(&run, "mine");
    // Started meanwhile.
    let late = Server::start(Kind::Valkey91);
    expect(&run, &by_port(&late));
    eventually(FOUND, "the one with a password is told of", || {
        run.stderr().contains(&locked_port.tcp_address())
    });
    port.kill();
    run.expect(SOON, "its absence", |c| is_down(c, &names[0]));
    eventually(SOON, "its charts are taken off", || {
        is_obsolete(&run, &names[0])
    });
    // Back at the same port, it is the same instance.
    port.restart();
    expect_again(&run, &names[0]);
    run.with_checker(|checker| {
        for twice in [&both, &late] {
            assert_eq!(charts(checker, &by_socket(twice)), 0, "charted by its port");
        }
        for (locked, name) in [
            (&locked_both, by_port(&locked_both)),
            (&locked_both, by_socket(&locked_both)),
            (&locked_port, by_port(&locked_port)),
        ] {
            assert_eq!(charts(checker, &name), 0, "{}", locked.port());
        }
        checker.assert_clean();
    });
    let told = run.stderr();
    let address = locked_port.tcp_address();
    let lines: Vec<&str> = told
        .lines()
        .filter(|line| line.contains(&address))
        .collect();
    assert_eq!(lines.len(), 1, "told once: {lines:?}");
    for words in ["wants a password", "redis-frag.conf", "password: '…'"] {
        assert!(lines[0].contains(words), "{}", lines[0]);
    }
    // The one that has a job is not told of.
    let own = format!("found a server at {}", locked_both.tcp_address());
    assert!(!told.contains(&own) && !told.contains(secret), "{told}");
    assert!(!told.contains(" ERROR "), "{told}");
    for name in [&names[1], &names[2], &"mine".to_owned()] {
        assert!(!is_obsolete(&run, name), "{name} is unharmed");
    }
}

fn expect_again(run: &PluginRun, name: &str) {
    let before = run.with_checker(|c| blocks(c, name, "ratio"));
    run.expect(FOUND, &format!("{name} again"), |c| {
        blocks(c, name, "ratio") > before + 1
    });
    assert!(!is_obsolete(run, name));
}

/// What was found yields to a job that comes to the same server later.
#[test]
fn a_job_takes_over_what_was_found() {
    let server = Server::builder(Kind::Redis70).port_only().start();
    let free = free_port();
    let config = format!("{LOOKS}jobs:\n  - name: mine\n    address: redis://localhost:{free}\n");
    let run = plugin(&config).start();
    let found = by_port(&server);
    expect(&run, &found);
    server.ok(&["CONFIG", "SET", "port", &free.to_string()]);
    expect(&run, "mine");
    eventually(SOON, "the found one yields", || is_obsolete(&run, &found));
    let moved = format!("local_{free}");
    std::thread::sleep(Duration::from_secs(6));
    run.with_checker(|checker| {
        assert_eq!(charts(checker, &moved), 0, "found once more");
        checker.assert_clean();
    });
    assert!(is_obsolete(&run, &found));
}

/// A real agent takes what is gone off its dashboard, and shows it when it is back.
#[test]
fn the_agent_drops_what_is_gone() {
    let mut server = Server::builder(Kind::Redis70).port_only().start();
    let agent = Agent::builder()
        .plugin(std::path::Path::new(env!("CARGO_BIN_EXE_redis-frag")))
        .user_config("redis-frag.conf", LOOKS)
        .start();
    let chart = format!("redis_frag_{}.ratio", by_port(&server));
    let shown = || agent.chart(&chart).is_some();
    eventually(Duration::from_secs(20), "it is shown", shown);
    server.kill();
    eventually(Duration::from_secs(20), "it is shown no more", || !shown());
    server.restart();
    eventually(Duration::from_secs(20), "it is shown again", shown);
    let complaints = agent.complaints();
    assert_eq!(complaints, Vec::<String>::new());
}

/// To an agent with dynamic configuration it is a job that comes and goes.
#[test]
fn what_is_found_is_a_job_until_it_is_forgotten() {
    let mut server = Server::builder(Kind::Redis70).port_only().start();
    let run = plugin(LOOKS).version("v2.10.0").start();
    let id = format!("redis-frag:redis:{}", by_port(&server));
    let status = |checker: &Checker| {
        let config = checker.config(&id)?;
        assert_eq!(config.source_type, "discovered");
        (!config.deleted).then(|| config.status.clone())
    };
    run.expect(FOUND, "a job", |c| status(c).is_some());
    run.expect(FOUND, "running", |c| {
        status(c).is_some_and(|status| status == "running")
    });
    server.kill();
    run.expect(SOON, "no job", |c| {
        c.config(&id).is_some_and(|config| config.deleted)
    });
    server.restart();
    run.expect(FOUND, "a job again", |c| status(c).is_some());
    run.with_checker(Checker::assert_clean);
}
