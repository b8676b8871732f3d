//! Tables as the dashboard shows them: typed columns over rows of any kind.
//!
//! Pure. The names are those of Netdata's function tables. Must not know what
//! stands in a table.

use serde_json::{Map, Value, json};

use crate::model::text;

/// Characters of one cell that are shown.
const LONGEST_CELL: usize = 600;

/// What a column holds. Decides how it is shown, sorted, filtered and summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name, one row's own: exactly one column of a table.
    Key,
    /// A word of few, to filter by.
    Word,
    /// The same, shown as a badge.
    Badge,
    /// A text.
    Text,
    /// A text of several lines.
    Long,
    /// A number of order.
    Count,
    /// A number to sort by, the highest first.
    Rank,
    /// MiB.
    Size,
    /// MiB, as a bar beside those of the other rows.
    SizeBar,
    /// A ratio.
    Ratio,
    /// Percent.
    Percent,
    /// Seconds.
    Duration,
    /// Milliseconds since 1970.
    Time,
}

/// How the dashboard treats a [`Kind`]: type, look, transformation, decimals,
/// units, order, summary, filter.
struct Look(
    &'static str,
    &'static str,
    &'static str,
    u8,
    Option<&'static str>,
    &'static str,
    &'static str,
    &'static str,
);

impl Kind {
    #[rustfmt::skip]
    fn look(self) -> Look {
        match self {
            Self::Key => Look("string", "value", "none", 0, None, "ascending", "count", "multiselect"),
            Self::Word => Look("string", "value", "none", 0, None, "ascending", "count", "multiselect"),
            Self::Badge => Look("string", "pill", "none", 0, None, "ascending", "count", "multiselect"),
            Self::Text => Look("string", "value", "none", 0, None, "ascending", "count", "none"),
            Self::Long => Look("string", "value", "none", 0, None, "ascending", "count", "none"),
            Self::Count => Look("integer", "value", "number", 0, None, "ascending", "min", "none"),
            Self::Rank => Look("integer", "value", "number", 0, None, "descending", "max", "none"),
            Self::Size => Look("float", "value", "number", 2, Some("MiB"), "descending", "sum", "range"),
            Self::SizeBar => Look("bar-with-integer", "bar", "number", 2, Some("MiB"), "descending", "sum", "range"),
            Self::Ratio => Look("float", "value", "number", 2, Some("ratio"), "descending", "max", "range"),
            Self::Percent => Look("float", "value", "number", 1, Some("%"), "descending", "max", "range"),
            Self::Duration => Look("duration", "value", "duration", 0, Some("s"), "descending", "max", "range"),
            Self::Time => Look("timestamp", "value", "datetime", 0, None, "descending", "max", "range"),
        }
    }
}

/// One column of a table over rows of `R`.
#[derive(Debug)]
pub struct Column<R> {
    /// Name in the answer; no two of a table have the same.
    pub id: &'static str,
    /// What a person reads.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it is shown until somebody chooses.
    pub visible: bool,
    /// The cell of a row; null where there is no value.
    pub value: fn(&R) -> Value,
}

/// A column, as a row of a table of columns.
pub const fn column<R>(
    id: &'static str,
    name: &'static str,
    kind: Kind,
    visible: bool,
    value: fn(&R) -> Value,
) -> Column<R> {
    Column {
        id,
        name,
        kind,
        visible,
        value,
    }
}

/// How bad a row is: its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Nothing to do.
    Normal,
    /// Could not be told.
    Notice,
    /// To be looked at.
    Warning,
    /// To be acted upon.
    Error,
}

