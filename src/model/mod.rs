//! The pure core: from INFO text to figures, charts and (later) a verdict.
//!
//! Nothing in here does I/O, reads a clock, logs or knows how a Netdata agent
//! is spoken to. Everything could be worked out on paper.

// Numbers here are others': none may wrap or panic.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod advice;
pub mod chart;
pub mod charts;
pub mod defrag;
pub mod derive;
pub mod diagnosis;
mod facts;
pub mod families;
mod gates;
pub mod headroom;
pub mod history;
pub mod host;
pub mod info;
mod kills;
pub mod known_issues;
mod lines;
mod lookup;
pub mod malloc_stats;
pub mod risks;
mod rules;
pub mod sample;
pub mod server;
pub mod size_class_chart;
pub mod size_classes;
pub mod text;
pub mod thresholds;
pub mod value_sizes;
pub mod verdict;
pub mod waste;
