//! What the kernel tells, on paper: swap, limits, forks, settings, and each risk
//! reached and not reached.

use redis_frag::model::advice::Action;
use redis_frag::model::host::{Cgroup, Host, HugePages, Machine, Overcommit, Process};
use redis_frag::model::verdict::{Severity, Verdict};

use super::made_up::{Case, MEGABYTE, Memory};

const MB: u64 = MEGABYTE.unsigned_abs();

/// A machine with room for everything.
fn roomy() -> Host {
    let machine = Machine {
        total: Some(64_000 * MB),
        available: Some(50_000 * MB),
        swap_total: Some(1_000 * MB),
        swap_free: Some(1_000 * MB),
        overcommit: Some(Overcommit::Always),
        huge_pages: Some(HugePages::Madvise),
        ..Machine::default()
    };
    let process = Process {
        swap: Some(0),
        huge_pages_enabled: Some(true),
        ..Process::default()
    };
    Host {
        process,
        cgroups: Some(Vec::new()),
        cgroup: None,
        oom_kills: Some(0),
        oom_kills_around: None,
        machine,
    }
}

fn group(limit: u64, used: u64) -> Cgroup {
    Cgroup {
        path: "/redis".into(),
        limit,
        used: Some(used),
        cache: Some(0),
        swap: Some(0),
    }
}

/// 1 GB used, 1.009 GB resident.
fn large(more: &str) -> Case {
    let memory = Memory {
        used: 1000 * MEGABYTE,
        more: more.to_owned(),
        ..Memory::default()
    };
    Case::of(memory.info())
}

fn on(host: Host, case: Case) -> Case {
    Case {
        hosts: vec![host],
        ..case
    }
}

/// Half of it is not resident.
fn half_resident() -> Case {
    Case::of(
        "redis_version:7.0.15\nmem_allocator:libc\nuptime_in_seconds:5000\nused_memory:1000000000\n\
         used_memory_rss:500000000\nmem_fragmentation_ratio:0.50\nmem_fragmentation_bytes:-500000000\n",
    )
}

/// One of each kind, with the verdict and the severity that it must get.
pub(super) fn cases() -> Vec<(&'static str, Verdict, Severity, Case)> {
    use Severity::{Critical, Fine, Warning};
    let mut all = Vec::new();
    let mut add = |name, verdict, severity, case| all.push((name, verdict, severity, case));

    let mut swapped = roomy();
    swapped.process.swap = Some(500 * MB);
    swapped.machine.swap_free = Some(500 * MB);
    add(
        "in swap",
        Verdict::Swapping,
        Critical,
        on(swapped.clone(), half_resident()),
    );
    swapped.machine.available = Some(100 * MB);
    add(
        "in swap, no room",
        Verdict::Swapping,
        Critical,
        on(swapped, half_resident()),
    );
    // Room on the machine, and none in the cgroup that it would come back to.
    let mut pushed = roomy();
    pushed.process.swap = Some(500 * MB);
    pushed.machine.swap_free = Some(500 * MB);
    pushed.machine.swappiness = Some(60);
    pushed.cgroups = Some(vec![group(1_000 * MB, 700 * MB)]);
    let pushed = on(pushed, half_resident());
    add("in swap, cgroup full", Verdict::Swapping, Critical, pushed);
    add(
        "not in swap",
        Verdict::Healthy,
        Fine,
        on(roomy(), half_resident()),
    );
    let mut hardly = roomy();
    hardly.process.swap = Some(9 * MB);
    add(
        "hardly in swap",
        Verdict::Healthy,
        Fine,
        on(hardly, large("")),
    );

    let mut near = roomy();
    near.cgroups = Some(vec![group(1_200 * MB, 1_010 * MB)]);
    add(
        "near the limit",
        Verdict::Healthy,
        Warning,
        on(near, large("")),
    );
    let mut at = roomy();
    at.cgroups = Some(vec![group(1_050 * MB, 1_010 * MB)]);
    add(
        "at the limit",
        Verdict::Healthy,
        Critical,
        on(at.clone(), large("")),
    );
    let small = Memory {
        used: 30 * MEGABYTE,
        ..Memory::default()
    };
    at.cgroups = Some(vec![group(40 * MB, 39 * MB)]);
    add(
        "small at the limit",
        Verdict::Small,
        Fine,
        on(at, Case::of(small.info())),
    );

    let mut forks = roomy();
    forks.cgroups = Some(vec![group(1_500 * MB, 1_010 * MB)]);
    let saves = "rdb_last_cow_size:50000000\n";
    add(
        "a save may not fit",
        Verdict::Healthy,
        Warning,
        on(forks.clone(), large(saves)),
    );
    add(
        "never saves",
        Verdict::Healthy,
        Fine,
        on(forks.clone(), large("rdb_last_cow_size:0\n")),
    );
    add(
        "has an AOF",
        Verdict::Healthy,
        Warning,
        on(forks.clone(), large("aof_enabled:1\n")),
    );
    let beyond = on(forks, large("maxmemory:3000000000\n"));
    add(
        "maxmemory beyond the limit",
        Verdict::Healthy,
        Warning,
        beyond,
    );
    let full = on(roomy(), large("maxmemory:1000000000\n"));
    add("a full cache", Verdict::Healthy, Fine, full);

    let mut careful = roomy();
    careful.machine.overcommit = Some(Overcommit::Heuristic);
    add(
        "overcommit 0 with room",
        Verdict::Healthy,
        Fine,
        on(careful.clone(), large(saves)),
    );
    careful.machine.available = Some(5 * MB);
    careful.machine.kernel = Some((4, 19));
    add(
        "overcommit 0, little free",
        Verdict::Healthy,
        Warning,
        on(careful.clone(), large(saves)),
    );
    careful.machine.kernel = Some((6, 1));
    add(
        "overcommit 0, new kernel",
        Verdict::Healthy,
        Fine,
        on(careful.clone(), large(saves)),
    );
    careful.machine.overcommit = Some(Overcommit::Never);
    careful.machine.committed = Some(9_500 * MB);
    careful.machine.commit_limit = Some(10_000 * MB);
    add(
        "overcommit 2",
        Verdict::Healthy,
        Warning,
        on(careful, large(saves)),
    );

    let mut huge = roomy();
    huge.machine.huge_pages = Some(HugePages::Always);
    add(
        "huge pages",
        Verdict::Healthy,
        Fine,
        on(huge.clone(), large("")),
    );
    huge.process.huge_pages_enabled = Some(false);
    add(
        "huge pages off for it",
        Verdict::Healthy,
        Fine,
        on(huge, large("")),
    );

    let mut killed = roomy();
    killed.oom_kills = Some(3);
    add(
        "killed long ago",
        Verdict::Healthy,
        Fine,
        on(killed.clone(), large("")),
    );
    let twice = large("").infos[0].clone();
    let mut now = large("");
    now.infos.push(twice);
    now.hosts = vec![roomy(), killed];
    add("killed lately", Verdict::Healthy, Critical, now);
    all
}

