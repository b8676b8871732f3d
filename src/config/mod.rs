//! From configuration files to jobs.
//!
//! [`mod@file`] is pure: text in, jobs and problems out. [`load`] finds and reads the
//! file. Must not know how an instance is asked, nor anything of the agent but
//! where its folders are.

pub mod address;
pub mod file;
pub mod job;
mod known;
pub mod load;
mod problem;
pub mod query;
mod raw;
mod salvage;
pub mod tls;
pub mod units;
mod values;
mod yaml;
