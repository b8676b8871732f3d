//! Alerts on verdicts and known defects under a real agent, of servers that cannot
//! be had or brought into that state.

use std::time::Duration;

use super::with_jobs;
use crate::support::{Fake, eventually};

/// A made-up INFO of a server with jemalloc: bytes used, allocated, active,
/// resident and RSS, and what else it says.
pub(crate) fn made_up(
    version: &str,
    [used, allocated, active, resident, rss]: [i64; 5],
    more: &str,
) -> String {
    format!(
        "redis_version:{version}\r\nrun_id:{version}{used}\r\nuptime_in_seconds:9999\r\n\
         used_memory:{used}\r\nused_memory_peak:{used}\r\nused_memory_rss:{rss}\r\n\
         allocator_allocated:{allocated}\r\nallocator_active:{active}\r\n\
         allocator_resident:{resident}\r\nmem_fragmentation_ratio:{:.2}\r\n\
         mem_fragmentation_bytes:{}\r\nmem_allocator:jemalloc-5.2.1\r\nloading:0\r\n\
         rdb_bgsave_in_progress:0\r\n{more}",
        rss as f64 / used as f64,
        rss - used,
    )
}

#[test]
fn alerts_on_verdicts_are_raised_for_the_instance_that_earns_them_alone() {
    const MB: i64 = 1_000_000;
    let off = [("activedefrag", "no")];
    let on = [("activedefrag", "yes")];
    let swapping = Fake::start(
        &made_up(
            "6.2.5",
            [2000 * MB, 2001 * MB, 2002 * MB, 2003 * MB, 900 * MB],
            "",
        ),
        &off,
    );
    let hopeless = "active_defrag_running:25\r\nactive_defrag_hits:10\r\nactive_defrag_misses:1000000\r\n\
                    db0:keys=900000,expires=800000,avg_ttl=0\r\n";
    let fragmented = [500 * MB, 501 * MB, 1500 * MB, 1510 * MB, 1515 * MB];
    let ineffective = Fake::start(&made_up("7.2.5", fragmented, hopeless), &on);
    let would_start = Fake::start(&made_up("6.2.5", fragmented, ""), &off);
    let retained = [500 * MB, 501 * MB, 510 * MB, 1510 * MB, 1515 * MB];
    let retained = Fake::start(&made_up("6.2.5", retained, ""), &on);
    let healthy = [500 * MB, 501 * MB, 510 * MB, 520 * MB, 530 * MB];
    let healthy = Fake::start(&made_up("6.2.5", healthy, ""), &off);
    let small = Fake::start(
        &made_up(
            "7.2.5",
            [40 * MB, 41 * MB, 120 * MB, 125 * MB, 130 * MB],
            hopeless,
        ),
        &on,
    );

    let fakes = [
        &swapping,
        &ineffective,
        &would_start,
        &retained,
        &healthy,
        &small,
    ];
    let job = |(fake, name): (&&Fake, char)| {
        format!("  - name: {name}\n    address: {}\n", fake.unix_address())
    };
    let jobs: String = fakes.iter().zip('a'..).map(job).collect();
    let agent = with_jobs(&format!("jobs:\n{jobs}")).start();
    let raised = |alarm: &str, chart: &str| -> Vec<char> {
        let is_raised = |name: &char| {
            let status = agent.alarm_status(&format!("redis_frag_{name}.{chart}"), alarm);
            matches!(status.as_deref(), Some("WARNING" | "CRITICAL"))
        };
        ('a'..='f').filter(is_raised).collect()
    };
    let expected = [
        ("redis_frag_swap_suspected", "ratio", vec!['a']),
        ("redis_frag_defrag_ineffective", "diagnosis", vec!['b']),
        ("redis_frag_known_issue", "known_issue", vec!['b']),
        ("redis_frag_defrag_off", "diagnosis", vec!['c']),
        ("redis_frag_retained_pages", "diagnosis", vec!['d']),
        ("redis_frag_ratio", "ratio", vec!['b', 'c', 'd']),
    ];
    for (alarm, chart, wanted) in &expected {
        eventually(
            Duration::from_secs(40),
            &format!("{alarm} for {wanted:?}"),
            || raised(alarm, chart) == *wanted,
        );
    }
    for (alarm, chart, wanted) in &expected {
        assert_eq!(raised(alarm, chart), *wanted, "{alarm}");
    }
    let silent = ["redis_frag_defrag_off", "redis_frag_retained_pages"];
    for line in agent.notifications() {
        let alarm = line.split('\t').nth(6).unwrap_or_default();
        let told = silent.contains(&alarm);
        assert!(
            !told || line.starts_with("silent"),
            "a silent alert reached somebody: {line}"
        );
    }
    assert_eq!(agent.complaints(), Vec::<String>::new());
}
