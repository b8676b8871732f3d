//! A server of this machine that is killed, and another in its place: its readings
//! go, and come back as the other process'.

use super::common::{MB, SOON, alone, builder, diagnose, jobs, near, status};
use crate::support::{Kind, Server};

#[test]
fn readings_go_with_a_process_and_come_back_with_another() {
    let _alone = alone();
    let mut server = Server::start(Kind::Redis82);
    server.fill(40 * MB);
    let plugin = builder()
        .user_config(&jobs(&[server.tcp_address()]))
        .start();
    let blocks = |chart: &str| {
        let chart = format!("redis_frag_a.{chart}");
        plugin.with_checker(|seen| seen.chart(&chart).map_or(0, |chart| chart.blocks))
    };
    let last = |chart: &str, dimension: &str| {
        plugin.with_checker(|seen| seen.last(&format!("redis_frag_a.{chart}"), dimension))
    };
    plugin.expect(SOON, "swap and huge pages", |seen| {
        seen.last("redis_frag_a.swap", "swap").is_some() && seen.chart("redis_frag_a.thp").is_some()
    });
    let (old, large) = (server.pid(), last("headroom", "rss").unwrap());
    assert_eq!(diagnose(&server.tcp_address())["host"]["pid"], old);

    server.kill();
    plugin.expect(SOON, "its end", |seen| {
        seen.last("redis_frag_a.status", "down") == Some(1)
    });
    let (gone, downs) = (blocks("swap"), blocks("status"));
    plugin.expect(SOON, "some seconds without it", |seen| {
        seen.chart("redis_frag_a.status").unwrap().blocks >= downs + 3
    });
    assert_eq!(blocks("swap"), gone, "a reading of nobody");

    server.restart();
    plugin.expect(SOON, "readings of the new process", |seen| {
        seen.chart("redis_frag_a.swap").unwrap().blocks > gone
            && seen.last("redis_frag_a.status", "up") == Some(1)
    });
    assert_ne!(server.pid(), old);
    let report = diagnose(&server.tcp_address());
    assert_eq!(report["host"]["pid"], server.pid());
    let rss = report["host"]["rss"].as_f64().unwrap();
    near("rss", rss, status(server.pid(), "VmRSS") as f64, 0.1, MB);
    plugin.expect(SOON, "a small process", |seen| {
        let rss = seen.last("redis_frag_a.headroom", "rss");
        rss.is_some_and(|rss| rss > 0 && rss < large / 2)
    });
    plugin.with_checker(|seen| seen.assert_clean());
}
