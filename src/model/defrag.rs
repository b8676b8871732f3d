//! Active defrag: the instance's settings, its state, and how near it is to
//! starting.
//!
//! Knows the rules of the server's defrag.c. Must not know rates or the past
//! (`history.rs`), nor what to advise.

use super::advice;
use super::derive::Derived;
use super::sample::Sample;

/// What decides when active defrag starts and how hard it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// `active-defrag-ignore-bytes`: fragmented bytes below which it never starts.
    pub ignore_bytes: u64,
    /// `active-defrag-threshold-lower`, percent of fragmentation.
    pub lower: u32,
    /// `active-defrag-threshold-upper`, percent at which it works hardest.
    pub upper: u32,
    /// `active-defrag-cycle-min`, percent of a CPU.
    pub cycle_min: u32,
    /// `active-defrag-cycle-max`, percent of a CPU.
    pub cycle_max: u32,
}

/// The instance's own settings, as far as CONFIG GET gave them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DefragConfig {
    /// `activedefrag`. A build that cannot defrag says `no` here too.
    pub enabled: Option<bool>,
    /// `active-defrag-ignore-bytes`.
    pub ignore_bytes: Option<u64>,
    /// `active-defrag-threshold-lower`.
    pub lower: Option<u32>,
    /// `active-defrag-threshold-upper`.
    pub upper: Option<u32>,
    /// `active-defrag-cycle-min`.
    pub cycle_min: Option<u32>,
    /// `active-defrag-cycle-max`.
    pub cycle_max: Option<u32>,
}

impl DefragConfig {
    /// Reads the names and values of a `CONFIG GET *defrag*`, in any order.
    /// A value that cannot be read is missing.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut config = Self::default();
        for (name, value) in pairs {
            match name {
                "activedefrag" => {
                    config.enabled = match value {
                        "yes" => Some(true),
                        "no" => Some(false),
                        _ => None,
                    }
                }
                "active-defrag-ignore-bytes" => config.ignore_bytes = value.parse().ok(),
                "active-defrag-threshold-lower" => config.lower = value.parse().ok(),
                "active-defrag-threshold-upper" => config.upper = value.parse().ok(),
                "active-defrag-cycle-min" => config.cycle_min = value.parse().ok(),
                "active-defrag-cycle-max" => config.cycle_max = value.parse().ok(),
                _ => {}
            }
        }
        config
    }

    /// The settings in force: the instance's own, and `defaults` for the rest.
    #[must_use]
    pub fn or(&self, defaults: Settings) -> Settings {
        Settings {
            ignore_bytes: self.ignore_bytes.unwrap_or(defaults.ignore_bytes),
            lower: self.lower.unwrap_or(defaults.lower),
            upper: self.upper.unwrap_or(defaults.upper),
            cycle_min: self.cycle_min.unwrap_or(defaults.cycle_min),
            cycle_max: self.cycle_max.unwrap_or(defaults.cycle_max),
        }
    }
}

/// What active defrag is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The build cannot do it: its allocator is not jemalloc, which is certain, or
    /// a jemalloc that does not come with the server.
    Unsupported,
    /// Switched off.
    Off,
    /// Switched on, nothing to do.
    Idle,
    /// A cycle is under way.
    Running,
    /// A cycle is under way and rests while a child process runs.
    Paused,
    /// No cycle, and the setting could not be read.
    Unknown,
}

impl State {
    /// Name in charts and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsupported => "unsupported",
            Self::Off => "off",
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Unknown => "unknown",
        }
    }

    /// The state of an instance that answered.
    ///
    /// `active_defrag_running` keeps its value through a fork, though nothing
    /// moves (seen on 6.2.5 and 8.2.3), and before 6.0 it also keeps it when
    /// defrag is switched off in the middle of a cycle.
    #[must_use]
    pub fn of(sample: &Sample) -> Option<Self> {
        let server = sample.server.as_ref()?;
        let enabled = sample.config.enabled;
        let running = sample
            .fields
            .active_defrag_running
            .is_some_and(|effort| effort > 0);
        let ever = sample
            .fields
            .active_defrag_hits
            .is_some_and(|hits| hits > 0);
        let foreign = sample
            .build
            .is_some_and(|build| !build.is_the_servers_own());
        Some(
            if server.cannot_defrag()
                || ((foreign || sample.counts_no_bins()) && !ever && enabled != Some(true))
            {
                Self::Unsupported
            } else if running && !(enabled == Some(false) && server.effort_sticks()) {
                match sample.forking() {
                    Some(true) => Self::Paused,
                    _ => Self::Running,
                }
            } else {
                match enabled {
                    Some(true) => Self::Idle,
                    Some(false) => Self::Off,
                    None => Self::Unknown,
                }
            },
        )
    }
}

/// How near active defrag is to starting, in percent of its two thresholds. It
/// starts when both reach 100 (defrag.c `computeDefragCycles`, 4.0 to 9.1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trigger {
    /// Fragmented bytes against `active-defrag-ignore-bytes`.
    pub bytes: f64,
    /// Fragmentation percentage against `active-defrag-threshold-lower`.
    pub percent: f64,
}

impl Trigger {
    /// `None` where the build cannot defrag, or does not tell what defrag looks
    /// at (before 5.0).
    #[must_use]
    pub fn of(sample: &Sample) -> Option<Self> {
        let server = sample.server.as_ref()?;
        let settings = sample.config.or(server.default_settings());
        let fragmented = sample.frag_bytes()?.max(0);
        let percentage = 100.0 * (sample.allocator_frag()? - 1.0);
        #[allow(
            clippy::cast_precision_loss,
            reason = "a percentage of sizes below 2^60"
        )]
        let bytes = reach(fragmented as f64, settings.ignore_bytes as f64);
        Some(Self {
            bytes,
            percent: reach(percentage.max(0.0), f64::from(settings.lower)),
        })
    }

    /// Whether both thresholds are reached.
    #[must_use]
    pub fn would_start(&self) -> bool {
        self.bytes >= 100.0 && self.percent >= 100.0
    }
}

