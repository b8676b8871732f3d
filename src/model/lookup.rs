//! Finds a name among some dozens that are known when the program is compiled.
//!
//! A table of slots without collisions, searched for by the compiler: one
//! multiplication and at most one comparison, whatever is asked. Must not know
//! what the names mean.

/// Slots; many times the names, so that most names of others meet an empty one.
const SLOTS: usize = 1 << BITS;
const BITS: u32 = 9;

/// A slot of no name.
const EMPTY: u8 = u8::MAX;

/// A name is told by its first and last bytes, as many of each, and its length.
const ENDS: usize = 4;

/// Tables that the compiler tries before it gives up.
const TRIES: u64 = 2000;

/// Where each of some names is in their list.
pub(super) struct Lookup {
    factor: u64,
    slots: [u8; SLOTS],
}

impl Lookup {
    /// A table of these names: at least four bytes long, and no two alike in length
    /// and both ends, or this does not compile.
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::panic,
        reason = "the compiler runs it: to panic is not to compile"
    )]
    pub(super) const fn over(names: &[&str]) -> Self {
        assert!(names.len() < EMPTY as usize, "more names than places");
        let mut attempt = 0;
        while attempt < TRIES {
            // Odd multiples of the golden ratio's bits: each spreads differently.
            let factor = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(2 * attempt + 1);
            if let Some(slots) = fill(names, factor) {
                return Self { factor, slots };
            }
            attempt += 1;
        }
        panic!("two names have the same length and ends")
    }

    /// The only place in the list where this name can be; whether it is there, the
    /// caller compares.
    pub(super) fn place(&self, name: &[u8]) -> Option<usize> {
        let place = *self.slots.get(slot(name, self.factor)?)?;
        (place != EMPTY).then_some(usize::from(place))
    }
}

/// The slots with all names in them; `None` where two share one.
#[allow(
    clippy::cast_possible_truncation,
    reason = "there are fewer than 255 names"
)]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the compiler runs it: what is not there does not compile"
)]
const fn fill(names: &[&str], factor: u64) -> Option<[u8; SLOTS]> {
    let mut slots = [EMPTY; SLOTS];
    let mut place = 0;
    while place < names.len() {
        let Some(slot) = slot(names[place].as_bytes(), factor) else {
            panic!("a name is shorter than its ends")
        };
        if slots[slot] != EMPTY {
            return None;
        }
        slots[slot] = place as u8;
        place += 1;
    }
    Some(slots)
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "what is left of the shift are BITS bits"
)]
const fn slot(name: &[u8], factor: u64) -> Option<usize> {
    let (Some(head), Some(tail)) = (name.first_chunk::<ENDS>(), name.last_chunk::<ENDS>()) else {
        return None;
    };
    let (head, tail) = (u32::from_le_bytes(*head), u32::from_le_bytes(*tail));
    let ends = (head as u64) << 32 | tail as u64;
    // Names are of ASCII, so that a length changes bits that no ends do.
    let mixed = (ends ^ (name.len() as u64) << 7).wrapping_mul(factor);
    Some((mixed >> (u64::BITS - BITS)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["used_memory", "used_memory_rss", "loading", "rdb_", "aof_"];
    const LOOKUP: Lookup = Lookup::over(NAMES);

    #[test]
    fn every_name_is_where_it_is() {
        for (place, name) in NAMES.iter().enumerate() {
            assert_eq!(LOOKUP.place(name.as_bytes()), Some(place), "{name}");
        }
    }

    #[test]
    fn what_is_too_short_is_nowhere() {
        for name in ["", "a", "abc"] {
            assert_eq!(LOOKUP.place(name.as_bytes()), None);
        }
    }

    #[test]
    fn most_other_names_are_nowhere() {
        let others = (0..1000).map(|number| format!("field_{number}_of_others"));
        let met = others.filter(|name| LOOKUP.place(name.as_bytes()).is_some());
        assert!(met.count() < 50);
    }

    #[test]
    #[should_panic(expected = "two names")]
    fn two_names_that_cannot_be_told_apart_are_refused() {
        let _ = Lookup::over(&["used_a_memory", "used_b_memory"]);
    }
}
