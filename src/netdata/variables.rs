//! Which variables of which charts the agent has been told, and with what value.
//!
//! Charts share their variables, so each is worked out and kept once, with a bit for
//! every chart that has not heard of its last change. Must not know what any means.

use crate::model::chart::Variable;
use crate::model::charts::CHARTS;
use crate::model::derive::Derived;

use super::wire;

/// Variables of all charts that are not the same: of the same name.
const VARIABLES: [Variable; COUNT] = distinct();
const COUNT: usize = count();

/// One bit each, in the order of [`VARIABLES`].
type Set = u16;

/// The variables of each chart.
const OF_CHART: [Set; CHARTS.len()] = of_charts();

const _: () = assert!(COUNT <= Set::BITS as usize, "a wider set is needed");

/// What has been said of the variables of one instance: 170 bytes or so.
#[derive(Debug)]
pub(super) struct Variables {
    /// The last value of each.
    last: [i64; COUNT],
    /// Which have one.
    known: Set,
    /// What each chart has to be told.
    owed: [Set; CHARTS.len()],
}

impl Variables {
    /// Nothing is known, nothing is told.
    pub(super) const fn new() -> Self {
        Self {
            last: [0; COUNT],
            known: 0,
            owed: OF_CHART,
        }
    }

    /// All is to be told again.
    pub(super) fn forget(&mut self) {
        self.owed = OF_CHART;
    }

    /// Works all out; gives those that have a value now.
    pub(super) fn follow(&mut self, derived: &Derived<'_>) -> Now {
        let (mut now, mut changed): (Set, Set) = (0, 0);
        let lasts = self.last.iter_mut();
        for (place, (variable, last)) in VARIABLES.iter().zip(lasts).enumerate() {
            let Some(value) = (variable.value)(derived) else {
                continue;
            };
            now |= 1 << place;
            if value != *last {
                *last = value;
                changed |= 1 << place;
            }
        }
        changed |= now & !self.known;
        self.known |= now;
        if changed != 0 {
            for (owed, of_chart) in self.owed.iter_mut().zip(OF_CHART) {
                *owed |= changed & of_chart;
            }
        }
        Now(now)
    }

    /// Tells a chart, the one that is open, what it has not heard yet.
    pub(super) fn tell(&mut self, out: &mut String, chart: usize, now: Now) {
        let Some(owed) = self.owed.get_mut(chart) else {
            return;
        };
        let due = *owed & now.0;
        if due == 0 {
            return;
        }
        *owed &= !due;
        for (place, (variable, last)) in VARIABLES.iter().zip(self.last).enumerate() {
            if due & (1 << place) != 0 {
                wire::variable(out, variable.name, last);
            }
        }
    }
}

/// The variables that have a value at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now(Set);

#[expect(
    clippy::indexing_slicing,
    reason = "the compiler runs it: a place that is not there does not compile"
)]
const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Where the first variable of this name is: its chart, and its place there.
#[expect(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the compiler runs it: what is not there does not compile"
)]
const fn first(name: &str) -> (usize, usize) {
    let mut chart = 0;
    while chart < CHARTS.len() {
        let mut place = 0;
        while place < CHARTS[chart].variables.len() {
            if same(CHARTS[chart].variables[place].name, name) {
                return (chart, place);
            }
            place += 1;
        }
        chart += 1;
    }
    panic!("a name from the table is in the table")
}

#[expect(
    clippy::indexing_slicing,
    reason = "the compiler runs it: a place that is not there does not compile"
)]
const fn count() -> usize {
    let (mut count, mut chart) = (0, 0);
    while chart < CHARTS.len() {
        let mut place = 0;
        while place < CHARTS[chart].variables.len() {
            let (of, at) = first(CHARTS[chart].variables[place].name);
            count += (of == chart && at == place) as usize;
            place += 1;
        }
        chart += 1;
    }
    count
}

