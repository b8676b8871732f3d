//! The alerts on the memory limit, of real servers in real cgroups under a real
//! agent.

use std::thread;

use super::common::{MB, SOON, TICK, agent, alone, diagnose, or_skip, risk, told, wait_alert};
use crate::support::{Cgroup, Kind, Server, eventually};

const LIMIT: u64 = 300 << 20;

/// Fills until so much of the limit is resident, percent.
fn fill_to(server: &Server, percent: f64) {
    let taken = || {
        thread::sleep(TICK);
        100.0 * server.info_number("used_memory_rss") / LIMIT as f64
    };
    let mut now = taken();
    while now < percent {
        let missing = (percent - now) / 100.0 * LIMIT as f64;
        server.fill((missing * 0.7) as u64 + MB / 2);
        now = taken();
    }
    assert!(now < percent + 3.0, "filled to {now}");
}

fn limited(kind: Kind, group: &Cgroup) -> Server {
    let server = Server::builder(kind).socket_only().start();
    group.take(server.pid());
    server
}

#[test]
fn a_limit_that_comes_near_is_told_and_a_save_that_would_not_fit() {
    let _alone = alone();
    let groups = Cgroup::new(LIMIT).and_then(|a| Ok((a, Cgroup::new(LIMIT)?)));
    let Some((first, second)) = or_skip("alerts on the limit of a cgroup", groups) else {
        return;
    };
    let saved = limited(Kind::Redis82, &first);
    let never_forked = limited(Kind::Redis70, &second);
    saved.ok(&["BGSAVE"]);
    let agent = agent(&[&saved, &never_forked]);
    let (near, fork) = ("redis_frag_headroom", "redis_frag_fork_headroom");
    for job in ['a', 'b'] {
        wait_alert(&agent, (job, "headroom_used"), near, "CLEAR");
        wait_alert(&agent, (job, "headroom_used"), fork, "CLEAR");
    }
    eventually(SOON, "the save's end", || {
        saved.info_number("rdb_bgsave_in_progress") == 0.0
    });

    // A save does not fit, and nothing else is wrong.
    fill_to(&saved, 60.0);
    fill_to(&never_forked, 60.0);
    wait_alert(&agent, ('a', "headroom_used"), fork, "WARNING");
    let worst = agent.latest("redis_frag_b.headroom_used", "worst_case");
    assert!(worst.is_some_and(|worst| worst > 105.0), "{worst:?}");
    for (job, alert) in [('b', fork), ('a', near), ('b', near)] {
        let chart = format!("redis_frag_{job}.headroom_used");
        let status = agent.alarm_status(&chart, alert);
        assert_eq!(status.as_deref(), Some("CLEAR"), "{job} {alert}");
    }
    let report = diagnose(&saved.unix_address());
    assert!(risk(&report, "fork_exceeds_limit").is_some(), "{report}");
    assert!(risk(&report, "near_limit").is_none(), "{report}");

    fill_to(&saved, 83.0);
    wait_alert(&agent, ('a', "headroom_used"), near, "WARNING");
    let report = diagnose(&saved.unix_address());
    assert_eq!(risk(&report, "near_limit").unwrap()["severity"], "warning");
    fill_to(&saved, 93.0);
    wait_alert(&agent, ('a', "headroom_used"), near, "CRITICAL");
    let report = diagnose(&saved.unix_address());
    assert_eq!(risk(&report, "near_limit").unwrap()["severity"], "critical");
    assert_eq!(report["severity"], "critical");

    saved.ok(&["FLUSHALL"]);
    saved.ok(&["MEMORY", "PURGE"]);
    for alert in [near, fork] {
        wait_alert(&agent, ('a', "headroom_used"), alert, "CLEAR");
    }
    let all = ["WARNING", "CRITICAL", "CLEAR"];
    eventually(SOON, "the receiver is told of each", || {
        told(&agent, 'a', near) == all
    });
    for alert in [near, fork] {
        assert_eq!(told(&agent, 'b', alert), Vec::<String>::new());
    }
    assert_eq!(first.kills() + second.kills(), 0);
    assert_eq!(agent.complaints(), Vec::<String>::new());
}
