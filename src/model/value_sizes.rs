//! Which values land in a size class: from the sizes of the allocator's classes
//! and of what the server puts around a string.
//!
//! Knows how strings are laid out; other types are many allocations of which only
//! the sum is known. Must not know what is in use.

use std::fmt;
use std::ops::RangeInclusive;

/// Bytes of an object (server.h `struct redisObject`, 4.0 to 8.2).
const OBJECT: u64 = 16;

/// What stands around a string, and the longest that it is for (sds.h `sdshdr8`,
/// `sdshdr16`, `sdshdr32`; sds.c `sdsReqType`, 6.2.5): header and final NUL.
const AROUND: [(u64, u64); 3] = [(3 + 1, 0xff), (5 + 1, 0xffff), (9 + 1, 0xffff_ffff)];

/// Longest string that shares the allocation of its object (object.c
/// `OBJ_ENCODING_EMBSTR_SIZE_LIMIT`, 6.2.5).
const LONGEST_SHARED: u64 = 44;

/// Most bytes of an object that holds key and value, as seen on 8.2.3: a key of 8
/// bytes shares them with a value of 28, and not with one of 36.
const LARGEST_WITH_KEY: u64 = 64;

/// What is around a key of up to 31 bytes and a value that share one allocation:
/// object, a byte for the key's header size, `sdshdr5` and NUL, `sdshdr8` and NUL.
const AROUND_BOTH: u64 = OBJECT + 1 + 2 + 4;

/// Longest key with the smallest header (sds.h `sdshdr5`), and with the next.
const LONGEST_KEYS: [u64; 2] = [31, 255];

/// Bytes of an entry of a table (dict.h `dictEntry`, 6.2.5 and 7.0.15). From 8.2 on
/// most keys need none.
const ENTRY: u64 = 24;

/// Where a server keeps a short value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// In its object, the key apart: until Redis 8.1.
    WithObject,
    /// In one object with its key: from Redis 8.2 on.
    WithKey,
    /// Somewhere, with or without its key.
    Unknown,
}

/// Lengths, bytes.
pub type Lengths = RangeInclusive<u64>;

/// What lands in one size class.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Values {
    /// Strings that share the allocation of their object.
    pub short: Option<Lengths>,
    /// Strings in an allocation of their own.
    pub long: Option<Lengths>,
    /// Keys (up to 31 bytes) and their short values, taken together.
    pub with_key: Option<Lengths>,
    /// Keys up to 255 bytes; where short values stand with them, keys of others.
    pub keys: Option<Lengths>,
    /// What else each key needs.
    pub parts: &'static [&'static str],
}

impl Values {
    /// What lands in the class of that size, of an allocator of that quantum;
    /// `None` where there is no such class.
    #[must_use]
    pub fn of(size: u64, quantum: u32, layout: Layout) -> Option<Self> {
        let below = class_below(size, quantum)?;
        let long = range(longest(below), longest(size));
        let around = OBJECT + 4;
        Some(match layout {
            Layout::WithObject => Self {
                short: within(fitting(below, size, around), 0, LONGEST_SHARED),
                long: within(long, LONGEST_SHARED + 1, u64::MAX),
                with_key: None,
                keys: keys(below, size, 0),
                parts: match (below..size).contains(&(OBJECT - 1)) {
                    true => &["objects of longer strings"],
                    false if (below..size).contains(&(ENTRY - 1)) => &["entries of tables"],
                    false => &[],
                },
            },
            Layout::WithKey => Self {
                short: None,
                long,
                with_key: fitting(below, size.min(LARGEST_WITH_KEY), AROUND_BOTH),
                // With the object in front, and a byte for the size of its header.
                keys: keys(below, size, OBJECT + 1),
                parts: &[],
            },
            Layout::Unknown => Self {
                long,
                ..Self::default()
            },
        })
    }
}

/// As a person reads it.
impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |lengths: &Lengths| format!("{} to {}", lengths.start(), lengths.end());
        let strings = [&self.short, &self.long];
        let strings: Vec<String> = strings.into_iter().flatten().map(range).collect();
        let mut told = Vec::new();
        if !strings.is_empty() {
            told.push(format!("strings of {} bytes", strings.join(" or ")));
        }
        if let Some(both) = &self.with_key {
            told.push(format!(
                "keys and values that together have {}",
                range(both)
            ));
        }
        if let Some(keys) = &self.keys {
            told.push(format!("keys of {} bytes", range(keys)));
        }
        told.extend(self.parts.iter().map(|part| (*part).to_owned()));
        if told.is_empty() {
            told.push("small parts of keys and tables".to_owned());
        }
        f.write_str(&told.join("; "))
    }
}

/// The class before one: distances of a quantum up to four of them, above that
/// four to each doubling; with a quantum of 16 there is one of 8 too (jemalloc
/// src/sc.c `size_classes`, 5.3.0).
fn class_below(size: u64, quantum: u32) -> Option<u64> {
    let quantum = u64::from(quantum);
    if !matches!(quantum, 8 | 16) || size == 0 {
        return None;
    }
    match size {
        8 => return Some(0),
        16 => return Some(8),
        _ => {}
    }
    let step = if size <= quantum.saturating_mul(4) {
        quantum
    } else {
        // Four to each doubling.
        size.saturating_sub(1)
            .checked_ilog2()
            .map(|power| 1 << power)?
            / 4
    };
    let below = size.checked_sub(step)?;
    (size.is_multiple_of(step) && below > 0).then_some(below)
}

