//! Room for replies, shared by all connections of a thread.
//!
//! A connection holds some only while a part of a reply is there, so that one buffer
//! serves a thousand instances in turn and those that wait hold none. Must not know what
//! is read.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Buffers kept for the next reply: more are needed only while several replies come in
/// pieces at once.
const KEPT: usize = 4;

/// Longest buffer that is kept, bytes: a longer one served a rare question.
const LONGEST_KEPT: usize = 64 << 10;

/// Room that is made at a time, bytes: INFO in one piece, and some to spare, for a read
/// that leaves room tells that nothing else has come.
const ROOM: usize = 16 << 10;

thread_local! {
    static FREE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer at first; given back when dropped.
#[derive(Debug)]
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    /// One that was given back, or a new one.
    pub(super) fn take() -> Self {
        let free = FREE.with_borrow_mut(Vec::pop);
        Self(free.unwrap_or_default())
    }

    /// Makes room for what comes next.
    pub(super) fn make_room(&mut self) {
        self.0.reserve(ROOM);
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0);
        if bytes.capacity() == 0 || bytes.capacity() > LONGEST_KEPT {
            return;
        }
        bytes.clear();
        // The thread may be ending, and its buffers gone.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.push(bytes);
            }
        });
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free() -> Vec<usize> {
        FREE.with_borrow(|free| free.iter().map(Vec::capacity).collect())
    }

    #[test]
    fn one_buffer_serves_all_in_turn_and_few_and_short_ones_are_kept() {
        let mut first = Buffer::take();
        first.make_room();
        first.extend_from_slice(b"a reply");
        let place = first.as_ptr();
        drop(first);
        for _ in 0..3 {
            let again = Buffer::take();
            assert!(again.is_empty() && again.as_ptr() == place);
        }
        let mut long = Buffer::take();
        long.resize(LONGEST_KEPT + 1, 0);
        drop(long);
        assert!(free().is_empty(), "what grew long");
        let mut many: Vec<Buffer> = (0..KEPT + 3).map(|_| Buffer::take()).collect();
        many.iter_mut().for_each(Buffer::make_room);
        drop(many);
        assert_eq!(free().len(), KEPT);
    }
}
