//! What the plugin needs to be allowed and what it tells nobody: users that may
//! run INFO alone or INFO and CONFIG GET, passwords right, wrong and missing,
//! and that it only reads. The lines that are printed: `permissions/lines.rs`.

mod lines;

use std::collections::{BTreeMap, BTreeSet};

use crate::plugin::{SOON, blocks, is_down, plugin, shown, with_each_kind};
use crate::support::{Checker, Kind, PluginRun, Server};

/// Each its own, so that whichever leaks can be told.
const SECRETS: [&str; 8] = [
    "Pw-info-alone-1",
    "Pw-with-config-2",
    "Pw-in-the-url-3",
    "Pw-of-default-4",
    "Pw-that-is-wrong-5",
    "Pw-in-a-bad-url-6",
    "Pw-in-a-list-7",
    "Pw-in-a-bad-key-8",
];

/// Nothing that came out of the plugin holds a password, percent-encoded or not.
#[track_caller]
fn assert_no_secret(run: &PluginRun) {
    let mut said = run.stderr();
    for (_, line) in run.lines() {
        said += &line;
        said.push('\n');
    }
    for secret in SECRETS {
        let encoded = secret.replace('-', "%2D");
        for form in [secret, &encoded] {
            let line = said.lines().find(|line| line.contains(form));
            assert_eq!(line, None, "{form} leaked");
        }
    }
}

/// The entries of ACL LOG: one map each.
fn acl_log(server: &Server) -> Vec<BTreeMap<String, String>> {
    let redis::Value::Array(entries) = server.command(&["ACL", "LOG"]).unwrap() else {
        panic!("ACL LOG is no list");
    };
    let text = |value: &redis::Value| redis::from_redis_value_ref::<String>(value).unwrap();
    let entry = |entry: &redis::Value| match entry {
        redis::Value::Array(pairs) => pairs
            .chunks_exact(2)
            .map(|pair| (text(&pair[0]), text(&pair[1])))
            .collect(),
        other => panic!("an entry of ACL LOG is {other:?}"),
    };
    entries.iter().map(entry).collect()
}

/// Command → calls and rejected calls, of `INFO commandstats`.
fn commands(server: &Server) -> BTreeMap<String, (u64, u64)> {
    let number = |line: &str, name: &str| -> u64 {
        let value = line
            .split_once(&format!("{name}="))
            .map_or("0", |(_, rest)| rest);
        value.split(',').next().unwrap().parse().unwrap()
    };
    let of = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        Some((
            name.to_string(),
            (number(rest, "calls"), number(rest, "rejected_calls")),
        ))
    };
    server
        .ok(&["INFO", "commandstats"])
        .lines()
        .filter_map(of)
        .collect()
}

