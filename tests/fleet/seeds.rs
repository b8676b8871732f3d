//! What is watched while nobody says who belongs to a cluster.

use std::time::Duration;

use crate::support::cluster::NODE_TIMEOUT;
use crate::support::{Kind, Server, process};
use crate::watching::{SOON, blocks, is_down, plugin};
use crate::{charted, is_up, label, member};

fn follow(addresses: &[String], more: &str) -> String {
    let job = |address| format!("- name: c\n  address: {address}\n  cluster: yes\n{more}");
    let jobs: String = addresses.iter().map(job).collect();
    format!("jobs:\n{jobs}")
}

#[test]
fn a_node_that_is_down_from_the_start_is_told_down_until_its_cluster_is_known() {
    let mut node = Server::builder(Kind::Redis82).cluster(NODE_TIMEOUT).start();
    let name = member(&node);
    node.kill();
    let run = plugin(&follow(&[node.tcp_address()], "")).start();
    run.expect(SOON, "the address is down", |c| is_down(c, "c"));
    node.restart();
    run.expect(SOON, "the node is a member", |c| is_up(c, &name));
    run.with_checker(|checker| {
        assert_eq!(
            charted(checker).into_iter().collect::<Vec<_>>(),
            [name.as_str()]
        );
        assert_eq!(label(checker, &name, "shard").as_deref(), Some("none"));
    });

    // Now that it is known, it stays what it is when all of the cluster is down.
    node.kill();
    run.expect(SOON, "the member is down", |c| is_down(c, &name));
    let told = |words: &str| run.stderr().matches(words).count();
    run.expect(SOON, "and nobody can tell", |_| {
        told("its members are watched as they were known last") == 1
    });
    node.restart();
    run.expect(SOON, "all is well again", |c| {
        is_up(c, &name) && told("the members are told again") == 1
    });
    run.with_checker(|checker| {
        assert_eq!(
            charted(checker).into_iter().collect::<Vec<_>>(),
            [name.as_str()]
        );
        checker.assert_clean();
    });
}

#[test]
fn of_several_nodes_one_that_answers_is_enough() {
    let node = Server::builder(Kind::Valkey91)
        .cluster(NODE_TIMEOUT)
        .start();
    let nobody = format!("redis://127.0.0.1:{}", process::free_port());
    let run = plugin(&follow(&[nobody, node.tcp_address()], "")).start();
    run.expect(SOON, "the node is a member", |c| is_up(c, &member(&node)));
    run.with_checker(|c| assert!(c.chart("redis_frag_c.status").is_none()));

    // With the job its members go.
    let config = run.dir().join("etc/redis-frag.conf");
    std::fs::write(config, "jobs: []\n").unwrap();
    run.signal("HUP");
    run.expect(SOON, "nobody is watched", |c| charted(c).is_empty());
    run.with_checker(|checker| checker.assert_clean());
}

#[test]
fn a_server_in_no_cluster_is_watched_as_it_is_and_the_log_says_what_to_change() {
    let server = Server::start(Kind::Redis70);
    let run = plugin(&follow(&[server.tcp_address()], "")).start();
    run.expect(SOON, "it is watched", |c| is_up(c, "c"));
    // Two looks more.
    let seconds = Duration::from_secs(30);
    run.expect(seconds, "it goes on", |c| blocks(c, "c", "memory") > 12);
    let log = run.stderr();
    assert_eq!(
        log.matches("remove cluster: yes from this job").count(),
        1,
        "{log}"
    );
    run.with_checker(|checker| {
        assert_eq!(charted(checker).len(), 1);
        checker.assert_clean();
    });
}

#[test]
fn a_user_that_may_not_ask_is_told_what_to_allow() {
    let node = Server::builder(Kind::Redis70).cluster(NODE_TIMEOUT).start();
    node.ok(&[
        "ACL",
        "SETUSER",
        "netdata",
        "on",
        ">hunter2",
        "-@all",
        "+info",
        "+config|get",
    ]);
    let more = "  username: netdata\n  password: hunter2\n";
    let run = plugin(&follow(&[node.tcp_address()], more)).start();
    run.expect(SOON, "it is watched meanwhile", |c| is_up(c, "c"));
    let seconds = Duration::from_secs(30);
    run.expect(seconds, "it goes on", |c| blocks(c, "c", "memory") > 12);
    let log = run.stderr();
    let told = "ACL SETUSER NAME +cluster|shards +cluster|nodes";
    assert_eq!(log.matches(told).count(), 1, "{log}");
    // Both commands once, and not again every five seconds.
    let entries = node.ok(&["ACL", "LOG"]);
    let tries = entries.matches("object\ncluster|").count();
    assert_eq!(tries, 2, "{entries}");
    assert!(!log.contains("hunter2"));
}
