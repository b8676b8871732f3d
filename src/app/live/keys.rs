//! What a person at a terminal presses, from the bytes that the terminal sends.
//!
//! Pure. Must not know what a key does.

/// A key that means something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// One up.
    Up,
    /// One down.
    Down,
    /// A screen up.
    PageUp,
    /// A screen down.
    PageDown,
    /// To the first.
    Home,
    /// To the last.
    End,
    /// Open what is selected.
    Open,
    /// Back to where it was opened.
    Back,
    /// Hold still, and go on.
    Pause,
    /// The next order of rows.
    Order,
    /// Ask more often.
    Faster,
    /// Ask more seldom.
    Slower,
    /// What the keys are.
    Help,
    /// End.
    Quit,
    /// Stop, as a shell does with Ctrl-Z.
    Suspend,
}

/// Most bytes of a key that has several.
const LONGEST: usize = 16;

/// Whether more bytes of a key may be under way: a slow line breaks them up anywhere.
#[must_use]
pub fn is_open(bytes: &[u8]) -> bool {
    let escape = bytes.iter().rposition(|byte| *byte == 0x1b);
    let Some(sequence) = escape.and_then(|place| bytes.get(place + 1..)) else {
        return false;
    };
    match sequence.split_first() {
        None => true,
        Some((b'[' | b'O', rest)) => {
            rest.len() < LONGEST && rest.iter().all(|byte| (0x20..=0x3f).contains(byte))
        }
        Some(_) => false,
    }
}

/// The keys in what was read. An escape with nothing behind it is the key of that name.
#[must_use]
pub fn pressed(bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rest = bytes;
    while let Some((&first, behind)) = rest.split_first() {
        let (key, behind) = match (first, behind.split_first()) {
            (0x1b, Some((b'[' | b'O', sequence))) => of_sequence(sequence),
            (0x1b, _) => (Some(Key::Back), behind),
            (byte, _) => (of_byte(byte), behind),
        };
        keys.extend(key);
        rest = behind;
    }
    keys
}

fn of_byte(byte: u8) -> Option<Key> {
    Some(match byte {
        b'k' => Key::Up,
        b'j' => Key::Down,
        b'g' => Key::Home,
        b'G' => Key::End,
        b'\r' | b'\n' | b'l' => Key::Open,
        0x7f | 0x08 | b'h' => Key::Back,
        b' ' | b'p' => Key::Pause,
        b's' => Key::Order,
        b'+' | b'=' => Key::Faster,
        b'-' | b'_' => Key::Slower,
        b'?' => Key::Help,
        // Ctrl-C and Ctrl-D are bytes here.
        b'q' | b'Q' | 0x03 | 0x04 => Key::Quit,
        0x1a => Key::Suspend,
        _ => return None,
    })
}

/// What stands behind `ESC [` or `ESC O`: numbers, and a byte that ends it (ECMA-48, CSI).
fn of_sequence(bytes: &[u8]) -> (Option<Key>, &[u8]) {
    let numbers = bytes
        .iter()
        .take_while(|byte| (0x20..=0x3f).contains(*byte))
        .count();
    let Some((number, rest)) = bytes.split_at_checked(numbers) else {
        return (None, &[]);
    };
    let Some((&end, rest)) = rest.split_first() else {
        return (None, &[]);
    };
    let key = match (end, number) {
        (b'A', _) => Some(Key::Up),
        (b'B', _) => Some(Key::Down),
        (b'C', _) => Some(Key::Open),
        (b'D', _) => Some(Key::Back),
        (b'H', _) | (b'~', b"1" | b"7") => Some(Key::Home),
        (b'F', _) | (b'~', b"4" | b"8") => Some(Key::End),
        (b'~', b"5") => Some(Key::PageUp),
        (b'~', b"6") => Some(Key::PageDown),
        _ => None,
    };
    (key, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_the_bytes_of_terminals() {
        for (bytes, want) in [
            (&b"q"[..], &[Key::Quit][..]),
            (b"\x1b[A\x1b[B", &[Key::Up, Key::Down]),
            (b"\x1bOA\x1bOF", &[Key::Up, Key::End]),
            (b"\x1b[5~\x1b[6~j", &[Key::PageUp, Key::PageDown, Key::Down]),
            (b"\x1b[1;5A", &[Key::Up]),
            (b"\x1b", &[Key::Back]),
            (b"\x1b\x1b[H", &[Key::Back, Key::Home]),
            (b"\r", &[Key::Open]),
            (b"\x03", &[Key::Quit]),
            (b"xyz\x1b[200~\x1b[", &[]),
            ("ä€".as_bytes(), &[]),
            (b"", &[]),
        ] {
            assert_eq!(pressed(bytes), want, "{bytes:?}");
        }
    }

    #[test]
    fn what_a_slow_line_has_not_brought_yet_is_waited_for() {
        for (bytes, want) in [
            (&b""[..], false),
            (b"q", false),
            (b"\x1b", true),
            (b"q\x1b[", true),
            (b"\x1bO", true),
            (b"\x1b[5", true),
            (b"\x1b[1;5", true),
            (b"\x1b[5~", false),
            (b"\x1b[A", false),
            (b"\x1b[Aj", false),
            (b"\x1bj", false),
            (b"\x1b[00000000000000000000000000", false),
        ] {
            assert_eq!(is_open(bytes), want, "{bytes:?}");
        }
    }
}