/// Percent of a threshold that a value has reached; a threshold of 0 is reached
/// by anything.
fn reach(value: f64, threshold: f64) -> f64 {
    if threshold > 0.0 {
        100.0 * value / threshold
    } else {
        100.0
    }
}

/// Why active defrag is in the state it is in, for a person.
#[must_use]
pub fn reason(derived: &Derived<'_>) -> String {
    let sample = derived.sample;
    let Some(state) = derived.defrag else {
        return "the server did not answer".to_owned();
    };
    match state {
        State::Unsupported => match sample.server.as_ref().and_then(|s| s.allocator.as_deref()) {
            Some(name) if !name.starts_with("jemalloc") => {
                format!(
                    "this build cannot defragment: its allocator is {name}, and only jemalloc can"
                )
            }
            _ => {
                let sign = match sample.build {
                    Some(build) if !build.is_the_servers_own() => {
                        format!("quantum {}", build.quantum)
                    }
                    _ => "it counts no fragmented bytes".to_owned(),
                };
                format!(
                    "this build cannot defragment: its jemalloc is a distribution's ({sign}), not \
                     the one that comes with the server"
                )
            }
        },
        State::Off => "active defrag is switched off (activedefrag no)".to_owned(),
        State::Idle => match &derived.trigger {
            Some(trigger) if !trigger.would_start() => {
                format!(
                    "it is on and does not start: {}",
                    advice::shortfall(derived, trigger)
                )
            }
            _ => "it is on and about to start".to_owned(),
        },
        State::Running => {
            let effort = sample.fields.active_defrag_running.unwrap_or(0);
            format!("a cycle is under way and aims at {effort}% of a CPU")
        }
        State::Paused => "a cycle is under way and rests while a child is saving".to_owned(),
        State::Unknown if sample.fields.active_defrag_running.is_none() => {
            "the server tells nothing of active defrag".to_owned()
        }
        State::Unknown => {
            "no cycle is under way; whether it is switched on could not be read (CONFIG GET)"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::info::Info;

    const JEMALLOC: &str = "redis_version:7.2.6\nmem_allocator:jemalloc-5.3.0\n";

    fn sample(text: &str, enabled: Option<bool>) -> Sample {
        let mut sample = Sample::new(Duration::ZERO, &Info::parse(text.as_bytes()), None);
        sample.config.enabled = enabled;
        sample
    }

    #[test]
    fn settings_are_read_in_any_order_and_bad_ones_are_missing() {
        let got = DefragConfig::from_pairs([
            ("active-defrag-threshold-lower", "7"),
            ("activedefrag", "yes"),
            ("active-defrag-ignore-bytes", "lots"),
            ("active-defrag-new-thing", "1"),
        ]);
        let want = DefragConfig {
            enabled: Some(true),
            lower: Some(7),
            ..DefragConfig::default()
        };
        assert_eq!(got, want);
    }

    #[test]
    fn the_state_follows_effort_fork_and_setting() {
        for (text, enabled, want) in [
            ("active_defrag_running:0\n", Some(true), State::Idle),
            ("active_defrag_running:0\n", Some(false), State::Off),
            ("active_defrag_running:0\n", None, State::Unknown),
            (
                "active_defrag_running:3\nrdb_bgsave_in_progress:0\n",
                None,
                State::Running,
            ),
            (
                "active_defrag_running:3\nrdb_bgsave_in_progress:1\n",
                Some(true),
                State::Paused,
            ),
            (
                "active_defrag_running:3\nmodule_fork_in_progress:1\n",
                Some(true),
                State::Paused,
            ),
            ("active_defrag_running:3\n", Some(false), State::Running),
        ] {
            let got = State::of(&sample(&format!("{JEMALLOC}{text}"), enabled));
            assert_eq!(got, Some(want), "{text} {enabled:?}");
        }
        let libc = sample("redis_version:7.0.0\nmem_allocator:libc\n", Some(false));
        assert_eq!(State::of(&libc), Some(State::Unsupported));
        assert_eq!(State::of(&Sample::unreachable(Duration::ZERO)), None);
    }

    #[test]
    fn before_6_0_the_effort_stays_up_when_defrag_is_switched_off() {
        let text = "redis_version:5.0.14\nmem_allocator:jemalloc-5.1.0\nactive_defrag_running:25\n";
        assert_eq!(State::of(&sample(text, Some(false))), Some(State::Off));
        assert_eq!(State::of(&sample(text, Some(true))), Some(State::Running));
        assert_eq!(State::of(&sample(text, None)), Some(State::Running));
    }

    #[test]
    fn the_trigger_needs_both_thresholds() {
        let fragmented =
            format!("{JEMALLOC}allocator_allocated:100000000\nallocator_active:150000000\n");
        let mut sample = sample(&fragmented, Some(true));
        let trigger = Trigger::of(&sample).unwrap();
        assert!(
            (trigger.percent - 500.0).abs() < 0.001,
            "50% against 10%: {trigger:?}"
        );
        assert!(
            (trigger.bytes - 47.683).abs() < 0.001,
            "50 MB against 100 MiB: {trigger:?}"
        );
        assert!(!trigger.would_start());
        sample.config.ignore_bytes = Some(0);
        assert!(Trigger::of(&sample).unwrap().would_start());
    }
}
