//! Tables in jemalloc's report: a line of names, then lines of figures below.
//!
//! Knows that columns come and go with jemalloc's versions, so that each is found
//! by its name. Must not know what a column means.

/// Columns that are kept of a line. jemalloc 5.3 prints 42 with all its locks.
const MOST_COLUMNS: usize = 64;

/// Above this a figure is broken: 4 PiB, more than any machine has, and less than
/// the 2^53 up to which all readers of JSON keep integers.
pub(super) const MOST: u64 = 1 << 52;

/// The names of a table's columns.
pub(super) struct Header<'a>(Vec<&'a str>);

impl<'a> Header<'a> {
    /// Reads `bins:  size ind  allocated …`: the label, then the names.
    pub(super) fn parse(line: &'a str) -> Self {
        let names = line.split_whitespace().skip(1).take(MOST_COLUMNS);
        Self(names.collect())
    }

    /// A line of figures below. A rate, `(#/sec)`, is a column of its own.
    pub(super) fn row(&self, line: &'a str) -> Row<'_, 'a> {
        Row {
            names: &self.0,
            words: line.split_whitespace().take(MOST_COLUMNS).collect(),
        }
    }
}

/// One line of figures.
pub(super) struct Row<'h, 'a> {
    names: &'h [&'a str],
    words: Vec<&'a str>,
}

impl Row<'_, '_> {
    /// The figure in the first column of that name.
    pub(super) fn get(&self, name: &str) -> Option<u64> {
        let place = self.names.iter().position(|known| *known == name)?;
        number(self.words.get(place)?)
    }
}

/// A whole number as jemalloc prints it: digits alone.
pub(super) fn number(word: &str) -> Option<u64> {
    if !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    word.parse().ok().filter(|number| *number <= MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_found_by_its_name_wherever_it_stands() {
        let header = Header::parse("bins:  size ind  nmalloc (#/sec)  curregs");
        let row = header.row("   320  16   5184   216   1449");
        assert_eq!(row.get("size"), Some(320));
        assert_eq!(row.get("curregs"), Some(1449));
        assert_eq!(row.get("(#/sec)"), Some(216));
        assert_eq!(row.get("nonfull_slabs"), None);
        assert_eq!(header.row("  320 16 5184").get("curregs"), None);
    }

    #[test]
    fn only_what_can_be_is_a_number() {
        for (word, want) in [
            ("0", Some(0)),
            ("4503599627370496", Some(MOST)),
            ("4503599627370497", None),
            ("99999999999999999999999", None),
            ("-1", None),
            ("+1", None),
            ("0.305", None),
            ("N/A", None),
            ("", None),
        ] {
            assert_eq!(number(word), want, "{word:?}");
        }
    }
}
