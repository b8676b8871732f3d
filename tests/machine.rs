//! Tests that change the machine for others: cgroups, swap, huge pages. A binary of
//! its own, in which one test runs at a time, so that no other test meets it.
//!
//! What is changed is put back whatever happens. A test that the machine does not
//! allow says so and why on standard error: `SKIPPED: …`.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop at the line"
)]

mod support;

mod machine {
    mod alerts;
    mod common;
    mod copies;
    mod huge_pages;
    mod kills;
    mod limits;
    mod namespaces;
    mod privileges;
    mod restart;
    mod swap;
    mod threads;
    mod unprivileged;
}
