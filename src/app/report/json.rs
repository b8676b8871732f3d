//! A report as one line of JSON, for programs.
//!
//! The names and their order are a promise. Bytes are integers, other numbers
//! have at most three decimals, and what is absent is null.

use serde::Serialize;

use crate::model::defrag::State;
use crate::model::headroom::{Headroom, LimitedBy};
use crate::model::host::{Cgroup, HugePages, Overcommit};
use crate::model::risks::Risk;
use crate::model::verdict::{Evidence, Figure, Relation};

use super::words::rounded;
use super::{Found, Report};

/// The whole of it.
#[derive(Serialize)]
struct Line<'a> {
    instance: &'a str,
    server: Server<'a>,
    verdict: &'static str,
    severity: &'static str,
    evidence: Vec<Fact>,
    ruled_out: Vec<RuledOut<'a>>,
    missing: &'a [&'static str],
    waste: Waste,
    reclaim: Reclaim,
    defrag: Defrag<'a>,
    known_issues: Vec<Issue>,
    advice: Vec<Advice<'a>>,
    risks: Vec<RiskTold<'a>>,
    headroom: Room<'a>,
    host: HostRead<'a>,
    /// Of an instance that could not be asked, why.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[derive(Default, Serialize)]
struct Server<'a> {
    flavour: Option<&'static str>,
    version: Option<&'a str>,
    allocator: Option<&'a str>,
}

#[derive(Serialize)]
struct Fact {
    field: &'static str,
    value: Number,
    threshold: Number,
    relation: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Number {
    Whole(i64),
    Broken(f64),
    Absent,
}

#[derive(Serialize)]
struct RuledOut<'a> {
    verdict: &'static str,
    reason: &'a str,
}

#[derive(Default, Serialize)]
struct Waste {
    total: Option<i64>,
    fragmented: Option<i64>,
    releasable: Option<i64>,
    process: Option<i64>,
    other: Option<i64>,
}

#[derive(Default, Serialize)]
struct Reclaim {
    active_defrag: Option<i64>,
    memory_purge: Option<i64>,
    restart: Option<i64>,
}

#[derive(Default, Serialize)]
struct Defrag<'a> {
    state: Option<&'static str>,
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Issue {
    id: &'static str,
    effect: &'static str,
    remedy: &'static str,
    source: &'static str,
    strikes: bool,
}

#[derive(Serialize)]
struct Advice<'a> {
    action: &'static str,
    command: Option<&'a str>,
    why: &'a str,
    caution: &'a str,
}

#[derive(Serialize)]
struct RiskTold<'a> {
    risk: &'static str,
    severity: &'static str,
    why: &'a str,
}

#[derive(Default, Serialize)]
struct Room<'a> {
    limit: Option<u64>,
    limited_by: Option<&'static str>,
    cgroup: Option<&'a str>,
    rss: Option<u64>,
    cow: Option<u64>,
    free: Option<u64>,
    first_met: Option<&'static str>,
    copy_bound: Option<u64>,
    copy_usual: Option<u64>,
    rss_at_maxmemory: Option<u64>,
    now: Option<f64>,
    worst_case: Option<f64>,
}

/// What the kernel tells; of an instance elsewhere nothing.
#[derive(Default, Serialize)]
struct HostRead<'a> {
    pid: Option<u32>,
    rss: Option<u64>,
    peak: Option<u64>,
    swap: Option<u64>,
    huge_pages: Option<u64>,
    huge_pages_enabled: Option<bool>,
    oom_kills: Option<u64>,
    cgroups: Option<Vec<Group<'a>>>,
    memory: Option<u64>,
    available: Option<u64>,
    swap_total: Option<u64>,
    swap_free: Option<u64>,
    overcommit: Option<u8>,
    swappiness: Option<u8>,
    transparent_hugepage: Option<&'static str>,
    /// Why the process is not known, of an instance on this machine.
    unsure: Option<&'a str>,
}

#[derive(Serialize)]
struct Group<'a> {
    path: &'a str,
    limit: u64,
    used: Option<u64>,
    cache: Option<u64>,
    swap: Option<u64>,
}

