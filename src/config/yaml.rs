//! The one place that knows the YAML library: its limits, and its errors in words
//! that say what to change.
//!
//! Pure. Its own texts never come out, for some of them repeat a value.

use serde::de::DeserializeOwned;
use serde_saphyr::{DuplicateKeyPolicy, Error, Options};

use super::known::named;
use super::problem::{Problem, Severity};

/// Why a text could not be read.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) problem: Problem,
    /// It refers to an anchor that is not in this text, but may be in the file.
    pub(super) anchor: bool,
}

/// Reads a text; one with nothing in it is `None`.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<Option<T>, Unread> {
    serde_saphyr::from_str_with_options(text, options(text.len())).map_err(|error| {
        let at = error.location();
        let (line, column) = at.map_or((1, 1), |at| (at.line(), at.column()));
        let (line, column) = within(text, line, column);
        let (told, anchor) = (told(&error), is_anchor(&error));
        let problem = Problem {
            severity: Severity::Error,
            line,
            column,
            text: told,
        };
        Unread { problem, anchor }
    })
}

/// The text as all here have it: what some editors put in front of it is no part of it,
/// and to YAML a carriage return alone ends a line; so it must to everybody.
pub(super) fn plain(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Limits in step with the size of the text, so that many small texts cost no
/// more than a large one.
fn options(size: usize) -> Options {
    serde_saphyr::options! {
        // Snippets would print the lines around a mistake, passwords and all.
        with_snippet: false,
        // Told by the one who reads the mapping, at the key.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: (1_000 + 4 * size).min(1_000_000),
        },
        budget: serde_saphyr::budget! {
            // A fleet has one anchor and hundreds of aliases.
            enforce_alias_anchor_ratio: false,
        },
    }
}

/// Keeps a place inside the text: the end of a text is past its last line.
fn within(text: &str, line: u64, column: u64) -> (u64, u64) {
    let mut place = (1, 1);
    for (at, content) in (1..=line.max(1)).zip(text.lines()) {
        let end = content.chars().count() as u64 + 1;
        let column = if at == line { column } else { end };
        place = (at, column.clamp(1, end));
    }
    place
}

fn is_anchor(error: &Error) -> bool {
    match error {
        Error::UnknownAnchor { .. } => true,
        Error::ExternalMessage { msg, .. } => msg.contains("unknown anchor"),
        Error::AliasError { error, .. } => is_anchor(error),
        _ => false,
    }
}

fn told(error: &Error) -> String {
    let told = match error {
        Error::AliasError { error, .. } => return self::told(error),
        Error::ExternalMessage { msg, .. } => return syntax(msg).to_owned(),
        Error::SerdeInvalidType { expected, .. } | Error::SerdeInvalidValue { expected, .. } => {
            return format!("write {expected} here");
        }
        Error::DuplicateMappingKey { key, .. } => {
            return twice(key.as_deref().unwrap_or_default());
        }
        Error::Unexpected { expected, .. } if expected.contains("sequence") => {
            "a list is wanted here: below the key, each entry on a line that begins with \"- \""
        }
        Error::Unexpected { expected, .. } if expected.contains("mapping") => {
            "keys with values are wanted here: below the key, deeper, lines like key: value"
        }
        Error::Unexpected { expected, .. }
            if expected.contains("scalar") || expected.contains("string") =>
        {
            ONE_VALUE
        }
        Error::NullIntoString { .. } | Error::TaggedScalarCannotDeserializeIntoString { .. } => {
            ONE_VALUE
        }
        Error::MultipleDocuments { .. } => {
            "a second document begins here; a file holds one: remove the line of ---"
        }
        Error::UnknownAnchor { .. } => UNKNOWN_ANCHOR,
        Error::MergeValueNotMapOrSeqOfMaps { .. } => {
            "<<: takes an alias of a mapping, like <<: *shared"
        }
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::RecursiveReferencesRequireWeakTypes { .. } => {
            "aliases repeat far more than the file holds; write the values out"
        }
        Error::Budget { .. } => {
            "more, or more deeply nested, than a configuration file holds; split or flatten it"
        }
        Error::Eof { .. } => "the text ends too early; close what is open",
        _ => NOT_YAML,
    };
    told.to_owned()
}

