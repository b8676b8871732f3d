//! A Markdown table of figures with their targets.
//!
//! Pure. Must not know where a figure comes from.

use std::fmt::Write;

/// One line of the table.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// What it is.
    pub figure: String,
    /// What it is to reach; empty where it is only stated.
    pub target: String,
    /// The plugin's.
    pub ours: String,
    /// The bare loop's.
    pub floor: String,
    /// The other collector's.
    pub peer: String,
    /// Whether the target is missed.
    pub missed: bool,
}

/// The table; ours are bold where they miss their target.
pub fn markdown(rows: &[Row], peer: &str) -> String {
    let mut text = format!("| figure | target | redis-frag | bare epoll loop | {peer} |\n");
    text += "|---|---|---|---|---|\n";
    for row in rows {
        let mark = if row.missed { "**" } else { "" };
        let _ = writeln!(
            text,
            "| {} | {} | {mark}{}{mark} | {} | {} |",
            row.figure, row.target, row.ours, row.floor, row.peer
        );
    }
    text
}