/// One line, with its end.
#[must_use]
pub fn line(report: &Report) -> String {
    let line = match &report.found {
        Ok(found) => found_line(report, found),
        Err(error) => unreachable_line(report, error),
    };
    // Nothing in here can fail to be written: texts, numbers and lists of them.
    let mut text = serde_json::to_string(&line).unwrap_or_default();
    text.push('\n');
    text
}

fn found_line<'a>(report: &'a Report, found: &'a Found) -> Line<'a> {
    let diagnosis = &found.diagnosis;
    let ruled_out = diagnosis.ruled_out.iter().map(|ruled| RuledOut {
        verdict: ruled.verdict.name(),
        reason: &ruled.reason,
    });
    let issues = found.issues.iter().map(|(issue, strikes)| Issue {
        id: issue.id,
        effect: issue.effect,
        remedy: issue.remedy,
        source: issue.source,
        strikes: *strikes,
    });
    let advice = diagnosis.advice.iter().map(|advice| Advice {
        action: advice.action.name(),
        command: advice.command.as_deref(),
        why: &advice.why,
        caution: &advice.caution,
    });
    Line {
        instance: &report.instance,
        server: Server {
            flavour: Some(found.flavour),
            version: found.version.as_deref(),
            allocator: found.allocator.as_deref(),
        },
        verdict: report.verdict().name(),
        severity: report.severity().name(),
        evidence: diagnosis.evidence.iter().map(fact).collect(),
        ruled_out: ruled_out.collect(),
        missing: &diagnosis.missing,
        waste: waste(found),
        reclaim: Reclaim {
            active_defrag: found.reclaim.active_defrag,
            memory_purge: found.reclaim.memory_purge,
            restart: found.reclaim.restart,
        },
        defrag: Defrag {
            state: found.defrag.map(State::name),
            reason: Some(&diagnosis.defrag_reason),
        },
        known_issues: issues.collect(),
        advice: advice.collect(),
        risks: diagnosis.risks.iter().map(risk).collect(),
        headroom: found.headroom.as_ref().map(room).unwrap_or_default(),
        host: host(found),
        error: None,
    }
}

fn unreachable_line<'a>(report: &'a Report, error: &'a str) -> Line<'a> {
    Line {
        instance: &report.instance,
        server: Server::default(),
        verdict: report.verdict().name(),
        severity: report.severity().name(),
        evidence: vec![Fact {
            field: "INFO",
            value: Number::Absent,
            threshold: Number::Absent,
            relation: Relation::Absent.name(),
        }],
        ruled_out: Vec::new(),
        missing: &["INFO"],
        waste: Waste::default(),
        reclaim: Reclaim::default(),
        defrag: Defrag::default(),
        known_issues: Vec::new(),
        advice: Vec::new(),
        risks: Vec::new(),
        headroom: Room::default(),
        host: HostRead::default(),
        error: Some(error),
    }
}

fn risk(risk: &Risk) -> RiskTold<'_> {
    RiskTold {
        risk: risk.name,
        severity: risk.severity.name(),
        why: &risk.why,
    }
}

fn room(room: &Headroom) -> Room<'_> {
    Room {
        limit: Some(room.limit),
        limited_by: Some(room.limited_by.name()),
        cgroup: match &room.limited_by {
            LimitedBy::Cgroup(path) => Some(path),
            _ => None,
        },
        rss: Some(room.rss),
        cow: Some(room.cow),
        free: Some(room.free),
        first_met: Some(room.first_met.name()),
        copy_bound: Some(room.copy_bound),
        copy_usual: room.copy_usual,
        rss_at_maxmemory: room.rss_at_maxmemory,
        now: rounded(room.now()),
        worst_case: rounded(room.worst_case()),
    }
}

