//! Every verdict, every piece of advice, offered and refused, and every reason of
//! a refusal is reached by some instance.

use std::collections::HashSet;

use redis_frag::model::advice::Action;
use redis_frag::model::diagnosis::Diagnosis;
use redis_frag::model::verdict::{Severity, Verdict};

use super::hosts;
use super::made_up::{Case, MEGABYTE, Memory};

/// Of all others nothing speaks against where they are advised.
const REFUSABLE: [Action; 3] = [Action::ActiveDefrag, Action::MemoryPurge, Action::Restart];

fn fragmented() -> Memory {
    Memory {
        fragmented: 300 * MEGABYTE,
        ..Memory::default()
    }
}

fn retained() -> Memory {
    Memory {
        releasable: 300 * MEGABYTE,
        ..Memory::default()
    }
}

fn with(memory: Memory, more: &str) -> Case {
    let more = more.to_owned();
    Case::of(Memory { more, ..memory }.info())
}

fn running(hits: u64, misses: u64) -> String {
    format!("active_defrag_running:25\nactive_defrag_hits:{hits}\nactive_defrag_misses:{misses}\n")
}

/// One of each kind, with the verdict that it must get.
fn cases() -> Vec<(&'static str, Verdict, Severity, Case)> {
    use Severity::{Critical, Fine, Unknown, Warning};
    let mut all = Vec::new();
    let mut add = |name, verdict, severity, case| all.push((name, verdict, severity, case));

    let dragonfly = "redis_version:7.2.0\ndragonfly_version:df-v1.2.3\nused_memory:500000000\n\
                     used_memory_rss:900000000\n";
    add("dragonfly", Verdict::Unknown, Unknown, Case::of(dragonfly));
    add(
        "a proxy",
        Verdict::Unknown,
        Unknown,
        Case::of("redis_version:7.2.4\n"),
    );
    let young = "redis_version:8.2.3\nuptime_in_seconds:0\nused_memory:900000000\n\
                 used_memory_rss:0\nmem_fragmentation_ratio:-nan\n";
    add(
        "before the first tick",
        Verdict::Starting,
        Unknown,
        Case::of(young),
    );
    let loading = with(fragmented(), "loading:1\n");
    add("loading", Verdict::Starting, Unknown, loading);

    let gone = Memory {
        used: 900 * MEGABYTE,
        process: -500 * MEGABYTE,
        ..Memory::default()
    };
    let swapping = Case::of(gone.info());
    add("half is not resident", Verdict::Swapping, Warning, swapping);
    let stalled = with(gone, "mem_clients_normal:600000000\n");
    add("a stalled client", Verdict::Healthy, Fine, stalled);
    let small = Memory {
        used: MEGABYTE,
        ..Memory::default()
    };
    add("little data", Verdict::Small, Fine, Case::of(small.info()));
    let once_large = Memory {
        releasable: 5000 * MEGABYTE,
        ..small
    };
    add(
        "little data in much",
        Verdict::RetainedPages,
        Critical,
        Case::of(once_large.info()),
    );
    let healthy = Memory::default().info();
    add("healthy", Verdict::Healthy, Fine, Case::of(healthy));

    for child in [
        "rdb_bgsave",
        "aof_rewrite",
        "module_fork",
        "slot_migration_fork",
    ] {
        let case = with(fragmented(), &format!("{child}_in_progress:1\n"));
        add("a child", Verdict::Forking, Fine, case);
    }
    let paused = format!("{}aof_rewrite_in_progress:1\n", running(900, 100));
    let mut paused = with(retained(), &paused);
    paused.enabled = Some(true);
    add("paused", Verdict::Forking, Fine, paused);

    let one_look = with(fragmented(), &running(30_000, 70_000));
    add("defrag works", Verdict::DefragWorking, Fine, one_look);
    let hopeless = with(fragmented(), &running(2_000, 98_000));
    add("hopeless", Verdict::DefragIneffective, Critical, hopeless);
    let mild = Memory {
        fragmented: 150 * MEGABYTE,
        ..Memory::default()
    };
    for (left, verdict, severity) in [
        (150, Verdict::DefragIneffective, Warning),
        (120, Verdict::DefragWorking, Fine),
    ] {
        let mut case = with(mild.clone(), &running(10_000, 20_000));
        let later = Memory {
            fragmented: left * MEGABYTE,
            more: running(13_000, 27_000),
            ..mild.clone()
        };
        case.infos.push(later.info());
        add("five minutes of defrag", verdict, severity, case);
    }

    add(
        "fragmented",
        Verdict::Fragmented,
        Critical,
        Case::of(fragmented().info()),
    );
    add(
        "a little fragmented",
        Verdict::Fragmented,
        Warning,
        Case::of(mild.info()),
    );
    let debian = Memory {
        version: "7.0.15",
        small_bins: false,
        ..fragmented()
    };
    let mut foreign = Case::of(debian.info());
    foreign.quantum = Some(16);
    add("Debian's jemalloc", Verdict::Fragmented, Critical, foreign);
    let few = Memory {
        fragmented: 60 * MEGABYTE,
        ..Memory::default()
    };
    add(
        "too few bytes",
        Verdict::Fragmented,
        Warning,
        Case::of(few.info()),
    );
    let mut percent = Case::of(mild.info());
    percent.lower = Some(400);
    add(
        "too low a percentage",
        Verdict::Fragmented,
        Warning,
        percent,
    );
    let mut both = Case::of(few.info());
    both.lower = Some(400);
    add("too few and too low", Verdict::Fragmented, Warning, both);
    let defective = Memory {
        version: "8.2.1",
        ..fragmented()
    };
    let mut on = Case::of(defective.info());
    add("a known defect", Verdict::Fragmented, Critical, on.clone());
    on.enabled = Some(true);
    add("a known defect strikes", Verdict::Fragmented, Critical, on);
    let stall = Memory {
        version: "7.2.8",
        small_bins: false,
        ..fragmented()
    };
    let stall = with(stall, "db0:keys=90000,expires=80000,avg_ttl=0\n");
    add("keys that expire", Verdict::Fragmented, Critical, stall);
    let mut idle = Case::of(fragmented().info());
    idle.enabled = Some(true);
    add("it is on", Verdict::Fragmented, Critical, idle);

    let mut retained_pages = Case::of(retained().info());
    add(
        "retained",
        Verdict::RetainedPages,
        Critical,
        retained_pages.clone(),
    );
    retained_pages.ignore_bytes = Some(1);
    retained_pages.lower = Some(0);
    add(
        "little to defragment",
        Verdict::RetainedPages,
        Critical,
        retained_pages,
    );
    let lua = Memory {
        process: 200 * MEGABYTE,
        ..Memory::default()
    };
    let lua = with(lua, "used_memory_lua:190000000\n");
    add("Lua", Verdict::ProcessOverhead, Warning, lua);
    let mut strict = Case::of(Memory::default().info());
    strict.thresholds.ratio = 1.05;
    add(
        "a strict operator",
        Verdict::ProcessOverhead,
        Warning,
        strict,
    );

    // Whatever is most, by a little.
    for (fragmented, releasable, outside, verdict) in [
        (100, 99, 99, Verdict::Fragmented),
        (99, 100, 99, Verdict::RetainedPages),
        (99, 99, 100, Verdict::ProcessOverhead),
    ] {
        let memory = Memory {
            fragmented: fragmented * MEGABYTE,
            releasable: releasable * MEGABYTE,
            process: (outside - 50) * MEGABYTE,
            other: 50 * MEGABYTE,
            ..Memory::default()
        };
        let case = Case::of(memory.info());
        add("nearly the same", verdict, Warning, case);
    }
    let libc = Memory {
        allocator: "libc",
        ..fragmented()
    };
    add(
        "libc",
        Verdict::Unattributed,
        Critical,
        Case::of(libc.info()),
    );
    let oldest = "redis_version:4.0.14\nmem_allocator:jemalloc-4.0.3\nused_memory:2000000000\n\
                  used_memory_rss:6000000000\nmem_fragmentation_ratio:3.00\n\
                  active_defrag_running:0\n";
    let mut oldest = Case::of(oldest);
    oldest.quantum = None;
    add("Redis 4.0", Verdict::Unattributed, Warning, oldest);
    let system = fragmented().info().replace(
        "allocator_frag_ratio:3.97\nallocator_frag_bytes:300000000",
        "allocator_frag_ratio:1.00\nallocator_frag_bytes:0",
    );
    let mut system = Case::of(format!("valkey_version:8.1.8\n{system}"));
    system.quantum = None;
    add(
        "Valkey on a system's jemalloc",
        Verdict::Fragmented,
        Critical,
        system,
    );
    all.extend(hosts::cases());
    all
}

