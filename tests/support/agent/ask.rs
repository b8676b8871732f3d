//! Questions to a running agent over its HTTP API, version 1, which old and
//! new agents have.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::Agent;

const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Bytes; the charts of 100 instances are told in 2.9 million.
const LONGEST_ANSWER: u64 = 100_000_000;
/// How far back [`Agent::latest`] looks.
const RECENT: u64 = 60;

/// A second of a chart: its time (Unix) and each dimension's value, none where
/// nothing was collected.
pub type Point = (u64, BTreeMap<String, Option<f64>>);

pub(super) fn client() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER_LIMIT))
        .proxy(None)
        .build()
        .into()
}

impl Agent {
    /// Any path of the API, `/api/v1/…`; panics when there is no JSON.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.try_get(path).unwrap_or_else(|why| panic!("{why}"))
    }

    /// The same with what went wrong: refused, a status of 400 and up, no JSON.
    pub fn try_get(&self, path: &str) -> Result<Value, String> {
        let url = format!("{}{path}", self.url());
        let text = self
            .http
            .get(&url)
            .call()
            .and_then(|mut answer| {
                let body = answer.body_mut().with_config().limit(LONGEST_ANSWER);
                body.read_to_string()
            })
            .map_err(|e| format!("{url}: {e}"))?;
        serde_json::from_str(&text).map_err(|e| format!("{url}: {e} in:\n{text}"))
    }

    /// All charts by their id.
    pub fn charts(&self) -> Value {
        self.get("/api/v1/charts")["charts"].take()
    }

    /// What the agent tells of a chart, if it has it.
    pub fn chart(&self, id: &str) -> Option<Value> {
        match self.charts()[id].take() {
            Value::Null => None,
            chart => Some(chart),
        }
    }

    /// The last stored values of the chart, oldest first, one per update
    /// interval. Empty while nothing is stored.
    ///
    /// The agent puts values onto whole seconds: where one changes, it may
    /// show a value between the two collected.
    pub fn series(&self, chart: &str, seconds: u64) -> Vec<Point> {
        let path = format!("/api/v1/data?chart={chart}&after=-{seconds}&format=json");
        // No chart of the name, or nothing stored yet: an error status.
        let Ok(answer) = self.try_get(&path) else {
            return Vec::new();
        };
        points(&answer)
    }

    /// The last stored value of a dimension (by its name) in the last minute.
    pub fn latest(&self, chart: &str, dimension: &str) -> Option<f64> {
        self.latest_at(chart, dimension).map(|(_, value)| value)
    }

    /// The same with its time.
    pub fn latest_at(&self, chart: &str, dimension: &str) -> Option<(u64, f64)> {
        self.series(chart, RECENT)
            .into_iter()
            .rev()
            .find_map(|(time, values)| Some((time, (*values.get(dimension)?)?)))
    }

    /// All alerts by `chart.name`, whatever their state. Their `warn`, `crit`
    /// and so on come with HTML entities: `&gt;` for `>`.
    pub fn alarms(&self) -> Value {
        self.get("/api/v1/alarms?all")["alarms"].take()
    }

    /// `CLEAR`, `WARNING`, `CRITICAL`, `UNINITIALIZED` or `UNDEFINED`.
    pub fn alarm_status(&self, chart: &str, alarm: &str) -> Option<String> {
        let alarms = self.alarms();
        let status = alarms[format!("{chart}.{alarm}")]["status"].as_str()?;
        Some(status.to_string())
    }
}

/// What `format=json` answers, oldest first.
pub(super) fn points(answer: &Value) -> Vec<Point> {
    let names: Vec<&str> = strings(&answer["labels"]).skip(1).collect();
    let mut points: Vec<Point> = rows(&answer["data"])
        .filter_map(|row| {
            let (time, values) = row.split_first()?;
            let values = names.iter().zip(values);
            Some((
                time.as_u64()?,
                values
                    .map(|(name, value)| (name.to_string(), value.as_f64()))
                    .collect(),
            ))
        })
        .collect();
    points.sort_by_key(|(time, _)| *time);
    points
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn rows(value: &Value) -> impl Iterator<Item = &Vec<Value>> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_array)
}
