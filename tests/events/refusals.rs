//! Servers that let nobody in any more, or let nobody ask, and then do again.

use crate::Scene;
use crate::support::{Kind, Server};
use crate::watching::jobs;

/// Ends every connection but the one that this is said over.
fn hang_up(server: &Server) {
    server.ok(&["CLIENT", "KILL", "TYPE", "normal"]);
}

/// Each at a server of its own, all at once.
#[test]
fn what_is_refused_at_run_time_is_told_and_heals_when_it_is_put_back() {
    let full = Server::start(Kind::Redis70);
    let closed = Server::start(Kind::Redis62);
    let changed = Server::start(Kind::Redis82);
    let forbidden = Server::start(Kind::Valkey91);
    changed.ok(&[
        "ACL",
        "SETUSER",
        "watcher",
        "on",
        ">one-word-of-many",
        "+@all",
    ]);
    forbidden.ok(&["ACL", "SETUSER", "watcher", "on", ">another-word", "+@all"]);
    let config = jobs(&[
        ("full", &full.tcp_address()),
        ("closed", &closed.unix_address()),
        ("changed", &changed.tcp_address()),
    ]) + "  username: watcher\n  password: one-word-of-many\n"
        + jobs(&[("forbidden", &forbidden.unix_address())])
            .strip_prefix("jobs:\n")
            .unwrap()
        + "  username: watcher\n  password: another-word\n";
    let scene = Scene::with(&config, |builder| builder);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            scene.assert_outage(
                ("full", &full),
                "max number of clients",
                || {
                    full.ok(&["CONFIG", "SET", "maxclients", "1"]);
                    hang_up(&full);
                },
                || {
                    full.ok(&["CONFIG", "SET", "maxclients", "100"]);
                },
            );
        });
        scope.spawn(|| {
            scene.assert_outage(
                ("closed", &closed),
                "wants a password",
                || {
                    closed.ok(&["ACL", "SETUSER", "default", "resetpass", ">a-new-word"]);
                    hang_up(&closed);
                },
                || {
                    closed.ok(&["ACL", "SETUSER", "default", "nopass"]);
                },
            );
        });
        scope.spawn(|| {
            let set = |word: &str| changed.ok(&["ACL", "SETUSER", "watcher", "resetpass", word]);
            scene.assert_outage(
                ("changed", &changed),
                "refuses username or password",
                || {
                    set(">quite-another");
                    hang_up(&changed);
                },
                || {
                    set(">one-word-of-many");
                },
            );
        });
        scope.spawn(|| {
            let set = |rule: &str| forbidden.ok(&["ACL", "SETUSER", "watcher", rule]);
            scene.assert_outage(
                ("forbidden", &forbidden),
                "may not run INFO",
                || {
                    set("-info");
                },
                || {
                    set("+info");
                },
            );
        });
    });
    scene.assert_unharmed();
}
