//! The sections of the dashboard, and which of them an instance has.
//!
//! A set of families, and what follows from it: the charts to work out, and whether
//! the kernel has to be asked. Must not know how a set is written down.

use super::charts::CHARTS;

/// Every family, in the order of the dashboard.
pub const FAMILIES: [&str; 9] = [
    "fragmentation",
    "memory",
    "active defrag",
    "fork",
    "headroom",
    "host",
    "diagnosis",
    "size classes",
    "collector",
];

/// The family that every instance has: the alert on one that does not answer rests on
/// it.
pub const ALWAYS: &str = "collector";

/// Families whose charts, or the variables of their alerts, are of what the kernel tells.
const OF_THE_KERNEL: &[&str] = &["fragmentation", "headroom", "host", "diagnosis"];

/// Some of the families; [`ALWAYS`] is always among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Families(u16);

impl Default for Families {
    fn default() -> Self {
        Self::ALL
    }
}

impl Families {
    /// All of them.
    pub const ALL: Self = Self((1 << FAMILIES.len()) - 1);

    /// The one that is always there, alone.
    #[must_use]
    pub fn least() -> Self {
        Self(bit(ALWAYS).unwrap_or_default())
    }

    /// These and one more; `None` where there is none of this name.
    #[must_use]
    pub fn and(self, name: &str) -> Option<Self> {
        Some(Self(self.0 | bit(name)?))
    }

    /// Those of both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether this family is among them.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        bit(name).is_some_and(|bit| self.0 & bit != 0)
    }

    /// Their names, in the order of the dashboard.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        FAMILIES.into_iter().filter(move |name| self.has(name))
    }

    /// Their charts: one bit each, in the order of the table.
    #[must_use]
    pub fn charts(self) -> u32 {
        let charts = CHARTS.iter().enumerate();
        let own = charts.filter(|(_, chart)| self.has(chart.family));
        own.fold(0, |bits, (place, _)| bits | 1 << place)
    }

    /// Whether any of them shows what the kernel of the instance's machine tells.
    #[must_use]
    pub fn ask_the_kernel(self) -> bool {
        OF_THE_KERNEL.iter().any(|name| self.has(name))
    }
}

fn bit(name: &str) -> Option<u16> {
    let place = FAMILIES.iter().position(|family| *family == name)?;
    Some(1 << place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_families_are_those_of_the_charts_in_order() {
        let mut of_charts: Vec<&str> = CHARTS.iter().map(|chart| chart.family).collect();
        of_charts.dedup();
        assert_eq!(of_charts, FAMILIES);
        for name in OF_THE_KERNEL {
            assert!(FAMILIES.contains(name), "{name}");
        }
    }

    #[test]
    fn a_set_has_its_own_charts_and_those_of_the_collector() {
        assert_eq!(Families::ALL.charts().count_ones() as usize, CHARTS.len());
        assert_eq!(Families::ALL.names().count(), FAMILIES.len());
        let memory = Families::least().and("memory").unwrap();
        assert_eq!(memory.names().collect::<Vec<_>>(), ["memory", ALWAYS]);
        for (place, chart) in CHARTS.iter().enumerate() {
            let wanted = ["memory", "collector"].contains(&chart.family);
            assert_eq!(memory.charts() & (1 << place) != 0, wanted, "{}", chart.id);
        }
        assert_eq!(memory.and("memory"), Some(memory));
        assert_eq!(memory.and("Memory"), None);
    }

    #[test]
    fn the_kernel_is_asked_for_those_that_show_it() {
        assert!(Families::ALL.ask_the_kernel());
        for name in FAMILIES {
            let alone = Families::least().and(name).unwrap();
            let asked = ["fragmentation", "headroom", "host", "diagnosis"].contains(&name);
            assert_eq!(alone.ask_the_kernel(), asked, "{name}");
        }
    }
}
