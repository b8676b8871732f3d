//! MEMORY MALLOC-STATS text to what it tells: the allocator's build here, its
//! totals, arenas and size classes in [`report`].
//!
//! Knows jemalloc's report, versions 4.0 to 5.3. Must not know when it is asked
//! for, nor what follows from it.

mod read;
pub mod report;
mod table;

/// How a jemalloc was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// Smallest distance of two size classes, bytes. Servers build their own
    /// jemalloc with 8 (`--with-lg-quantum=3`, deps/Makefile since 4.0); Debian's
    /// and others' have 16 on 64-bit machines.
    pub quantum: u32,
}

impl Build {
    /// Reads the head of a report. `None` where it is none: other allocators
    /// answer `Stats not supported for the current allocator`.
    #[must_use]
    pub fn parse(report: &str) -> Option<Self> {
        // The line stands among the options at the beginning; sizes of classes
        // come much later.
        let line = report
            .lines()
            .take(200)
            .find_map(|line| line.trim().strip_prefix("Quantum size:"));
        Some(Self {
            quantum: line?.trim().parse().ok()?,
        })
    }

    /// Whether this looks like the jemalloc that comes with the server, the only
    /// one that active defrag works with. A heuristic: a distribution could build
    /// its own with the same quantum.
    #[must_use]
    pub fn is_the_servers_own(self) -> bool {
        self.quantum == 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantum_tells_the_servers_own_from_a_distributions() {
        for (report, want) in [
            (
                "___ Begin jemalloc statistics ___\nQuantum size: 8\nPage size: 4096\n",
                Some(true),
            ),
            ("___ Begin\n  Quantum size: 16\r\n", Some(false)),
            ("Stats not supported for the current allocator", None),
            ("Quantum size: many\n", None),
            ("", None),
        ] {
            assert_eq!(
                Build::parse(report).map(Build::is_the_servers_own),
                want,
                "{report:?}"
            );
        }
    }
}
