//! The agent's side of the pipes at its worst: output that is not read, or slowly; input
//! that floods, never ends, is cut or is no text.
//!
//! The plugin stays small, tells what is newest and is well again at once. Drives the
//! binary alone.

mod flood;
mod unread;
