//! From configuration files to jobs.
//!
//! [`mod@file`] is pure: text in, jobs and problems out. [`load`] finds and reads the
//! file, [`secrets`] what it refers to. Must not know how an instance is asked, nor
//! anything of the agent but where its folders are.

pub mod address;
mod charts;
pub mod exposed;
pub mod file;
pub mod files;
pub mod job;
mod known;
pub mod limits;
pub mod load;
pub mod login;
mod naming;
pub mod payload;
mod problem;
pub mod query;
mod raw;
pub mod reference;
mod salvage;
pub mod same;
pub mod schema;
pub mod secrets;
mod sentinel;
pub mod shown;
pub mod tls;
pub mod units;
mod values;
pub mod vnodes;
mod yaml;
