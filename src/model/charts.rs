//! All charts, as one table.
//!
//! A dimension is a function from a moment to a number or nothing. Names in here
//! are promises to dashboards and alerts. Must not know how an agent is told.

use super::chart::{Chart, Dimension, Kind, Value, flag, int};
use super::defrag::State;
use super::derive::Derived;
use super::gates::{GATES, HEADROOM_GATES, RATIO_GATES, SWAP_GATES, VERDICT_GATES};
use super::headroom::Headroom;
use super::host::HugePageState;
use super::known_issues;
use super::risks;
use super::size_class_chart::SIZE_CLASS_WASTE;
use super::verdict::Verdict;

/// First part of every context.
pub const CONTEXT_PREFIX: &str = "redis_frag";

/// Labels of every chart; an operator's own have other names.
pub const LABELS: &[&str] = &[
    "instance",
    "address",
    "server",
    "version",
    "allocator",
    "limited_by",
];

/// Ratios, percentages and rates are sent in thousandths.
const MILLI: i64 = 1000;

/// Every chart, in the order of the dashboard.
pub const CHARTS: &[Chart] = &[
    Chart {
        id: "ratio",
        title: "Memory fragmentation ratio: resident memory over used memory",
        units: "ratio",
        family: "fragmentation",
        kind: Kind::Line,
        dimensions: &[milli("ratio", |d| thousandths(d.sample.ratio()))],
        variables: RATIO_GATES,
    },
    Chart {
        id: "allocator_ratio",
        title: "Where the ratio comes from: allocator fragmentation, pages kept by the allocator, process overhead",
        units: "ratio",
        family: "fragmentation",
        kind: Kind::Line,
        dimensions: &[
            milli("allocator_frag", |d| thousandths(d.sample.allocator_frag())),
            milli("allocator_rss", |d| thousandths(d.sample.allocator_rss())),
            milli("rss_overhead", |d| thousandths(d.sample.rss_overhead())),
        ],
        variables: GATES,
    },
    Chart {
        id: "wasted",
        title: "Resident memory beyond used memory, by where it is",
        units: "bytes",
        family: "fragmentation",
        kind: Kind::Stacked,
        dimensions: &[
            whole("fragmented", |d| Some(d.waste?.parts?.fragmented)),
            whole("releasable", |d| Some(d.waste?.parts?.releasable)),
            whole("process", |d| Some(d.waste?.parts?.process)),
            // Without allocator statistics nothing can be told apart: all of it
            // is other, so that the stack is the whole waste on every server.
            whole("other", |d| {
                d.waste
                    .map(|w| w.parts.map_or(w.total, |parts| parts.other))
            }),
        ],
        variables: GATES,
    },
    Chart {
        id: "reclaimable",
        title: "Resident memory that each remedy would bring back",
        units: "bytes",
        family: "fragmentation",
        kind: Kind::Line,
        dimensions: &[
            whole("active_defrag", |d| d.reclaim.active_defrag),
            whole("memory_purge", |d| d.reclaim.memory_purge),
            whole("restart", |d| d.reclaim.restart),
        ],
        variables: &[],
    },
    Chart {
        id: "memory",
        title: "Resident memory beside used memory",
        units: "bytes",
        family: "memory",
        kind: Kind::Line,
        dimensions: &[
            whole("rss", |d| int(d.sample.fields.used_memory_rss)),
            whole("used", |d| int(d.sample.fields.used_memory)),
            whole("peak", |d| int(d.sample.fields.used_memory_peak)),
            whole("maxmemory", |d| int(d.sample.fields.maxmemory)),
        ],
        variables: &[],
    },
    Chart {
        id: "allocator",
        title: "Memory as the allocator sees it",
        units: "bytes",
        family: "memory",
        kind: Kind::Line,
        dimensions: &[
            whole("allocated", |d| {
                int(d.sample.allocator().map(|(allocated, _, _)| allocated))
            }),
            whole("active", |d| {
                int(d.sample.allocator().map(|(_, active, _)| active))
            }),
            whole("resident", |d| {
                int(d.sample.allocator().map(|(_, _, resident)| resident))
            }),
            whole("muzzy", |d| {
                d.sample.allocator()?;
                int(d.sample.fields.allocator_muzzy)
            }),
        ],
        variables: &[],
    },
    Chart {
        id: "peak",
        title: "Used memory as a share of its peak",
        units: "percentage",
        family: "memory",
        kind: Kind::Line,
        dimensions: &[milli("peak", |d| thousandths(d.sample.percent_of_peak()))],
        variables: &[],
    },
    Chart {
        id: "defrag_running",
        title: "CPU share that active defrag aims at",
        units: "percentage",
        family: "active defrag",
        kind: Kind::Area,
        dimensions: &[whole("target", |d| {
            d.sample.fields.active_defrag_running.map(i64::from)
        })],
        variables: &[],
    },
    Chart {
        id: "defrag_moves",
        title: "Allocations examined by active defrag: moved (hits) and left (misses)",
        units: "allocations/s",
        family: "active defrag",
        kind: Kind::Stacked,
        dimensions: &[
            milli("hits", |d| thousandths(d.rates.hits)),
            milli("misses", |d| thousandths(d.rates.misses)),
        ],
        variables: &[],
    },
    Chart {
        id: "defrag_keys",
        title: "Keys examined by active defrag: something moved (hits) and nothing moved (misses)",
        units: "keys/s",
        family: "active defrag",
        kind: Kind::Stacked,
        dimensions: &[
            milli("hits", |d| thousandths(d.rates.key_hits)),
            milli("misses", |d| thousandths(d.rates.key_misses)),
        ],
        variables: &[],
    },
    Chart {
        id: "defrag_efficiency",
        title: "Moved of examined allocations over the last minute",
        units: "percentage",
        family: "active defrag",
        kind: Kind::Line,
        dimensions: &[milli("efficiency", |d| thousandths(d.rates.efficiency))],
        variables: &[],
    },
    Chart {
        id: "defrag_time",
        title: "Share of time with an active defrag cycle under way",
        units: "percentage",
        family: "active defrag",
        kind: Kind::Area,
        dimensions: &[milli("time", |d| thousandths(d.rates.defrag_time))],
        variables: &[],
    },
    Chart {
        id: "defrag_trigger",
        title: "How near active defrag is to its start thresholds: it starts when both reach 100",
        units: "percentage",
        family: "active defrag",
        kind: Kind::Line,
        dimensions: &[
            milli("bytes", |d| {
                thousandths(d.trigger.map(|trigger| trigger.bytes))
            }),
            milli("percent", |d| {
                thousandths(d.trigger.map(|trigger| trigger.percent))
            }),
        ],
        variables: &[],
    },
    Chart {
        id: "defrag_state",
        title: "State of active defrag",
        units: "state",
        family: "active defrag",
        kind: Kind::Stacked,
        dimensions: &[
            whole("unsupported", |d| is(d.defrag, State::Unsupported)),
            whole("off", |d| is(d.defrag, State::Off)),
            whole("idle", |d| is(d.defrag, State::Idle)),
            whole("running", |d| is(d.defrag, State::Running)),
            whole("paused", |d| is(d.defrag, State::Paused)),
            whole("unknown", |d| is(d.defrag, State::Unknown)),
        ],
        variables: &[],
    },
    Chart {
        id: "cpu",
        title: "CPU time of the main thread, where active defrag runs",
        units: "percentage",
        family: "active defrag",
        kind: Kind::Stacked,
        dimensions: &[
            milli("user", |d| thousandths(d.rates.cpu_user)),
            milli("system", |d| thousandths(d.rates.cpu_system)),
        ],
        variables: &[],
    },
    Chart {
        id: "response_time",
        title: "Time the instance took to answer INFO",
        units: "milliseconds",
        family: "active defrag",
        kind: Kind::Line,
        dimensions: &[milli("info", |d| {
            i64::try_from(d.sample.round_trip?.as_micros()).ok()
        })],
        variables: &[],
    },
    Chart {
        id: "fork",
        title: "Memory copied on write by a child: the running one, and the last of each kind",
        units: "bytes",
        family: "fork",
        kind: Kind::Line,
        dimensions: &[
            whole("cow", |d| int(d.sample.copied_by_child())),
            whole("last_rdb", |d| int(d.sample.fields.rdb_last_cow_size)),
            whole("last_aof", |d| int(d.sample.fields.aof_last_cow_size)),
        ],
        variables: &[],
    },
    Chart {
        id: "fork_state",
        title: "Child processes under way",
        units: "state",
        family: "fork",
        kind: Kind::Stacked,
        dimensions: &[
            whole("rdb", |d| flag(d.sample.fields.rdb_bgsave_in_progress)),
            whole("aof", |d| flag(d.sample.fields.aof_rewrite_in_progress)),
            whole("module", |d| flag(d.sample.fields.module_fork_in_progress)),
        ],
        variables: &[],
    },
    Chart {
        id: "headroom",
        title: "Resident memory, copies of a child beside it, and what is left until the first limit",
        units: "bytes",
        family: "headroom",
        kind: Kind::Stacked,
        dimensions: &[
            // The dashboard stacks from the last up: what is left lies on top of what is taken.
            whole("free", |d| int(Some(d.headroom.as_ref()?.free))),
            // A server before 6.2 does not tell what its child copies.
            whole("cow", |d| match d.sample.forking() {
                Some(true) => int(d.sample.copied_by_child()),
                _ => int(Some(d.headroom.as_ref()?.cow)),
            }),
            whole("rss", |d| int(Some(d.headroom.as_ref()?.rss))),
        ],
        variables: &[],
    },
    Chart {
        id: "headroom_used",
        title: "Share of the memory limit that is taken, and that a child could take on top",
        units: "percentage",
        family: "headroom",
        kind: Kind::Line,
        dimensions: &[
            milli("now", |d| {
                thousandths(d.headroom.as_ref().map(Headroom::now))
            }),
            milli("worst_case", |d| {
                thousandths(d.headroom.as_ref().map(Headroom::worst_case))
            }),
        ],
        variables: HEADROOM_GATES,
    },
    Chart {
        id: "swap",
        title: "Memory of the process in swap",
        units: "bytes",
        family: "host",
        kind: Kind::Line,
        dimensions: &[whole("swap", |d| int(d.sample.host.host()?.process.swap))],
        variables: SWAP_GATES,
    },
    Chart {
        id: "thp",
        title: "Transparent huge pages, as they are to the process",
        units: "state",
        family: "host",
        kind: Kind::Stacked,
        dimensions: &[
            whole("always", |d| huge(d, HugePageState::Always)),
            whole("madvise", |d| huge(d, HugePageState::Madvise)),
            whole("never", |d| huge(d, HugePageState::Never)),
            whole("off_for_process", |d| huge(d, HugePageState::OffForProcess)),
        ],
        variables: GATES,
    },
    Chart {
        id: "diagnosis",
        title: "Verdict on the memory of the instance",
        units: "state",
        family: "diagnosis",
        kind: Kind::Stacked,
        dimensions: &[
            whole("unknown", |d| found(d, Verdict::Unknown)),
            whole("starting", |d| found(d, Verdict::Starting)),
            whole("swapping", |d| found(d, Verdict::Swapping)),
            whole("small", |d| found(d, Verdict::Small)),
            whole("forking", |d| found(d, Verdict::Forking)),
            whole("healthy", |d| found(d, Verdict::Healthy)),
            whole("defrag_working", |d| found(d, Verdict::DefragWorking)),
            whole("defrag_ineffective", |d| {
                found(d, Verdict::DefragIneffective)
            }),
            whole("fragmented", |d| found(d, Verdict::Fragmented)),
            whole("retained_pages", |d| found(d, Verdict::RetainedPages)),
            whole("process_overhead", |d| found(d, Verdict::ProcessOverhead)),
            whole("unattributed", |d| found(d, Verdict::Unattributed)),
        ],
        variables: VERDICT_GATES,
    },
    Chart {
        id: "known_issue",
        title: "Known defect of active defrag in this version, while it strikes",
        units: "state",
        family: "diagnosis",
        kind: Kind::Area,
        dimensions: &[whole("affected", |d| flag(known_issues::affected(d)))],
        variables: GATES,
    },
    SIZE_CLASS_WASTE,
    Chart {
        id: "status",
        title: "Whether the instance answers",
        units: "state",
        family: "collector",
        kind: Kind::Stacked,
        dimensions: &[
            whole("up", |d| flag(Some(d.sample.answered()))),
            whole("down", |d| flag(Some(!d.sample.answered()))),
        ],
        variables: &[],
    },
];