fn host(found: &Found) -> HostRead<'_> {
    let unsure = found.unsure.as_deref();
    let Some(host) = &found.host else {
        return HostRead {
            unsure,
            ..HostRead::default()
        };
    };
    let (process, machine) = (&host.process, &host.machine);
    HostRead {
        pid: Some(process.pid),
        rss: process.rss,
        peak: process.peak,
        swap: process.swap,
        huge_pages: process.huge,
        huge_pages_enabled: process.huge_pages_enabled,
        oom_kills: host.oom_kills,
        cgroups: host
            .cgroups
            .as_ref()
            .map(|groups| groups.iter().map(group).collect()),
        memory: machine.total,
        available: machine.available,
        swap_total: machine.swap_total,
        swap_free: machine.swap_free,
        overcommit: machine.overcommit.map(Overcommit::number),
        swappiness: machine.swappiness,
        transparent_hugepage: machine.huge_pages.map(HugePages::name),
        unsure,
    }
}

fn group(group: &Cgroup) -> Group<'_> {
    Group {
        path: &group.path,
        limit: group.limit,
        used: group.used,
        cache: group.cache,
        swap: group.swap,
    }
}

fn fact(evidence: &Evidence) -> Fact {
    Fact {
        field: evidence.field,
        value: number(evidence.value),
        threshold: number(evidence.threshold),
        relation: evidence.relation.name(),
    }
}

fn number(figure: Option<Figure>) -> Number {
    match figure {
        Some(Figure::Bytes(number) | Figure::Count(number)) => Number::Whole(number),
        Some(Figure::Ratio(number) | Figure::Percent(number)) => {
            rounded(number).map_or(Number::Absent, Number::Broken)
        }
        None => Number::Absent,
    }
}

fn waste(found: &Found) -> Waste {
    let parts = found.waste.and_then(|waste| waste.parts);
    Waste {
        total: found.waste.map(|waste| waste.total),
        fragmented: parts.map(|parts| parts.fragmented),
        releasable: parts.map(|parts| parts.releasable),
        process: parts.map(|parts| parts.process),
        other: parts.map(|parts| parts.other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{FRAGMENTED, report};
    use super::*;

    #[test]
    fn an_instance_out_of_reach_has_every_name_too() {
        let got = line(&Report::unreachable("a", "cannot \u{1b}connect"));
        let want = concat!(
            r#"{"instance":"a","server":{"flavour":null,"version":null,"allocator":null},"#,
            r#""verdict":"unknown","severity":"unknown","#,
            r#""evidence":[{"field":"INFO","value":null,"threshold":null,"relation":"absent"}],"#,
            r#""ruled_out":[],"missing":["INFO"],"#,
            r#""waste":{"total":null,"fragmented":null,"releasable":null,"process":null,"other":null},"#,
            r#""reclaim":{"active_defrag":null,"memory_purge":null,"restart":null},"#,
            r#""defrag":{"state":null,"reason":null},"known_issues":[],"advice":[],"#,
            r#""risks":[],"headroom":{"limit":null,"limited_by":null,"cgroup":null,"rss":null,"#,
            r#""cow":null,"free":null,"first_met":null,"copy_bound":null,"copy_usual":null,"#,
            r#""rss_at_maxmemory":null,"now":null,"worst_case":null},"#,
            r#""host":{"pid":null,"rss":null,"peak":null,"swap":null,"huge_pages":null,"#,
            r#""huge_pages_enabled":null,"oom_kills":null,"cgroups":null,"memory":null,"#,
            r#""available":null,"swap_total":null,"swap_free":null,"overcommit":null,"#,
            r#""swappiness":null,"transparent_hugepage":null,"unsure":null},"#,
            r#""error":"cannot connect"}"#,
            "\n"
        );
        assert_eq!(got, want);
    }

    #[test]
    fn ratios_are_short_and_bytes_are_whole() {
        let got = line(&report("a", FRAGMENTED));
        let evidence = r#"[{"field":"mem_fragmentation_ratio","value":2.65,"threshold":1.5,"relation":"at_least"},{"field":"waste.fragmented","value":300000000,"#;
        assert!(got.contains(evidence), "{got}");
        assert!(
            got.contains(r#""waste":{"total":330000000,"fragmented":300000000,"releasable":24000000,"process":5000000,"other":1000000}"#),
            "{got}"
        );
        assert!(!got.contains(r#""error""#) && got.ends_with("}\n"), "{got}");
    }
}
