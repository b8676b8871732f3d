//! The lines of the plugin protocol, written so that no text can break them.
//!
//! Knows quoting and the letters each place allows. Must not know charts of ours
//! or what has been sent before: that is `stream.rs`.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::model::text::is_hidden;

/// Longest text in one field. Old agents cut lines at 15 kB.
const LONGEST: usize = 200;

/// Longest part of an id. Agents cut a whole id at 200 (`RRD_ID_LENGTH_MAX`,
/// 1.37), and what is cut may collide.
const LONGEST_ID: usize = 100;

/// Where a label's value comes from: the plugin (`RRDLABEL_SRC_AUTO`).
pub const AUTOMATIC: u8 = 1;
/// Where a label's value comes from: a file (`RRDLABEL_SRC_CONFIG`).
pub const CONFIGURED: u8 = 2;

/// What a `CHART` line says.
#[derive(Debug, Clone, Copy)]
pub struct ChartLine<'a> {
    /// Part before the dot; see [`identifier`].
    pub type_id: &'a str,
    /// Part behind the dot.
    pub id: &'a str,
    /// What a person reads.
    pub title: &'a str,
    /// Units.
    pub units: &'a str,
    /// Section of the dashboard.
    pub family: &'a str,
    /// What templates of alerts and dashboards go by: first and second part.
    pub context: (&'a str, &'a str),
    /// `line`, `area`, `stacked`.
    pub chart_type: &'a str,
    /// Place on the dashboard.
    pub priority: u32,
    /// Seconds between values.
    pub update_every: u32,
    /// Whether it is to be taken off the dashboard.
    pub obsolete: bool,
}

/// Makes a text fit for ids: letters, digits, `_` and `-`; everything else
/// becomes `_`. A dot would split the id, so it goes too.
#[must_use]
pub fn identifier(text: &str) -> String {
    let keep = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    text.chars().take(LONGEST_ID).map(keep).collect()
}

/// Makes a text fit for the name of a label. Agents map capitals to lower case, so
/// `Version` would stand in for `version`.
#[must_use]
pub fn label_name(text: &str) -> String {
    let keep = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') => c,
        _ => '_',
    };
    text.chars().take(LONGEST).map(keep).collect()
}

/// Defines a chart, or defines it anew.
pub fn chart(out: &mut String, line: &ChartLine<'_>) {
    let _ = write!(out, "CHART '{}.{}' '' '", line.type_id, line.id);
    push_text(out, line.title);
    out.push_str("' '");
    push_text(out, line.units);
    out.push_str("' '");
    push_text(out, line.family);
    let _ = writeln!(
        out,
        "' '{}.{}' {} {} {} '{}' 'redis-frag.plugin' 'redis'",
        line.context.0,
        line.context.1,
        line.chart_type,
        line.priority,
        line.update_every,
        if line.obsolete { "obsolete" } else { "" }
    );
}

/// Adds a label to the chart being defined. The name is one of [`label_name`].
pub fn label(out: &mut String, name: &str, value: &str, source: u8) {
    let _ = write!(out, "CLABEL '{name}' '");
    push_label_value(out, value);
    let _ = writeln!(out, "' {source}");
}

/// Ends the labels of the chart being defined.
pub fn label_commit(out: &mut String) {
    out.push_str("CLABEL_COMMIT\n");
}

/// Adds a dimension of ready values to the chart being defined.
pub fn dimension(out: &mut String, name: &str, divisor: i64) {
    let _ = writeln!(out, "DIMENSION '{name}' '{name}' absolute 1 {divisor}");
}

/// Defines a virtual node, or defines it anew. `guid` must be a UUID, or the agent ends
/// the plugin.
pub fn host_define(
    out: &mut String,
    guid: &str,
    hostname: &str,
    labels: &BTreeMap<String, String>,
) {
    let _ = write!(out, "HOST_DEFINE '{guid}' '");
    push_text(out, hostname);
    out.push_str("'\n");
    for (name, value) in labels {
        let _ = write!(out, "HOST_LABEL '{name}' '");
        push_label_value(out, value);
        out.push_str("'\n");
    }
    out.push_str("HOST_DEFINE_END\n");
}

