//! What a single field may look like. Knows no keyword and no state.

/// Agents cut longer ids.
const LONGEST_ID: usize = 200;

fn only(text: &str, what: &str, extra: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("an empty {what}"));
    }
    if text.len() > LONGEST_ID {
        return Err(format!("a {what} of {} bytes is cut", text.len()));
    }
    match text
        .chars()
        .find(|&c| !c.is_ascii_alphanumeric() && !extra.contains(c))
    {
        Some(c) => Err(format!("{c:?} in the {what} '{text}'")),
        None => Ok(()),
    }
}

/// `type.id`
pub(super) fn chart_id(text: &str) -> Result<(), String> {
    only(text, "chart id", "._-")?;
    match text.split_once('.') {
        Some((kind, id)) if !kind.is_empty() && !id.is_empty() && !id.contains('.') => Ok(()),
        _ => Err(format!("the chart id '{text}' is not type.id")),
    }
}

pub(super) fn context(text: &str) -> Result<(), String> {
    only(text, "context", "._")?;
    if !text.contains('.') || text.split('.').any(str::is_empty) {
        return Err(format!("the context '{text}' has not the form a.b"));
    }
    Ok(())
}

pub(super) fn dimension_id(text: &str) -> Result<(), String> {
    only(text, "dimension id", "._-")
}

pub(super) fn variable_name(text: &str) -> Result<(), String> {
    only(text, "variable name", "._")
}

pub(super) fn label_name(text: &str) -> Result<(), String> {
    only(text, "label name", "._-")
}

pub(super) fn label_value(text: &str) -> Result<(), String> {
    only(text, "label value", "._-+:/@")
}

pub(super) fn text(text: &str, what: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err(format!("an empty {what}"));
    }
    Ok(())
}

/// Digits with at most a minus: no plus, no blank, no fraction.
pub(super) fn integer(text: &str, what: &str) -> Result<i64, String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("the {what} '{text}' is not an integer"));
    }
    text.parse()
        .map_err(|_| format!("the {what} '{text}' does not fit 64 bits"))
}

pub(super) fn positive(text: &str, what: &str) -> Result<u64, String> {
    match integer(text, what)? {
        number if number > 0 => Ok(number.unsigned_abs()),
        _ => Err(format!("the {what} '{text}' is not positive")),
    }
}

/// A number in digits: the agent reads `nan` and `inf` without a word.
pub(super) fn finite(text: &str, what: &str) -> Result<f64, String> {
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    match text.parse::<f64>() {
        Ok(number) if plain && number.is_finite() => Ok(number),
        _ => Err(format!("the {what} '{text}' is not a finite number")),
    }
}