/// The longest string that fits into so many bytes.
fn longest(bytes: u64) -> Option<u64> {
    let mut least = 0;
    let lengths = AROUND.iter().map(|(around, most)| {
        let least = std::mem::replace(&mut least, most.saturating_add(1));
        let length = bytes.checked_sub(*around)?.min(*most);
        (length >= least).then_some(length)
    });
    lengths.flatten().max()
}

/// Lengths that fit into the one and not into the other.
fn range(below: Option<u64>, upto: Option<u64>) -> Option<Lengths> {
    let (first, last) = (below.map_or(0, |below| below.saturating_add(1)), upto?);
    (first <= last).then_some(first..=last)
}

/// The same, with so many bytes around whatever the length.
fn fitting(below: u64, size: u64, around: u64) -> Option<Lengths> {
    range(below.checked_sub(around), size.checked_sub(around)).filter(|_| below < size)
}

/// Keys with so many bytes in front: header and NUL are 2 bytes, or 4.
fn keys(below: u64, size: u64, front: u64) -> Option<Lengths> {
    let [short, long] = LONGEST_KEYS;
    let shorter = within(fitting(below, size, front.saturating_add(2)), 1, short);
    let longer = within(
        fitting(below, size, front.saturating_add(4)),
        short.saturating_add(1),
        long,
    );
    match (shorter, longer) {
        (Some(one), Some(other)) => Some(*one.start()..=*other.end()),
        (one, other) => one.or(other),
    }
}

fn within(lengths: Option<Lengths>, least: u64, most: u64) -> Option<Lengths> {
    let lengths = lengths?;
    let (first, last) = ((*lengths.start()).max(least), (*lengths.end()).min(most));
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classes_of_jemalloc_follow_from_its_quantum() {
        let classes = |quantum| -> Vec<u64> {
            let is_one = |size: &u64| class_below(*size, quantum).is_some();
            (1..=1024).filter(is_one).collect()
        };
        let common = [
            80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024,
        ];
        assert_eq!(classes(8)[..8], [8, 16, 24, 32, 40, 48, 56, 64]);
        assert_eq!(classes(16)[..5], [8, 16, 32, 48, 64]);
        assert_eq!(classes(8)[8..], common);
        assert_eq!(classes(16)[5..], common);
        for (size, quantum, want) in [
            (8, 8, Some(0)),
            (320, 8, Some(256)),
            (14_336, 16, Some(12_288)),
            (1 << 52, 8, Some(7 << 49)),
            (0, 8, None),
            (330, 8, None),
            (320, 32, None),
            (u64::MAX, 16, None),
        ] {
            assert_eq!(class_below(size, quantum), want, "{size} {quantum}");
        }
    }

    #[test]
    fn a_length_lands_in_one_class_alone() {
        for layout in [Layout::WithObject, Layout::WithKey, Layout::Unknown] {
            for quantum in [8, 16] {
                let mut next = if layout == Layout::WithObject { 45 } else { 0 };
                for size in (1..=70_000).filter(|size| class_below(*size, quantum).is_some()) {
                    let Some(long) = Values::of(size, quantum, layout).unwrap().long else {
                        continue;
                    };
                    assert_eq!(*long.start(), next, "{layout:?} {quantum} {size}");
                    next = long.end() + 1;
                }
                assert!(next > 60_000, "{next}");
            }
        }
    }

    /// Seen on real servers; `tests/size_classes.rs` looks again.
    #[test]
    fn values_land_where_servers_put_them() {
        let of = |size, quantum, layout| Values::of(size, quantum, layout).unwrap();
        let old = |size| of(size, 8, Layout::WithObject);
        assert_eq!(old(64).short, Some(37..=44));
        assert_eq!(old(64).long, Some(53..=60));
        assert_eq!(old(56).long, Some(45..=52));
        assert_eq!(old(48).long, None);
        assert_eq!((old(16).short, old(16).keys), (None, Some(7..=14)));
        assert_eq!(old(16).parts, ["objects of longer strings"]);
        assert_eq!(old(24).parts, ["entries of tables"]);
        assert_eq!(of(32, 16, Layout::WithObject).parts, ["entries of tables"]);
        assert_eq!(old(48).keys, Some(37..=44));
        assert_eq!(old(256).long, Some(221..=252));
        assert_eq!(old(320).long, Some(253..=314));
        assert_eq!(old(1024).long, Some(891..=1018));
        let new = |size| of(size, 8, Layout::WithKey);
        assert_eq!(new(32).with_key, Some(2..=9));
        assert_eq!(new(32).keys, Some(6..=13));
        assert_eq!(new(56).keys, Some(30..=35));
        assert_eq!(new(64).with_key, Some(34..=41));
        assert_eq!(new(80).with_key, None);
        assert_eq!(new(40).long, Some(29..=36));
    }
}