fn found() -> Vec<(&'static str, Diagnosis)> {
    let diagnose = |(name, verdict, severity, case): (_, _, _, Case)| {
        let found = case.diagnose();
        assert_eq!(
            (found.verdict, found.severity),
            (verdict, severity),
            "{name}: {found:#?}"
        );
        (name, found)
    };
    cases().into_iter().map(diagnose).collect()
}

#[test]
fn every_verdict_is_reached() {
    let reached: HashSet<Verdict> = found().iter().map(|(_, found)| found.verdict).collect();
    for verdict in Verdict::ALL {
        assert!(reached.contains(&verdict), "{verdict:?}");
    }
    let ruled_out: HashSet<Verdict> = found()
        .iter()
        .flat_map(|(_, found)| found.ruled_out.iter().map(|out| out.verdict))
        .collect();
    // Nothing comes after the last one.
    assert_eq!(ruled_out.len(), Verdict::ALL.len() - 1);
    assert!(!ruled_out.contains(&Verdict::Unattributed));
}

#[test]
fn every_severity_is_reached() {
    let reached: HashSet<&str> = found().iter().map(|(_, f)| f.severity.name()).collect();
    assert_eq!(reached.len(), 4, "{reached:?}");
}

#[test]
fn all_advice_is_offered_to_somebody_and_refused_where_it_can_be() {
    let (mut offered, mut refused) = (HashSet::new(), HashSet::new());
    for (name, found) in found() {
        let mut any_refused = false;
        for advice in &found.advice {
            assert!(!advice.why.is_empty(), "{name}: {advice:?}");
            any_refused |= advice.refused;
            assert_eq!(any_refused, advice.refused, "{name}: refused comes last");
            if advice.refused {
                assert_eq!(advice.command, None, "{name}: {advice:?}");
                refused.insert(advice.action);
            } else {
                offered.insert(advice.action);
            }
        }
    }
    for action in Action::ALL {
        assert!(offered.contains(&action), "{action:?} is offered to nobody");
        let refusable = REFUSABLE.contains(&action);
        assert_eq!(refused.contains(&action), refusable, "{action:?} refused");
    }
}