#[test]
fn every_risk_is_told_where_it_holds_and_nowhere_else() {
    let wanted: &[(&str, &[&str])] = &[
        ("near the limit", &["near_limit"]),
        ("at the limit", &["near_limit"]),
        ("a save may not fit", &["fork_exceeds_limit"]),
        ("has an AOF", &["fork_exceeds_limit"]),
        ("maxmemory beyond the limit", &["maxmemory_above_limit"]),
        ("overcommit 0, little free", &["fork_refused"]),
        ("overcommit 0, new kernel", &["fork_refused"]),
        ("overcommit 2", &["fork_refused"]),
        ("huge pages", &["huge_pages"]),
        ("killed long ago", &["oom_killed"]),
        ("killed lately", &["oom_killed"]),
    ];
    for (name, _, _, case) in cases() {
        let found = case.diagnose();
        let told: Vec<&str> = found.risks.iter().map(|risk| risk.name).collect();
        let wanted = wanted.iter().find(|(case, _)| *case == name);
        assert_eq!(
            told,
            wanted.map_or(&[][..], |(_, risks)| risks),
            "{name}: {found:#?}"
        );
        for risk in &found.risks {
            assert!(!risk.why.is_empty() && !risk.short.is_empty(), "{name}");
        }
    }
}

fn case(wanted: &str) -> Case {
    let mut cases = cases().into_iter();
    cases.find(|(name, ..)| *name == wanted).unwrap().3
}

#[test]
fn a_ratio_below_1_with_nothing_in_swap_is_explained() {
    let found = case("not in swap").diagnose();
    let out = found
        .ruled_out
        .iter()
        .find(|out| out.verdict == Verdict::Swapping);
    let reason = &out.unwrap().reason;
    assert!(
        reason.contains("only 0 B of the process are in swap"),
        "{reason}"
    );
    assert!(reason.contains("never touched"), "{reason}");
    assert!(!found.missing.contains(&"VmSwap"), "{:?}", found.missing);
    // The same from afar: nobody can tell.
    let found = half_resident().diagnose();
    assert_eq!(
        (found.verdict, found.severity),
        (Verdict::Swapping, Severity::Warning)
    );
    assert!(found.missing.contains(&"VmSwap"), "{:?}", found.missing);
}

#[test]
fn swap_is_read_back_only_where_there_is_room() {
    let command = |name: &str| {
        let found = case(name).diagnose();
        let mut advice = found.advice.into_iter();
        advice
            .find(|advice| advice.action == Action::LeaveSwap)
            .unwrap()
            .command
    };
    assert_eq!(
        command("in swap").as_deref(),
        Some("swapoff -a && swapon -a")
    );
    assert_eq!(command("in swap, no room"), None);
    assert_eq!(command("in swap, cgroup full"), None);
    let found = case("in swap, cgroup full").diagnose();
    assert!(
        found.advice[0].why.contains("vm.swappiness is 60"),
        "{found:?}"
    );
}

#[test]
fn a_lower_maxmemory_fits_below_the_limit() {
    let found = case("maxmemory beyond the limit").diagnose();
    let mut advice = found.advice.iter();
    let lower = advice
        .find(|advice| advice.action == Action::LowerMaxmemory)
        .unwrap();
    // 1500 MB × 0.9 and a little for what lies outside of the allocator, in MiB.
    assert_eq!(
        lower.command.as_deref(),
        Some("redis-cli CONFIG SET maxmemory 1285mb")
    );
}
