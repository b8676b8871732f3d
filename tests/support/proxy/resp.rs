//! Where RESP commands and replies end.
//!
//! Knows their form (RESP2 and the aggregates of RESP3), nothing of what they say.

/// Where the first command ends: an array of bulk strings.
pub(super) fn command(bytes: &[u8]) -> Option<usize> {
    let (mut at, words) = head(bytes, 0, b"*")?;
    for _ in 0..words {
        at = bulk(bytes, at)?;
    }
    Some(at)
}

/// Where the first reply ends.
pub(super) fn reply(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut left) = (0, 1);
    while left > 0 {
        left -= 1;
        match bytes.get(at)? {
            b'$' | b'=' | b'!' => at = bulk(bytes, at)?,
            b'*' | b'~' | b'>' | b'%' => {
                let pairs = if bytes[at] == b'%' { 2 } else { 1 };
                let (end, items) = head(bytes, at, b"*~>%")?;
                (at, left) = (end, left + pairs * items);
            }
            _ => at = line(bytes, at)?,
        }
    }
    Some(at)
}

/// The end of the line that begins here.
fn line(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    Some(at + rest.windows(2).position(|two| two == b"\r\n")? + 2)
}

/// The end of a line with one of these signs and a number, and the number; none of it is
/// below zero.
fn head(bytes: &[u8], at: usize, signs: &[u8]) -> Option<(usize, usize)> {
    let end = line(bytes, at)?;
    let (sign, number) = bytes[at..end - 2].split_first()?;
    let number: i64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    signs
        .contains(sign)
        .then_some((end, usize::try_from(number).unwrap_or(0)))
}

/// The end of a bulk string; one of less than no bytes is its line alone.
fn bulk(bytes: &[u8], at: usize) -> Option<usize> {
    let (end, length) = head(bytes, at, b"$=!")?;
    let is_nil = bytes.get(at + 1) == Some(&b'-');
    let end = if is_nil { end } else { end + length + 2 };
    (end <= bytes.len()).then_some(end)
}
