//! Where a reply ends in the bytes that came, RESP2 or RESP3.
//!
//! Pure, and linear in the bytes. Must not know what was asked; what the reply says is
//! read by the client library.

/// Longest line: simple strings, errors, numbers, lengths.
const LONGEST_LINE: usize = 64 << 10;

/// What ends a line and a text.
const LINE_END: &[u8] = b"\r\n";

/// What no server that keeps the protocol sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Values of one reply: the largest are of clusters, some thirty for each node.
const MOST_VALUES: usize = 100_000;

/// Looks for the end of the first reply while its bytes come; each is looked at once.
#[derive(Debug, Clone, Copy)]
pub struct Scan {
    /// What is whole so far.
    at: usize,
    /// Values that are still to come: a list counts its own.
    wanted: usize,
    values: usize,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            at: 0,
            wanted: 1,
            values: 0,
        }
    }
}

impl Scan {
    /// Bytes of the reply at the beginning of `bytes`, which are those of before and
    /// more; `None` where its end has not come yet.
    ///
    /// # Errors
    /// It is no reply, or one of more than `most` bytes or too many values.
    pub fn end(&mut self, bytes: &[u8], most: usize) -> Result<Option<usize>, Malformed> {
        while self.wanted > 0 {
            if self.values.saturating_add(self.wanted) > MOST_VALUES {
                return Err(Malformed);
            }
            let Some((line, mut next)) = line(bytes, self.at)? else {
                return Ok(None);
            };
            let (kind, rest) = line.split_first().ok_or(Malformed)?;
            let mut more = 0;
            match kind {
                b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => {}
                b'$' | b'=' | b'!' => {
                    if let Some(length) = count(rest)? {
                        if length > most {
                            return Err(Malformed);
                        }
                        let end = next.checked_add(length).ok_or(Malformed)?;
                        next = end.checked_add(LINE_END.len()).ok_or(Malformed)?;
                        match bytes.get(end..next) {
                            Some(LINE_END) => {}
                            Some(_) => return Err(Malformed),
                            None => return Ok(None),
                        }
                    }
                }
                b'*' | b'~' | b'>' => more = count(rest)?.unwrap_or(0),
                b'%' => more = pairs(rest)?,
                // Attributes stand before the value that they are about.
                b'|' => more = pairs(rest)?.saturating_add(1),
                _ => return Err(Malformed),
            }
            self.at = next;
            self.values = self.values.saturating_add(1);
            self.wanted = self.wanted.saturating_sub(1).saturating_add(more);
        }
        Ok(Some(self.at))
    }
}

/// The text of a whole reply that is sent as text: `$` of all versions, `=` of RESP3.
/// `None` of everything else, which the client library reads.
#[must_use]
pub fn text(reply: &[u8]) -> Option<&[u8]> {
    let (kind, rest) = reply.split_first()?;
    let (head, begin) = line(rest, 0).ok()??;
    let length = count(head).ok()??;
    let text = rest.get(begin..begin.checked_add(length)?)?;
    match kind {
        b'$' => Some(text),
        b'=' => text.strip_prefix(b"txt:"),
        _ => None,
    }
}

/// The line that begins at `at`, without its end, and what stands behind it.
fn line(bytes: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, Malformed> {
    let rest = bytes.get(at..).unwrap_or_default();
    let seen = rest.get(..LONGEST_LINE).unwrap_or(rest);
    let ends = seen
        .windows(LINE_END.len())
        .position(|pair| pair == LINE_END);
    let Some(line) = ends.and_then(|length| seen.get(..length)) else {
        let is_long = seen.len() == LONGEST_LINE;
        return if is_long { Err(Malformed) } else { Ok(None) };
    };
    let behind = at
        .checked_add(line.len())
        .and_then(|end| end.checked_add(LINE_END.len()));
    Ok(Some((line, behind.ok_or(Malformed)?)))
}

/// A length or a number of values; `None` stands for nothing at all: -1.
fn count(text: &[u8]) -> Result<Option<usize>, Malformed> {
    if text == b"-1" {
        return Ok(None);
    }
    let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
    // Longer ones could not be added up.
    let number: u32 = text.parse().map_err(|_| Malformed)?;
    usize::try_from(number).map(Some).map_err(|_| Malformed)
}

fn pairs(text: &[u8]) -> Result<usize, Malformed> {
    let pairs = count(text)?.unwrap_or(0);
    pairs.checked_mul(2).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1 << 20;

    fn end(bytes: &[u8], most: usize) -> Result<Option<usize>, Malformed> {
        Scan::default().end(bytes, most)
    }

    const REPLIES: &[&str] = &[
        "+OK\r\n",
        "-NOAUTH Authentication required.\r\n",
        ":12\r\n",
        "$-1\r\n",
        "$0\r\n\r\n",
        "$5\r\na\r\nb\r\r\n",
        "*-1\r\n",
        "*0\r\n",
        "*2\r\n$3\r\nfoo\r\n*1\r\n:1\r\n",
        "%1\r\n$1\r\na\r\n%1\r\n+b\r\n,1.5\r\n",
        "~2\r\n#t\r\n_\r\n",
        "=7\r\ntxt:abc\r\n",
        ">2\r\n+invalidate\r\n*0\r\n",
        "|1\r\n+ttl\r\n:3\r\n*1\r\n(12345678901234567890\r\n",
    ];

    #[test]
    fn a_reply_ends_where_it_ends_and_not_before() {
        for reply in REPLIES {
            let bytes = format!("{reply}$9\r\nbehind");
            assert_eq!(
                end(bytes.as_bytes(), MOST),
                Ok(Some(reply.len())),
                "{reply:?}"
            );
            let mut scan = Scan::default();
            for cut in 0..reply.len() {
                assert_eq!(
                    scan.end(&bytes.as_bytes()[..cut], MOST),
                    Ok(None),
                    "{reply:?}"
                );
                assert_eq!(
                    end(&bytes.as_bytes()[..cut], MOST),
                    Ok(None),
                    "{reply:?} {cut}"
                );
            }
            assert!(
                redis::parse_redis_value(reply.as_bytes()).is_ok(),
                "{reply:?}"
            );
        }
    }

    #[test]
    fn what_is_no_reply_or_has_no_end_is_noticed_at_once() {
        let line = format!("+{}", "x".repeat(LONGEST_LINE));
        for bytes in [
            "HTTP/1.1 400 Bad Request\r\n",
            "\r\n",
            "$x\r\n",
            "$-2\r\n",
            "$4294967296\r\n",
            "$1048577\r\n",
            "*100001\r\n",
            "%4294967295\r\n",
            "$1\r\nabc",
            "*?\r\n",
            &line,
        ] {
            assert_eq!(end(bytes.as_bytes(), MOST), Err(Malformed), "{bytes:.20}");
        }
        let deep = "*1\r\n".repeat(50_000);
        assert_eq!(end(deep.as_bytes(), MOST), Ok(None), "without recursion");
    }
}
