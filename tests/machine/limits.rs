//! Nested cgroups around a real server: which limit counts, what is left of it, and
//! that charts and report agree with the kernel.

use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::common::{MB, SOON, TICK, alone, diagnose, near, or_skip, plugin};
use crate::support::{Cgroup, Kind, Server};

const OUTER: u64 = 400 << 20;
const INNER: u64 = 600 << 20;

/// How soon a limit that was changed must be known.
const CHANGED: Duration = Duration::from_secs(12);

#[test]
fn the_least_limit_around_a_server_is_its_headroom() {
    let _alone = alone();
    let test = "limits of cgroups";
    let Some(outer) = or_skip(test, Cgroup::new(OUTER)) else {
        return;
    };
    let Some(inner) = or_skip(test, outer.inside(INNER)) else {
        return;
    };
    let server = Server::start(Kind::Redis82);
    inner.take(server.pid());
    server.fill(150 * MB);
    let outside = Server::start(Kind::Redis70);
    outside.fill(20 * MB);
    thread::sleep(TICK);

    let report = diagnose(&server.unix_address());
    inside_is_told(&report, &server, &outer, &inner);
    let report = diagnose(&outside.tcp_address());
    let room = &report["headroom"];
    assert_eq!(room["limited_by"], "machine", "{report}");
    assert_eq!(room["limit"], report["host"]["memory"]);
    assert_eq!(report["host"]["cgroups"], Value::Array(Vec::new()));

    charts_follow(&server, &outside, &outer);
}

fn inside_is_told(report: &Value, server: &Server, outer: &Cgroup, inner: &Cgroup) {
    let host = &report["host"];
    let groups = host["cgroups"].as_array().unwrap();
    let told: Vec<(&str, u64)> = groups
        .iter()
        .map(|group| {
            (
                group["path"].as_str().unwrap(),
                group["limit"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [(inner.path(), INNER), (outer.path(), OUTER)]);
    for (group, own) in groups.iter().zip([inner, outer]) {
        let of = |name: &str| group[name].as_f64().unwrap();
        near("used", of("used"), own.used() as f64, 0.02, 2 * MB);
        near("cache", of("cache"), own.cache() as f64, 0.02, 2 * MB);
    }
    // By INFO the machine is all there is.
    let said = server.info_number("total_system_memory");
    near(
        "memory",
        host["memory"].as_f64().unwrap(),
        said,
        0.01,
        32 * MB,
    );
    assert!(said > 4.0 * OUTER as f64, "a machine too small for this");

    let room = &report["headroom"];
    assert_eq!(room["limited_by"], "cgroup", "{room}");
    assert_eq!(room["cgroup"], outer.path());
    assert_eq!(
        (room["limit"].as_u64(), &room["cow"]),
        (Some(OUTER), &Value::from(0))
    );
    assert_eq!(room["first_met"], "cgroup");
    let (rss, resident) = (
        server.info_number("used_memory_rss"),
        server.info_number("allocator_resident"),
    );
    assert!(rss > 150e6, "{rss}");
    let of = |name: &str| room[name].as_f64().unwrap();
    let limit = OUTER as f64;
    near("now", of("now"), 100.0 * rss / limit, 0.02, 0);
    let worst = 100.0 * (rss + resident) / limit;
    near("worst_case", of("worst_case"), worst, 0.02, 0);
    let held = rss.max((outer.used() - outer.cache()) as f64);
    near("free", of("free"), limit - held, 0.02, 0);
}

fn charts_follow(server: &Server, outside: &Server, outer: &Cgroup) {
    let plugin = plugin(&[server, outside]);
    let rss = server.info_number("used_memory_rss");
    plugin.expect(SOON, "headroom of both", |seen| {
        ['a', 'b'].iter().all(|job| {
            let shown = seen.chart(&format!("redis_frag_{job}.headroom_used"));
            shown.and_then(|chart| chart.shown("now")).is_some()
        })
    });
    plugin.with_checker(|seen| {
        let chart = |id: &str| seen.chart(id).unwrap();
        let label = |id: &str| chart(id).labels["limited_by"].clone();
        assert_eq!(label("redis_frag_a.headroom"), "cgroup");
        assert_eq!(label("redis_frag_b.headroom"), "machine");
        let (room, share) = (
            chart("redis_frag_a.headroom"),
            chart("redis_frag_a.headroom_used"),
        );
        near("rss", room.shown("rss").unwrap(), rss, 0.02, 0);
        assert_eq!(room.shown("cow"), Some(0.0));
        let held = rss.max((outer.used() - outer.cache()) as f64);
        let free = room.shown("free").unwrap();
        near("free", free, OUTER as f64 - held, 0.02, 0);
        let now = 100.0 * rss / OUTER as f64;
        near("now", share.shown("now").unwrap(), now, 0.02, 0);
        assert!(share.shown("worst_case").unwrap() > now * 1.8);
        assert_eq!(share.variables["limit"], OUTER as f64);
    });
    // Without a limit of its own the outer one lets the inner one count; then it
    // has one again.
    for (limit, counts) in [
        (None, INNER),
        (Some(OUTER - (50 << 20)), OUTER - (50 << 20)),
    ] {
        outer.limit(limit);
        plugin.expect(CHANGED, &format!("the limit {counts}"), |seen| {
            let share = seen.chart("redis_frag_a.headroom_used").unwrap();
            let shown = share.shown("now").unwrap_or_default();
            let wanted = 100.0 * rss / counts as f64;
            share.variables["limit"] == counts as f64 && (shown / wanted - 1.0).abs() < 0.03
        });
    }
    plugin.with_checker(|seen| seen.assert_clean());
}
