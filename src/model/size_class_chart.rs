//! The chart of the worst size classes: a dimension for each class there can be.
//!
//! Ten have a value at a time; the others are not defined until they do. Must not
//! know how the classes were asked for.

use super::chart::{Chart, Dimension, Kind, int};
use super::derive::Derived;
use super::size_classes::WORST;

/// A dimension for each size.
macro_rules! classes {
    ($($size:literal)+) => {
        &[$( Dimension {
            name: concat!("class_", $size),
            divisor: 1,
            value: |derived| wasted(derived, $size),
        } ),+]
    };
}

/// Every size of a small class: quantum 8 and 16, pages of 4 KiB (up to 14336) and of
/// 64 KiB (jemalloc src/sc.c `size_classes`, 5.3.0).
const CLASSES: &[Dimension] = classes!(
    8 16 24 32 40 48 56 64 80 96 112 128 160 192 224 256 320 384 448 512 640 768 896 1024 1280
    1536 1792 2048 2560 3072 3584 4096 5120 6144 7168 8192 10240 12288 14336 16384 20480 24576
    28672 32768 40960 49152 57344 65536 81920 98304 114688 131072 163840 196608 229376
);

/// The chart.
pub const SIZE_CLASS_WASTE: Chart = Chart {
    id: "size_class_waste",
    title: "Free regions in the slabs of the ten worst size classes",
    units: "bytes",
    family: "size classes",
    kind: Kind::Stacked,
    dimensions: CLASSES,
    variables: &[],
};

/// What a class wastes, while it is among the worst.
fn wasted(derived: &Derived<'_>, size: u64) -> Option<i64> {
    let classes = derived.sample.size_classes.as_ref()?;
    let class = classes.worst(WORST).iter().find(|class| class.size == size);
    int(class?.wasted())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a server's own jemalloc, a system's, and one with large pages have them.
    #[test]
    fn sizes_rise_and_have_a_bit_each_in_what_was_said() {
        let size = |dimension: &Dimension| -> u64 {
            dimension
                .name
                .strip_prefix("class_")
                .unwrap()
                .parse()
                .unwrap()
        };
        let sizes: Vec<u64> = CLASSES.iter().map(size).collect();
        assert!(sizes.is_sorted() && sizes.len() <= 64, "{}", sizes.len());
        // Four classes to each doubling above the first few.
        for pair in sizes.windows(2).filter(|pair| pair[0] >= 64) {
            let step = 1 << (pair[0].ilog2() - 2);
            assert_eq!(pair[1] - pair[0], step, "{pair:?}");
        }
    }
}