fn assert_permissions_suffice(kind: Kind) {
    let server = Server::start(kind);
    server.fill(8 << 20);
    // Not the default, 10, which stands in where it may not be read.
    server.ok(&["CONFIG", "SET", "active-defrag-threshold-lower", "5"]);
    let [info, config, url, ..] = SECRETS;
    let user = |name: &str, password: &str, allowed: &[&str]| {
        let password = format!(">{password}");
        let mut words = vec!["ACL", "SETUSER", name, "on", &password];
        words.extend(["resetkeys", "resetchannels", "-@all", "+info"]);
        words.extend(allowed);
        server.ok(&words);
    };
    user("infoalone", info, &[]);
    user("withconfig", config, &["+config|get"]);
    user("byurl", url, &["+config|get"]);
    server.ok(&["ACL", "LOG", "RESET"]);
    server.ok(&["CONFIG", "RESETSTAT"]);

    let (unix, tcp) = (server.unix_address(), server.tcp_address());
    let in_url = tcp.replace("redis://", &format!("redis://byurl:{url}@"));
    let run = plugin(&format!(
        "jobs:\n\
         - {{name: infoalone, address: '{unix}', username: infoalone, password: {info}}}\n\
         - {{name: withconfig, address: '{tcp}', username: withconfig, password: {config}}}\n\
         - {{name: byurl, address: '{in_url}'}}\n"
    ))
    .arg("-d")
    .start();
    let jobs = ["infoalone", "withconfig", "byurl"];
    for job in jobs {
        run.expect(SOON, "values", |c| blocks(c, job, "defrag_moves") >= 3);
    }

    let percent = |c: &Checker, job| shown(c, job, "defrag_trigger", "percent");
    let states = |c: &Checker, job| {
        ["unsupported", "off", "unknown"].map(|name| shown(c, job, "defrag_state", name).unwrap())
    };
    run.with_checker(|checker| {
        for job in jobs {
            let up = checker.values(&format!("redis_frag_{job}.status"), "up");
            assert!(!up.contains(&0), "{job} was down: {up:?}");
        }
        let [alone, allowed, url] = jobs.map(|job| states(checker, job));
        if kind.has_jemalloc() {
            assert_eq!(
                (alone, allowed, url),
                ([0., 0., 1.], [0., 1., 0.], [0., 1., 0.])
            );
        } else {
            assert_eq!(
                (alone, allowed, url),
                ([1., 0., 0.], [1., 0., 0.], [1., 0., 0.])
            );
        }
        checker.assert_clean();
    });
    if kind.has_jemalloc() {
        // Twice as near to 5% as to 10%. The two are asked a moment apart.
        run.expect(SOON, "the instance's own threshold", |c| {
            let (Some(default), Some(own)) = (percent(c, "infoalone"), percent(c, "withconfig"))
            else {
                return false;
            };
            default > 0.0 && (own / default - 2.0).abs() < 0.05
        });
    }

    let log = acl_log(&server);
    let denied: BTreeSet<(&str, &str)> = log
        .iter()
        .map(|denial| {
            assert_eq!(denial["count"], "1", "{denial:?}");
            let command = denial["object"].split('|').next().unwrap();
            (denial["username"].as_str(), command)
        })
        .collect();
    let names = jobs.map(|job| (job, "client"));
    let once = names.into_iter().chain([("infoalone", "config")]);
    assert_eq!(denied, once.collect(), "{log:?}");
    assert_eq!(log.len(), denied.len(), "{log:?}");

    // Since the reset: what it sent, and our own looks and resets.
    let mut stats = commands(&server);
    let names: BTreeSet<&str> = stats.keys().map(String::as_str).collect();
    let ours = ["acl", "acl|log", "config|resetstat"];
    let reads = [
        "auth",
        "hello",
        "info",
        "config",
        "config|get",
        "client",
        "client|setname",
    ];
    let others: Vec<_> = names
        .iter()
        .filter(|n| !ours.contains(n) && !reads.contains(n))
        .collect();
    assert_eq!(others, [&""; 0], "{stats:?}");
    let get = match kind {
        // It counts subcommands together: our own CONFIG RESETSTAT as well.
        Kind::Redis62 => stats
            .remove("config")
            .map(|(calls, rejected)| (calls - 1, rejected)),
        _ => stats.remove("config|get"),
    };
    assert_eq!(get, Some((2, 1)), "two may, one was refused: {stats:?}");
    assert_eq!(stats["info"].1, 0);
    let polled = |job| run.with_checker(|c| blocks(c, job, "status") as u64);
    let collections: u64 = jobs.into_iter().map(polled).sum();
    let infos = stats["info"].0;
    assert!(
        infos.abs_diff(collections) <= 6,
        "{infos} INFO for {collections} collections"
    );
    assert_no_secret(&run);
}

#[test]
fn info_alone_is_enough_and_config_get_is_used() {
    with_each_kind(assert_permissions_suffice);
}

