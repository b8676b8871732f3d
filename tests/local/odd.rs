//! Servers that are found although something about them or beside them is odd.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::Duration;

use crate::support::apart::Apart;
use crate::support::{Kind, PluginRun, Server, eventually, skipped};
use crate::watching::{blocks, plugin};

const FOUND: Duration = Duration::from_secs(12);

fn expect(run: &PluginRun, name: &str) {
    run.expect(FOUND, &format!("values of {name}"), |c| {
        blocks(c, name, "ratio") > 1
    });
}

/// At its other address protected mode lets nobody in.
#[test]
fn the_loopback_comes_before_all_other_addresses() {
    let apart = match Apart::new() {
        Ok(apart) => apart,
        Err(why) => {
            skipped(&format!("no second address: {why}"));
            return;
        }
    };
    let both = format!("127.0.0.1 {}", apart.ours);
    let server = Server::builder(Kind::Redis70)
        .port_only()
        .arg("--bind", &both)
        .start();
    let run = plugin("").start();
    expect(&run, &format!("local_{}", server.port()));
}

/// `127.0.0.1` and `::1` may be two servers.
#[test]
fn two_servers_of_one_port_are_both_watched() {
    let first = Server::builder(Kind::Redis70).port_only().start();
    let run = plugin("").start();
    let name = format!("local_{}", first.port());
    expect(&run, &name);
    let port = first.port().to_string();
    // Later ones win: it listens at ::1 alone, and is asked over its socket here.
    let second = Server::builder(Kind::Redis62)
        .arg("--bind", "::1")
        .arg("--port", &port)
        .start();
    expect(&run, &format!("{name}_2"));
    run.with_checker(|checker| {
        let version = |name: &str| {
            let chart = checker.chart(&format!("redis_frag_{name}.ratio")).unwrap();
            chart.labels["version"].clone()
        };
        assert_eq!(version(&name), first.kind().version());
        assert_eq!(version(&format!("{name}_2")), second.kind().version());
    });
}

/// Whom a job follows is not watched once more because it runs here.
#[test]
fn members_of_a_cluster_that_is_followed_are_not_found_anew() {
    let node = || Server::builder(Kind::Redis62).cluster(Duration::from_secs(5));
    let (first, second) = (node().start(), node().start());
    let port = second.port().to_string();
    first.ok(&["CLUSTER", "MEET", "127.0.0.1", &port]);
    let known = || first.ok(&["CLUSTER", "NODES"]).matches("master").count() == 2;
    eventually(FOUND, "they know each other", known);
    let config = format!(
        "discovery: {{local: yes}}\njobs:\n- name: c\n  address: {}\n  cluster: yes\n",
        first.tcp_address()
    );
    let run = plugin(&config).start();
    for server in [&first, &second] {
        expect(&run, &format!("c_127_0_0_1_{}", server.port()));
    }
    let other = Server::start(Kind::Redis62);
    expect(&run, &format!("local_{}", other.port()));
    run.with_checker(|checker| {
        for server in [&first, &second] {
            let ways = [
                format!("local_{}", server.port()),
                format!("local{}", server.socket().display()).replace(['/', '.'], "_"),
            ];
            for name in ways {
                assert_eq!(blocks(checker, &name, "status"), 0, "{name}");
            }
        }
        checker.assert_clean();
    });
}

/// Anybody may give a socket a name that is no text.
#[test]
fn a_socket_whose_name_is_no_text_hides_no_other() {
    let odd = SocketAddr::from_abstract_name(b"odd\xff\xfe\n").unwrap();
    let _odd = UnixListener::bind_addr(&odd).unwrap();
    let server = Server::builder(Kind::Redis82).socket_only().start();
    let run = plugin("").start();
    let path = server.socket().display().to_string();
    expect(&run, &format!("local{}", path.replace(['/', '.'], "_")));
}
