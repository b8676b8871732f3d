//! I/O to what is monitored.
//!
//! Asks, never changes: the commands sent are `AUTH` or `HELLO`, `INFO`, `CONFIG GET`,
//! `CLIENT SETNAME` and, where a job allows it, `MEMORY MALLOC-STATS`; to follow a cluster
//! or Sentinels `CLUSTER SHARDS`, `CLUSTER NODES`, `SENTINEL MASTERS` and `SENTINEL REPLICAS`.
//! Beside it reads what the kernel tells of instances on this machine.
//! Knows jobs and samples; must not know the agent or the schedule.

// Numbers here are others': none may wrap or panic.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod buffers;
pub mod cgroup;
pub mod claims;
pub mod cluster;
pub mod connect;
pub mod discover;
pub mod exchange;
mod groups;
pub mod host;
pub mod identify;
pub mod inquiry;
mod kept;
mod keyring;
mod looks;
pub mod neighbour;
pub mod permissions;
pub mod poll;
pub mod processes;
pub mod procfs;
pub mod reply;
pub mod sections;
#[cfg(test)]
mod sections_tests;
pub mod sentinel;
mod setup;
pub mod size_classes;
pub mod sockets;
pub mod threads;
pub mod tls;
pub mod topology;
pub mod trouble;
