//! Takes a broken file apart, so that a mistake costs only the job it stands in.
//!
//! Works on lines, since the text is not YAML any more. Must not judge content.

/// One text for each entry of `jobs:`, in which the lines of all other entries
/// are empty. Lines keep their numbers.
pub(super) fn jobs(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let Some(list) = lines.iter().position(|line| line.starts_with("jobs:")) else {
        return Vec::new();
    };
    let is_content = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    // The list ends where a line begins at the margin that is no entry.
    let ends = |line: &&str| is_content(line) && !line.starts_with([' ', '\t', '-']);
    let end = lines[list + 1..]
        .iter()
        .position(ends)
        .map_or(lines.len(), |at| list + 1 + at);
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let entry = |line: &str| line.trim_start().starts_with("- ") || line.trim() == "-";
    let Some(depth) = lines[list + 1..end]
        .iter()
        .filter(|l| entry(l))
        .map(|l| indent(l))
        .min()
    else {
        return Vec::new();
    };
    let starts: Vec<usize> = (list + 1..end)
        .filter(|at| entry(lines[*at]) && indent(lines[*at]) == depth)
        .collect();
    let alone = |which: usize| {
        let from = starts[which];
        let to = starts.get(which + 1).copied().unwrap_or(end);
        let keep = |at: usize| at <= list || at >= end || (from..to).contains(&at);
        let kept = lines
            .iter()
            .enumerate()
            .map(|(at, line)| if keep(at) { *line } else { "" });
        kept.collect::<Vec<_>>().join("\n")
    };
    (0..starts.len()).map(alone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_stands_alone_at_its_own_lines() {
        let text = "update_every: 2\njobs:\n  - name: a\n    x: [\n  # note\n  - name: b\n    l:\n      - deep\nother: 1\n";
        let parts = jobs(text);
        assert_eq!(parts.len(), 2);
        let wanted = "update_every: 2\njobs:\n\n\n\n  - name: b\n    l:\n      - deep\nother: 1";
        assert_eq!(parts[1], wanted);
        assert!(parts[0].contains("x: [") && !parts[0].contains("name: b"));
    }

    #[test]
    fn a_text_without_jobs_has_no_parts() {
        for text in ["", "a: [", "jobs:\n", "jobs:\n  nonsense\n"] {
            assert_eq!(jobs(text), Vec::<String>::new(), "{text:?}");
        }
    }
}
