//! Makes numbers, choices and texts of the bytes of a fuzzer.
//!
//! After their end all is 0, none and empty, so that every input is one.

/// Numbers at which something changes.
const EDGES: &[u64] = &[
    0,
    1,
    2,
    99,
    100,
    101,
    (50 << 20) - 1,
    50 << 20,
    100 << 20,
    1 << 30,
    u32::MAX as u64,
    (1 << 53) + 1,
    (1 << 60) - 1,
    1 << 60,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 1023,
    u64::MAX,
];

/// Bytes that are left.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// Whether all are taken.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next.
    pub fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// The next ones, fewer at the end.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Yes or no.
    pub fn chance(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()]
    }

    /// A number: one of the edges, a small one, a size, or any.
    pub fn number(&mut self) -> u64 {
        match self.byte() % 8 {
            0..3 => self.pick(EDGES),
            3 => u64::from(self.byte()),
            4 | 5 => u64::from(self.byte()) << (self.byte() % 40),
            _ => {
                let mut eight = [0; 8];
                let taken = self.take(8);
                eight[..taken.len()].copy_from_slice(taken);
                u64::from_le_bytes(eight)
            }
        }
    }

    /// A number below 2^32.
    pub fn short(&mut self) -> u32 {
        u32::try_from(self.number() & u64::from(u32::MAX)).unwrap()
    }

    /// Perhaps something.
    pub fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.chance().then(|| make(self))
    }

    /// A text of up to 255 bytes. What is not UTF-8 becomes question marks.
    pub fn text(&mut self) -> String {
        let length = usize::from(self.byte());
        String::from_utf8_lossy(self.take(length)).replace(char::REPLACEMENT_CHARACTER, "?")
    }
}
