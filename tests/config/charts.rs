//! `charts:` of a file and of a job, and what a mistake in it costs.

use redis_frag::config::job::Job;
use redis_frag::config::load;
use redis_frag::model::families::Families;

use super::fixture;

#[test]
fn charts_are_those_of_the_job_or_the_file_and_the_collector_s() {
    let charts = load::from_file(&fixture("valid/charts.conf")).parsed;
    let families = |job: &Job| job.charts.names().collect::<Vec<_>>().join(", ");
    let found: Vec<String> = charts.jobs.iter().map(families).collect();
    let wanted = [
        "fragmentation, memory, collector",
        "active defrag, size classes, collector",
        "collector",
        "fragmentation, memory, collector",
    ];
    assert_eq!(found, wanted);
    let mistaken = load::from_file(&fixture("invalid/charts_unknown.conf")).parsed;
    assert_eq!(
        mistaken.jobs[0].charts,
        Families::ALL,
        "a mistake hides none"
    );
}
