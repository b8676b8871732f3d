//! What fuzzing runs, one body a target: bytes in, a panic where something does not
//! hold. The same bodies run in `fuzzing.rs` over what is known, without a fuzzer.
//!
//! Shared by the tests and by the crate in `fuzz`: nothing here starts a server.
#![allow(
    clippy::unwrap_used,
    reason = "a body that cannot go on should stop at the line"
)]

pub mod bytes;
pub mod configuration;
pub mod diagnosis;
pub mod info;
pub mod invariants;
pub mod kernel;
pub mod malloc_stats;
pub mod reply;
pub mod requests;
pub mod views;
pub mod watched;
pub mod wire;

/// What is run with the bytes.
pub type Body = fn(&[u8]);

/// Every target's body. Their seeds are in `fuzz/targets`.
pub const BODIES: &[(&str, Body)] = &[
    ("configuration", configuration::body),
    ("diagnosis", diagnosis::body),
    ("info", info::body),
    ("kernel", kernel::body),
    ("malloc_stats", malloc_stats::body),
    ("reply", reply::body),
    ("requests", requests::body),
    ("wire", wire::body),
];
