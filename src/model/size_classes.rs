//! Where the allocator's holes are: size classes, the worst first.
//!
//! Takes Lua's arena off, as the server does before it prints
//! `allocator_frag_bytes`: what is left is the data's, and the sum is that figure
//! bit for bit from Redis 7.4 on. Must not know how a report is printed.

use std::cmp::Reverse;

use super::malloc_stats::Build;
use super::malloc_stats::report::{Arena, Bin, Large, MallocStats, Totals};
use super::value_sizes::{Layout, Values};

/// Classes of the chart, and of a table where nobody asks for all.
pub const WORST: usize = 10;

/// What is known of a class whose regions lie together in slabs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slabs {
    /// Slabs of the class.
    pub count: u64,
    /// Those with free regions; jemalloc tells from 5.2.1 on.
    pub half_empty: Option<u64>,
    /// Regions in each.
    pub regs: u64,
    /// Pages of each.
    pub pages: u64,
    /// Bytes of free regions in them.
    pub wasted: u64,
}

/// One size class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SizeClass {
    /// Bytes of one allocation.
    pub size: u64,
    /// Bytes of all that are in use.
    pub allocated: u64,
    /// How many are in use, those in thread caches among them.
    pub in_use: u64,
    /// Its slabs; `None` of a large class, whose allocations stand alone.
    pub slabs: Option<Slabs>,
    /// What a value must be to land here; `None` where the allocator's quantum is
    /// not known.
    pub values: Option<Values>,
}

impl SizeClass {
    /// Bytes of free regions; nothing is known of a large class.
    #[must_use]
    pub fn wasted(&self) -> Option<u64> {
        self.slabs.map(|slabs| slabs.wasted)
    }

    /// Share of the regions that are in use, 0 to 1.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
    pub fn utilisation(&self) -> Option<f64> {
        let slabs = self.slabs?;
        let room = slabs.regs.checked_mul(slabs.count)?;
        (room > 0).then(|| self.in_use as f64 / room as f64)
    }

    /// `class_320`: as the chart names it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("class_{}", self.size)
    }
}

/// One arena, as far as a table of them shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArenaShare {
    /// Its number.
    pub index: u32,
    /// Whether it is Lua's.
    pub of_lua: bool,
    /// Its bytes.
    pub totals: Totals,
    /// Bytes of free regions in its slabs.
    pub wasted: Option<u64>,
}

/// The allocator's own view of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SizeClasses {
    /// How the allocator was built.
    pub build: Option<Build>,
    /// Bytes of the whole process.
    pub totals: Totals,
    /// Bytes of free regions in slabs, Lua's left out.
    pub wasted: Option<u64>,
    /// The worst first; behind them, the largest first, those of which no waste is
    /// known. Empty where the tables could not be read.
    pub classes: Vec<SizeClass>,
    /// Each arena in use, in the order of their numbers.
    pub arenas: Vec<ArenaShare>,
}

impl SizeClasses {
    /// The view of a report. `layout` is how the server keeps short values.
    #[must_use]
    pub fn of(stats: &MallocStats, layout: Layout) -> Self {
        let quantum = stats.build.map(|build| build.quantum);
        let values = |size| Values::of(size, quantum?, layout);
        let lua = stats.of_lua();
        let small = stats.all.as_ref().and_then(|all| small(all, lua));
        let large = stats.all.as_ref().and_then(|all| large(all, lua));
        let wasted = small.as_ref().and_then(|bins| {
            let mut wasted = bins.iter().map(Bin::wasted);
            wasted.try_fold(0, u64::checked_add)
        });
        let small = small.into_iter().flatten().map(|bin| SizeClass {
            size: bin.size,
            allocated: bin.allocated,
            in_use: bin.in_use,
            slabs: Some(Slabs {
                count: bin.slabs,
                half_empty: bin.nonfull,
                regs: bin.regs,
                pages: bin.pages,
                wasted: bin.wasted(),
            }),
            values: values(bin.size),
        });
        let large = large.into_iter().flatten().map(|large| SizeClass {
            size: large.size,
            allocated: large.allocated,
            in_use: large.in_use,
            slabs: None,
            values: values(large.size),
        });
        let mut classes: Vec<SizeClass> = small.chain(large).collect();
        classes.sort_by_key(|class| {
            let wasted = Reverse(class.wasted());
            (wasted, Reverse(class.allocated), class.size)
        });
        let arenas = stats.arenas.iter().filter_map(|arena| {
            Some(ArenaShare {
                index: arena.index?,
                of_lua: arena.of_lua,
                totals: arena.totals,
                wasted: arena.wasted(),
            })
        });
        Self {
            build: stats.build,
            totals: stats.totals,
            wasted,
            classes,
            arenas: arenas.collect(),
        }
    }

