//! redis-frag says where the memory of a Redis went and what would bring it back.
//!
//! - [`model`] is the pure core, from INFO text to figures and charts.
//! - [`netdata`] speaks the agent's language; pure but for `link`.
//! - [`config`] makes jobs of files.
//! - [`source`] does the I/O to the instances, and reads what the kernel tells of them.
//! - [`app`] puts the plugin and the commands together from the others.
//! - [`cli`] reads arguments.
//!
//! Dependencies go one way: `main → app → {config, source, netdata, model}`; `netdata`, `config` and
//! `source` may use `model`, `source` also `config`'s jobs; `model` uses std
//! alone.

// What runs at an operator's must not panic where it can be helped; the tests may.
#![cfg_attr(
    not(test),
    deny(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::get_unwrap,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::panic_in_result_fn,
        clippy::print_stderr,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_in_result
    )
)]

pub mod app;
pub mod cli;
pub mod config;
pub mod model;
pub mod netdata;
pub mod source;