#[expect(
    clippy::indexing_slicing,
    reason = "the compiler runs it: a place that is not there does not compile"
)]
const fn distinct() -> [Variable; COUNT] {
    let mut found = [CHARTS[0].variables[0]; COUNT];
    let (mut count, mut chart) = (0, 0);
    while chart < CHARTS.len() {
        let mut place = 0;
        while place < CHARTS[chart].variables.len() {
            let (of, at) = first(CHARTS[chart].variables[place].name);
            if of == chart && at == place {
                found[count] = CHARTS[chart].variables[place];
                count += 1;
            }
            place += 1;
        }
        chart += 1;
    }
    found
}

#[expect(
    clippy::indexing_slicing,
    reason = "the compiler runs it: a place that is not there does not compile"
)]
const fn of_charts() -> [Set; CHARTS.len()] {
    let mut sets = [0; CHARTS.len()];
    let mut chart = 0;
    while chart < CHARTS.len() {
        let mut place = 0;
        while place < CHARTS[chart].variables.len() {
            let mut at = 0;
            while !same(VARIABLES[at].name, CHARTS[chart].variables[place].name) {
                at += 1;
            }
            sets[chart] |= 1 << at;
            place += 1;
        }
        chart += 1;
    }
    sets
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::history::History;
    use crate::model::info::Info;
    use crate::model::sample::Sample;
    use crate::model::thresholds::Thresholds;

    fn at(text: &str, run: impl FnOnce(&Derived<'_>)) {
        let sample = Sample::new(Duration::ZERO, &Info::parse(text.as_bytes()), None);
        let thresholds = Thresholds::default();
        run(&Derived::new(&sample, &thresholds, &mut History::default()));
    }

    fn told(variables: &mut Variables, chart: usize, text: &str) -> String {
        let mut out = String::new();
        at(text, |derived| {
            let now = variables.follow(derived);
            variables.tell(&mut out, chart, now);
        });
        out
    }

    const INFO: &str = "redis_version:7.0.0\nused_memory:10\nused_memory_rss:20\nloading:0\n\
                        total_system_memory:1000\nmem_fragmentation_ratio:2.00\n";

    /// Sharing by name rests on this.
    #[test]
    fn variables_of_one_name_are_one_variable() {
        at(INFO, |derived| {
            for chart in CHARTS {
                for variable in chart.variables {
                    let one = VARIABLES.iter().find(|one| one.name == variable.name);
                    let value = (one.unwrap().value)(derived);
                    assert_eq!((variable.value)(derived), value, "{}", variable.name);
                }
            }
        });
    }

    #[test]
    fn every_chart_has_its_own_and_in_order() {
        for (chart, set) in CHARTS.iter().zip(OF_CHART) {
            let places = (0..COUNT).filter(|place| set & (1 << place) != 0);
            let names: Vec<&str> = places.map(|place| VARIABLES[place].name).collect();
            let wanted: Vec<&str> = chart.variables.iter().map(|v| v.name).collect();
            assert_eq!(names, wanted, "{}", chart.id);
        }
    }

    #[test]
    fn a_chart_is_told_what_it_has_not_heard_and_no_more() {
        let mut variables = Variables::new();
        let all = told(&mut variables, 0, INFO);
        assert!(all.contains("VARIABLE CHART used_memory = 10\n"), "{all}");
        assert!(all.contains("VARIABLE CHART loading = 0\n"), "{all}");
        assert_eq!(told(&mut variables, 0, INFO), "");
        let grown = INFO.replace("used_memory:10", "used_memory:11");
        let changed = told(&mut variables, 0, &grown);
        assert_eq!(changed, "VARIABLE CHART used_memory = 11\n");
        // Another chart hears of it when it has something to say.
        assert!(told(&mut variables, 1, &grown).contains("used_memory = 11\n"));
        variables.forget();
        assert_eq!(told(&mut variables, 0, INFO), all);
    }

    #[test]
    fn what_is_missing_is_not_told_and_not_forgotten() {
        let mut variables = Variables::new();
        told(&mut variables, 0, INFO);
        let less = INFO.replace("used_memory_rss:20\n", "");
        assert!(!told(&mut variables, 0, &less).contains(" rss "));
        assert!(!told(&mut variables, 0, INFO).contains(" rss "));
        assert!(told(&mut variables, 1, INFO).contains(" rss = 20\n"));
    }
}
