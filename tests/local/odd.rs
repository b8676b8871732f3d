//! Servers that are found although something about them or beside them is odd.

use std::io::Write;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::Duration;

use crate::support::apart::Apart;
use crate::support::{Kind, PluginRun, Server};
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
            let _ = writeln!(std::io::stderr(), "SKIPPED: no second address: {why}");
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
