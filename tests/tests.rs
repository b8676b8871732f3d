//! Tests that need more than one file of the crate, in one binary: one link
//! step, and the real servers are found in one place.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop at the line"
)]

mod agent;
mod captures;
mod cli;
mod config;
mod configured;
mod diagnosis;
mod documents;
mod drift;
mod dyncfg;
mod ending;
mod functions;
mod fuzzed;
mod fuzzing;
mod generated;
mod guide;
mod hostile;
mod install;
mod layers;
mod output;
mod permissions;
mod pipes;
mod plugin;
mod secrets;
mod streaming;
mod support;
mod tls;
mod topology;
mod version;
mod watching;

#[path = "support/checker_tests.rs"]
mod checker_tests;
