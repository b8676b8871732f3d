//! What the plugin says, read only as closely as the figures need: which instance was
//! told to be up, and how many bytes were definitions.
//!
//! Pure and cheap: it runs on the processors that are measured.

/// Charts of the jobs that are measured are named like this and a number.
pub const PREFIX: &str = "redis_frag_job";

/// Lines that define what follows.
const DEFINING: [&[u8]; 4] = [b"CHART ", b"CLABEL", b"DIMENSION", b"HOST_"];

/// Reads the output piece by piece.
#[derive(Debug, Default)]
pub struct Output {
    /// The beginning of a line whose end has not come.
    part: Vec<u8>,
    /// The instance whose status is told.
    open: Option<usize>,
    up: bool,
    /// All bytes so far.
    pub bytes: u64,
    /// Those of definitions.
    pub definitions: u64,
}

impl Output {
    /// Takes the next bytes, and says of each instance whose status was told whether it
    /// is up.
    pub fn take(&mut self, mut bytes: &[u8], mut told: impl FnMut(usize, bool)) {
        self.bytes += bytes.len() as u64;
        if !self.part.is_empty() {
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                return self.part.extend_from_slice(bytes);
            };
            let mut line = std::mem::take(&mut self.part);
            line.extend_from_slice(&bytes[..end]);
            self.line(&line, &mut told);
            bytes = &bytes[end + 1..];
        }
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            self.line(&bytes[from..end], &mut told);
            from = end + 1;
        }
        self.part.extend_from_slice(&bytes[from..]);
    }

    fn line(&mut self, line: &[u8], told: &mut impl FnMut(usize, bool)) {
        match line {
            [b'S', b'E', b'T', ..] if self.open.is_some() => self.up |= line == b"SET 'up' = 1",
            [b'B', ..] => (self.open, self.up) = (status_of(line), false),
            [b'E', ..] => {
                if let Some(instance) = self.open.take() {
                    told(instance, self.up);
                }
            }
            _ if DEFINING.iter().any(|word| line.starts_with(word)) => {
                self.definitions += line.len() as u64 + 1;
            }
            _ => {}
        }
    }
}

/// The number of the instance whose status follows.
fn status_of(line: &[u8]) -> Option<usize> {
    let id = line.strip_prefix(b"BEGIN '")?;
    let rest = id.strip_prefix(PREFIX.as_bytes())?;
    let end = memchr::memchr(b'.', rest)?;
    let number = std::str::from_utf8(&rest[..end]).ok()?;
    rest[end..].starts_with(b".status'").then_some(())?;
    number.parse().ok()
}
