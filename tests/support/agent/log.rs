//! The agent's error.log: which lines are the agent's, which a plugin's, and
//! which say that the agent is unhappy with a plugin. After 1.37.1's wording.

use super::Agent;

/// What a line must mention to be about the plugin under test.
const ABOUT_US: &[&str] = &["redis-frag", "redis_frag"];

/// The agent says these of a plugin at its INFO level; of a good one, never.
const QUIET_COMPLAINTS: &[&str] = &[
    "killed by signal",
    "exited with code",
    "does not generate useful output",
    "called DISABLE",
];
const OF_A_PLUGIN: &str = " : PLUGINSD[";

const HARMLESS: &[&str] = &[
    // 1.37 says it of each alert file made for 1.43 and later, and loads the rest of it.
    "has unknown key 'summary'",
    // A child says it in the collector's thread while its parent cannot be reached.
    "not ready - collected metrics are not sent to parent",
    // A parent that ends says it of each chart of a child that it kept in memory.
    "Cannot read left-over chart directory to be deleted",
];

/// Lines of the agent's helper process, which lack the agent's prefix.
const HELPER: &[&str] = &[
    "Spawn server",
    "EOF found in spawn pipe",
    "Shutting down spawn",
];

impl Agent {
    /// All of its error.log, where the plugins' standard error goes too.
    pub fn log(&self) -> String {
        let path = self.dir().join("log/error.log");
        let bytes = std::fs::read(path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The agent's own lines which mention the plugin under test in anger.
    ///
    /// Empty for a plugin that behaves, also after the agent has stopped it.
    /// A line that the plugin itself wrote is not among them; but as both
    /// write into one file in pieces, its words can show up within the
    /// agent's line.
    pub fn complaints(&self) -> Vec<String> {
        self.log()
            .lines()
            .filter(|line| is_complaint(line, &self.hostname))
            .map(str::to_string)
            .collect()
    }

    /// The lines that are not the agent's: what plugins wrote to their
    /// standard error.
    pub fn plugin_words(&self) -> Vec<String> {
        self.log()
            .lines()
            .filter(|line| level(line).is_none())
            .filter(|line| !line.is_empty() && !HELPER.iter().any(|words| line.starts_with(words)))
            .map(str::to_string)
            .collect()
    }
}

/// `2026-11-23 14:58:24: netdata INFO  : MAIN : text` of the agent; a plugin
/// that follows the same form names itself instead of `netdata`.
fn level(line: &str) -> Option<&str> {
    let stamp = line.get(..19)?;
    if !stamp.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let rest = line.get(19..)?.strip_prefix(": netdata ")?;
    rest.split_once(' ').map(|(level, _)| level)
}

fn is_complaint(line: &str, hostname: &str) -> bool {
    let Some(level) = level(line) else {
        return false;
    };
    // Many lines name the host, which a test may have called after us.
    let about = line.replace(hostname, "");
    if HARMLESS.iter().any(|words| line.contains(words))
        || !ABOUT_US.iter().any(|name| about.contains(name))
    {
        return false;
    }
    level != "INFO"
        || line.contains(OF_A_PLUGIN) && QUIET_COMPLAINTS.iter().any(|words| line.contains(words))
}
