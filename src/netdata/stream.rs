//! What the agent has been told about one instance, and what it needs to hear next.
//!
//! Turns moments into lines: defines a chart when its first value comes, and
//! anew when a dimension or label is added, leaves gaps, sends a variable when
//! it changed. Must not know where lines go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::chart::{Chart, Kind};
use crate::model::charts::{CHARTS, CONTEXT_PREFIX, LABELS};
use crate::model::derive::Derived;
use crate::model::families::Families;
use crate::model::server::Server;

use super::variables::Variables;
use super::wire::{self, ChartLine};

/// Who an instance is, for the agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Name of the job, fit for ids.
    pub name: String,
    /// Where it listens, without credentials.
    pub address: String,
    /// Labels of the operator's.
    pub labels: BTreeMap<String, String>,
    /// Place of the first chart on the dashboard.
    pub priority: u32,
    /// Seconds between values.
    pub update_every: u32,
    /// The node whose charts they are; `None`: the agent's own.
    pub node: Option<Node>,
}

/// A virtual node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// A UUID.
    pub guid: String,
    /// What the dashboard calls it.
    pub hostname: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// Lines for the agent, in two parts that must stay in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Definitions. If these are lost, the values behind them end the plugin.
    pub definitions: String,
    /// Values. May be lost: the agent sees a gap.
    pub values: String,
    /// Seconds between the values of whoever says them; 0: they do not grow old.
    pub update_every: u32,
    /// Where the values continue from those before: how often some had been thrown away by
    /// then, as far as whoever says them knew.
    pub continues: Option<u64>,
}

impl Output {
    /// Empties it and keeps its room.
    pub fn clear(&mut self) {
        self.definitions.clear();
        self.values.clear();
        (self.update_every, self.continues) = (0, None);
    }
}

/// Some of the charts, one bit each in the table's order, as [`Families::charts`].
type Charts = u32;

/// Some of a chart's dimensions, one bit each in the table's order.
type Dimensions = u64;

const ALL: Charts = Charts::MAX >> (Charts::BITS as usize - CHARTS.len());

const _: () = assert!(
    widest() <= Dimensions::BITS as usize,
    "a wider set is needed"
);

#[expect(
    clippy::indexing_slicing,
    reason = "the compiler runs it: a place that is not there does not compile"
)]
const fn widest() -> usize {
    let (mut widest, mut chart) = (0, 0);
    while chart < CHARTS.len() {
        if CHARTS[chart].dimensions.len() > widest {
            widest = CHARTS[chart].dimensions.len();
        }
        chart += 1;
    }
    widest
}

/// The conversation about one instance. It takes some 550 bytes beside the texts of
/// its identity; the table of charts is everybody's.
#[derive(Debug)]
pub struct Stream {
    identity: Identity,
    type_id: Box<str>,
    with_labels: bool,
    server_labels: ServerLabels,
    /// Charts of the families that are wanted.
    shown: Charts,
    /// When the last lines were written.
    last: Option<Duration>,
    /// Charts that had values then, which have reached the agent.
    fresh: Charts,
    /// Charts to be defined anew: their labels changed.
    again: Charts,
    /// Dimensions defined; none: the chart is not.
    defined: [Dimensions; CHARTS.len()],
    variables: Variables,
}

impl Stream {
    /// Begins with nothing said. `with_labels`: whether the agent takes labels.
    #[must_use]
    pub fn new(mut identity: Identity, with_labels: bool) -> Self {
        identity.labels = clean_labels(identity.labels);
        if let Some(node) = &mut identity.node {
            let labels = std::mem::take(&mut node.labels).into_iter();
            let labels = labels.map(|(name, value)| (wire::label_name(&name), value));
            node.labels = labels.filter(|(name, _)| !name.is_empty()).collect();
        }
        let name = wire::identifier(&identity.name);
        Self {
            type_id: format!("{CONTEXT_PREFIX}_{name}").into(),
            identity,
            with_labels,
            server_labels: ServerLabels::default(),
            shown: ALL,
            last: None,
            fresh: 0,
            again: 0,
            defined: [0; CHARTS.len()],
            variables: Variables::new(),
        }
    }