#[test]
fn every_reason_of_a_refusal_is_reached() {
    let found = found();
    for (case, action, reason) in [
        ("libc", Action::ActiveDefrag, "its allocator is libc"),
        ("Debian's jemalloc", Action::ActiveDefrag, "(quantum 16)"),
        (
            "Valkey on a system's jemalloc",
            Action::ActiveDefrag,
            "(it counts no fragmented bytes)",
        ),
        ("Redis 4.0", Action::ActiveDefrag, "cannot be told"),
        (
            "too few bytes",
            Action::ActiveDefrag,
            "of 100.0 MiB (active-defrag-ignore-bytes)",
        ),
        (
            "too low a percentage",
            Action::ActiveDefrag,
            "148.5% fragmented of 400%",
        ),
        (
            "too few and too low",
            Action::ActiveDefrag,
            "(active-defrag-ignore-bytes) and 59.4%",
        ),
        ("a known defect", Action::ActiveDefrag, "upgrade to 8.2.2"),
        (
            "keys that expire",
            Action::ActiveDefrag,
            "upgrade to 7.2.11",
        ),
        ("little to defragment", Action::ActiveDefrag, "to win"),
        ("a child", Action::ActiveDefrag, "a child is saving"),
        ("paused", Action::ActiveDefrag, "it is on already"),
        ("it is on", Action::ActiveDefrag, "starts by itself"),
        ("libc", Action::MemoryPurge, "answers OK and does nothing"),
        (
            "fragmented",
            Action::MemoryPurge,
            "there is little to purge",
        ),
        ("paused", Action::MemoryPurge, "a child is saving"),
        ("a strict operator", Action::Restart, "to win"),
    ] {
        let mut of_case = found.iter().filter(|(name, _)| *name == case);
        let advice = of_case.find_map(|(_, found)| {
            let mut advice = found.advice.iter().filter(|advice| advice.refused);
            advice.find(|advice| advice.action == action)
        });
        let caution = &advice
            .unwrap_or_else(|| panic!("{case}: {action:?}"))
            .caution;
        assert!(caution.starts_with("not advised: "), "{caution}");
        assert!(caution.contains(reason), "{case}, {reason:?}: {caution}");
    }
}

#[test]
fn the_names_are_lower_case_and_told_apart() {
    let verdicts = Verdict::ALL.map(Verdict::name);
    let actions = Action::ALL.map(Action::name);
    for names in [&verdicts[..], &actions[..]] {
        let unique: HashSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len());
        for name in names {
            assert!(
                name.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            );
        }
    }
    assert!(
        Verdict::ALL
            .iter()
            .all(|verdict| !verdict.meaning().is_empty())
    );
}

#[test]
fn a_purge_is_offered_where_jemalloc_tells_nothing() {
    let found = found();
    let oldest = found.iter().find(|(name, _)| *name == "Redis 4.0").unwrap();
    let purge = &oldest.1.advice[0];
    assert_eq!(purge.action, Action::MemoryPurge);
    assert!(purge.why.contains("cannot be told"), "{purge:?}");
    assert!(oldest.1.missing.contains(&"allocator statistics"));
}

#[test]
fn flushing_scripts_is_not_advised_for_functions() {
    let functions = Memory {
        process: 200 * MEGABYTE,
        version: "7.0.15",
        small_bins: false,
        ..Memory::default()
    };
    let more = "used_memory_lua:31744\nused_memory_vm_total:190000000\n";
    let found = with(functions, more).diagnose();
    assert_eq!(found.verdict, Verdict::ProcessOverhead);
    let mut advice = found.advice.iter();
    assert!(advice.all(|advice| advice.action != Action::ScriptFlush));
    let mut evidence = found.evidence.iter();
    assert!(evidence.any(|fact| fact.field == "used_memory_vm_total"));
}

#[test]
fn a_build_that_cannot_defragment_has_none_of_its_defects() {
    let libc = Memory {
        allocator: "libc",
        version: "8.2.1",
        ..fragmented()
    };
    assert!(Case::of(libc.info()).diagnose().known_issues.is_empty());
}

#[test]
fn bytes_that_contradict_themselves_cost_only_themselves() {
    let info = fragmented().info();
    let line = info
        .lines()
        .find(|line| line.starts_with("mem_fragmentation_bytes"));
    let absurd = info.replace(line.unwrap(), "mem_fragmentation_bytes:900000000000");
    assert_eq!(Case::of(absurd).diagnose().verdict, Verdict::Fragmented);
}
