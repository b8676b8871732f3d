//! The bar of where the bytes are, proportional, and its legend.
//!
//! Pure. Knows the parts of RSS; must not know verdicts.

use crate::model::waste::Waste;

/// A part of RSS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Name, as in charts.
    pub name: &'static str,
    /// What it is, in a few words.
    pub meaning: &'static str,
    /// The character that stands for it, colours or not.
    pub glyph: char,
    /// Its colour, as the number of an ANSI background.
    pub ground: u8,
    /// Bytes; negative where memory was counted and never touched.
    pub bytes: i64,
}

/// The parts of RSS in the order of the bar.
#[must_use]
pub fn parts(used: u64, waste: &Waste) -> Vec<Part> {
    let part = |name, meaning, glyph, ground, bytes| Part {
        name,
        meaning,
        glyph,
        ground,
        bytes,
    };
    let used = i64::try_from(used).unwrap_or(i64::MAX);
    let mut all = vec![part("used", "the data and its overhead", '#', 42, used)];
    match waste.parts {
        Some(parts) => all.extend([
            part(
                "fragmented",
                "holes between live data",
                'x',
                41,
                parts.fragmented,
            ),
            part(
                "releasable",
                "free pages that the allocator keeps",
                'o',
                43,
                parts.releasable,
            ),
            part(
                "process",
                "code, stacks, memory not from the allocator",
                '+',
                46,
                parts.process,
            ),
            part(
                "other",
                "the allocator's caches, Lua, rounding",
                '.',
                45,
                parts.other,
            ),
        ]),
        None => all.push(part(
            "wasted",
            "this allocator does not tell where",
            'x',
            41,
            waste.total,
        )),
    }
    all
}

/// How many of `width` cells each size gets: in proportion, all cells given out,
/// the largest remainders first. Nothing of a size that is not above 0.
#[must_use]
pub fn cells(sizes: &[i64], width: usize) -> Vec<usize> {
    let size = |bytes: &i64| u128::try_from(*bytes).unwrap_or(0);
    let total: u128 = sizes.iter().map(size).sum();
    if total == 0 {
        return vec![0; sizes.len()];
    }
    let scaled: Vec<u128> = sizes.iter().map(|s| size(s) * width as u128).collect();
    let mut cells: Vec<usize> = scaled
        .iter()
        .map(|part| usize::try_from(part / total).unwrap_or(width))
        .collect();
    let left = width.saturating_sub(cells.iter().sum());
    let mut by_rest: Vec<_> = scaled.iter().zip(&mut cells).collect();
    by_rest.sort_by_key(|(part, _)| std::cmp::Reverse(*part % total));
    for (_, cell) in by_rest.into_iter().take(left) {
        *cell += 1;
    }
    cells
}

/// Sizes in one unit for all, so that a column of them can be compared: MiB up to
/// ten GiB, GiB above.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub fn in_unit_of(bytes: i64, largest: i64) -> String {
    const GIB: i64 = 1 << 30;
    let (unit, size) = if largest >= 10 * GIB {
        ("GiB", GIB)
    } else {
        ("MiB", 1 << 20)
    };
    let shown = format!("{:.1}", bytes as f64 / size as f64);
    // Nothing is no less than nothing.
    let shown = if shown == "-0.0" { "0.0" } else { &shown };
    format!("{shown} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::waste;

    fn drawn(sizes: &[i64], width: usize) -> String {
        let glyphs = ['#', 'x', 'o', '+', '.'];
        let cells = cells(sizes, width);
        let runs = cells.iter().zip(glyphs);
        runs.map(|(cells, glyph)| glyph.to_string().repeat(*cells))
            .collect()
    }

    #[test]
    fn the_bar_is_proportional_and_full() {
        for (sizes, want) in [
            (&[50, 30, 10, 10, 0][..], "##########xxxxxxoo++"),
            (&[1, 0, 0, 0, 0], "####################"),
            (&[1, 1, 1, 0, 0], "#######xxxxxxxoooooo"),
            (&[999, 1, 0, 0, 0], "####################"),
            (&[100, -400, 100, 0, 0], "##########oooooooooo"),
            (&[0, 0, 0, 0, 0], ""),
            (&[i64::MAX, i64::MAX], "##########xxxxxxxxxx"),
            (&[-1, i64::MIN], ""),
        ] {
            assert_eq!(drawn(sizes, 20), want, "{sizes:?}");
        }
        assert_eq!(drawn(&[1, 2, 3], 0), "");
    }

    #[test]
    fn the_legend_has_one_unit() {
        assert_eq!(in_unit_of(98_233_344, 1 << 30), "93.7 MiB");
        assert_eq!(in_unit_of(1000, 1 << 30), "0.0 MiB");
        assert_eq!(in_unit_of(-1000, 1 << 30), "0.0 MiB");
        assert_eq!(in_unit_of(-417_070_224, 1 << 30), "-397.7 MiB");
        assert_eq!(in_unit_of(5 << 30, 12 << 30), "5.0 GiB");
        assert_eq!(in_unit_of(100 << 20, 12 << 30), "0.1 GiB");
    }

    #[test]
    fn without_statistics_the_waste_is_one_part() {
        let waste = waste::Waste {
            total: 7,
            parts: None,
        };
        let names: Vec<&str> = parts(9, &waste).iter().map(|part| part.name).collect();
        assert_eq!(names, ["used", "wasted"]);
    }
}
