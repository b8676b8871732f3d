//! Keys for a server's memory: many values of mixed sizes, and holes where a
//! share of them was deleted. Always the same sequence, so that a test sees
//! the same fragmentation each time.

use super::Server;

const BATCH: usize = 500;
const SMALLEST: u64 = 64;
const LARGEST: u64 = 2000;

/// How [`Server::rewrite`] writes anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// Over the bytes that are there: nothing is allocated.
    InPlace,
    /// Other values as large as those before.
    SameSizes,
    /// Other values of other sizes, as large as before on the whole.
    OtherSizes,
}

/// Which keys of the fills are there.
pub(super) struct Keys {
    /// Number and size of the value.
    alive: Vec<(u64, u64)>,
    next: u64,
    random: Xorshift,
}

impl Keys {
    pub(super) fn new() -> Keys {
        Keys {
            alive: Vec::new(),
            next: 0,
            random: Xorshift(0x9e37_79b9_7f4a_7c15),
        }
    }
}

impl Server {
    /// Writes about `bytes` of values of 64 to 2000 bytes as `key:0`,
    /// `key:1` and on; a further call goes on where this one ended.
    pub fn fill(&self, bytes: u64) {
        let mut keys = self.keys.lock().expect("an earlier fill has panicked");
        let noise: Vec<u8> = (0..2 * LARGEST).map(|_| keys.random.next() as u8).collect();
        let mut written = 0;
        while written < bytes {
            let mut batch = redis::pipe();
            for _ in 0..BATCH {
                let size = SMALLEST + keys.random.next() % (LARGEST - SMALLEST + 1);
                let from = keys.random.next() % LARGEST;
                let number = keys.next;
                keys.next += 1;
                keys.alive.push((number, size));
                batch
                    .cmd("SET")
                    .arg(format!("key:{number}"))
                    .arg(&noise[from as usize..(from + size) as usize])
                    .ignore();
                written += size;
                if written >= bytes {
                    break;
                }
            }
            self.send(&batch, "fill");
        }
    }

    /// Deletes that share of the keys that [`Server::fill`] wrote and that are
    /// still there, spread over all of them; how many it deleted.
    pub fn delete_random(&self, percent: u32) -> u64 {
        let mut keys = self.keys.lock().expect("an earlier fill has panicked");
        let alive = std::mem::take(&mut keys.alive);
        let (doomed, left): (Vec<(u64, u64)>, Vec<_>) = alive
            .into_iter()
            .partition(|_| keys.random.next() % 100 < u64::from(percent));
        keys.alive = left;
        for chunk in doomed.chunks(BATCH) {
            let mut batch = redis::pipe();
            for (number, _) in chunk {
                batch.cmd("DEL").arg(format!("key:{number}")).ignore();
            }
            self.send(&batch, "delete_random");
        }
        doomed.len() as u64
    }

    /// Writes every key that is still there anew.
    pub fn rewrite(&self, how: Rewrite) {
        let mut keys = self.keys.lock().expect("an earlier fill has panicked");
        let noise: Vec<u8> = (0..LARGEST).map(|_| keys.random.next() as u8).collect();
        let mut alive = std::mem::take(&mut keys.alive);
        for chunk in alive.chunks_mut(BATCH) {
            let mut batch = redis::pipe();
            for (number, size) in chunk {
                if how == Rewrite::OtherSizes {
                    *size = SMALLEST + keys.random.next() % (LARGEST - SMALLEST + 1);
                }
                let (key, value) = (format!("key:{number}"), &noise[..*size as usize]);
                match how {
                    Rewrite::InPlace => batch.cmd("SETRANGE").arg(key).arg(0).arg(value),
                    _ => batch.cmd("SET").arg(key).arg(value),
                }
                .ignore();
            }
            self.send(&batch, "rewrite");
        }
        keys.alive = alive;
    }

    fn send(&self, batch: &redis::Pipeline, what: &str) {
        if let Err(e) = self.with_connection(|connection| batch.query::<()>(connection)) {
            panic!("{}: {what} failed: {e}", self.kind().name());
        }
    }
}

struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The low bits of a plain xorshift are its weakest.
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }
}
