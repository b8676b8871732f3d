//! The language of a Netdata agent's external plugins.
//!
//! Pure but for [`link`], which owns stdin and stdout. Knows the model's charts;
//! must not know configuration, servers or the schedule.

pub mod agent;
pub mod classes;
pub mod diagnosis;
pub mod dyncfg;
pub mod functions;
mod lines;
pub mod link;
pub mod queue;
pub mod reasoning;
pub mod reply;
pub mod request;
pub mod row;
pub mod stream;
pub mod table;
mod variables;
pub mod wire;
