//! What the checker saw of each chart, and the questions tests ask about it.

use std::collections::BTreeMap;

use super::Checker;

/// The values of one block.
pub(super) type Latest = BTreeMap<String, i64>;

/// A chart as it was last defined, and what came for it.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the fields are the protocol's own words")]
pub struct ChartSeen {
    /// The virtual host it belongs to; empty for the agent's own.
    pub host: String,
    pub id: String,
    pub title: String,
    pub units: String,
    pub family: String,
    pub context: String,
    pub charttype: String,
    pub priority: u64,
    pub update_every: u64,
    /// In the order of their first definition.
    pub dimensions: Vec<DimensionSeen>,
    pub labels: BTreeMap<String, String>,
    /// The latest value of each of the chart's variables.
    pub variables: BTreeMap<String, f64>,
    /// How many blocks were completed.
    pub blocks: usize,
    /// How often CHART came.
    pub definitions: usize,
    /// Whether the last definition said so.
    pub obsolete: bool,
    pub(super) started: bool,
    begins: Vec<Option<u64>>,
    values: BTreeMap<String, Vec<i64>>,
    latest: Latest,
}

/// An answer to a function's call.
#[derive(Clone, Debug, Default)]
pub struct AnswerSeen {
    /// The call's.
    pub id: String,
    /// The status code, as it was written.
    pub code: String,
    /// What its body is.
    pub content_type: String,
    /// The lines of its body.
    pub body: String,
    /// Whether its end came.
    pub ended: bool,
}

/// A dimension as it was last defined.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are the protocol's own words")]
pub struct DimensionSeen {
    pub id: String,
    pub name: String,
    pub algorithm: String,
    pub multiplier: i64,
    pub divisor: i64,
    pub options: String,
}

impl ChartSeen {
    pub(super) fn new(host: &str, id: &str) -> ChartSeen {
        ChartSeen {
            host: host.to_string(),
            id: id.to_string(),
            ..ChartSeen::default()
        }
    }

    pub(super) fn store(&mut self, microseconds: Option<u64>, values: Latest) {
        for (dimension, value) in &values {
            self.values
                .entry(dimension.clone())
                .or_default()
                .push(*value);
        }
        self.blocks += 1;
        self.begins.push(microseconds);
        self.latest = values;
    }

    /// One of its dimensions.
    pub fn dimension(&self, id: &str) -> Option<&DimensionSeen> {
        self.dimensions.iter().find(|dimension| dimension.id == id)
    }

    /// What the agent would show for the latest completed block: the value
    /// with multiplier and divisor applied.
    pub fn shown(&self, id: &str) -> Option<f64> {
        let dimension = self.dimension(id)?;
        let value = *self.latest.get(id)? as f64;
        Some(value * dimension.multiplier as f64 / dimension.divisor as f64)
    }
}

impl Checker {
    /// All answers, in the order of their beginning.
    pub fn answers(&self) -> &[AnswerSeen] {
        &self.answers
    }

    /// The first whole answer to a call.
    pub fn answer(&self, id: &str) -> Option<&AnswerSeen> {
        let mut whole = self.answers.iter().filter(|answer| answer.ended);
        whole.find(|answer| answer.id == id)
    }

    /// The charts' ids in the order of their first definition.
    pub fn charts(&self) -> Vec<&str> {
        self.charts.iter().map(|chart| chart.id.as_str()).collect()
    }

    /// A chart by its id, on whichever host it was defined first.
    pub fn chart(&self, id: &str) -> Option<&ChartSeen> {
        self.charts.iter().find(|chart| chart.id == id)
    }

    /// All values that came for a dimension, completed blocks only.
    pub fn values(&self, chart: &str, dimension: &str) -> &[i64] {
        self.chart(chart)
            .and_then(|chart| chart.values.get(dimension))
            .map_or(&[], Vec::as_slice)
    }

    /// The value in the chart's latest completed block; `None` when that
    /// block had no SET for it.
    pub fn last(&self, chart: &str, dimension: &str) -> Option<i64> {
        self.chart(chart)?.latest.get(dimension).copied()
    }

    /// The microseconds of each completed block's BEGIN.
    pub fn begins(&self, chart: &str) -> &[Option<u64>] {
        self.chart(chart)
            .map_or(&[], |chart| chart.begins.as_slice())
    }

    /// A chart of the host that lines are about now.
    pub(super) fn find(&self, id: &str) -> Option<usize> {
        self.charts
            .iter()
            .position(|chart| chart.id == id && chart.host == self.host)
    }
}
