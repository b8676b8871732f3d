//! jemalloc's report, line by line.
//!
//! Knows the layouts of 4.0, 5.1, 5.2 and 5.3 (src/stats.c `stats_print` and
//! `stats_arena_print`). A table with a line that cannot be is missing as a whole,
//! for its sum would be wrong. Must not know what follows from a figure.

use super::Build;
use super::report::{Arena, Bin, Large, MallocStats, Totals};
use super::table::{Header, MOST, number};

/// Size classes of a table: servers with 4 KiB pages have 39 small and 196 large
/// ones, those with larger pages fewer.
const MOST_CLASSES: usize = 256;

/// Arenas that are kept: jemalloc has four for each CPU, and prints only the ones
/// in use.
const MOST_ARENAS: usize = 1024;

/// Which table the next lines belong to.
enum Under<'a> {
    Nothing,
    Decay(Header<'a>),
    Bins(Header<'a>),
    Large(Header<'a>),
}

#[derive(Default)]
enum Scope {
    /// Options and the one line of totals.
    #[default]
    Process,
    Merged,
    /// Of arenas that are gone: not in INFO, and not in the merged one.
    Ignored,
    Arena,
}

/// What has been read so far.
#[derive(Default)]
pub(super) struct Reader<'a> {
    scope: Scope,
    under: Option<Under<'a>>,
    page: Option<u64>,
    automatic: Option<u64>,
    oversize: Option<u64>,
    totals: Totals,
    merged: Option<Arena>,
    arenas: Vec<Arena>,
    broken: bool,
}

impl<'a> Reader<'a> {
    /// Takes the next line.
    pub(super) fn line(&mut self, line: &'a str) {
        if let Some(scope) = self.scope_of(line) {
            (self.scope, self.under) = (scope, None);
        } else if matches!(self.scope, Scope::Process) {
            self.option(line);
        } else {
            self.of_arena(line);
        }
    }

    fn scope_of(&mut self, line: &str) -> Option<Scope> {
        match line {
            "Merged arenas stats:" => {
                self.broken |= self.merged.replace(Arena::default()).is_some();
                Some(Scope::Merged)
            }
            "Destroyed arenas stats:" => Some(Scope::Ignored),
            _ => {
                let index = line.strip_prefix("arenas[")?.strip_suffix("]:")?;
                let index = u32::try_from(number(index)?).ok()?;
                let known = |arena: &Arena| arena.index >= Some(index);
                if self.arenas.len() >= MOST_ARENAS || self.arenas.last().is_some_and(known) {
                    self.broken = true;
                    return Some(Scope::Ignored);
                }
                self.arenas.push(Arena {
                    index: Some(index),
                    ..Arena::default()
                });
                Some(Scope::Arena)
            }
        }
    }

    /// A line before the first arena.
    fn option(&mut self, line: &str) {
        let value = |name: &str| line.trim_start().strip_prefix(name).and_then(first_number);
        if let Some(page) = value("Page size:") {
            self.page = Some(page);
        } else if let Some(arenas) = value("opt.narenas:") {
            self.automatic = Some(arenas);
        } else if let Some(size) = value("opt.oversize_threshold:") {
            self.oversize = Some(size);
        } else if line.starts_with("Allocated:") {
            for part in line.split(", ") {
                let Some((name, value)) = part.split_once(':') else {
                    continue;
                };
                if let Some(place) = self.totals.place(name) {
                    *place = first_number(value);
                }
            }
        }
    }

    fn of_arena(&mut self, line: &'a str) {
        let arena = match self.scope {
            Scope::Merged => self.merged.as_mut(),
            Scope::Arena => self.arenas.last_mut(),
            Scope::Process | Scope::Ignored => None,
        };
        let Some(arena) = arena else { return };
        if let Some(under) = &self.under
            && below(arena, under, line, self.page)
        {
            return;
        }
        self.under = begins(arena, line);
        if self.under.is_none() {
            arena.totals.line(line, self.page);
        }
    }

    /// What the lines tell together.
    pub(super) fn done(self, build: Option<Build>) -> MallocStats {
        let mut arenas = self.arenas;
        // Those that jemalloc makes itself come first: so many as the option says,
        // and from 5.2 on one for the largest allocations (src/arena.c
        // `arena_init_huge`). Redis creates one, for Lua, before anybody else can
        // (eval.c `scriptingInit`, 7.4.1; redis#13133).
        let own = self.automatic.filter(|arenas| *arenas > 0);
        let own = own.map(|arenas| {
            arenas.saturating_add(u64::from(self.oversize.is_some_and(|size| size > 0)))
        });
        let created = |arena: &&mut Arena| {
            let index = arena.index.map(u64::from);
            own.is_some_and(|own| index >= Some(own))
        };
        if let Some(arena) = arenas.iter_mut().find(created) {
            arena.of_lua = true;
        }
        let all = match (self.merged, arenas.as_slice()) {
            (Some(merged), _) => Some(merged),
            (None, [only]) => Some(only.clone()),
            (None, _) => None,
        };
        let all = all.filter(|_| !self.broken);
        let mut totals = self.totals;
        totals.dirty = all.as_ref().and_then(|all| all.totals.dirty);
        totals.muzzy = all.as_ref().and_then(|all| all.totals.muzzy);
        MallocStats {
            build,
            totals,
            all,
            arenas,
        }
    }
}

/// The table that a line begins, if it does.
fn begins<'a>(arena: &mut Arena, line: &'a str) -> Option<Under<'a>> {
    let (label, names) = line.split_once(':')?;
    let is_table = names.trim_start().starts_with("size ");
    match label {
        "decaying" => Some(Under::Decay(Header::parse(line))),
        "bins" if is_table => {
            arena.bins = Some(Vec::new());
            Some(Under::Bins(Header::parse(line)))
        }
        "large" if is_table => {
            arena.large = Some(Vec::new());
            Some(Under::Large(Header::parse(line)))
        }
        // More of the same, until 4.5.
        "huge" if is_table => Some(Under::Large(Header::parse(line))),
        _ if is_table => Some(Under::Nothing),
        _ => None,
    }
}

