//! A verdict to what to do, and what not to do: command, bytes, cost.
//!
//! Advice that would be wrong is refused and says why. Nothing in here is ever
//! carried out by redis-frag. Must not judge: that is `rules.rs`.

use super::defrag::{self, State, Trigger};
use super::derive::Derived;
use super::facts;
use super::host::Cgroup;
use super::known_issues::{self, Kind, KnownIssue};
use super::risks;
use super::text::bytes;
use super::verdict::{Severity, Verdict};

/// Waste below which a small instance is left alone, bytes.
pub(super) const SMALL_WASTE: i64 = 100 << 20;

/// What a remedy must bring back to be worth its cost: this many bytes, and one
/// part in so many of RSS.
const WORTH_BYTES: i64 = 10 << 20;
const WORTH_SHARE: i64 = 20;

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Switch active defrag on.
    ActiveDefrag,
    /// Switch active defrag off.
    StopDefrag,
    /// `MEMORY PURGE`.
    MemoryPurge,
    /// Empty the cache of scripts.
    ScriptFlush,
    /// Start the server process anew.
    Restart,
    /// Install a version without a defect.
    Upgrade,
    /// Find out whether the process is in swap.
    CheckSwap,
    /// Bring the process back out of swap.
    LeaveSwap,
    /// Keep more distance from the limit of memory.
    MakeRoom,
    /// Leave room for what a child copies.
    MakeForkRoom,
    /// Lower `maxmemory` to what fits.
    LowerMaxmemory,
    /// Let the kernel promise a fork its memory.
    SetOvercommit,
    /// Switch transparent huge pages off.
    DisableHugePages,
    /// Nothing now.
    Wait,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 14] = [
        Self::ActiveDefrag,
        Self::StopDefrag,
        Self::MemoryPurge,
        Self::ScriptFlush,
        Self::Restart,
        Self::Upgrade,
        Self::CheckSwap,
        Self::LeaveSwap,
        Self::MakeRoom,
        Self::MakeForkRoom,
        Self::LowerMaxmemory,
        Self::SetOvercommit,
        Self::DisableHugePages,
        Self::Wait,
    ];

    /// Name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ActiveDefrag => "active_defrag",
            Self::StopDefrag => "stop_defrag",
            Self::MemoryPurge => "memory_purge",
            Self::ScriptFlush => "script_flush",
            Self::Restart => "restart",
            Self::Upgrade => "upgrade",
            Self::CheckSwap => "check_swap",
            Self::LeaveSwap => "leave_swap",
            Self::MakeRoom => "make_room",
            Self::MakeForkRoom => "make_fork_room",
            Self::LowerMaxmemory => "lower_maxmemory",
            Self::SetOvercommit => "set_overcommit",
            Self::DisableHugePages => "disable_huge_pages",
            Self::Wait => "wait",
        }
    }
}

/// One piece of advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// What to do.
    pub action: Action,
    /// What to type; `None` where it is refused, or no command does it.
    pub command: Option<String>,
    /// What it should bring.
    pub why: String,
    /// What it costs and when not to; of refused advice why it is wrong here.
    pub caution: String,
    /// Whether it would be wrong here.
    pub refused: bool,
}

impl Advice {
    /// What no command to the server does.
    pub(super) fn by_hand(action: Action, why: String, caution: &str) -> Self {
        Self::new(action, None, why, caution)
    }

    pub(super) fn new(
        action: Action,
        command: Option<&str>,
        why: String,
        caution: impl Into<String>,
    ) -> Self {
        let command = command.map(|command| format!("redis-cli {command}"));
        Self {
            action,
            command,
            why,
            caution: caution.into(),
            refused: false,
        }
    }

    fn refused(action: Action, why: String, reason: String) -> Self {
        let caution = format!("not advised: {reason}");
        Self {
            action,
            command: None,
            why,
            caution,
            refused: true,
        }
    }
}

