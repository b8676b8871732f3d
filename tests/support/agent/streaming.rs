//! Two agents of which one streams to the other: what stands in `stream.conf` of
//! each, and what the parent says of the child.
//!
//! Knows Netdata's own settings and API, nothing of what is streamed.

use serde_json::Value;

use super::ask::{self, Point};
use super::{Agent, AgentBuilder};

/// Both sides must name the same; it opens nothing but a port on the loopback.
const KEY: &str = "11111111-2222-3333-4444-555555555555";

impl AgentBuilder {
    /// Takes what children stream, in this database mode, and judges it at once: by
    /// default alerts of a child wait for a minute after it connected.
    pub fn takes_streams(self, mode: &str) -> Self {
        let text = format!(
            "[{KEY}]\n    type = api\n    enabled = yes\n    default memory mode = {mode}\n    \
             health enabled by default = yes\n    default postpone alarms on connect seconds = 0\n"
        );
        self.user_config("stream.conf", &text)
    }

    /// Streams all it collects to this parent, and tries once a second to reach it.
    pub fn streams_to(self, parent: &Agent) -> Self {
        let text = format!(
            "[stream]\n    enabled = yes\n    destination = 127.0.0.1:{}\n    api key = {KEY}\n    \
             reconnect delay seconds = 1\n",
            parent.port
        );
        self.user_config("stream.conf", &text)
    }
}

/// What a parent knows of one child.
pub struct Received<'a> {
    parent: &'a Agent,
    child: String,
}

impl Agent {
    /// What it has from the child of this name.
    pub fn received_from(&self, child: &Agent) -> Received<'_> {
        Received {
            parent: self,
            child: child.hostname.clone(),
        }
    }
}

impl Received<'_> {
    /// Any path of the API, asked of the child; nothing while the parent does not know it.
    pub fn get(&self, path: &str) -> Option<Value> {
        let path = format!("/host/{}{path}", self.child);
        self.parent.try_get(&path).ok()
    }

    /// All charts by their id.
    pub fn charts(&self) -> Value {
        self.get("/api/v1/charts")
            .map_or(Value::Null, |mut answer| answer["charts"].take())
    }

    /// The last stored values of the chart, oldest first; see [`Agent::series`].
    pub fn series(&self, chart: &str, seconds: u64) -> Vec<Point> {
        let path = format!("/api/v1/data?chart={chart}&after=-{seconds}&format=json");
        self.get(&path)
            .map_or_else(Vec::new, |answer| ask::points(&answer))
    }

    /// What an alert on this chart of the child can see of it.
    pub fn variables(&self, chart: &str) -> Value {
        self.get(&format!("/api/v1/alarm_variables?chart={chart}"))
            .map_or(Value::Null, |mut answer| answer["chart_variables"].take())
    }

    /// All alerts by `chart.name`, whatever their state.
    pub fn alarms(&self) -> Value {
        self.get("/api/v1/alarms?all")
            .map_or(Value::Null, |mut answer| answer["alarms"].take())
    }

    /// `CLEAR`, `WARNING`, `CRITICAL`, `UNINITIALIZED` or `UNDEFINED`.
    pub fn alarm_status(&self, chart: &str, alarm: &str) -> Option<String> {
        let alarms = self.alarms();
        let status = alarms[format!("{chart}.{alarm}")]["status"].as_str()?;
        Some(status.to_string())
    }
}