/// Takes a line of a table; `false` where the table has ended.
fn below(arena: &mut Arena, under: &Under<'_>, line: &str, page: Option<u64>) -> bool {
    let start = line.trim_start();
    if let Under::Decay(header) = under {
        let pages = header.row(start.split_once(':').map_or("", |(_, rest)| rest));
        let bytes = pages
            .get("npages")
            .zip(page)
            .and_then(|(n, page)| bytes(n, page));
        match start.split_once(':').map(|(label, _)| label) {
            Some("dirty") => arena.totals.dirty = bytes,
            Some("muzzy") => arena.totals.muzzy = bytes,
            _ => return false,
        }
        return true;
    }
    // Classes that were never used.
    if start == "---" {
        return true;
    }
    if !start.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    match under {
        Under::Bins(header) => {
            add(&mut arena.bins, Bin::of(&header.row(line)), |bin| bin.size);
        }
        Under::Large(header) => {
            let large = Large::of(&header.row(line));
            add(&mut arena.large, large, |large| large.size);
        }
        Under::Nothing | Under::Decay(_) => {}
    }
    true
}

/// Adds a class behind smaller ones; without it the table is none.
fn add<T>(table: &mut Option<Vec<T>>, class: Option<T>, size: fn(&T) -> u64) {
    let Some(rows) = table else { return };
    let behind = |class: &T| rows.last().is_none_or(|last| size(last) < size(class));
    match class.filter(behind) {
        Some(class) if rows.len() < MOST_CLASSES => rows.push(class),
        _ => *table = None,
    }
}

impl Totals {
    /// Where the figure of that name is kept.
    fn place(&mut self, name: &str) -> Option<&mut Option<u64>> {
        Some(match name.trim() {
            "Allocated" | "total" => &mut self.allocated,
            "active" => &mut self.active,
            "metadata" => &mut self.metadata,
            "resident" => &mut self.resident,
            "mapped" => &mut self.mapped,
            "retained" => &mut self.retained,
            _ => return None,
        })
    }

    /// A line of an arena's totals.
    fn line(&mut self, line: &str, page: Option<u64>) {
        let Some((name, value)) = line.split_once(':') else {
            return;
        };
        match name {
            // `dirty pages: 36435:4043 active:dirty, …`, until 4.5.
            "dirty pages" => {
                let pages = value.trim_start().split_once(':').map(|(_, rest)| rest);
                let pages = pages.and_then(first_number).zip(page);
                self.dirty = pages.and_then(|(pages, page)| bytes(pages, page));
            }
            // `metadata: mapped: 1597440, allocated: 180352`, until 4.5.
            "metadata" => {
                let mut parts = value.split(", ").map(|part| {
                    let (_, number) = part.split_once(':')?;
                    first_number(number)
                });
                self.metadata = parts.try_fold(0, |sum, part| sum_of(sum, part?));
            }
            "base" => self.metadata = first_number(value),
            "internal" => {
                let base = self.metadata;
                self.metadata =
                    base.and_then(|base| first_number(value).and_then(|own| sum_of(base, own)));
            }
            _ => {
                if let Some(place) = self.place(name) {
                    *place = first_number(value);
                }
            }
        }
    }
}

fn first_number(text: &str) -> Option<u64> {
    number(text.split_whitespace().next()?)
}

fn bytes(pages: u64, page: u64) -> Option<u64> {
    pages.checked_mul(page).filter(|bytes| *bytes <= MOST)
}

fn sum_of(one: u64, other: u64) -> Option<u64> {
    one.checked_add(other).filter(|sum| *sum <= MOST)
}
