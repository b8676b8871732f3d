//! Takes a broken file apart, so that a mistake costs only the job it stands in.
//!
//! Works on lines, since the text is not YAML any more. Must not judge content.

use std::ops::Range;

use serde_saphyr::Spanned;

use super::problem::Problem;
use super::raw::{RawFile, RawJob};
use super::yaml;

/// Text that is read again at most, in bytes: a file with ever more mistakes
/// must not keep the plugin from starting.
const MOST_WORK: usize = 8 << 20;

/// Mistakes of a file that are looked past: one that has more is none.
const MOST_MISTAKES: usize = 1000;

/// Lines that belong together: a key at the margin, an entry of `jobs:`, or what
/// follows the end of the document.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    lines: Range<usize>,
    /// Where the `jobs:` of an entry stands.
    list: Option<usize>,
}

/// What a text says without its broken parts, and what is wrong with those.
/// `whole` is why it could not be read as it is.
pub(super) fn read(text: &str, whole: Problem) -> (Option<RawFile>, Vec<Problem>) {
    let lines: Vec<&str> = text.lines().collect();
    let mut problems = Vec::new();
    // A quote that is not closed seems to be a mistake of the parts after it, so
    // each part is looked at alone first.
    let mut parts = sound_parts(&lines, &mut problems);
    let tries = (MOST_WORK / text.len().max(1)).clamp(4, MOST_MISTAKES);
    let tries = if problems.len() < MOST_MISTAKES {
        tries
    } else {
        0
    };
    for _ in 0..tries {
        match yaml::read::<RawFile>(&joined(&lines, &parts)) {
            Ok(raw) => {
                if problems.is_empty() {
                    problems.push(whole);
                }
                return (raw, problems);
            }
            Err(unread) => {
                let line = usize::try_from(unread.problem.line).unwrap_or(usize::MAX) - 1;
                problems.push(unread.problem);
                match parts.iter().position(|part| part.lines.contains(&line)) {
                    Some(broken) => drop_part(&mut parts, broken),
                    None => return (None, problems),
                }
            }
        }
    }
    problems.push(Problem {
        // First of all: the others are more than are told.
        line: 1,
        column: 1,
        text: "too many mistakes to make anything of this file".to_owned(),
        ..whole
    });
    (None, problems)
}

fn sound_parts(lines: &[&str], problems: &mut Vec<Problem>) -> Vec<Part> {
    let mut sound = Vec::new();
    // The list that is gone, and with it its entries.
    let mut gone = None;
    for part in split(lines) {
        if problems.len() >= MOST_MISTAKES {
            break;
        }
        if part.list.is_some() && part.list == gone {
            continue;
        }
        match mistake(lines, &part) {
            Some(problem) => {
                problems.push(problem);
                if part.list.is_none() {
                    gone = Some(part.lines.start);
                }
            }
            None => sound.push(part),
        }
    }
    sound
}

/// Takes a part away, and with a list its entries.
fn drop_part(parts: &mut Vec<Part>, at: usize) {
    let gone = parts.remove(at);
    if gone.list.is_none() {
        parts.retain(|part| part.list != Some(gone.lines.start));
    }
}

/// What is wrong with a part even where it stands alone.
fn mistake(lines: &[&str], part: &Part) -> Option<Problem> {
    let mut text = lines.get(part.lines.clone())?.join("\n");
    text.push('\n');
    let unread = match part.list {
        Some(_) => yaml::read::<Vec<Spanned<RawJob>>>(&text).err(),
        None => yaml::read::<RawFile>(&text).err(),
    };
    // The anchor may be in another part.
    let mut problem = unread.filter(|unread| !unread.anchor)?.problem;
    problem.line += part.lines.start as u64;
    Some(problem)
}

/// The text of these parts; every line keeps its number.
fn joined(lines: &[&str], parts: &[Part]) -> String {
    let mut text = String::new();
    let mut parts = parts.iter().peekable();
    for (at, line) in lines.iter().enumerate() {
        let _ = parts.next_if(|part| part.lines.end <= at);
        if parts.peek().is_some_and(|part| part.lines.contains(&at)) {
            text.push_str(line);
        }
        text.push('\n');
    }
    text
}

fn split(lines: &[&str]) -> Vec<Part> {
    let mut starts: Vec<(usize, Option<usize>)> = Vec::new();
    // The line of `jobs:` and how deep its entries are.
    let mut list: Option<(usize, Option<usize>)> = None;
    for (at, line) in lines.iter().enumerate() {
        if !is_content(line) {
            continue;
        }
        if ends_document(line) {
            if starts.is_empty() {
                continue;
            }
            starts.push((at, None));
            break;
        }
        if !line.starts_with([' ', '\t', '-']) {
            list = line.starts_with("jobs:").then_some((at, None));
            starts.push((at, None));
        } else if let Some((key, depth)) = &mut list
            && is_entry(line)
            && (indent(line) <= *depth.get_or_insert(indent(line)) || is_job(line))
        {
            starts.push((at, Some(*key)));
        }
    }
    let ends = starts.iter().skip(1).map(|(at, _)| *at);
    let ends = ends.chain([lines.len()]);
    let part = |(&(at, list), end)| Part {
        lines: at..end,
        list,
    };
    starts.iter().zip(ends).map(part).collect()
}

fn is_content(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with('#')
}

fn ends_document(line: &str) -> bool {
    let word = line.trim_end();
    line.starts_with("--- ") || word == "---" || word == "..."
}

fn is_entry(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("- ") || line == "-"
}

/// An entry that begins a job at whatever depth: no key of a job has such a list.
fn is_job(line: &str) -> bool {
    let key = line.trim_start().trim_start_matches('-').trim_start();
    key.starts_with("name:") || key.starts_with("address:")
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(lines: Range<usize>, list: Option<usize>) -> Part {
        Part { lines, list }
    }

    #[test]
    fn a_text_falls_into_its_keys_and_jobs() {
        let text = "# head\n---\npriority: 1\njobs:\n  # note\n  - name: a\n    x: [\n  - name: b\n    l:\n      - deep\n - odd\nother: 1\n...\nmore: 1\n";
        let lines: Vec<&str> = text.lines().collect();
        let parts = split(&lines);
        let wanted = [
            part(2..3, None),
            part(3..5, None),
            part(5..7, Some(3)),
            part(7..10, Some(3)),
            part(10..11, Some(3)),
            part(11..12, None),
            part(12..14, None),
        ];
        assert_eq!(parts, wanted);
        let some = joined(&lines, &[wanted[1].clone(), wanted[3].clone()]);
        let wanted = "\n\n\njobs:\n  # note\n\n\n  - name: b\n    l:\n      - deep\n\n\n\n\n";
        assert_eq!(some, wanted);
    }

    #[test]
    fn a_list_takes_its_entries_with_it() {
        let lines = ["jobs:", "- a: 1", "- b: 1", "x: 1"];
        let mut parts = split(&lines);
        drop_part(&mut parts, 1);
        assert_eq!(parts.len(), 3);
        drop_part(&mut parts, 0);
        assert_eq!(parts, [part(3..4, None)]);
    }

    #[test]
    fn a_text_without_keys_has_no_parts() {
        for text in ["", "# a: [", "  deep: 1", "---"] {
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(split(&lines), [], "{text:?}");
        }
    }
}
