//! What the kernel of an instance's machine tells: of its process, of the cgroups
//! around it, of the machine.
//!
//! Data, and what follows from it alone. Must not know where the kernel keeps it
//! (that is `source/host.rs`), nor what a server says of itself.

use std::sync::Arc;

/// What is known of the machine below an instance.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum View {
    /// The instance runs elsewhere, or nobody looked: a recording.
    #[default]
    Elsewhere,
    /// It runs on this machine, and its process is not known for certain: why.
    Unsure(Arc<str>),
    /// Its process is known, and was read at the moment of the sample.
    Here(Box<Host>),
}

impl View {
    /// The readings, where there are any.
    #[must_use]
    pub fn host(&self) -> Option<&Host> {
        match self {
            Self::Here(host) => Some(host),
            Self::Elsewhere | Self::Unsure(_) => None,
        }
    }
}

/// The kernel's readings of one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Host {
    /// Of the server's process.
    pub process: Process,
    /// Of the cgroups that hold it and limit memory, the innermost first: empty where
    /// none does, `None` where they cannot be seen from here.
    pub cgroups: Option<Vec<Cgroup>>,
    /// The innermost cgroup, whether it limits or not.
    pub cgroup: Option<Arc<str>>,
    /// Processes of its innermost cgroup that the kernel has killed for want of
    /// memory since that cgroup was made.
    pub oom_kills: Option<u64>,
    /// The same of the cgroup around it and all that are in that one (v2): what is left
    /// when a killed server's own cgroup goes with it.
    pub oom_kills_around: Option<u64>,
    /// Of the machine.
    pub machine: Machine,
}

/// One process, as `/proc/PID/status` and `/proc/PID/smaps_rollup` tell it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Process {
    /// Its number on the machine, whatever it is in a container.
    pub pid: u32,
    /// `VmRSS`, bytes.
    pub rss: Option<u64>,
    /// `VmSwap`: its anonymous memory in swap, bytes.
    pub swap: Option<u64>,
    /// `VmHWM`: the highest RSS so far, bytes.
    pub peak: Option<u64>,
    /// `THP_enabled` (Linux 5.0): false where the process has switched huge pages
    /// off for itself.
    pub huge_pages_enabled: Option<bool>,
    /// `AnonHugePages`, bytes. To work it out the kernel walks the page tables, and
    /// only the process' own user and root may ask: for a person's question alone.
    pub huge: Option<u64>,
}

/// One cgroup with a limit of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    /// Its path below the mount.
    pub path: Arc<str>,
    /// `memory.max`, v1 `memory.limit_in_bytes`: above it the kernel kills.
    pub limit: u64,
    /// `memory.current`, v1 `memory.usage_in_bytes`: of all its processes, page
    /// cache included.
    pub used: Option<u64>,
    /// `active_file` and `inactive_file` of `memory.stat`: page cache that goes
    /// before anybody is killed.
    pub cache: Option<u64>,
    /// `memory.swap.current`, v1 `memory.memsw.usage_in_bytes` less the memory.
    pub swap: Option<u64>,
}

impl Cgroup {
    /// Bytes that its processes may still take.
    #[must_use]
    pub fn free(&self) -> Option<u64> {
        let held = self.used?.saturating_sub(self.cache.unwrap_or(0));
        Some(self.limit.saturating_sub(held))
    }
}

/// The machine, as `/proc/meminfo`, `/proc/sys/vm` and `/sys/kernel/mm` tell it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Machine {
    /// `MemTotal`, bytes.
    pub total: Option<u64>,
    /// `MemAvailable`: what can be had without swapping (Linux 3.14), bytes.
    pub available: Option<u64>,
    /// `SwapTotal`, bytes.
    pub swap_total: Option<u64>,
    /// `SwapFree`, bytes.
    pub swap_free: Option<u64>,
    /// `CommitLimit`: what processes may be promised with `overcommit_memory` 2.
    pub commit_limit: Option<u64>,
    /// `Committed_AS`: what they have been promised, bytes.
    pub committed: Option<u64>,
    /// Version of the kernel, its first two numbers.
    pub kernel: Option<(u16, u16)>,
    /// `vm.overcommit_memory`.
    pub overcommit: Option<Overcommit>,
    /// `vm.swappiness`, 0 to 200.
    pub swappiness: Option<u8>,
    /// `/sys/kernel/mm/transparent_hugepage/enabled`.
    pub huge_pages: Option<HugePages>,
    /// `/sys/kernel/mm/transparent_hugepage/defrag`: whether a page fault waits for
    /// memory to be compacted.
    pub huge_pages_wait: Option<bool>,
}