/// What to do about a verdict that is so severe: the best first, refused advice last.
#[must_use]
pub fn advise(derived: &Derived<'_>, verdict: Verdict, severity: Severity) -> Vec<Advice> {
    let mut advice = match verdict {
        Verdict::Unknown | Verdict::Small => Vec::new(),
        Verdict::Healthy => Vec::new(),
        Verdict::Starting => vec![wait(
            "until the server is up and its memory statistics are there",
        )],
        Verdict::Swapping => vec![match facts::swapped(derived) {
            Some(swapped) => leave_swap(derived, swapped),
            None => check_swap(),
        }],
        Verdict::Forking => vec![
            wait("until the child is done: its copies blur every figure"),
            active_defrag(derived),
            memory_purge(derived),
        ],
        Verdict::DefragWorking => {
            let stalls = known_issues::of(derived)
                .any(|issue| issue.kind == Kind::Stall && issue.strikes(derived));
            vec![wait(if stalls {
                "active defrag is at work, and a known defect of this version may keep it from \
                 advancing: watch for five minutes whether the fragmented bytes fall"
            } else {
                "active defrag moves live data together; the pages it frees go back by themselves"
            })]
        }
        Verdict::DefragIneffective => vec![
            stop_defrag(derived),
            memory_purge(derived),
            restart(derived),
        ],
        Verdict::Fragmented => vec![
            active_defrag(derived),
            memory_purge(derived),
            restart(derived),
        ],
        Verdict::RetainedPages => vec![memory_purge(derived), active_defrag(derived)],
        Verdict::ProcessOverhead | Verdict::Unattributed => {
            let mut advice: Vec<Advice> = script_flush(derived).into_iter().collect();
            advice.extend([
                memory_purge(derived),
                active_defrag(derived),
                restart(derived),
            ]);
            advice
        }
    };
    advice.extend(upgrades(derived));
    // What threatens more than the verdict does comes first: to wait for a save is no
    // advice where the save is what kills.
    let (urgent, others): (Vec<_>, Vec<_>) =
        risks::remedies(derived).partition(|(risk, _)| *risk > severity);
    advice.splice(0..0, urgent.into_iter().map(|(_, advice)| advice));
    advice.extend(others.into_iter().map(|(_, advice)| advice));
    advice.sort_by_key(|advice| advice.refused);
    advice
}

fn wait(why: &str) -> Advice {
    Advice::new(Action::Wait, None, why.to_owned(), "")
}

/// Why anything that changes memory is wrong now.
fn at_rest(derived: &Derived<'_>) -> Result<(), String> {
    match derived.sample.forking() {
        Some(true) => {
            Err("a child is saving or rewriting; every page that changes is copied".into())
        }
        _ => Ok(()),
    }
}

fn worth(derived: &Derived<'_>, gain: i64) -> bool {
    let rss = derived
        .sample
        .fields
        .used_memory_rss
        .unwrap_or(0)
        .cast_signed();
    gain >= WORTH_BYTES && gain >= rss / WORTH_SHARE
}

fn active_defrag(derived: &Derived<'_>) -> Advice {
    let why = match derived.reclaim.active_defrag {
        Some(gain) => format!(
            "moves live data together: should bring back {}",
            bytes(gain)
        ),
        None => "moves live data together".to_owned(),
    };
    match defrag_is_right(derived) {
        Ok(caution) => {
            let command = Some("CONFIG SET activedefrag yes");
            Advice::new(Action::ActiveDefrag, command, why, caution)
        }
        Err(reason) => Advice::refused(Action::ActiveDefrag, why, reason),
    }
}

/// What switching active defrag on costs, or why it would be wrong.
fn defrag_is_right(derived: &Derived<'_>) -> Result<String, String> {
    let server = derived
        .sample
        .server
        .as_ref()
        .ok_or("the server did not answer")?;
    if derived.defrag == Some(State::Unsupported) {
        return Err(defrag::reason(derived));
    }
    if let Some(issue) = known_issues::of(derived).find(|issue| bars_defrag(issue, derived)) {
        return Err(format!(
            "known defect of this version: {}; {}",
            issue.effect, issue.remedy
        ));
    }
    if matches!(derived.defrag, Some(State::Running | State::Paused)) {
        return Err(format!("it is on already: {}", defrag::reason(derived)));
    }
    at_rest(derived)?;
    would_start(derived)?;
    if derived.defrag == Some(State::Idle) {
        return Err("it is on and starts by itself".into());
    }
    match derived.reclaim.active_defrag {
        None => {
            return Err(
                "INFO has no allocator statistics; whether it would start, and what it would \
                 bring, cannot be told"
                    .into(),
            );
        }
        Some(gain) if !worth(derived, gain) => {
            return Err(format!("there are only about {} to win", bytes(gain)));
        }
        Some(_) => {}
    }
    let settings = derived.sample.config.or(server.default_settings());
    let mut caution = format!(
        "uses {}% to {}% of the main thread's CPU while it runs; CONFIG SET lasts until a restart",
        settings.cycle_min, settings.cycle_max
    );
    if derived
        .sample
        .build
        .is_none_or(|build| !build.is_the_servers_own())
    {
        caution += "; a distribution's build may refuse it with an error, and then nothing changes";
    }
    Ok(caution)
}

