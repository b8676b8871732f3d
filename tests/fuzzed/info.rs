//! INFO, whatever it says: no panic, and what comes of it holds together and reaches
//! the agent as it was.
//!
//! A 0 parts the replies of one server; a single one is given twice.

use std::time::Duration;

use redis_frag::model::info::Info;
use redis_frag::model::sample::Sample;
use redis_frag::model::thresholds::Thresholds;

use super::watched::{AGENTS, Fate, Watched};

/// Most replies of one input.
const MOST: usize = 6;

/// Bytes are what a server answers.
pub fn body(bytes: &[u8]) {
    let mut replies: Vec<&[u8]> = bytes.split(|byte| *byte == 0).take(MOST).collect();
    if let &[only] = replies.as_slice() {
        replies.push(only);
    }
    let agent = AGENTS[bytes.len() % AGENTS.len()];
    let mut watched = Watched::plain(Thresholds::default(), agent);
    for (second, reply) in (1..).zip(&replies) {
        let info = Info::parse(reply);
        let at = Duration::from_secs(second);
        let sample = Sample::new(at, &info, watched.known.as_ref());
        watched.moment(&sample, Fate::Read);
    }
    watched.done();
}
