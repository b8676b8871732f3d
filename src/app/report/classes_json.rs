//! Size classes as one line of JSON, for programs.
//!
//! The names and their order are a promise. Bytes and counts are integers, shares
//! are of 1 with at most three decimals, and what is absent is null.

use serde::Serialize;

use crate::model::size_classes::{ArenaShare, SizeClass, SizeClasses, WORST};
use crate::model::value_sizes::Lengths;

use super::classes::Asked;
use super::words::{clean, rounded};

#[derive(Serialize)]
struct Line<'a> {
    instance: &'a str,
    server: Server,
    wasted: Option<u64>,
    totals: Totals,
    classes: Vec<Class>,
    arenas: Vec<Arena>,
    /// Of an instance that told nothing, why.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[derive(Default, Serialize)]
struct Server {
    flavour: Option<&'static str>,
    version: Option<String>,
    allocator: Option<String>,
}

#[derive(Default, Serialize)]
struct Totals {
    allocated: Option<u64>,
    active: Option<u64>,
    metadata: Option<u64>,
    resident: Option<u64>,
    mapped: Option<u64>,
    retained: Option<u64>,
    dirty: Option<u64>,
    muzzy: Option<u64>,
}

#[derive(Serialize)]
struct Class {
    size: u64,
    kind: &'static str,
    allocated: u64,
    in_use: u64,
    slabs: Option<u64>,
    half_empty_slabs: Option<u64>,
    regs_per_slab: Option<u64>,
    pages_per_slab: Option<u64>,
    utilisation: Option<f64>,
    wasted: Option<u64>,
    share: Option<f64>,
    string_lengths: Vec<[u64; 2]>,
    key_and_value_lengths: Option<[u64; 2]>,
    key_lengths: Option<[u64; 2]>,
}

#[derive(Serialize)]
struct Arena {
    index: u32,
    lua: bool,
    wasted: Option<u64>,
    #[serde(flatten)]
    totals: Totals,
}

/// One line, with its end; the ten worst classes, or with `all` every one.
#[must_use]
pub fn line(asked: &Asked, all: bool) -> String {
    let line = match &asked.found {
        Ok(told) => found(asked, &told.server, &told.classes, all),
        Err(error) => Line {
            instance: &asked.instance,
            server: Server::default(),
            wasted: None,
            totals: Totals::default(),
            classes: Vec::new(),
            arenas: Vec::new(),
            error: Some(error),
        },
    };
    // Nothing in here can fail to be written: texts, numbers and lists of them.
    let mut text = serde_json::to_string(&line).unwrap_or_default();
    text.push('\n');
    text
}

fn found<'a>(
    asked: &'a Asked,
    server: &crate::model::server::Server,
    view: &SizeClasses,
    all: bool,
) -> Line<'a> {
    let classes = if all {
        &view.classes
    } else {
        view.worst(WORST)
    };
    Line {
        instance: &asked.instance,
        server: Server {
            flavour: Some(server.flavour.name()),
            version: server.version.map(|version| version.to_string()),
            allocator: server.allocator.as_deref().map(clean),
        },
        wasted: view.wasted,
        totals: totals(&view.totals),
        classes: classes.iter().map(|class| row(view, class)).collect(),
        arenas: view.arenas.iter().map(arena).collect(),
        error: None,
    }
}

fn row(view: &SizeClasses, class: &SizeClass) -> Class {
    let ends = |lengths: &Lengths| [*lengths.start(), *lengths.end()];
    let values = class.values.clone().unwrap_or_default();
    let strings = [&values.short, &values.long].into_iter().flatten();
    Class {
        size: class.size,
        kind: if class.slabs.is_some() {
            "small"
        } else {
            "large"
        },
        allocated: class.allocated,
        in_use: class.in_use,
        slabs: class.slabs.map(|slabs| slabs.count),
        half_empty_slabs: class.slabs.and_then(|slabs| slabs.half_empty),
        regs_per_slab: class.slabs.map(|slabs| slabs.regs),
        pages_per_slab: class.slabs.map(|slabs| slabs.pages),
        utilisation: class.utilisation().and_then(rounded),
        wasted: class.wasted(),
        share: view.share(class).and_then(rounded),
        string_lengths: strings.map(ends).collect(),
        key_and_value_lengths: values.with_key.as_ref().map(ends),
        key_lengths: values.keys.as_ref().map(ends),
    }
}

fn arena(arena: &ArenaShare) -> Arena {
    Arena {
        index: arena.index,
        lua: arena.of_lua,
        wasted: arena.wasted,
        totals: totals(&arena.totals),
    }
}

fn totals(totals: &crate::model::malloc_stats::report::Totals) -> Totals {
    Totals {
        allocated: totals.allocated,
        active: totals.active,
        metadata: totals.metadata,
        resident: totals.resident,
        mapped: totals.mapped,
        retained: totals.retained,
        dirty: totals.dirty,
        muzzy: totals.muzzy,
    }
}
