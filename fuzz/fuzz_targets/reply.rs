//! Fuzzes `tests/fuzzed/reply.rs`, which says what holds.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| redis_frag_fuzz::fuzzed::reply::body(bytes));
