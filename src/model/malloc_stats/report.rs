//! What the allocator's report tells: totals, arenas, and their size classes.
//!
//! Knows which figures can be. Must not know how they are printed, that is
//! `read.rs`, nor which of them are the data's, that is `size_classes.rs`.

use std::fmt;

use super::Build;
use super::read::Reader;
use super::table::{MOST, Row};

/// Why a text tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// The server's answer without jemalloc (object.c `memoryCommand`, 7.0.15).
    NotSupported,
    /// No report of jemalloc.
    NoReport,
    /// A report without its end.
    CutOff,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSupported => {
                "this server was built without jemalloc, and no other allocator tells of size \
                 classes; run a build with jemalloc"
            }
            Self::NoReport => {
                "the reply to MEMORY MALLOC-STATS is no report of jemalloc; check that a Redis or \
                 Valkey server listens at address"
            }
            Self::CutOff => {
                "the reply to MEMORY MALLOC-STATS ends in its middle; look for a proxy that cuts it"
            }
        })
    }
}

/// Bytes of the allocator, or of one arena.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// In regions and extents that were given out.
    pub allocated: Option<u64>,
    /// In pages that hold any such.
    pub active: Option<u64>,
    /// jemalloc's own notes. Of an arena `base` and `internal` together.
    pub metadata: Option<u64>,
    /// The most that can be in RSS.
    pub resident: Option<u64>,
    /// In extents that are in use or kept for it.
    pub mapped: Option<u64>,
    /// Address space that is kept without memory behind it; from 5.0.
    pub retained: Option<u64>,
    /// Free pages that are still in RSS: `npages` of the row, in bytes.
    pub dirty: Option<u64>,
    /// Free pages that the kernel may take; from 5.0.
    pub muzzy: Option<u64>,
}

impl Totals {
    /// Each by its name, with what it means.
    #[must_use]
    pub fn explained(&self) -> [(&'static str, Option<u64>, &'static str); 8] {
        [
            ("allocated", self.allocated, "given out: data, buffers"),
            ("active", self.active, "pages that hold any of it"),
            ("dirty", self.dirty, "free pages, still in RSS"),
            ("muzzy", self.muzzy, "free pages that the kernel may take"),
            ("metadata", self.metadata, "the allocator's own notes"),
            ("resident", self.resident, "the most that can be in RSS"),
            ("mapped", self.mapped, "in use, or kept for it"),
            (
                "retained",
                self.retained,
                "addresses without memory behind them",
            ),
        ]
    }
}

/// A size class of regions that lie together in slabs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bin {
    /// Bytes of a region.
    pub size: u64,
    /// Bytes of the regions in use.
    pub allocated: u64,
    /// Regions in use, those in thread caches among them: `curregs`.
    pub in_use: u64,
    /// Slabs: `curslabs`, before 5.0 `curruns`.
    pub slabs: u64,
    /// Slabs with free regions, but for the one being filled; from 5.2.1.
    pub nonfull: Option<u64>,
    /// Regions of a slab.
    pub regs: u64,
    /// Pages of a slab.
    pub pages: u64,
}

impl Bin {
    /// Bytes of free regions in slabs, as the server itself counts them
    /// (zmalloc.c `zmalloc_get_frag_smallbins_by_arena`, 7.4.1).
    #[must_use]
    pub fn wasted(&self) -> u64 {
        let free = self.regs.saturating_mul(self.slabs);
        free.saturating_sub(self.in_use).saturating_mul(self.size)
    }

    /// This, if it can be: no more in use than there are regions, and nothing
    /// that contradicts itself.
    pub(crate) fn sound(self) -> Option<Self> {
        let room = self.regs.checked_mul(self.slabs)?;
        let bytes = room.checked_mul(self.size)?;
        let sound = self.size > 0
            && bytes <= MOST
            && self.in_use <= room
            && self.in_use.checked_mul(self.size)? == self.allocated
            && self.nonfull.is_none_or(|nonfull| nonfull <= self.slabs);
        sound.then_some(self)
    }

    pub(super) fn of(row: &Row<'_, '_>) -> Option<Self> {
        let bin = Self {
            size: row.get("size")?,
            allocated: row.get("allocated")?,
            in_use: row.get("curregs")?,
            slabs: row.get("curslabs").or_else(|| row.get("curruns"))?,
            nonfull: row.get("nonfull_slabs"),
            regs: row.get("regs")?,
            pages: row.get("pgs")?,
        };
        bin.sound()
    }
}

/// A size class of extents that stand alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Large {
    /// Bytes of an extent.
    pub size: u64,
    /// Bytes of all of them.
    pub allocated: u64,
    /// Extents in use: `curlextents`, before 5.0 `curruns` and `curhchunks`.
    pub in_use: u64,
}

impl Large {
    /// This, if it does not contradict itself.
    pub(crate) fn sound(self) -> Option<Self> {
        let sound = self.size > 0 && self.in_use.checked_mul(self.size)? == self.allocated;
        sound.then_some(self)
    }

    pub(super) fn of(row: &Row<'_, '_>) -> Option<Self> {
        let names = ["curlextents", "curruns", "curhchunks"];
        let large = Self {
            size: row.get("size")?,
            allocated: row.get("allocated")?,
            in_use: names.iter().find_map(|name| row.get(name))?,
        };
        large.sound()
    }
}

/// One arena, or several merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arena {
    /// Its number; `None` of several merged.
    pub index: Option<u32>,
    /// Whether it is the one that Redis from 7.4 on gives to Lua alone.
    pub of_lua: bool,
    /// Its bytes.
    pub totals: Totals,
    /// Small size classes, smallest first; those never used are left out.
    pub bins: Option<Vec<Bin>>,
    /// Large size classes, the same.
    pub large: Option<Vec<Large>>,
}

impl Arena {
    /// Bytes of free regions in slabs.
    #[must_use]
    pub fn wasted(&self) -> Option<u64> {
        let mut wasted = self.bins.as_ref()?.iter().map(Bin::wasted);
        wasted.try_fold(0, u64::checked_add)
    }
}

/// What a report tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MallocStats {
    /// How the allocator was built.
    pub build: Option<Build>,
    /// Bytes of the whole process; `dirty` and `muzzy` of all arenas.
    pub totals: Totals,
    /// All arenas taken together: as printed, or the only one.
    pub all: Option<Arena>,
    /// Each that is in use.
    pub arenas: Vec<Arena>,
}

impl MallocStats {
    /// Reads a reply of MEMORY MALLOC-STATS.
    ///
    /// # Errors
    /// Why it tells nothing.
    pub fn parse(text: &str) -> Result<Self, Unread> {
        if !text.contains("Begin jemalloc statistics") {
            let supported = !text.contains("not supported");
            return Err(if supported {
                Unread::NoReport
            } else {
                Unread::NotSupported
            });
        }
        let mut reader = Reader::default();
        for line in text.lines().map(str::trim_end) {
            if line.starts_with("--- End jemalloc statistics") {
                return Ok(reader.done(Build::parse(text)));
            }
            reader.line(line);
        }
        Err(Unread::CutOff)
    }

    /// The arena that Redis gives to Lua.
    #[must_use]
    pub fn of_lua(&self) -> Option<&Arena> {
        self.arenas.iter().find(|arena| arena.of_lua)
    }
}
