//! The rules, as one table in order: the first that holds gives the verdict.
//!
//! Follows the operator's guide box by box, corrected where the servers' sources
//! say otherwise. Must not advise, and must not know how reasons are shown.

use super::advice;
use super::defrag::{self, State};
use super::derive::Derived;
use super::facts::{
    Part, SWAPPED_SHARE, buffers, hit_rate, is_ineffective, is_starting, lua, most,
    needed_but_missing, outside, ratio, signed, swap_confirmed, swap_suspected, swapped, used,
    waste,
};
use super::text::bytes;
use super::verdict::{Evidence, Figure, Relation, Verdict};
use super::waste::Parts;

/// One rule.
pub(super) struct Rule {
    pub(super) verdict: Verdict,
    pub(super) holds: fn(&Derived<'_>) -> bool,
    pub(super) evidence: fn(&Derived<'_>) -> Vec<Evidence>,
    /// Why it does not hold.
    pub(super) otherwise: fn(&Derived<'_>) -> String,
}

/// The rules, in order. The last one always holds.
pub(super) const RULES: &[Rule; 12] = &[
    Rule {
        verdict: Verdict::Unknown,
        holds: |d| needed_but_missing(d).next().is_some() && !is_starting(d),
        evidence: |d| needed_but_missing(d).map(absent).collect(),
        otherwise: |d| match needed_but_missing(d).next() {
            None => "all fields needed are there".into(),
            Some(_) => "what is absent comes with the first statistics".into(),
        },
    },
    Rule {
        verdict: Verdict::Starting,
        holds: is_starting,
        evidence: |d| match d.sample.loading() {
            Some(true) if d.sample.fields.loading == Some(true) => {
                vec![is("loading", Figure::Count(1))]
            }
            Some(true) => vec![is("async_loading", Figure::Count(1))],
            _ => vec![absent("mem_fragmentation_ratio"), uptime(d)],
        },
        otherwise: |_| "not loading, and memory statistics are there".into(),
    },
    Rule {
        verdict: Verdict::Swapping,
        holds: |d| swap_confirmed(d) || swap_suspected(d),
        evidence: |d| {
            if let Some(swap) = swapped(d) {
                let least = size(used(d) / SWAPPED_SHARE);
                let ratio = is("mem_fragmentation_ratio", Figure::Ratio(ratio(d)));
                let used = is("used_memory", size(used(d)));
                return vec![
                    compared("VmSwap", size(swap), least, Relation::Above),
                    used,
                    ratio,
                ];
            }
            let least = d.thresholds.swap_min_used_memory;
            vec![
                below("mem_fragmentation_ratio", ratio(d), 1.0),
                compared("used_memory", size(used(d)), size(least), Relation::Above),
                is("untouched_buffers", size(buffers(d))),
            ]
        },
        otherwise: not_swapping,
    },
    Rule {
        verdict: Verdict::Small,
        holds: |d| used(d) < d.thresholds.min_used_memory && waste(d) < advice::SMALL_WASTE,
        evidence: |d| {
            let least = size(d.thresholds.min_used_memory);
            vec![
                compared("used_memory", size(used(d)), least, Relation::Below),
                wasted(d, advice::SMALL_WASTE, Relation::Below),
            ]
        },
        otherwise: |d| {
            if used(d) < d.thresholds.min_used_memory {
                format!("little is used, but {} are wasted", bytes(waste(d)))
            } else {
                format!("{} are used", bytes(signed(used(d))))
            }
        },
    },
    Rule {
        verdict: Verdict::Forking,
        holds: |d| d.sample.forking() == Some(true),
        evidence: |d| {
            let fields = &d.sample.fields;
            let children = [
                ("rdb_bgsave_in_progress", fields.rdb_bgsave_in_progress),
                ("aof_rewrite_in_progress", fields.aof_rewrite_in_progress),
                ("module_fork_in_progress", fields.module_fork_in_progress),
                (
                    "slot_migration_fork_in_progress",
                    fields.slot_migration_fork_in_progress,
                ),
            ];
            let alive = children
                .into_iter()
                .filter(|(_, child)| *child == Some(true));
            alive
                .map(|(field, _)| is(field, Figure::Count(1)))
                .collect()
        },
        otherwise: |_| "no child is saving or rewriting".into(),
    },
    Rule {
        verdict: Verdict::Healthy,
        holds: |d| ratio(d) < d.thresholds.ratio,
        evidence: |d| {
            vec![below(
                "mem_fragmentation_ratio",
                ratio(d),
                d.thresholds.ratio,
            )]
        },
        otherwise: |d| {
            format!(
                "the ratio {:.2} is not below {}",
                ratio(d),
                d.thresholds.ratio
            )
        },
    },
    Rule {
        verdict: Verdict::DefragWorking,
        holds: |d| d.defrag == Some(State::Running) && !is_ineffective(d),
        evidence: |d| at_work(d),
        otherwise: |d| match d.defrag {
            Some(State::Running) => "active defrag runs without effect".into(),
            Some(State::Unknown) | None if d.sample.fields.active_defrag_running.is_none() => {
                "the server tells nothing of active defrag".into()
            }
            Some(State::Unknown) | None => "no cycle is under way".into(),
            _ => defrag::reason(d),
        },
    },
    Rule {
        verdict: Verdict::DefragIneffective,
        holds: |d| d.defrag == Some(State::Running),
        evidence: |d| at_work(d),
        otherwise: |_| "active defrag is not running".into(),
    },
    Rule {
        verdict: Verdict::Fragmented,
        holds: |d| most(d) == Some(Part::Fragmented),
        evidence: |d| {
            let mut found = in_part(d, "waste.fragmented", |parts| parts.fragmented);
            if let Some(frag) = d.sample.allocator_frag() {
                let severe = d.thresholds.allocator_frag_ratio;
                let relation = if frag > severe {
                    Relation::Above
                } else {
                    Relation::Below
                };
                let (value, threshold) = (Figure::Ratio(frag), Figure::Ratio(severe));
                found.push(compared("allocator_frag_ratio", value, threshold, relation));
            }
            found
        },
        otherwise: |d| {
            part_is_less(d, "holes in the allocator's pages", |parts| {
                parts.fragmented
            })
        },
    },
    Rule {
        verdict: Verdict::RetainedPages,
        holds: |d| most(d) == Some(Part::Releasable),
        evidence: |d| {
            let mut found = in_part(d, "waste.releasable", |parts| parts.releasable);
            found.extend(past_peak(d));
            found.extend(finished_defrag(d));
            found
        },
        otherwise: |d| {
            part_is_less(d, "free pages that the allocator keeps", |parts| {
                parts.releasable
            })
        },
    },
    Rule {
        verdict: Verdict::ProcessOverhead,
        holds: |d| most(d) == Some(Part::Outside),
        evidence: |d| {
            let mut found = in_part(d, "waste.process_and_other", outside);
            found.extend(lua(d).map(|(field, lua)| is(field, size(lua))));
            found
        },
        otherwise: |_| "the allocator gives no statistics".into(),
    },
    Rule {
        verdict: Verdict::Unattributed,
        holds: |_| true,
        evidence: |d| {
            let above = compared(
                "mem_fragmentation_ratio",
                Figure::Ratio(ratio(d)),
                Figure::Ratio(d.thresholds.ratio),
                Relation::AtLeast,
            );
            let mut found = vec![
                above,
                is("waste.total", Figure::Bytes(waste(d))),
                absent("allocator statistics"),
            ];
            found.extend(lua(d).map(|(field, lua)| is(field, size(lua))));
            found
        },
        otherwise: |_| String::new(),
    },
];

/// The rules that do not hold, and the first that does.
pub(super) fn first(derived: &Derived<'_>) -> (&'static [Rule], &'static Rule) {
    let [others @ .., last] = RULES;
    let before = others.iter().take_while(|rule| !(rule.holds)(derived));
    match others.split_at_checked(before.count()) {
        Some((before, [first, ..])) => (before, first),
        _ => (others, last),
    }
}

/// The ratio where it alone makes a verdict critical.
pub(super) fn severe_ratio(derived: &Derived<'_>) -> Option<Evidence> {
    let severe = derived.thresholds.allocator_frag_ratio;
    let above = ratio(derived) > severe;
    let (value, threshold) = (Figure::Ratio(ratio(derived)), Figure::Ratio(severe));
    above.then(|| compared("mem_fragmentation_ratio", value, threshold, Relation::Above))
}

/// Why it is not in swap, and what a ratio below 1 is then.
fn not_swapping(derived: &Derived<'_>) -> String {
    let (ratio, used) = (ratio(derived), used(derived));
    let buffers = bytes(signed(buffers(derived)));
    match swapped(derived) {
        Some(swap) if ratio < 1.0 => format!(
            "the ratio is {ratio:.2}, but only {} of the process are in swap (VmSwap): the rest \
             was allocated and never touched; buffers and script engines hold {buffers}",
            bytes(signed(swap))
        ),
        Some(swap) => format!(
            "{} of the process are in swap (VmSwap)",
            bytes(signed(swap))
        ),
        None if ratio >= 1.0 => format!("the ratio {ratio:.2} is not below 1"),
        None if used <= derived.thresholds.swap_min_used_memory => {
            format!("used memory is only {}", bytes(signed(used)))
        }
        None => format!(
            "the ratio is {ratio:.2}, but buffers and script engines hold {buffers}, some of it \
             allocated and never touched"
        ),
    }
}

fn past_peak(derived: &Derived<'_>) -> Option<Evidence> {
    let peak = derived.sample.fields.used_memory_peak?;
    let times = 100.0 / derived.sample.percent_of_peak()?;
    let factor = derived.thresholds.peak_factor;
    (times.is_finite() && times >= factor && peak > 0).then(|| {
        let (value, threshold) = (Figure::Ratio(times), Figure::Ratio(factor));
        compared(
            "used_memory_peak / used_memory",
            value,
            threshold,
            Relation::AtLeast,
        )
    })
}

fn finished_defrag(derived: &Derived<'_>) -> Option<Evidence> {
    let hits = derived
        .sample
        .fields
        .active_defrag_hits
        .filter(|hits| *hits > 0)?;
    let at_rest = matches!(
        derived.defrag,
        Some(State::Idle | State::Off | State::Unknown)
    );
    at_rest.then(|| is("active_defrag_hits", Figure::Count(signed(hits))))
}

fn at_work(derived: &Derived<'_>) -> Vec<Evidence> {
    let effort = derived.sample.fields.active_defrag_running.unwrap_or(0);
    let mut found = vec![is(
        "active_defrag_running",
        Figure::Percent(f64::from(effort)),
    )];
    if let Some(rate) = derived
        .rates
        .efficiency
        .or(hit_rate(derived).map(|rate| 100.0 * rate))
    {
        let wanted = 100.0 * derived.thresholds.defrag_hit_rate;
        let relation = if rate < wanted {
            Relation::Below
        } else {
            Relation::AtLeast
        };
        let (value, threshold) = (Figure::Percent(rate), Figure::Percent(wanted));
        found.push(compared("defrag hit rate", value, threshold, relation));
    }
    if let Some(bytes) = derived.sample.frag_bytes() {
        found.push(is("allocator_frag_bytes", Figure::Bytes(bytes)));
    }
    if let Some(falling) = derived.rates.frag_falling {
        found.push(is(
            "fragmented bytes falling",
            Figure::Count(i64::from(falling)),
        ));
    }
    found
}

/// How large a part of the waste is, as evidence beside the ratio.
fn in_part(derived: &Derived<'_>, field: &'static str, part: fn(&Parts) -> i64) -> Vec<Evidence> {
    let threshold = Figure::Ratio(derived.thresholds.ratio);
    let mut found = vec![compared(
        "mem_fragmentation_ratio",
        Figure::Ratio(ratio(derived)),
        threshold,
        Relation::AtLeast,
    )];
    if let Some(parts) = derived.waste.and_then(|waste| waste.parts) {
        let half = Figure::Bytes(waste(derived) / 2);
        let size = part(&parts);
        let relation = if size >= waste(derived) / 2 {
            Relation::AtLeast
        } else {
            Relation::Below
        };
        found.push(compared(field, Figure::Bytes(size), half, relation));
    }
    found
}

fn part_is_less(derived: &Derived<'_>, what: &str, part: fn(&Parts) -> i64) -> String {
    match derived.waste.and_then(|waste| waste.parts) {
        Some(parts) => {
            format!(
                "{what} are {} of {} wasted",
                bytes(part(&parts)),
                bytes(waste(derived))
            )
        }
        None => "the allocator gives no statistics".to_owned(),
    }
}

fn size(size: u64) -> Figure {
    Figure::Bytes(signed(size))
}

fn absent(field: &'static str) -> Evidence {
    Evidence {
        field,
        value: None,
        threshold: None,
        relation: Relation::Absent,
    }
}

fn is(field: &'static str, value: Figure) -> Evidence {
    Evidence {
        field,
        value: Some(value),
        threshold: None,
        relation: Relation::Is,
    }
}

fn compared(field: &'static str, value: Figure, threshold: Figure, relation: Relation) -> Evidence {
    Evidence {
        field,
        value: Some(value),
        threshold: Some(threshold),
        relation,
    }
}

fn below(field: &'static str, value: f64, threshold: f64) -> Evidence {
    compared(
        field,
        Figure::Ratio(value),
        Figure::Ratio(threshold),
        Relation::Below,
    )
}

fn wasted(derived: &Derived<'_>, threshold: i64, relation: Relation) -> Evidence {
    compared(
        "waste.total",
        Figure::Bytes(waste(derived)),
        Figure::Bytes(threshold),
        relation,
    )
}

fn uptime(derived: &Derived<'_>) -> Evidence {
    let seconds = derived.sample.fields.uptime_in_seconds.unwrap_or(0);
    is("uptime_in_seconds", Figure::Count(signed(seconds)))
}
