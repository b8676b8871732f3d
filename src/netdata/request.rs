//! Lines that the agent writes to our stdin.
//!
//! Pure: a line in, a request out. Lines that mean nothing to us are ignored, as
//! an agent newer than us may say more.

/// What the agent wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// End now: the line `QUIT` (2.x), or the end of stdin.
    Quit,
}

/// Reads one line.
#[must_use]
pub fn parse(line: &str) -> Option<Request> {
    match line.split_ascii_whitespace().next() {
        Some("QUIT") => Some(Request::Quit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_quit_quits() {
        for (line, want) in [
            ("QUIT", Some(Request::Quit)),
            ("QUIT\r", Some(Request::Quit)),
            ("  QUIT now", Some(Request::Quit)),
            ("QUITE", None),
            ("FUNCTION x 10 \"QUIT\"", None),
            ("", None),
        ] {
            assert_eq!(parse(line), want, "{line:?}");
        }
    }
}
