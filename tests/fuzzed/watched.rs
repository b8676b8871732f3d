//! One instance as the plugin watches it: every moment is diagnosed, shown in all ways
//! and told to a strict reader, which must read what was said.
//!
//! Must not know where samples come from.

use std::collections::BTreeMap;
use std::sync::Arc;

use redis_frag::model::charts::{CHARTS, LABELS};
use redis_frag::model::derive::Derived;
use redis_frag::model::history::History;
use redis_frag::model::sample::Sample;
use redis_frag::model::server::Server;
use redis_frag::model::thresholds::Thresholds;
use redis_frag::netdata::stream::{Identity, Output, Stream};
use redis_frag::netdata::wire;

use crate::support::checker::Checker;

use super::{invariants, views};

/// The oldest agent, which reads no labels from us, and a new one.
pub const AGENTS: [&str; 2] = ["1.37.1", "2.10.0"];

/// What becomes of the lines of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The agent reads them.
    Read,
    /// Too much waited: the values were thrown away.
    ValuesLost,
    /// Far too much waited: all was thrown away, and it is told so.
    AllLost,
}

/// An instance, its past, and an agent that reads of it.
pub struct Watched {
    identity: Identity,
    thresholds: Thresholds,
    history: History,
    stream: Stream,
    continued: bool,
    output: Output,
    agent: Checker,
    /// Who answered last.
    pub known: Option<Arc<Server>>,
    /// Every label that the operator gave it; a chart keeps those of its last definition.
    labels: Vec<(String, String)>,
    /// Every value that was said, by chart and dimension.
    said: BTreeMap<(&'static str, &'static str), Vec<i64>>,
}

impl Watched {
    /// One of which nothing was said yet, for the agent of this version.
    pub fn new(identity: Identity, thresholds: Thresholds, agent: &str) -> Self {
        Self {
            stream: Stream::new(identity.clone(), true),
            labels: identity.labels.clone().into_iter().collect(),
            identity,
            thresholds,
            history: History::default(),
            continued: true,
            output: Output::default(),
            agent: Checker::new(agent),
            known: None,
            said: BTreeMap::new(),
        }
    }

    /// One with a name and an address and nothing else of its own.
    pub fn plain(thresholds: Thresholds, agent: &str) -> Self {
        let identity = Identity {
            name: "one".to_owned(),
            address: "redis://127.0.0.1:6379".to_owned(),
            priority: 70_000,
            update_every: 1,
            ..Identity::default()
        };
        Self::new(identity, thresholds, agent)
    }

    /// A moment comes.
    pub fn moment(&mut self, sample: &Sample, fate: Fate) {
        let derived = Derived::new(sample, &self.thresholds, &mut self.history);
        let found = invariants::diagnosed(&derived);
        views::shown(&derived, &found, &mut self.agent);
        self.stream
            .write(&derived, self.continued, &mut self.output);
        self.continued = fate == Fate::Read;
        for chart in CHARTS.iter().filter(|_| fate == Fate::Read) {
            for dimension in chart.dimensions {
                if let Some(value) = (dimension.value)(&derived) {
                    let all = self.said.entry((chart.id, dimension.name));
                    all.or_default().push(value);
                }
            }
        }
        if fate == Fate::AllLost {
            self.stream.define_again();
            self.output.clear();
        }
        self.told(fate == Fate::Read);
        self.known.clone_from(&sample.server);
    }

    /// The operator gives it other labels.
    pub fn relabel(&mut self, labels: BTreeMap<String, String>) {
        self.labels.extend(labels.clone());
        self.stream.relabel(labels);
    }

    /// Its charts are taken off the dashboard.
    pub fn end(&mut self) {
        self.stream.end(&mut self.output);
        self.told(true);
    }

    /// Hands what waits to the agent.
    fn told(&mut self, with_values: bool) {
        self.agent.feed_all(&self.output.definitions);
        if with_values {
            self.agent.feed_all(&self.output.values);
        }
        self.output.clear();
    }

    /// The reader, for lines beside those of the instance.
    pub fn agent(&mut self) -> &mut Checker {
        &mut self.agent
    }

    /// No more comes: nothing was wrong, and what was said was read.
    #[track_caller]
    pub fn done(mut self) {
        self.agent.finish();
        self.agent.assert_clean();
        let name = wire::identifier(&self.identity.name);
        for ((chart, dimension), values) in &self.said {
            let id = format!("redis_frag_{name}.{chart}");
            let read = self.agent.values(&id, dimension);
            assert_eq!(read, values, "{id} {dimension}");
        }
        let ids = self.agent.charts();
        for id in ids.into_iter().filter_map(|id| self.agent.chart(id)) {
            if id.labels.is_empty() {
                // All that was told of it was lost but its end.
                assert!(id.obsolete && id.blocks == 0, "{} has no labels", id.id);
                continue;
            }
            let of = |name: &str| id.labels.get(name).map(String::as_str);
            assert_eq!(of("instance"), Some(&*kept(&self.identity.name)));
            assert_eq!(of("address"), Some(&*kept(&self.identity.address)));
            for own in id.labels.keys().filter(|name| !LABELS.contains(&&***name)) {
                let mut said = self.labels.iter();
                let is = |value: &str| Some(&*kept(value)) == of(own);
                assert!(said.any(|(_, value)| is(value)), "{own} in {:?}", id.labels);
            }
        }
    }
}

/// What a label keeps of a text, by the letters that agents allow (netdata 1.37,
/// `rrdlabels.c`: `rrdlabels_sanitize_value`, less the blank).
fn kept(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_+:/@".contains(c);
    let kept = text
        .chars()
        .take(200)
        .map(|c| if allowed(c) { c } else { '_' });
    match text {
        "" => "unknown".to_owned(),
        _ => kept.collect(),
    }
}