    /// Whether what is written next defines all charts: the agent knows none of them, or
    /// not as they are.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.last.is_none() || self.again == ALL
    }

    /// Of these families alone: the charts of others are not even worked out.
    #[must_use]
    pub fn showing(mut self, families: Families) -> Self {
        self.shown = families.charts();
        self
    }

    /// Appends the lines for a moment. `continued` is false when values that were
    /// written before did not reach the agent. Where nothing is to be defined it
    /// allocates nothing but the output's room.
    pub fn write(&mut self, derived: &Derived<'_>, continued: bool, output: &mut Output) {
        if !continued {
            self.forget_values();
        }
        self.learn_labels(derived);
        let at = derived.sample.at;
        let since = self.last.and_then(|then| at.checked_sub(then));
        let since = since.and_then(|since| u64::try_from(since.as_micros()).ok());
        let since = since.filter(|microseconds| *microseconds > 0);
        // Only values of the round before this one are continued: after a gap the
        // agent must go by its own clock.
        let before = std::mem::take(&mut self.fresh);
        let now = self.variables.follow(derived);
        let mut lines = self.open(output);
        let mut left = self.shown;
        while left != 0 {
            let index = left.trailing_zeros() as usize;
            left &= left - 1;
            let known = self.defined.get(index).copied();
            let (Some(chart), Some(known)) = (CHARTS.get(index), known) else {
                continue;
            };
            let since = since.filter(|_| before & (1 << index) != 0);
            let out = &mut lines.output.values;
            let mut given: Dimensions = 0;
            for (place, dimension) in chart.dimensions.iter().enumerate() {
                let Some(value) = (dimension.value)(derived) else {
                    continue;
                };
                if given == 0 {
                    wire::begin(out, &self.type_id, chart.id, since);
                }
                given |= 1 << place;
                wire::set(out, dimension.name, value);
            }
            if given == 0 {
                continue;
            }
            self.variables.tell(out, index, now);
            wire::end(out);
            self.fresh |= 1 << index;
            if known | given != known || self.again & (1 << index) != 0 {
                if let Some(defined) = self.defined.get_mut(index) {
                    *defined |= given;
                }
                self.again &= !(1 << index);
                self.define(&mut lines, (index, chart), known | given);
            }
        }
        self.last = Some(at);
        self.close(lines);
    }

    /// Takes all charts of the instance off the dashboard. What comes after it defines
    /// them anew.
    pub fn end(&mut self, output: &mut Output) {
        let mut lines = self.open(output);
        for (index, (chart, defined)) in CHARTS.iter().zip(self.defined).enumerate() {
            if defined != 0 {
                let line = ChartLine {
                    obsolete: true,
                    ..self.chart_line(index, chart)
                };
                wire::chart(self.definitions(&mut lines), &line);
            }
        }
        self.close(lines);
        self.defined.fill(0);
        self.again = 0;
        self.forget_values();
    }

    /// Begins the instance's part of the output.
    fn open<'a>(&self, output: &'a mut Output) -> Lines<'a> {
        let definitions_from = output.definitions.len();
        let values_from = output.values.len();
        if let Some(node) = &self.identity.node {
            wire::host(&mut output.values, Some(&node.guid));
        }
        Lines {
            definitions_from,
            values_from,
            values_head: output.values.len() - values_from,
            output,
        }
    }

    /// Where definitions go: the first of an instance of a virtual node come after the
    /// node's own.
    fn definitions<'a>(&self, lines: &'a mut Lines<'_>) -> &'a mut String {
        let out = &mut lines.output.definitions;
        if out.len() == lines.definitions_from
            && let Some(node) = &self.identity.node
        {
            wire::host_define(out, &node.guid, &node.hostname, &node.labels);
            wire::host(out, Some(&node.guid));
        }
        out
    }

    /// Ends it: what others write behind it is of the agent's own node.
    fn close(&self, lines: Lines<'_>) {
        if self.identity.node.is_none() {
            return;
        }
        let Output {
            definitions,
            values,
            ..
        } = lines.output;
        if definitions.len() > lines.definitions_from {
            wire::host(definitions, None);
        }
        if values.len() > lines.values_from + lines.values_head {
            wire::host(values, None);
        } else {
            values.truncate(lines.values_from);
        }
    }

    fn forget_values(&mut self) {
        self.fresh = 0;
        self.variables.forget();
    }

    /// Another server behind the same address changes every chart's labels, so
    /// all of them are defined anew.
    fn learn_labels(&mut self, derived: &Derived<'_>) {
        if self.server_labels.learn(derived) {
            // What is defined stays known, whether it has values now or not: it is to be
            // taken off the dashboard with the rest one day.
            self.again = ALL;
            self.variables.forget();
        }
    }

    /// Gives the instance other labels of the operator's.
    pub fn relabel(&mut self, labels: BTreeMap<String, String>) {
        let labels = clean_labels(labels);
        if labels != self.identity.labels {
            self.identity.labels = labels;
            self.again = ALL;
            self.variables.forget();
        }
    }

    /// What was said did not reach the agent: all is defined anew.
    pub fn define_again(&mut self) {
        self.forget_values();
        self.again = ALL;
    }

    fn define(&self, lines: &mut Lines<'_>, (index, chart): (usize, &Chart), defined: Dimensions) {
        let out = self.definitions(lines);
        wire::chart(out, &self.chart_line(index, chart));
        if self.with_labels {
            self.labels(out);
        }
        for (place, dimension) in chart.dimensions.iter().enumerate() {
            if defined & (1 << place) != 0 {
                wire::dimension(out, dimension.name, dimension.divisor);
            }
        }
    }

    fn chart_line<'a>(&'a self, index: usize, chart: &'a Chart) -> ChartLine<'a> {
        ChartLine {
            type_id: &self.type_id,
            id: chart.id,
            title: chart.title,
            units: chart.units,
            family: chart.family,
            context: (CONTEXT_PREFIX, chart.id),
            chart_type: match chart.kind {
                Kind::Line => "line",
                Kind::Area => "area",
                Kind::Stacked => "stacked",
            },
            priority: (self.identity.priority).saturating_add(u32::try_from(index).unwrap_or(0)),
            update_every: self.identity.update_every,
            obsolete: false,
        }
    }

    fn labels(&self, out: &mut String) {
        wire::label(out, "instance", &self.identity.name, wire::AUTOMATIC);
        wire::label(out, "address", &self.identity.address, wire::AUTOMATIC);
        self.server_labels.write(out);
        for (name, value) in &self.identity.labels {
            wire::label(out, name, value, wire::CONFIGURED);
        }
        wire::label_commit(out);
    }
}

