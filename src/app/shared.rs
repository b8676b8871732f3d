//! What all jobs share: the way to the agent, the clock, who charts what under which
//! name.
//!
//! Must not know how an instance is watched, nor who named it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::config::vnodes::Vnode;
use crate::netdata::link::Writer;
use crate::source::claims::Claims;
use crate::source::host::Kernel;

use super::registry::Registry;

/// What all watched instances share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) writer: Writer,
    pub(super) claims: Claims,
    /// Zero of the clock that stamps samples.
    pub(super) epoch: Instant,
    /// Whether the agent takes labels.
    pub(super) with_labels: bool,
    /// Whether the agent takes virtual nodes.
    pub(super) with_nodes: bool,
    /// The kernel of this machine.
    pub(super) kernel: Arc<Kernel>,
    /// How long an instance that was found is missed before it is forgotten, seconds.
    pub(super) forget_after: Arc<AtomicU64>,
    /// What was collected last, for those who ask.
    pub(super) registry: Registry,
    /// Place of the next job among all, which spreads them over the second.
    pub(super) next: Arc<AtomicUsize>,
    /// Names in use.
    pub(super) names: Names,
    /// The virtual nodes that a job may name.
    pub(super) nodes: Nodes,
}

/// Names of instances that are in use, of jobs and of members of fleets: two of one name
/// would have one set of charts. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Names(Arc<Mutex<HashSet<String>>>);

impl Names {
    /// Takes a name. `false`: it is in use.
    pub(super) fn take(&self, name: &str) -> bool {
        self.lock().insert(name.to_owned())
    }

    /// Gives it back.
    pub(super) fn free(&self, name: &str) {
        self.lock().remove(name);
    }

    /// Whether it is in use.
    pub(super) fn has(&self, name: &str) -> bool {
        self.lock().contains(name)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The virtual nodes of the files, as they were read last. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Nodes(Arc<Mutex<Vec<Arc<Vnode>>>>);

impl Nodes {
    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<Vnode>> {
        self.lock().clone()
    }

    /// They were read anew.
    pub(super) fn set(&self, nodes: &[Arc<Vnode>]) {
        *self.lock() = nodes.to_vec();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Vnode>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Shared {
    /// With nothing known yet, and all that agents know.
    pub(super) fn made_up(writer: Writer) -> Self {
        Self {
            writer,
            claims: Claims::default(),
            epoch: Instant::now(),
            with_labels: true,
            with_nodes: true,
            kernel: Arc::new(Kernel::new(None)),
            forget_after: Arc::default(),
            registry: Registry::default(),
            next: Arc::default(),
            names: Names::default(),
            nodes: Nodes::default(),
        }
    }
}
