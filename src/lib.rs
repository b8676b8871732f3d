//! redis-frag says where the memory of a Redis went and what would bring it back.
//!
//! - [`model`]: the pure core, from INFO text to figures and charts.
//! - [`netdata`]: the agent's language; pure but for `link`.
//!
//! `main → app → {config, source, netdata, model}`; `netdata`, `config` and
//! `source` may use `model`; `model` uses std alone.

pub mod model;