fn bars_defrag(issue: &KnownIssue, derived: &Derived<'_>) -> bool {
    matches!(issue.kind, Kind::Crash | Kind::Stall) && issue.would_strike(derived)
}

/// Switched on, it would do nothing below its thresholds.
fn would_start(derived: &Derived<'_>) -> Result<(), String> {
    match &derived.trigger {
        Some(trigger) if !trigger.would_start() => Err(format!(
            "it would not start: {}",
            shortfall(derived, trigger)
        )),
        _ => Ok(()),
    }
}

/// How far below its start thresholds active defrag is.
pub(super) fn shortfall(derived: &Derived<'_>, trigger: &Trigger) -> String {
    let Some(server) = &derived.sample.server else {
        return String::new();
    };
    let settings = derived.sample.config.or(server.default_settings());
    let mut short = Vec::new();
    if trigger.bytes < 100.0 {
        let fragmented = derived.sample.frag_bytes().unwrap_or(0);
        let needed = i64::try_from(settings.ignore_bytes).unwrap_or(i64::MAX);
        let (now, needed) = (bytes(fragmented), bytes(needed));
        short.push(format!(
            "{now} fragmented of {needed} (active-defrag-ignore-bytes)"
        ));
    }
    if trigger.percent < 100.0 {
        let now = trigger.percent * f64::from(settings.lower) / 100.0;
        let needed = settings.lower;
        short.push(format!(
            "{now:.1}% fragmented of {needed}% (active-defrag-threshold-lower)"
        ));
    }
    short.join(" and ")
}

fn stop_defrag(derived: &Derived<'_>) -> Advice {
    let effort = derived.sample.fields.active_defrag_running.unwrap_or(0);
    let why = format!("frees the {effort}% of the main thread's CPU that it spends without effect");
    let command = Some("CONFIG SET activedefrag no");
    Advice::new(
        Action::StopDefrag,
        command,
        why,
        "what is fragmented stays so until a restart",
    )
}

fn memory_purge(derived: &Derived<'_>) -> Advice {
    let Some(gain) = derived.reclaim.memory_purge else {
        return purge_of_unknown_gain(derived);
    };
    let why = format!("returns free pages; should bring back {}", bytes(gain));
    if let Err(reason) = at_rest(derived) {
        return Advice::refused(Action::MemoryPurge, why, reason);
    }
    if !worth(derived, gain) {
        let reason = format!("there is little to purge, about {}", bytes(gain));
        return Advice::refused(Action::MemoryPurge, why, reason);
    }
    // 2 ms with 80 MB of dirty pages, 11 to 12 ms with 300 to 400 MB (6.2.5, 8.2.3).
    let blocked = (gain / 30_000_000).max(1);
    // jemalloc may be at it itself: 0 of 101 MB came back at once on 6.2.5, 8 of
    // 389 MB on 8.2.3, and the rest a moment later.
    let caution = format!(
        "blocks the server for about {blocked} ms; where RSS does not fall at once, repeat it or \
         wait ten seconds"
    );
    Advice::new(Action::MemoryPurge, Some("MEMORY PURGE"), why, caution)
}

/// Where nothing tells what a purge would give: jemalloc before Redis 5.0 and of
/// services that leave fields out can purge, other allocators cannot.
fn purge_of_unknown_gain(derived: &Derived<'_>) -> Advice {
    let why = "returns free pages".to_owned();
    let server = derived.sample.server.as_ref();
    if server.is_some_and(|server| server.cannot_defrag()) {
        let reason = "only jemalloc can; this server answers OK and does nothing".to_owned();
        return Advice::refused(Action::MemoryPurge, why, reason);
    }
    if let Err(reason) = at_rest(derived) {
        return Advice::refused(Action::MemoryPurge, why, reason);
    }
    let why = "returns free pages; how much cannot be told: INFO has no allocator statistics";
    // 11 to 12 ms with 300 to 400 MB (6.2.5, 8.2.3).
    let caution = "blocks the server for about 30 ms for each GB of free pages; answers OK and \
                   does nothing where the allocator is not jemalloc";
    Advice::new(
        Action::MemoryPurge,
        Some("MEMORY PURGE"),
        why.to_owned(),
        caution,
    )
}

