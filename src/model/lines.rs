//! Cuts a reply into `name:value` lines, in one pass over its bytes.
//!
//! Looks at eight bytes at a time, since a search for each colon and each line end
//! of its own costs more than all that is done with them. Must not know any name.

/// Bytes that are looked at together.
const WORD: usize = size_of::<u64>();

/// A line feed and a colon differ in these two bits of their byte alone; `*` and one
/// control character share the rest with them, and are told apart later.
const SHARED: u64 = 0xCFCF_CFCF_CFCF_CFCF;
const LINE_FEEDS: u64 = 0x0A0A_0A0A_0A0A_0A0A;
const LOW_SEVEN: u64 = 0x7F7F_7F7F_7F7F_7F7F;

/// Gives the name and value of every line with a colon; the first one parts them. A
/// line ends with a line feed, before which one carriage return is not a part of it.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "places in the reply, and bits of what is not 0"
)]
pub(super) fn each<'a>(reply: &'a [u8], mut line: impl FnMut(&'a [u8], &'a [u8])) {
    let mut begun = 0;
    let mut colon = None;
    let mut meet = |at: usize| match reply.get(at) {
        Some(b':') if colon.is_none() => colon = Some(at),
        None | Some(b'\n') => {
            if let Some(colon) = colon.take() {
                let name = reply.get(begun..colon).unwrap_or_default();
                let value = reply.get(colon + 1..at).unwrap_or_default();
                line(name, value.strip_suffix(b"\r").unwrap_or(value));
            }
            begun = at + 1;
        }
        Some(_) => {}
    };
    let (words, rest) = reply.as_chunks::<WORD>();
    for (number, word) in words.iter().enumerate() {
        let mut marked = marks(u64::from_le_bytes(*word));
        while marked != 0 {
            meet(WORD * number + marked.trailing_zeros() as usize / 8);
            marked &= marked - 1;
        }
    }
    for at in reply.len() - rest.len()..=reply.len() {
        meet(at);
    }
}

/// The highest bit of every byte that may be a line feed or a colon.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "seven bits and seven bits are eight"
)]
const fn marks(word: u64) -> u64 {
    let other = (word & SHARED) ^ LINE_FEEDS;
    // A byte that is not 0 carries into its highest bit, or has it.
    !(((other & LOW_SEVEN) + LOW_SEVEN) | other | LOW_SEVEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(reply: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found = Vec::new();
        each(reply, |name, value| {
            found.push((name.to_vec(), value.to_vec()))
        });
        found
    }

    /// The same, as one would write it.
    fn plainly(reply: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let pair = |line: &[u8]| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((line[..colon].to_vec(), line[colon + 1..].to_vec()))
        };
        reply
            .split(|byte| *byte == b'\n')
            .filter_map(pair)
            .collect()
    }

    #[test]
    fn only_line_feeds_and_colons_are_marked_and_what_is_told_apart() {
        for byte in 0..=u8::MAX {
            for place in 0..WORD {
                let mut word = [b'x'; WORD];
                word[place] = byte;
                let marked = marks(u64::from_le_bytes(word));
                let want = matches!(byte, b'\n' | b':' | b'*' | 0x1A);
                assert_eq!(
                    marked,
                    u64::from(want) << (8 * place + 7),
                    "{byte} at {place}"
                );
            }
        }
    }

    /// Every text of few letters, so long that it has more than a word.
    #[test]
    fn lines_are_cut_wherever_their_ends_are() {
        const LETTERS: &[u8] = b":\n\r*a";
        let mut number = 0_u64;
        for length in 0..20 {
            for _ in 0..2000 {
                number = number
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let letter = |at| LETTERS[(number >> (3 * at)) as usize % LETTERS.len()];
                let reply: Vec<u8> = (0..length).map(letter).collect();
                assert_eq!(cut(&reply), plainly(&reply), "{reply:?}");
            }
        }
    }
}
