//! Fuzzes `tests/fuzzed/malloc_stats.rs`, which says what holds.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| redis_frag_fuzz::fuzzed::malloc_stats::body(bytes));
