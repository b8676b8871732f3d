//! Instances of this machine: which process is whose, what the kernel tells of it,
//! and that all of them are found.
//!
//! What changes the machine for others (swap, huge pages) is in `machine.rs`.

mod apart;
mod found;
mod identity;
mod trees;
