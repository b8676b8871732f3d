//! The pure core: from INFO text to figures, charts and (later) a verdict.
//!
//! Nothing in here does I/O, reads a clock, logs or knows how a Netdata agent
//! is spoken to. Everything could be worked out on paper.

pub mod charts;
pub mod defrag;
pub mod derive;
pub mod history;
pub mod info;
pub mod malloc_stats;
pub mod sample;
pub mod server;
pub mod thresholds;
pub mod waste;
