//! Lines of a stream, none of them longer than what is kept of it.
//!
//! Bounded whatever is sent. Must not know what a line means.

use std::io::{self, BufRead};

/// Longest line that is kept; the rest of a longer one is passed over.
const LONGEST_LINE: u64 = 64 << 10;

/// The next line, shortened to [`LONGEST_LINE`], and whether it is whole; `None`
/// at the end.
pub fn next(input: &mut impl BufRead) -> Option<(String, bool)> {
    let mut line = Vec::new();
    io::Read::take(&mut *input, LONGEST_LINE)
        .read_until(b'\n', &mut line)
        .ok()?;
    if line.is_empty() {
        return None;
    }
    let cut = !line.ends_with(b"\n") && line.len() as u64 >= LONGEST_LINE;
    if cut {
        skip(input).ok()?;
    }
    Some((String::from_utf8_lossy(&line).into_owned(), !cut))
}

/// Passes over the rest of a line without keeping it.
fn skip(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let length = buffer.len();
        input.consume(end.map_or(length, |at| at + 1));
        if end.is_some() || length == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Is interrupted before every piece, as by a signal.
    struct Interrupted(Vec<u8>, bool);

    impl io::Read for Interrupted {
        fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let length = piece.len().min(self.0.len());
            piece[..length].copy_from_slice(&self.0[..length]);
            self.0.drain(..length);
            Ok(length)
        }
    }

    #[test]
    fn an_interruption_is_no_end() {
        let long = "x".repeat(200_000);
        let mut input = io::BufReader::new(Interrupted(format!("{long}\nb\n").into(), false));
        assert_eq!(next(&mut input).map(|(_, whole)| whole), Some(false));
        assert_eq!(next(&mut input), Some(("b\n".into(), true)));
        assert_eq!(next(&mut input), None);
    }

    #[test]
    fn a_long_line_is_shortened_and_the_next_is_whole() {
        let limit = usize::try_from(LONGEST_LINE).unwrap();
        let text = format!("a\n{}\nb\n{}", "x".repeat(3 * limit), "c");
        let mut input = io::BufReader::new(text.as_bytes());
        let mut next = || next(&mut input);
        assert_eq!(next(), Some(("a\n".into(), true)));
        assert_eq!(next(), Some(("x".repeat(limit), false)));
        assert_eq!(next(), Some(("b\n".into(), true)));
        assert_eq!(
            next(),
            Some(("c".into(), true)),
            "the end needs no line end"
        );
        assert_eq!(next(), None);
    }
}