/// What follows is of the node with this `guid`; of none: of the agent's own.
pub fn host(out: &mut String, guid: Option<&str>) {
    let _ = writeln!(out, "HOST '{}'", guid.unwrap_or_default());
}

/// Opens the values of a chart. `microseconds` since its last ones; `None` the
/// first time and after a gap.
pub fn begin(out: &mut String, type_id: &str, id: &str, microseconds: Option<u64>) {
    out.push_str("BEGIN '");
    out.push_str(type_id);
    out.push('.');
    out.push_str(id);
    match microseconds {
        Some(microseconds) => {
            out.push_str("' ");
            push_number(out, microseconds);
        }
        None => out.push_str("'\n"),
    }
}

/// One value.
pub fn set(out: &mut String, name: &str, value: i64) {
    out.push_str("SET '");
    out.push_str(name);
    out.push_str("' = ");
    push_number(out, value);
}

/// A variable of the chart that is open, for alerts.
pub fn variable(out: &mut String, name: &str, value: i64) {
    out.push_str("VARIABLE CHART ");
    out.push_str(name);
    out.push_str(" = ");
    push_number(out, value);
}

/// Closes the values of a chart.
pub fn end(out: &mut String) {
    out.push_str("END\n");
}

/// A number that ends its line. These are most of what is ever written, so that
/// formatting machinery would cost more than all the rest.
fn push_number(out: &mut String, number: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(number));
    out.push('\n');
}

/// Quotes end a field, a backslash would hide the quote that ends ours, and what is
/// hidden is a new line or worse.
pub(super) fn push_text(out: &mut String, text: &str) {
    let clean = |c: char| match c {
        '\'' | '"' | '\\' => ' ',
        c if is_hidden(c) => ' ',
        c => c,
    };
    out.extend(text.chars().take(LONGEST).map(clean));
}

/// What agents keep of a label; the rest they turn into `_` themselves, each
/// version a little differently, so it is done here. An empty value is dropped
/// by the agent, so it is spelled out.
fn push_label_value(out: &mut String, text: &str) {
    if text.is_empty() {
        out.push_str("unknown");
    }
    let clean = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c,
        '.' | '_' | '-' | '+' | ':' | '/' | '@' => c,
        _ => '_',
    };
    out.extend(text.chars().take(LONGEST).map(clean));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_cannot_split_or_end_anything() {
        assert_eq!(identifier("cache-1.eu west'\n"), "cache-1_eu_west__");
        assert_eq!(identifier("größe"), "gr__e");
        assert_eq!(identifier(&"x".repeat(999)).len(), LONGEST_ID);
        assert_eq!(label_name("Rôle+1.a b"), "r_le_1.a_b");
    }

    #[test]
    fn no_text_breaks_a_line() {
        let mut out = String::new();
        let hostile = "a'b\"c\\\nCONFIG x\r\t\u{7f}";
        let line = ChartLine {
            type_id: "t",
            id: "c",
            title: hostile,
            units: hostile,
            family: hostile,
            context: ("x", "y"),
            chart_type: "line",
            priority: 1,
            update_every: 1,
            obsolete: false,
        };
        chart(&mut out, &line);
        label(&mut out, &label_name(hostile), hostile, CONFIGURED);
        assert_eq!(out.lines().count(), 2, "{out}");
        assert_eq!(out.matches('\'').count(), 2 * 9 + 4, "{out}");
        assert!(!out.contains(['"', '\\', '\t', '\r']), "{out}");
    }

    #[test]
    fn an_empty_label_is_spelled_out() {
        let mut out = String::new();
        label(&mut out, "version", "", AUTOMATIC);
        assert_eq!(out, "CLABEL 'version' 'unknown' 1\n");
    }
}
