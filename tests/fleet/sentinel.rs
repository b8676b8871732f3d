//! A real set of Sentinels.

use crate::support::{Kind, PluginRun, Sentinels, process};
use crate::watching::{SOON, is_down, plugin};
use crate::{FAILOVER, assert_no_gap, charted, has_role, is_up, label, member};

fn config(addresses: &[String], masters: &str) -> String {
    let addresses = addresses.join(", ");
    format!(
        "jobs:\n- name: c\n  sentinel:\n    addresses: [{addresses}]\n    masters: [{masters}]\n"
    )
}

#[test]
fn a_failover_is_followed() {
    let mut set = Sentinels::start(Kind::Redis70);
    let run = plugin(&config(&set.addresses(), "mymaster")).start();
    let names: Vec<String> = (0..3).map(|number| member(set.server(number))).collect();
    run.expect(SOON, "all are up", |c| {
        names.iter().all(|name| is_up(c, name))
    });
    run.with_checker(|checker| {
        for (name, role) in names.iter().zip(["primary", "replica", "replica"]) {
            assert!(has_role(checker, name, role), "{name}");
            assert_eq!(label(checker, name, "shard").as_deref(), Some("mymaster"));
            assert_eq!(label(checker, name, "node_id"), None);
        }
    });

    // The Sentinel that answers dies with the primary; the others say how it goes on.
    set.kill_sentinel(0);
    set.server_mut(0).kill();
    run.expect(SOON, "the primary is down", |c| is_down(c, &names[0]));
    let heirs = |c: &_| {
        names[1..]
            .iter()
            .filter(|name| has_role(c, name, "primary"))
            .count()
    };
    run.expect(FAILOVER, "a replica took over", |c| {
        heirs(c) == 1 && has_role(c, &names[0], "replica")
    });
    let heir = usize::from(!run.with_checker(|c| has_role(c, &names[1], "primary"))) + 1;
    // Its Sentinel cut its clients off, us as well.
    let _ = set.server(heir).command(&["PING"]);
    let role = set.server(heir).info_field("role");
    assert_eq!(role.as_deref(), Some("master"));
    run.with_checker(|c| assert!(is_down(c, &names[0]), "still down, whatever it is called"));

    set.server_mut(0).restart();
    run.expect(FAILOVER, "it is back", |c| {
        is_up(c, &names[0]) && has_role(c, &names[0], "replica")
    });
    for name in &names[1..] {
        assert_no_gap(&run, name);
    }
    run.with_checker(|checker| {
        assert_eq!(charted(checker), names.iter().cloned().collect());
        checker.assert_clean();
    });
}

fn expect_told(run: &PluginRun, words: &str) {
    run.expect(SOON, "a reason", |_| run.stderr().contains(words));
}

#[test]
fn what_cannot_be_followed_is_told() {
    let set = Sentinels::start(Kind::Valkey91);
    let run = plugin(&config(&set.addresses(), "mymaster, nobody")).start();
    run.expect(SOON, "those that are known are watched", |c| {
        charted(c).len() == 3
    });
    expect_told(&run, "no primary named nobody; correct masters:");
    let run = plugin(&config(&set.addresses()[..1], "nobody")).start();
    expect_told(&run, "no primary named nobody; correct masters:");
    let server = set.server(0).tcp_address();
    let run = plugin(&config(&[server], "")).start();
    expect_told(
        &run,
        "it is no Sentinel; write the Sentinels' own addresses",
    );
    let nobody = format!("redis://127.0.0.1:{}", process::free_port());
    let run = plugin(&config(&[nobody], "")).start();
    run.expect(SOON, "the Sentinel is down", |c| is_down(c, "c"));
}