const fn whole(name: &'static str, value: Value) -> Dimension {
    Dimension {
        name,
        divisor: 1,
        value,
    }
}

const fn milli(name: &'static str, value: Value) -> Dimension {
    Dimension {
        name,
        divisor: MILLI,
        value,
    }
}

fn found(derived: &Derived<'_>, verdict: Verdict) -> Option<i64> {
    derived.verdict.map(|found| i64::from(found == verdict))
}

fn huge(derived: &Derived<'_>, wanted: HugePageState) -> Option<i64> {
    risks::huge_pages(derived).map(|state| i64::from(state == wanted))
}

fn is(state: Option<State>, wanted: State) -> Option<i64> {
    state.map(|state| i64::from(state == wanted))
}

/// Thousandths, rounded. Beyond what any ratio or rate can be is no value.
#[allow(
    clippy::cast_possible_truncation,
    reason = "bounded to 2^53 the line before"
)]
fn thousandths(value: Option<f64>) -> Option<i64> {
    let value = (value? * 1000.0).round();
    (value.abs() < 9e15).then_some(value as i64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;
    use crate::model::history::History;
    use crate::model::sample::Sample;
    use crate::model::thresholds::Thresholds;

    fn plain(text: &str) -> bool {
        !text.is_empty()
            && text
                .chars()
                .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_'))
    }

    #[test]
    fn names_are_unique_and_need_no_quoting() {
        let mut charts = HashSet::new();
        for chart in CHARTS {
            assert!(plain(chart.id) && charts.insert(chart.id), "{}", chart.id);
            let mut names = HashSet::new();
            for dimension in chart.dimensions {
                assert!(plain(dimension.name), "{}.{}", chart.id, dimension.name);
                assert!(
                    names.insert(dimension.name),
                    "{}.{}",
                    chart.id,
                    dimension.name
                );
                assert!(dimension.divisor > 0, "{}.{}", chart.id, dimension.name);
            }
            for variable in chart.variables {
                assert!(plain(variable.name), "{} ${}", chart.id, variable.name);
                assert!(
                    names.insert(variable.name),
                    "${} hides a dimension",
                    variable.name
                );
            }
            let text = [chart.title, chart.units, chart.family].concat();
            assert!(!text.contains(['\'', '"', '\\', '\n']), "{}", chart.id);
        }
    }

    #[test]
    fn families_stand_together() {
        let mut seen: Vec<&str> = Vec::new();
        for chart in CHARTS {
            if seen.last() != Some(&chart.family) {
                assert!(
                    !seen.contains(&chart.family),
                    "{} is torn apart",
                    chart.family
                );
                seen.push(chart.family);
            }
        }
    }

    #[test]
    fn of_an_instance_that_does_not_answer_only_the_status_is_known() {
        let sample = Sample::unreachable(Duration::ZERO);
        let thresholds = Thresholds::default();
        let derived = Derived::new(&sample, &thresholds, &mut History::default());
        for chart in CHARTS {
            for dimension in chart.dimensions {
                let want = match (chart.id, dimension.name) {
                    ("status", "up") => Some(0),
                    ("status", "down") => Some(1),
                    _ => None,
                };
                assert_eq!(
                    (dimension.value)(&derived),
                    want,
                    "{}.{}",
                    chart.id,
                    dimension.name
                );
            }
        }
    }

    #[test]
    fn the_chart_of_verdicts_has_them_all_in_order() {
        let chart = CHARTS.iter().find(|chart| chart.id == "diagnosis").unwrap();
        let names: Vec<&str> = chart.dimensions.iter().map(|d| d.name).collect();
        assert_eq!(names, Verdict::ALL.map(Verdict::name));
    }

    #[test]
    fn thousandths_are_rounded_and_never_made_of_nonsense() {
        assert_eq!(thousandths(Some(1.2345)), Some(1235));
        assert_eq!(thousandths(Some(f64::NAN)), None);
        assert_eq!(thousandths(Some(f64::INFINITY)), None);
        assert_eq!(thousandths(Some(1e13)), None);
        assert_eq!(thousandths(None), None);
    }
}