/// A server with a password, and jobs that have it, in two ways, a wrong one,
/// or none. `-d` is the loudest that the plugin gets.
fn with_password(server: &Server, debug: bool) -> PluginRun {
    let [.., right, wrong, bad_url, list, key] = SECRETS;
    let (unix, tcp) = (server.unix_address(), server.tcp_address());
    let in_url = unix.replace("unix://", &format!("unix://:{right}@"));
    let run = plugin(&format!(
        "jobs:\n\
         - {{name: right, address: '{tcp}', password: {right}}}\n\
         - {{name: url, address: '{in_url}'}}\n\
         - {{name: wrong, address: '{tcp}', password: {wrong}}}\n\
         - {{name: nouser, address: '{unix}', username: nobody, password: {wrong}}}\n\
         - {{name: none, address: '{unix}'}}\n\
         - {{name: badurl, address: 'redis://:{bad_url}@127.0.0.1:port'}}\n\
         - {{name: list, address: '{tcp}', password: [{list}]}}\n\
         - {{name: key, address: '{tcp}', {key}: 1, password: {right}}}\n"
    ));
    if debug {
        run.arg("-d").start()
    } else {
        run.start()
    }
}

#[test]
fn a_password_refused_or_missing_is_told_once_with_what_to_do() {
    let server = Server::builder(Kind::Redis70).password(SECRETS[3]).start();
    let run = with_password(&server, false);
    for job in ["right", "url", "key"] {
        run.expect(SOON, "values", |c| blocks(c, job, "ratio") >= 5);
    }
    for (job, fix) in [
        ("wrong", "the server refuses username or password"),
        ("nouser", "the server refuses username or password"),
        ("none", "set password"),
    ] {
        run.expect(SOON, "down", |c| {
            is_down(c, job) && blocks(c, job, "status") >= 5
        });
        let log = run.stderr();
        let told: Vec<&str> = log
            .lines()
            .filter(|l| l.contains(&format!("job {job} ")))
            .collect();
        assert!(
            told.len() == 1 && told[0].contains(fix),
            "{job}: {told:#?}\n{log}"
        );
        run.with_checker(|c| assert_eq!(blocks(c, job, "memory"), 0));
    }
    // A bad job costs itself alone, and is named by its place.
    for line in [7, 8] {
        let place = format!("redis-frag.conf:{line}:");
        let log = run.stderr();
        assert!(
            log.lines()
                .any(|l| l.contains(&place) && l.contains("error")),
            "{place} {log}"
        );
    }
    run.with_checker(Checker::assert_clean);
    assert_no_secret(&run);
}

#[test]
fn no_password_comes_out_even_of_the_debug_log() {
    let mut server = Server::builder(Kind::Redis62).password(SECRETS[3]).start();
    let run = with_password(&server, true);
    for job in ["right", "url"] {
        run.expect(SOON, "values", |c| blocks(c, job, "ratio") > 0);
    }
    for job in ["wrong", "none"] {
        run.expect(SOON, "down", |c| is_down(c, job));
    }
    // Connecting, losing and being refused, each once more.
    server.terminate();
    run.expect(SOON, "down", |c| is_down(c, "right") && is_down(c, "url"));
    server.restart();
    run.expect(SOON, "up again", |c| {
        !is_down(c, "right") && !is_down(c, "url")
    });
    run.expect(SOON, "a line of the debug log", |_| {
        run.stderr().contains("DEBUG")
    });
    assert_no_secret(&run);
}

/// A password for a server that has none: Redis says so, in words of its own.
#[test]
fn a_password_that_nobody_asked_for_is_told() {
    let server = Server::start(Kind::Redis82);
    let run = plugin(&format!(
        "jobs:\n- {{name: extra, address: '{}', password: {}}}\n",
        server.unix_address(),
        SECRETS[4]
    ))
    .start();
    run.expect(SOON, "down", |c| {
        is_down(c, "extra") && blocks(c, "extra", "status") >= 4
    });
    let log = run.stderr();
    assert_eq!(log.matches("job extra ").count(), 1, "{log}");
    assert!(log.contains("password"), "{log}");
    assert_no_secret(&run);
}
