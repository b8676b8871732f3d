//! The bodies that are fuzzed, which the tests run too: `tests/fuzzed`.
//!
//! Knows where they are, and nothing else.

// The folder of the tests, of which these are parts.
#[path = "../../tests"]
mod tests {
    pub mod fuzzed;
    pub mod support {
        pub mod checker;
    }
}

pub use tests::fuzzed;
use tests::support;
