//! Words and figures for a report: cleaned, wrapped, rounded, in columns.
//!
//! Pure formatting. Must not know what is reported.

use crate::model::text;

/// Longest piece of somebody else's text that is shown.
const LONGEST: usize = 400;

/// Somebody else's text on one line, without anything that moves a cursor,
/// colours a terminal or turns the direction of writing round.
#[must_use]
pub fn clean(words: &str) -> String {
    text::line(words, LONGEST)
}

/// Breaks a text between words into lines of at most `width` characters. A word
/// that is longer stands alone, uncut, so that it can be copied.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if length(line) + 1 + length(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Characters of a text.
#[must_use]
pub fn length(text: &str) -> usize {
    text.chars().count()
}

/// A text cut to `width` characters.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    if length(text) <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}~")
}

/// A text cut to its last `width` characters: of file names the end differs.
#[must_use]
pub fn end(text: &str, width: usize) -> String {
    let surplus = length(text).saturating_sub(width);
    if surplus == 0 {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(surplus + 1).collect();
    format!("~{kept}")
}

/// A ratio or percentage with at most three decimals; `None` of what is no number.
#[must_use]
pub fn rounded(value: f64) -> Option<f64> {
    let rounded = (value * 1000.0).round() / 1000.0;
    // Beyond 2^53 there are no decimals to round, and the product may overflow.
    let rounded = if rounded.is_finite() { rounded } else { value };
    rounded.is_finite().then_some(rounded)
}

/// A ratio as people read it: two decimals, more where they matter.
#[must_use]
pub fn ratio(value: f64) -> String {
    format!("{value:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_words_cannot_reach_the_terminal() {
        assert_eq!(clean("\u{1b}[31mred\u{7}\n\u{202e}x"), "[31mred x");
        assert_eq!(length(&clean(&"x".repeat(9000))), LONGEST);
    }

    #[test]
    fn text_is_wrapped_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a unbreakable b", 5), ["a", "unbreakable", "b"]);
        assert_eq!(wrap("  ", 5), Vec::<String>::new());
        assert_eq!(wrap("größe äöü", 9), ["größe äöü"]);
        assert_eq!(cut("instance", 5), "inst~");
        assert_eq!(cut("größe", 5), "größe");
        assert_eq!(end("info-000001.txt", 8), "~001.txt");
        assert_eq!(end("größe", 5), "größe");
    }

    #[test]
    fn numbers_have_at_most_three_decimals() {
        assert_eq!(rounded(3.587_64), Some(3.588));
        assert_eq!(rounded(1.0), Some(1.0));
        assert_eq!(rounded(f64::NAN), None);
        assert_eq!(rounded(f64::INFINITY), None);
        assert_eq!(rounded(f64::MAX), Some(f64::MAX));
        assert_eq!(ratio(1.005_1), "1.01");
    }
}