/// Scripts that were cached once stay for good. Functions (since 7.0) are no
/// scripts: `used_memory_lua` is of EVAL alone then.
fn script_flush(derived: &Derived<'_>) -> Option<Advice> {
    let lua = derived.sample.fields.used_memory_lua?.cast_signed();
    worth(derived, lua).then(|| {
        let why = format!("cached scripts and their engine hold {}", bytes(lua));
        let caution = "clients must send their scripts again: EVALSHA answers NOSCRIPT until then";
        Advice::new(Action::ScriptFlush, Some("SCRIPT FLUSH"), why, caution)
    })
}

fn restart(derived: &Derived<'_>) -> Advice {
    let gain = derived.reclaim.restart.unwrap_or(0);
    let why = format!(
        "a fresh process with the same data: should bring back {}",
        bytes(gain)
    );
    if let Err(reason) = at_rest(derived) {
        return Advice::refused(Action::Restart, why, reason);
    }
    if !worth(derived, gain) {
        let reason = format!("there are only about {} to win", bytes(gain));
        return Advice::refused(Action::Restart, why, reason);
    }
    let caution = "the last resort: downtime, loading, a full resync of replicas; fail over to a \
                   replica first, and make sure that the data is saved";
    Advice::new(Action::Restart, None, why, caution)
}

fn check_swap() -> Advice {
    let mut advice = Advice::new(
        Action::CheckSwap,
        None,
        "less memory is resident than is used; what is missing may be in swap, where every access \
         takes milliseconds"
            .to_owned(),
        "on the server's machine; process_id of INFO is the pid there unless it runs in a container",
    );
    advice.command = Some("grep VmSwap /proc/PID/status".to_owned());
    advice
}

/// `vm.swappiness` above which a kernel swaps a server's data for page cache.
const EAGER: u8 = 10;

/// What is in swap comes back by itself only where it is touched.
fn leave_swap(derived: &Derived<'_>, swapped: u64) -> Advice {
    let swapped = bytes(swapped.cast_signed());
    let machine = derived.sample.host.host().map(|host| host.machine);
    let machine = machine.unwrap_or_default();
    let eager = machine.swappiness.filter(|swappiness| *swappiness > EAGER);
    let eager = eager.map(|swappiness| {
        format!("; vm.swappiness is {swappiness}, and 1 keeps data in memory longer")
    });
    let why = format!(
        "{swapped} of the process are in swap, where every access takes milliseconds and blocks \
         all clients{}",
        eager.unwrap_or_default()
    );
    let held = machine.swap_total.zip(machine.swap_free);
    let held = held.map(|(total, free)| total.saturating_sub(free));
    // What comes back is charged to its cgroups, which may be why it went: at their
    // limits it would be killed.
    let host = derived.sample.host.host();
    let cgroups = host.and_then(|host| host.cgroups.as_deref());
    let own = facts::swapped(derived).unwrap_or(0);
    let into_cgroups = cgroups.is_some_and(|groups| {
        let holds = |group: &Cgroup| group.free().is_some_and(|free| free > own);
        groups.iter().all(holds)
    });
    let fits = into_cgroups
        && machine
            .available
            .zip(held)
            .is_some_and(|(available, held)| available > held);
    let caution = if fits {
        "reads back what all processes have in swap, which takes a while; make sure first that the \
         cause is gone: a cgroup's limit, other processes, a dataset too large"
    } else {
        "there is no room for it now: raise the limit of the cgroup, keep less data (a lower \
         maxmemory), move other processes away; only then read it back with swapoff -a and \
         swapon -a"
    };
    let mut advice = Advice::by_hand(Action::LeaveSwap, why, caution);
    advice.command = fits.then(|| "swapoff -a && swapon -a".to_owned());
    advice
}

/// Defects that strike now.
fn upgrades<'a>(derived: &'a Derived<'_>) -> impl Iterator<Item = Advice> + 'a {
    known_issues::of(derived)
        .filter(|issue| issue.matters() && issue.strikes(derived))
        .map(|issue| {
            let why = format!("known defect of this version: {}", issue.effect);
            Advice::new(Action::Upgrade, None, why, issue.remedy)
        })
}
