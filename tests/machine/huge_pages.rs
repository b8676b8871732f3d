//! Transparent huge pages, both ways: servers that switch them off for themselves,
//! and one that does not.

use std::thread;

use super::common::{
    MB, SOON, TICK, agent, alone, diagnose, or_skip, plugin, risk, say, told, wait_alert,
};
use crate::support::{HugePages, Kind, PluginRun, Server, eventually};

const TEST: &str = "huge pages";
const STATES: [&str; 4] = ["always", "madvise", "never", "off_for_process"];

fn start(kind: Kind) -> Server {
    Server::builder(kind).socket_only().start()
}

/// Waits until the chart of each job shows this state, and no other.
#[track_caller]
fn expect_states(plugin: &PluginRun, wanted: &[&str]) {
    plugin.expect(SOON, &format!("thp: {wanted:?}"), |seen| {
        wanted.iter().zip('a'..).all(|(wanted, job)| {
            let chart = format!("redis_frag_{job}.thp");
            STATES
                .iter()
                .all(|state| seen.last(&chart, state) == Some(i64::from(state == wanted)))
        })
    });
}

#[test]
fn huge_pages_are_told_of_who_gets_them_and_of_nobody_else() {
    let _alone = alone();
    let Some(machine) = or_skip(TEST, HugePages::set("always")) else {
        return;
    };
    let mut servers: Vec<Server> = Kind::ALL.into_iter().map(start).collect();
    servers.push(
        Server::builder(Kind::Redis82)
            .socket_only()
            .arg("--disable-thp", "no")
            .start(),
    );
    let taking = &servers[4];
    let held = |server: &Server| {
        let report = diagnose(&server.unix_address());
        report["host"]["huge_pages"].as_u64().unwrap()
    };
    // Some are taken before they are switched off.
    let before: Vec<u64> = servers.iter().map(held).collect();
    for server in &servers {
        server.fill(60 * MB);
        let enabled = HugePages::enabled_for(server.pid());
        assert_eq!(
            enabled,
            Some(std::ptr::eq(server, taking)),
            "{}",
            server.kind().name()
        );
    }
    thread::sleep(TICK);
    for (server, before) in servers[..4].iter().zip(&before) {
        let report = diagnose(&server.unix_address());
        assert_eq!(report["host"]["huge_pages_enabled"], false);
        assert_eq!(report["host"]["transparent_hugepage"], "always");
        assert!(risk(&report, "huge_pages").is_none(), "{report}");
        assert_eq!(report["host"]["huge_pages"], *before, "{report}");
    }
    let report = diagnose(&taking.unix_address());
    let told_risk = risk(&report, "huge_pages").unwrap();
    assert_eq!(told_risk["severity"], "fine");
    assert!(held(taking) > before[4] + 20 * MB, "{report}");

    let plugin = plugin(&servers.iter().collect::<Vec<_>>());
    let off = "off_for_process";
    expect_states(&plugin, &[off, off, off, off, "always"]);
    let agent = agent(&[&servers[0], &servers[1], &servers[3], taking]);
    let alert = "redis_frag_thp";
    wait_alert(&agent, ('d', "thp"), alert, "WARNING");
    eventually(SOON, "a word to the receiver", || {
        !told(&agent, 'd', alert).is_empty()
    });
    for job in ['a', 'b', 'c'] {
        wait_alert(&agent, (job, "thp"), alert, "CLEAR");
        assert_eq!(told(&agent, job, alert), Vec::<String>::new());
    }
    let lines = agent.notifications().into_iter();
    let ours: Vec<String> = lines.filter(|line| line.contains(alert)).collect();
    assert!(
        ours.iter().all(|line| line.starts_with("silent")),
        "{ours:?}"
    );

    machine.change("madvise");
    expect_states(&plugin, &[off, off, off, off, "madvise"]);
    wait_alert(&agent, ('d', "thp"), alert, "CLEAR");
    machine.change("never");
    expect_states(&plugin, &["never"; 5]);
    assert!(risk(&diagnose(&taking.unix_address()), "huge_pages").is_none());
    plugin.with_checker(|seen| seen.assert_clean());
}

/// They look at their start alone: what is switched on later is another matter.
#[test]
fn huge_pages_switched_on_after_the_start_are_what_the_kernel_says() {
    let _alone = alone();
    let Some(machine) = or_skip(TEST, HugePages::set("madvise")) else {
        return;
    };
    let servers: Vec<Server> = Kind::ALL.into_iter().map(start).collect();
    machine.change("always");
    let wanted: Vec<&str> = servers
        .iter()
        .map(|server| {
            let enabled = HugePages::enabled_for(server.pid()).unwrap();
            let state = if enabled { "always" } else { "off_for_process" };
            say(&format!(
                "{}: started under madvise, then always: {state}",
                server.kind().name()
            ));
            state
        })
        .collect();
    assert_eq!(
        wanted, ["always"; 4],
        "none minds what is not on at its start"
    );
    let plugin = plugin(&servers.iter().collect::<Vec<_>>());
    expect_states(&plugin, &wanted);
    for (server, wanted) in servers.iter().zip(wanted) {
        server.fill(60 * MB);
        thread::sleep(TICK);
        let report = diagnose(&server.unix_address());
        let told = risk(&report, "huge_pages").is_some();
        assert_eq!(told, wanted == "always", "{report}");
        // The C library's allocator grows in steps too small for a huge page.
        if server.kind().has_jemalloc() {
            let held = report["host"]["huge_pages"].as_u64().unwrap();
            assert_eq!(held > 20 * MB, wanted == "always", "{report}");
        }
    }
}