impl Colour {
    fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A whole answer: a table, sorted by a column, renewed every so many seconds. What
/// else it has is in `more`, by who knows.
#[must_use]
pub fn answer<R>(
    (columns, rows): (&[Column<R>], &[R]),
    colour: fn(&R) -> Colour,
    (sorted_by, every): (&str, u32),
    help: &str,
    more: &[(&str, Value)],
) -> Value {
    let (columns, data) = table(columns, rows, colour);
    let more = more.iter();
    let more = more.map(|(name, value)| ((*name).to_owned(), value.clone()));
    let own = [
        ("status", json!(200)),
        ("type", json!("table")),
        ("has_history", json!(false)),
        ("help", json!(help)),
        ("update_every", json!(every)),
        ("columns", columns),
        ("data", data),
        ("default_sort_column", json!(sorted_by)),
    ];
    let own = own.into_iter();
    let own = own.map(|(name, value)| (name.to_owned(), value));
    Value::Object(own.chain(more).collect())
}

/// The `columns` and `data` of an answer. Behind the cells of each row stands its
/// colour, in a column of its own that is never shown.
#[must_use]
pub fn table<R>(columns: &[Column<R>], rows: &[R], colour: fn(&R) -> Colour) -> (Value, Value) {
    let cells = |row: &R| {
        let cells = columns.iter().map(|column| (column.value)(row));
        let options = json!({ "rowOptions": { "severity": colour(row).name() } });
        cells.chain([options]).collect::<Vec<Value>>()
    };
    let data: Vec<Vec<Value>> = rows.iter().map(cells).collect();
    let mut named = Map::new();
    for (index, column) in columns.iter().enumerate() {
        let most = data.iter().filter_map(|row| row.get(index)?.as_f64());
        let most = most.fold(0.0, f64::max);
        named.insert(column.id.to_owned(), described(index, column, most));
    }
    named.insert("rowOptions".to_owned(), row_options(columns.len()));
    (Value::Object(named), json!(data))
}

fn described<R>(index: usize, column: &Column<R>, most: f64) -> Value {
    let Look(kind, look, transform, decimals, units, sort, summary, filter) = column.kind.look();
    let key = column.kind == Kind::Key;
    let mut described = Map::new();
    let mut say = |name: &str, value: Value| described.insert(name.to_owned(), value);
    say("index", json!(index));
    say("name", json!(column.name));
    say("type", json!(kind));
    say("visible", json!(column.visible));
    say("visualization", json!(look));
    say(
        "value_options",
        json!({ "transform": transform, "decimal_points": decimals, "units": units }),
    );
    say("units", json!(units));
    say("sort", json!(sort));
    say("sortable", json!(column.kind != Kind::Long));
    say("sticky", json!(key));
    say("unique_key", json!(key));
    say("summary", json!(summary));
    say("filter", json!(filter));
    say("full_width", json!(column.kind == Kind::Long));
    say("wrap", json!(column.kind == Kind::Long));
    say("default_expanded_filter", json!(column.kind == Kind::Badge));
    if column.kind == Kind::SizeBar {
        say("max", json!(most));
    }
    Value::Object(described)
}

fn row_options(index: usize) -> Value {
    json!({
        "index": index,
        "name": "rowOptions",
        "type": "none",
        "visible": false,
        "visualization": "rowOptions",
        "value_options": { "transform": "none", "decimal_points": 0 },
        "sort": "ascending",
        "sortable": false,
        "sticky": false,
        "unique_key": false,
        "summary": "count",
        "filter": "none",
        "dummy": true,
    })
}

/// A text as a cell: what servers and files call themselves loses what would
/// move a cursor or turn the direction of writing round. The dashboard shows strings as
/// text, whatever they look like, except in columns of the types `feedTemplate` and
/// `richValue` and with the transformation `xml` (FUNCTION_UI_REFERENCE.md of
/// netdata/netdata, 2026): no [`Kind`] has one of these.
#[must_use]
pub fn text(text: &str) -> Value {
    Value::from(text::line(text, LONGEST_CELL))
}

/// Bytes as a cell of MiB.
#[must_use]
pub fn size(bytes: Option<i64>) -> Value {
    number(bytes.map(|bytes| bytes as f64 / f64::from(1 << 20)))
}

/// A number as a cell, with at most three decimals; null of what is no number.
#[must_use]
pub fn number(number: Option<f64>) -> Value {
    json!(number.map(|number| (number * 1000.0).round() / 1000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column<(&str, f64)>] = &[
        Column {
            id: "name",
            name: "Name",
            kind: Kind::Key,
            visible: true,
            value: |row| text(row.0),
        },
        Column {
            id: "size",
            name: "Size",
            kind: Kind::SizeBar,
            visible: true,
            value: |row| number(Some(row.1)),
        },
    ];

    #[test]
    fn a_bar_ends_at_the_longest_and_the_colour_stands_last() {
        let colour = |row: &(&str, f64)| match row.1 > 2.0 {
            true => Colour::Error,
            false => Colour::Normal,
        };
        let (columns, data) = table(COLUMNS, &[("a", 1.0), ("b", 3.5)], colour);
        assert_eq!(columns["size"]["max"], 3.5);
        assert_eq!(columns["rowOptions"]["index"], 2);
        assert_eq!(columns["name"]["unique_key"], true);
        assert_eq!(data[1][2]["rowOptions"]["severity"], "error");
        assert_eq!(data[0][2]["rowOptions"]["severity"], "normal");
        assert_eq!(table(COLUMNS, &[], colour).1, json!([]));
    }

    #[test]
    fn cells_are_clean_and_short() {
        assert_eq!(text("a\u{1b}[2J\u{202e}\nb"), "a[2J b");
        assert_eq!(
            text(&"x".repeat(9999)).as_str().unwrap().len(),
            LONGEST_CELL
        );
        assert_eq!(size(Some(1_572_864)), 1.5);
        assert_eq!(size(None), Value::Null);
        assert_eq!(number(Some(f64::NAN)), Value::Null);
        assert_eq!(number(Some(1.234_56)), 1.235);
    }
}
