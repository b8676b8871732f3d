//! The lines that README and refusals print, typed at real servers: each makes a user
//! for whom everything works, by RESP2 and RESP3, and who leaves no trace in ACL LOG.

use redis_frag::model::info::Info;
use redis_frag::model::server::Server as Known;
use redis_frag::source::permissions::{LINES, Line, RULES, allow_all};

use super::{acl_log, commands};
use crate::cli::{self, code, stderr, stdout};
use crate::plugin::{SOON, blocks, is_down, plugin, with_each_kind};
use crate::support::{Checker, Kind, PluginRun, Server, eventually};

const PASSWORD: &str = "Pw-of-a-line-1";

/// Types a line, as it is printed.
#[track_caller]
fn type_in(server: &Server, line: &str) {
    let line = line.replace(">PASSWORD", &format!(">{PASSWORD}"));
    let line = line.replace(" NAME ", " netdata ");
    let words: Vec<&str> = line.split(' ').collect();
    server.ok(&words);
}

/// A user who may do nothing but this.
fn user(server: &Server, allowed: &str) {
    server.command(&["ACL", "DELUSER", "netdata"]).unwrap();
    type_in(
        server,
        &format!("ACL SETUSER netdata on >PASSWORD {allowed}"),
    );
    server.ok(&["ACL", "LOG", "RESET"]);
}

/// Jobs that ask for all there is, by both versions of the protocol, over TCP and a
/// socket.
fn watch(server: &Server) -> PluginRun {
    let (unix, tcp) = (server.unix_address(), server.tcp_address());
    let in_url = tcp.replace("redis://", &format!("redis://netdata:{PASSWORD}@"));
    let keys = format!("username: netdata, password: {PASSWORD}, malloc_stats_every: 10");
    plugin(&format!(
        "jobs:\n\
         - {{name: resp2, address: '{tcp}', {keys}}}\n\
         - {{name: resp3, address: '{unix}?protocol=3', {keys}}}\n\
         - {{name: inurl, address: '{in_url}/7?protocol=3&pool_size=2&db=3'}}\n"
    ))
    .arg("-d")
    .start()
}

const JOBS: [&str; 3] = ["resp2", "resp3", "inurl"];

/// What depends on each command is there.
#[track_caller]
fn assert_all_works(server: &Server, run: &PluginRun) {
    let kind = server.kind();
    for job in JOBS {
        run.expect(SOON, job, |c| blocks(c, job, "ratio") >= 3);
    }
    if kind.has_jemalloc() {
        for job in ["resp2", "resp3"] {
            run.expect(SOON, job, |c| blocks(c, job, "size_class_waste") > 0);
        }
        // CONFIG GET says off; it is not known otherwise.
        run.expect(SOON, "off", |c| {
            let last = |job: &str| c.last(&format!("redis_frag_{job}.defrag_state"), "unknown");
            JOBS.iter().all(|job| last(job) == Some(0))
        });
    }
    let named = || {
        let list = server.ok(&["CLIENT", "LIST"]);
        let ours = list.lines().filter(|l| l.contains(" name=redis-frag "));
        let in_database_0 = ours.filter(|l| l.contains(" db=0 "));
        in_database_0.count()
    };
    eventually(SOON, "three named clients", || named() == 3);
    run.with_checker(Checker::assert_clean);
}

/// At a shell, too.
fn assert_shell_works(server: &Server) {
    for protocol in ["2", "3"] {
        let tcp = server.tcp_address();
        let address = tcp.replace("redis://", &format!("redis://netdata:{PASSWORD}@"));
        let address = format!("{address}?protocol={protocol}");
        let output = cli::run(&["diagnose", "--malloc-stats", &address]);
        let told = stdout(&output) + &stderr(&output);
        assert!(
            code(&output) < 3 && !told.contains("not to be had"),
            "{told}"
        );
        if server.kind().has_jemalloc() {
            let output = cli::run(&["size-classes", &address]);
            assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
        }
    }
}

fn line_of(server: &Server) -> &'static Line {
    Line::of(&Known::of(&Info::parse(server.info().as_bytes()))).unwrap()
}

fn assert_lines_suffice(kind: Kind) {
    let own = Server::start(kind);
    let own_line = line_of(&own);
    // The line for the first servers with ACL is to be right on all.
    let first = LINES.iter().find_map(Line::user).unwrap();
    for line in [own_line.user().unwrap(), first] {
        let server = Server::start(kind);
        server.fill(8 << 20);
        type_in(&server, &line);
        server.ok(&["CONFIG", "RESETSTAT"]);
        let run = watch(&server);
        assert_all_works(&server, &run);
        assert_shell_works(&server);
        let log = acl_log(&server);
        assert!(log.is_empty(), "{line}: {log:#?}");
        // Nothing else was sent, whatever answered.
        let stats = commands(&server);
        let known = [
            "acl",
            "acl|log",
            "auth",
            "hello",
            "info",
            "config",
            "config|get",
            "config|resetstat",
            "client",
            "client|list",
            "client|setname",
            "memory",
            "memory|malloc-stats",
        ];
        let others: Vec<_> = stats
            .keys()
            .filter(|n| !known.contains(&n.as_str()))
            .collect();
        assert!(others.is_empty(), "{others:?}");
        assert!(stats["hello"].0 >= 2, "{stats:?}");
    }
}

