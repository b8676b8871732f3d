//! `redis-frag:size-classes`: the allocator's own view of one instance, a size class
//! a row, the worst first; behind them its totals and arenas.
//!
//! One table of columns. Must not know how the classes were asked for.

use std::time::Duration;

use serde_json::{Value, json};

use crate::model::malloc_stats::report::Totals;
use crate::model::size_classes::{SizeClass, SizeClasses};

use super::table::{self, Colour, Column, Kind, column, number, size, text};

/// One line: a class, a total or an arena.
#[derive(Debug, Clone, Default)]
pub struct Line {
    what: String,
    part: &'static str,
    bytes: Option<u64>,
    in_use: Option<u64>,
    slabs: Option<u64>,
    half_empty: Option<u64>,
    pages: Option<u64>,
    utilisation: Option<f64>,
    wasted: Option<u64>,
    share: Option<f64>,
    /// Of an arena.
    totals: Totals,
    explained: String,
    age: u64,
}

/// The columns, as they stand from left to right.
#[rustfmt::skip]
pub const COLUMNS: &[Column<Line>] = &[
    column("what", "Size class", Kind::Key, true, |l| text(&l.what)),
    column("part", "Part", Kind::Badge, true, |l| text(l.part)),
    column("wasted", "Wasted", Kind::SizeBar, true, |l| bytes(l.wasted)),
    column("share", "Share of the waste", Kind::Percent, true, |l| percent(l.share)),
    column("utilisation", "Used of its slabs", Kind::Percent, true, |l| percent(l.utilisation)),
    column("bytes", "Allocated", Kind::Size, true, |l| bytes(l.bytes)),
    column("in_use", "In use", Kind::Count, true, |l| json!(l.in_use)),
    column("slabs", "Slabs", Kind::Count, true, |l| json!(l.slabs)),
    column("half_empty", "Half-empty slabs", Kind::Count, true, |l| json!(l.half_empty)),
    column("pages", "Pages of a slab", Kind::Count, false, |l| json!(l.pages)),
    column("dirty", "Dirty", Kind::Size, true, |l| bytes(l.totals.dirty)),
    column("muzzy", "Muzzy", Kind::Size, false, |l| bytes(l.totals.muzzy)),
    column("retained", "Retained", Kind::Size, false, |l| bytes(l.totals.retained)),
    column("metadata", "Metadata", Kind::Size, false, |l| bytes(l.totals.metadata)),
    column("explained", "What lands there", Kind::Long, true, |l| text(&l.explained)),
    column("age", "Age of the data", Kind::Duration, true, |l| json!(l.age)),
];

/// The answer for an instance that told its classes so long ago.
#[must_use]
pub fn answer(classes: &SizeClasses, age: Duration, help: &str) -> Value {
    let lines = lines(classes, age.as_secs());
    let normal = |_: &Line| Colour::Normal;
    let group_by = json!({ "part": { "name": "Part", "columns": ["part"] } });
    let charts = json!({
        "wasted": { "name": "Wasted", "type": "stacked-bar", "columns": ["wasted"] },
    });
    let more = [
        ("group_by", group_by),
        ("charts", charts),
        ("default_charts", json!([["wasted", "what"]])),
    ];
    table::answer((COLUMNS, &lines), normal, ("wasted", 10), help, &more)
}

fn lines(classes: &SizeClasses, age: u64) -> Vec<Line> {
    let sized = classes.classes.iter().map(|class| line(classes, class));
    let total = |(what, bytes, explained): (&str, Option<u64>, &str)| Line {
        what: what.to_owned(),
        part: "total",
        bytes,
        explained: explained.to_owned(),
        ..Line::default()
    };
    let totals = classes.totals.explained();
    let arenas = classes.arenas.iter().map(|arena| Line {
        what: format!("arena {}", arena.index),
        part: "arena",
        bytes: arena.totals.allocated,
        wasted: arena.wasted,
        totals: arena.totals,
        explained: match arena.of_lua {
            true => "Lua's: left out of the classes above, as the server does".to_owned(),
            false => String::new(),
        },
        ..Line::default()
    });
    let all = sized.chain(totals.into_iter().map(total)).chain(arenas);
    all.map(|line| Line { age, ..line }).collect()
}

fn line(classes: &SizeClasses, class: &SizeClass) -> Line {
    Line {
        what: class.size.to_string(),
        part: match class.slabs {
            Some(_) => "class",
            None => "large class",
        },
        bytes: Some(class.allocated),
        in_use: Some(class.in_use),
        slabs: class.slabs.map(|slabs| slabs.count),
        half_empty: class.slabs.and_then(|slabs| slabs.half_empty),
        pages: class.slabs.map(|slabs| slabs.pages),
        utilisation: class.utilisation(),
        wasted: class.wasted(),
        share: classes.share(class),
        explained: class
            .values
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        ..Line::default()
    }
}

fn bytes(bytes: Option<u64>) -> Value {
    size(bytes.map(u64::cast_signed))
}

fn percent(share: Option<f64>) -> Value {
    number(share.map(|share| 100.0 * share))
}