/// How much memory the kernel promises (Documentation/mm/overcommit-accounting).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overcommit {
    /// 0: refuses what is obviously too much.
    Heuristic,
    /// 1: never refuses.
    Always,
    /// 2: refuses beyond `CommitLimit`.
    Never,
}

impl Overcommit {
    /// As in `/proc/sys/vm/overcommit_memory`.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Heuristic => 0,
            Self::Always => 1,
            Self::Never => 2,
        }
    }
}

/// To whom the kernel gives huge pages unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HugePages {
    /// To everybody.
    Always,
    /// To who asks for them; servers do not.
    Madvise,
    /// To nobody.
    Never,
}

impl HugePages {
    /// As the kernel names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Madvise => "madvise",
            Self::Never => "never",
        }
    }
}

/// What huge pages are to one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HugePageState {
    /// It gets them unasked: a page copied on write is 2 MiB.
    Always,
    /// It would have to ask.
    Madvise,
    /// Nobody gets any.
    Never,
    /// It has switched them off for itself, as Redis 6.2 and later do at the start.
    OffForProcess,
}

impl Host {
    /// What huge pages are to the process. `switches_off`: whether its server does
    /// so for itself; it counts where the kernel does not tell.
    #[must_use]
    pub fn huge_pages(&self, switches_off: bool) -> Option<HugePageState> {
        let state = match self.machine.huge_pages? {
            HugePages::Never => return Some(HugePageState::Never),
            HugePages::Always => HugePageState::Always,
            HugePages::Madvise => HugePageState::Madvise,
        };
        match self.process.huge_pages_enabled {
            Some(true) => Some(state),
            Some(false) => Some(HugePageState::OffForProcess),
            // Before Linux 5.0 nobody tells; it is not to be cried about then.
            None if switches_off && state == HugePageState::Always => None,
            None => Some(state),
        }
    }

    /// The cgroup with the lowest limit.
    #[must_use]
    pub fn tightest(&self) -> Option<&Cgroup> {
        self.cgroups
            .as_ref()?
            .iter()
            .min_by_key(|group| group.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_pages_are_what_they_are_to_the_process() {
        use HugePageState as State;
        let mut host = Host::default();
        for (machine, process, switches_off, want) in [
            (HugePages::Never, Some(true), false, Some(State::Never)),
            (HugePages::Always, Some(true), true, Some(State::Always)),
            (
                HugePages::Always,
                Some(false),
                true,
                Some(State::OffForProcess),
            ),
            (
                HugePages::Madvise,
                Some(false),
                true,
                Some(State::OffForProcess),
            ),
            (HugePages::Madvise, None, true, Some(State::Madvise)),
            (HugePages::Always, None, false, Some(State::Always)),
            (HugePages::Always, None, true, None),
        ] {
            host.machine.huge_pages = Some(machine);
            host.process.huge_pages_enabled = process;
            assert_eq!(
                host.huge_pages(switches_off),
                want,
                "{machine:?} {process:?}"
            );
        }
        assert_eq!(Host::default().huge_pages(false), None);
    }

    #[test]
    fn page_cache_is_free_and_what_is_over_the_limit_is_not_less_than_nothing() {
        let group = |used, cache| Cgroup {
            path: "/a".into(),
            limit: 1000,
            used,
            cache,
            swap: None,
        };
        assert_eq!(group(Some(900), Some(300)).free(), Some(400));
        assert_eq!(group(Some(900), None).free(), Some(100));
        assert_eq!(group(Some(1100), None).free(), Some(0));
        assert_eq!(group(None, Some(300)).free(), None);
    }
}