/// One instance's part of an output that holds others' too.
struct Lines<'a> {
    output: &'a mut Output,
    definitions_from: usize,
    values_from: usize,
    /// Bytes before the first value.
    values_head: usize,
}

/// The operator's labels with names that agents take. Of two that become the same
/// the first stands, and none stands in for one of ours.
fn clean_labels(labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut clean = BTreeMap::new();
    for (name, value) in labels {
        let name = wire::label_name(&name);
        if !name.is_empty() && !LABELS.contains(&name.as_str()) {
            clean.entry(name).or_insert(value);
        }
    }
    clean
}

/// Labels that the server itself tells. None are of one that never answered.
#[derive(Debug, Default)]
struct ServerLabels {
    server: Option<Arc<Server>>,
    limited_by: &'static str,
}

impl ServerLabels {
    /// Whether they are others now.
    fn learn(&mut self, derived: &Derived<'_>) -> bool {
        let Some(server) = &derived.sample.server else {
            return false;
        };
        let room = derived.headroom.as_ref();
        let limited_by = room.map_or("", |room| room.limited_by.name());
        let same = self.server.as_ref().is_some_and(|known| {
            Arc::ptr_eq(known, server)
                || (known.flavour == server.flavour
                    && known.version == server.version
                    && known.allocator == server.allocator)
        });
        if same && self.limited_by == limited_by {
            return false;
        }
        self.server = Some(Arc::clone(server));
        self.limited_by = limited_by;
        true
    }

    fn write(&self, out: &mut String) {
        let Some(server) = &self.server else {
            return;
        };
        let version = server.version.map(|version| version.to_string());
        for (name, value) in [
            ("server", server.flavour.name()),
            ("version", version.as_deref().unwrap_or_default()),
            ("allocator", server.allocator.as_deref().unwrap_or_default()),
            ("limited_by", self.limited_by),
        ] {
            wire::label(out, name, value, wire::AUTOMATIC);
        }
    }
}

#[cfg(test)]
mod tests;
