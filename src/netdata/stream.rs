//! What the agent has been told about one instance, and what it needs to hear next.
//!
//! Turns moments into lines: defines a chart when its first value comes, and
//! anew when a dimension or label is added, leaves gaps, sends a variable when
//! it changed. Must not know where lines go.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::chart::{Chart, Kind};
use crate::model::charts::{CHARTS, CONTEXT_PREFIX, LABELS};
use crate::model::derive::Derived;

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
}

/// What has been said about one chart.
#[derive(Debug, Clone, Default)]
struct Said {
    /// Dimensions defined, one bit each in the table's order; 0: not defined.
    dimensions: u64,
    /// Whether it is to be defined anew: its labels changed.
    again: bool,
    /// When its last values were taken.
    at: Option<Duration>,
    /// Variables as last sent, in the table's order.
    variables: Vec<Option<i64>>,
}

/// The conversation about one instance.
#[derive(Debug)]
pub struct Stream {
    identity: Identity,
    type_id: String,
    with_labels: bool,
    server_labels: Vec<(&'static str, String)>,
    last: Option<Duration>,
    said: Vec<Said>,
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
        Self {
            type_id: format!("{CONTEXT_PREFIX}_{}", wire::identifier(&identity.name)),
            identity,
            with_labels,
            server_labels: Vec::new(),
            last: None,
            said: vec![Said::default(); CHARTS.len()],
        }
    }

    /// The lines for a moment. `continued` is false when values that were
    /// written before did not reach the agent.
    #[must_use]
    pub fn write(&mut self, derived: &Derived<'_>, continued: bool) -> Output {
        if !continued {
            self.forget_values();
        }
        self.learn_labels(derived);
        let mut output = Output::default();
        for (index, chart) in CHARTS.iter().enumerate() {
            let values: Vec<Option<i64>> = chart
                .dimensions
                .iter()
                .map(|dimension| (dimension.value)(derived))
                .collect();
            if values.iter().any(Option::is_some) {
                self.define(&mut output.definitions, index, chart, &values);
                self.fill(&mut output.values, index, chart, derived, &values);
            }
        }
        self.last = Some(derived.sample.at);
        self.of_node(output)
    }

    /// The same lines, told of the instance's virtual node.
    fn of_node(&self, mut output: Output) -> Output {
        let Some(node) = &self.identity.node else {
            return output;
        };
        let within = |lines: &mut String, mut head: String| {
            if !lines.is_empty() {
                wire::host(&mut head, Some(&node.guid));
                lines.insert_str(0, &head);
                wire::host(lines, None);
            }
        };
        let mut head = String::new();
        wire::host_define(&mut head, &node.guid, &node.hostname, &node.labels);
        within(&mut output.definitions, head);
        within(&mut output.values, String::new());
        output
    }

    /// Takes all charts of the instance off the dashboard. What comes after it defines
    /// them anew.
    #[must_use]
    pub fn end(&mut self) -> Output {
        let mut output = Output::default();
        for (index, chart) in CHARTS.iter().enumerate() {
            if self.said[index].dimensions != 0 {
                let line = ChartLine {
                    obsolete: true,
                    ..self.chart_line(index, chart)
                };
                wire::chart(&mut output.definitions, &line);
            }
        }
        self.said.fill(Said::default());
        self.of_node(output)
    }

    fn forget_values(&mut self) {
        for said in &mut self.said {
            said.at = None;
            said.variables.clear();
        }
    }

    /// Another server behind the same address changes every chart's labels, so
    /// all of them are defined anew.
    fn learn_labels(&mut self, derived: &Derived<'_>) {
        let labels = server_labels(derived);
        if derived.sample.answered() && labels != self.server_labels {
            self.server_labels = labels;
            // What is defined stays known, whether it has values now or not: it is to be
            // taken off the dashboard with the rest one day.
            for said in &mut self.said {
                said.again = true;
                said.variables.clear();
            }
        }
    }

    /// Gives the instance other labels of the operator's.
    pub fn relabel(&mut self, labels: BTreeMap<String, String>) {
        let labels = clean_labels(labels);
        if labels != self.identity.labels {
            self.identity.labels = labels;
            for said in &mut self.said {
                said.again = true;
                said.variables.clear();
            }
        }
    }

    /// What was said did not reach the agent: all is defined anew.
    pub fn define_again(&mut self) {
        self.forget_values();
        for said in &mut self.said {
            said.again = true;
        }
    }

    fn define(&mut self, out: &mut String, index: usize, chart: &Chart, values: &[Option<i64>]) {
        let known = self.said[index].dimensions;
        let wanted = values.iter().enumerate().fold(known, |bits, (at, value)| {
            bits | (u64::from(value.is_some()) << at)
        });
        if wanted == known && !self.said[index].again {
            return;
        }
        self.said[index].dimensions = wanted;
        self.said[index].again = false;
        wire::chart(out, &self.chart_line(index, chart));
        if self.with_labels {
            self.labels(out);
        }
        for (at, dimension) in chart.dimensions.iter().enumerate() {
            if wanted & (1 << at) != 0 {
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
        for (name, value) in &self.server_labels {
            wire::label(out, name, value, wire::AUTOMATIC);
        }
        for (name, value) in &self.identity.labels {
            wire::label(out, name, value, wire::CONFIGURED);
        }
        wire::label_commit(out);
    }

    fn fill(
        &mut self,
        out: &mut String,
        index: usize,
        chart: &Chart,
        derived: &Derived<'_>,
        values: &[Option<i64>],
    ) {
        let said = &mut self.said[index];
        let at = derived.sample.at;
        // Only values of the round before this one are continued: after a gap the
        // agent must go by its own clock.
        let since = said
            .at
            .filter(|then| Some(*then) == self.last)
            .and_then(|then| at.checked_sub(then));
        wire::begin(
            out,
            &self.type_id,
            chart.id,
            since.map(|since| since.as_micros()).filter(|us| *us > 0),
        );
        for (dimension, value) in chart.dimensions.iter().zip(values) {
            if let Some(value) = value {
                wire::set(out, dimension.name, *value);
            }
        }
        said.variables.resize(chart.variables.len(), None);
        for (variable, sent) in chart.variables.iter().zip(&mut said.variables) {
            let value = (variable.value)(derived);
            if let Some(value) = value.filter(|value| Some(*value) != *sent) {
                wire::variable(out, variable.name, value);
                *sent = Some(value);
            }
        }
        wire::end(out);
        said.at = Some(at);
    }
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

/// Labels that the server itself tells. Not told of one that never answered.
fn server_labels(derived: &Derived<'_>) -> Vec<(&'static str, String)> {
    let Some(server) = &derived.sample.server else {
        return Vec::new();
    };
    let version = server
        .version
        .map(|version| version.to_string())
        .unwrap_or_default();
    let limited_by = derived.headroom.as_ref().map(|room| room.limited_by.name());
    vec![
        ("server", server.flavour.name().to_owned()),
        ("version", version),
        ("allocator", server.allocator.clone().unwrap_or_default()),
        ("limited_by", limited_by.unwrap_or_default().to_owned()),
    ]
}
