//! Dynamic configuration.

mod book;
mod deed;