/// What is told of a key that a mapping has twice.
pub(super) fn twice(key: &str) -> String {
    let key = named(key).unwrap_or("a key");
    format!("{key} stands twice; keep one")
}

const ONE_VALUE: &str =
    "one value is wanted here; put a text that begins with [ { * & ! or | in quotes";

const UNKNOWN_ANCHOR: &str = "no such anchor before this; write &name where the shared part \
     stands, or quote a text that begins with *";

const NOT_YAML: &str = "not understood as YAML here; look for a missing quote, colon or space";

/// The library's words, and what to change.
const SYNTAX: &[(&str, &str)] = &[
    (
        "tab",
        "a tab where spaces are needed; indent with spaces only",
    ),
    (
        "unclosed quote",
        "a quote that is not closed; close it on its line",
    ),
    (
        "trailing content after",
        "text behind a closing quote; put all of the value in the quotes, and double a ' in '…'",
    ),
    (
        "escape",
        "an escape that YAML does not have; write \\\\ for a backslash, or use '…'",
    ),
    ("quoted scalar", "a quote that is not closed on its line"),
    (
        "unclosed bracket",
        "a bracket that is not closed; close it, or put the text in quotes",
    ),
    (
        "bracket",
        "a closing bracket without its opening one; put the text in quotes if it is meant so",
    ),
    (
        "EOF while parsing a flow",
        "a bracket that is not closed; close it, or put the text in quotes",
    ),
    (
        "',' or",
        "a comma or a closing bracket is missing; close it, or put the text in quotes",
    ),
    (
        "simple key",
        "no colon in this line; write key: value, with a space behind the colon",
    ),
    (
        "mapping values are not allowed",
        "a key: where none can be; give it a line of its own, as deep as its neighbours, or put \
         the value in quotes",
    ),
    (
        "illegal placement of ':'",
        "a colon where none can be; put the value in quotes",
    ),
    ("unknown anchor", UNKNOWN_ANCHOR),
    (
        "block mapping, did not find expected key",
        "indented otherwise than its neighbours; begin all keys of a job in one column",
    ),
    (
        "block collection",
        "not as deep as the other entries of its list; begin all entries in one column",
    ),
    (
        "entries are not allowed",
        "an entry of a list where none can be; begin it on its own line, as deep as the others",
    ),
    (
        "indent",
        "wrong indentation; begin all keys of a job in one column",
    ),
    (
        "unexpected character",
        "a character that begins no value; put the text in quotes",
    ),
    (
        "<document start>",
        "indented otherwise than the first line, or text behind the end of the document",
    ),
    (
        "recursion limit",
        "more deeply nested than a configuration file is",
    ),
    (
        "anchor or alias name",
        "& and * begin a name; put the text in quotes if it is no anchor",
    ),
    (
        "while parsing a tag",
        "! begins a tag; put the text in quotes",
    ),
    (
        "while scanning a tag",
        "! begins a tag; put the text in quotes",
    ),
    ("handle", "! begins a tag; put the text in quotes"),
    ("directive", "% begins a directive; put the text in quotes"),
];

fn syntax(message: &str) -> &'static str {
    SYNTAX
        .iter()
        .find(|(says, _)| message.contains(says))
        .map_or(NOT_YAML, |(_, told)| told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_stays_inside_its_text() {
        for (text, place, want) in [
            ("", (1, 1), (1, 1)),
            ("", (9, 9), (1, 1)),
            ("ab\nc\n", (1, 2), (1, 2)),
            ("ab\nc\n", (1, 7), (1, 3)),
            ("ab\nc\n", (3, 1), (2, 2)),
            ("ab\nc\n", (0, 0), (1, 3)),
        ] {
            assert_eq!(within(text, place.0, place.1), want, "{text:?} {place:?}");
        }
    }
}