    /// The classes that waste most, at most so many, and none that waste nothing.
    #[must_use]
    pub fn worst(&self, most: usize) -> &[SizeClass] {
        let wastes = |class: &&SizeClass| class.wasted() > Some(0);
        let count = self.classes.iter().take(most).take_while(wastes).count();
        self.classes.get(..count).unwrap_or_default()
    }

    /// Share of the waste that is in a class, 0 to 1.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
    pub fn share(&self, class: &SizeClass) -> Option<f64> {
        let (part, whole) = (class.wasted()?, self.wasted?);
        (whole > 0).then(|| part as f64 / whole as f64)
    }

    /// Free pages that are still in RSS, bytes: what `MEMORY PURGE` returns, with
    /// what of the muzzy ones the kernel has not taken.
    #[must_use]
    pub fn purgeable(&self) -> Option<u64> {
        let muzzy = self.totals.muzzy.unwrap_or(0);
        self.totals.dirty?.checked_add(muzzy)
    }
}

/// The small classes without Lua's share. `None` where the two do not fit
/// together, for then the sum is neither the one nor the other.
fn small(all: &Arena, lua: Option<&Arena>) -> Option<Vec<Bin>> {
    let without = match lua {
        // Alone, it is all there is, and that says it is not Lua's.
        Some(lua) if lua.index != all.index => lua.bins.as_deref()?,
        _ => &[],
    };
    let bins = all.bins.as_deref()?;
    let known = |lua: &Bin| bins.binary_search_by_key(&lua.size, |bin| bin.size).is_ok();
    if !without.iter().all(known) {
        return None;
    }
    let rest = |bin: &Bin| {
        let place = without.binary_search_by_key(&bin.size, |lua| lua.size).ok();
        let Some(lua) = place.and_then(|place| without.get(place)) else {
            return Some(*bin);
        };
        if (lua.regs, lua.pages) != (bin.regs, bin.pages) {
            return None;
        }
        let nonfull = match (bin.nonfull, lua.nonfull) {
            (Some(all), Some(lua)) => Some(all.checked_sub(lua)?),
            _ => None,
        };
        let rest = Bin {
            allocated: bin.allocated.checked_sub(lua.allocated)?,
            in_use: bin.in_use.checked_sub(lua.in_use)?,
            slabs: bin.slabs.checked_sub(lua.slabs)?,
            nonfull,
            ..*bin
        };
        rest.sound()
    };
    bins.iter().map(rest).collect()
}

/// The large classes without Lua's share.
fn large(all: &Arena, lua: Option<&Arena>) -> Option<Vec<Large>> {
    let without = match lua {
        Some(lua) if lua.index != all.index => lua.large.as_deref()?,
        _ => &[],
    };
    let rest = |large: &Large| {
        let Some(lua) = without.iter().find(|lua| lua.size == large.size) else {
            return Some(*large);
        };
        let rest = Large {
            allocated: large.allocated.checked_sub(lua.allocated)?,
            in_use: large.in_use.checked_sub(lua.in_use)?,
            ..*large
        };
        rest.sound()
    };
    all.large.as_deref()?.iter().map(rest).collect()
}