#[test]
fn a_user_of_the_printed_line_may_do_all_that_is_asked() {
    with_each_kind(assert_lines_suffice);
}

/// Each refusal prints what to add, and that is enough.
fn assert_additions_suffice(kind: Kind) {
    let server = Server::start(kind);
    server.fill(8 << 20);
    user(&server, "resetkeys -@all +info");
    let run = watch(&server);
    for job in JOBS {
        run.expect(SOON, job, |c| blocks(c, job, "ratio") >= 3);
    }
    let mut wanted = vec!["+config|get"];
    if kind.has_jemalloc() {
        wanted.push("+memory|malloc-stats");
    }
    for rule in &wanted {
        let addition = format!("ACL SETUSER NAME {rule}");
        run.expect(SOON, &addition, |_| run.stderr().contains(&addition));
    }
    // Each was asked once by each job, and for a name by each way of asking.
    let refused = |log: &[std::collections::BTreeMap<String, String>]| {
        let count = |entry: &std::collections::BTreeMap<String, String>| {
            entry["count"].parse::<usize>().unwrap()
        };
        log.iter().map(count).sum::<usize>()
    };
    let before = refused(&acl_log(&server));
    let desks = if kind.has_jemalloc() { 4 } else { 0 };
    assert_eq!(before, 2 * JOBS.len() + desks, "{:#?}", acl_log(&server));
    // A connection that is lost asks for nothing again.
    server.ok(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    let begun = run.with_checker(|c| blocks(c, "resp2", "ratio"));
    run.expect(SOON, "values again", |c| {
        blocks(c, "resp2", "ratio") >= begun + 3
    });
    assert_eq!(
        refused(&acl_log(&server)),
        before,
        "{:#?}",
        acl_log(&server)
    );
    drop(run);
    for rule in RULES.iter().filter(|rule| rule.allows != "+info") {
        type_in(&server, &format!("ACL SETUSER NAME {}", rule.allows));
    }
    server.ok(&["ACL", "LOG", "RESET"]);
    assert_all_works(&server, &watch(&server));
    assert!(acl_log(&server).is_empty(), "{:#?}", acl_log(&server));
}

#[test]
fn what_a_refusal_prints_is_what_was_missing() {
    with_each_kind(assert_additions_suffice);
}

fn assert_told_without_info(kind: Kind) {
    let server = Server::start(kind);
    server.fill(8 << 20);
    user(&server, "resetkeys -@all");
    let run = watch(&server);
    for job in JOBS {
        run.expect(SOON, job, |c| {
            is_down(c, job) && blocks(c, job, "status") >= 2
        });
    }
    let log = run.stderr();
    let printed = format!("allow it: {}", allow_all());
    for job in JOBS {
        let told = log.lines().find(|l| l.contains(&format!("job {job} (")));
        assert!(told.is_some_and(|l| l.contains(&printed)), "{job}: {log}");
    }
    // It takes effect as it is, on a plugin that runs.
    type_in(&server, &allow_all());
    server.ok(&["ACL", "LOG", "RESET"]);
    assert_all_works(&server, &run);
    assert!(acl_log(&server).is_empty(), "{:#?}", acl_log(&server));
}

#[test]
fn without_info_the_line_for_every_version_is_printed_and_works() {
    with_each_kind(assert_told_without_info);
}

/// As on Redis 5 and older, and where a service withholds commands.
#[test]
fn a_command_that_was_taken_away_is_no_matter_of_permissions() {
    let dir = crate::support::process::short_dir();
    let include = dir.path().join("renamed.conf");
    let text =
        "rename-command CONFIG \"\"\nrename-command MEMORY \"\"\nrename-command CLIENT \"\"\n";
    std::fs::write(&include, text).unwrap();
    let server = Server::builder(Kind::Redis70)
        .arg("--include", include.to_str().unwrap())
        .start();
    let run = plugin(&format!(
        "jobs:\n- {{name: one, address: '{}', malloc_stats_every: 10}}\n",
        server.tcp_address()
    ))
    .start();
    run.expect(SOON, "values", |c| blocks(c, "one", "ratio") >= 3);
    for command in [
        "CONFIG GET is not to be had",
        "MEMORY MALLOC-STATS is not to be had",
    ] {
        run.expect(SOON, command, |_| {
            let log = run.stderr();
            let told = log.lines().find(|l| l.contains(command));
            told.is_some_and(|l| l.contains("rename-command") && !l.contains("ACL"))
        });
    }
    run.with_checker(Checker::assert_clean);
}

/// RESP3 begins with HELLO, which servers before 6 do not have.
#[test]
fn resp3_where_there_is_none_is_told() {
    let dir = crate::support::process::short_dir();
    let include = dir.path().join("renamed.conf");
    std::fs::write(&include, "rename-command HELLO \"\"\n").unwrap();
    for kind in [Kind::Redis62, Kind::Redis70] {
        let server = Server::builder(kind)
            .arg("--include", include.to_str().unwrap())
            .start();
        let output = cli::run(&["diagnose", &format!("{}?protocol=3", server.unix_address())]);
        let told = stdout(&output) + &stderr(&output);
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(code(&output), 3, "{told}");
        assert!(told.contains("take protocol=3 out of address"), "{told}");
    }
}
