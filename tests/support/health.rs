//! Alerts as shipped: read as what they say, or with the spans cut short.
//!
//! A test or a demo cannot wait ten minutes for an average. Must not change what
//! an alert compares, nor with what.

use std::collections::BTreeMap;

/// Longest span of a hurried alert.
const SPAN: &str = "-10s";

/// The text of a health file with every span shortened to seconds, evaluated each
/// second and without delays; and without `summary:`, as for agents before 1.43.
pub fn hurried(health: &str) -> String {
    let line = |line: &str| -> Option<String> {
        let (key, value) = line.split_once(':')?;
        let shortened = match key.trim() {
            "lookup" => value
                .split_whitespace()
                .map(|word| if is_span(word) { SPAN } else { word })
                .collect::<Vec<_>>()
                .join(" "),
            "every" => "1s".to_owned(),
            "delay" => "down 1s".to_owned(),
            "summary" => return Some(String::new()),
            _ => return None,
        };
        Some(format!("{key}: {shortened}"))
    };
    let lines = health
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    lines
        .map(|text| line(text).unwrap_or_else(|| text.to_owned()) + "\n")
        .collect()
}

fn is_span(word: &str) -> bool {
    let number = word
        .strip_prefix('-')
        .and_then(|word| word.strip_suffix('m'));
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

/// The templates of a health file: keys and values, in order.
pub fn templates(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut found: Vec<BTreeMap<String, String>> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once(':').unwrap();
        let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
        if key == "template" {
            found.push(BTreeMap::new());
        }
        let before = found.last_mut().unwrap().insert(key, value);
        assert_eq!(before, None, "a key twice: {line}");
    }
    found
}
