//! A line of the past in a row of text: a column for each moment, as high as its value.
//!
//! Pure. Must not know what the values are.

/// Heights, the lowest first, where the terminal shows them.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The same in the characters that every terminal has.
const PLAIN: [char; 8] = ['_', '.', '-', '~', '=', '+', '*', '#'];

/// The last `width` values between `floor` and `ceiling`, the newest at the right; a gap
/// is a space, and so is what is not known yet.
#[must_use]
pub fn line(
    values: impl DoubleEndedIterator<Item = Option<f64>>,
    (floor, ceiling): (f64, f64),
    width: usize,
    blocks: bool,
) -> String {
    let heights = if blocks { BLOCKS } else { PLAIN };
    let span = ceiling - floor;
    let drawn = |value: Option<f64>| {
        let share = (value? - floor) / span;
        // The last height that its share of the span reaches.
        let reached = heights
            .iter()
            .zip(0_u8..)
            .take_while(|(_, step)| share * 8.0 >= f64::from(*step))
            .last()
            .map(|(height, _)| *height);
        share.is_finite().then(|| reached.unwrap_or(' '))
    };
    let newest = values
        .rev()
        .take(width)
        .map(|value| drawn(value).unwrap_or(' '));
    let mut columns: Vec<char> = newest.collect();
    columns.resize(width, ' ');
    columns.into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(values: &[Option<f64>], span: (f64, f64), width: usize, blocks: bool) -> String {
        line(values.iter().copied(), span, width, blocks)
    }

    #[test]
    fn the_newest_stands_at_the_right_and_gaps_are_seen() {
        let values = [Some(0.0), Some(0.5), None, Some(1.0)];
        assert_eq!(drawn(&values, (0.0, 1.0), 6, true), "  ▁▅ █");
        assert_eq!(drawn(&values, (0.0, 1.0), 2, true), " █");
        assert_eq!(drawn(&values, (0.0, 1.0), 4, false), "_= #");
        assert_eq!(drawn(&[], (0.0, 1.0), 3, true), "   ");
        assert_eq!(drawn(&values, (0.0, 1.0), 0, true), "");
    }

    #[test]
    fn what_is_out_of_its_span_is_drawn_at_its_edge_or_not_at_all() {
        let wild = [Some(-5.0), Some(99.0), Some(f64::NAN), Some(f64::INFINITY)];
        assert_eq!(drawn(&wild, (0.0, 1.0), 4, true), " █  ");
        // Nothing has happened: the span is empty.
        assert_eq!(drawn(&[Some(2.0)], (2.0, 2.0), 1, true), " ");
    }
}
