//! What the agent that spawned us understands, and what it told us.
//!
//! One table of keywords by version. Must not read the environment itself: it is
//! given a way to look a name up.

use std::path::PathBuf;

use crate::model::server::Version;

/// What is assumed where no version, or none that can be read, is told: the
/// agent of Debian 12. A keyword too many makes an agent kill the plugin, one
/// too few costs a convenience.
const ASSUMED: Version = Version::new(1, 37, 0);

/// Something that not every agent understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// `CLABEL` and `CLABEL_COMMIT` from external plugins.
    Labels,
    /// `FUNCTION` from external plugins, and answers to its calls.
    Functions,
    /// `FUNCTION_PROGRESS`.
    Progress,
    /// `CONFIG`, and the function `config`.
    Dyncfg,
    /// `HOST_DEFINE` and `HOST`.
    VirtualNodes,
}

/// From which version on a feature is understood.
const FEATURES: &[(Feature, Version)] = &[
    // netdata/netdata#12834
    (Feature::Labels, Version::new(1, 35, 0)),
    // pluginsd_parser.c of v1.37.0; what stands behind the help is read from 1.45 on
    // and passed over before
    (Feature::Functions, Version::new(1, 37, 0)),
    // pluginsd_parser.c of v1.39.0
    (Feature::VirtualNodes, Version::new(1, 39, 0)),
    // pluginsd_functions.c of v1.45.0
    (Feature::Progress, Version::new(1, 45, 0)),
    // pluginsd_dyncfg.c of v1.45.0; before, the keyword ends a plugin
    (Feature::Dyncfg, Version::new(1, 45, 0)),
];

/// The agent, as its environment variables describe it. Without any, a person
/// runs the plugin by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// `NETDATA_VERSION`, or what is assumed.
    pub version: Version,
    /// `NETDATA_USER_CONFIG_DIR`: where the operator's files lie.
    pub user_config_dir: Option<PathBuf>,
    /// `NETDATA_STOCK_CONFIG_DIR`: where the files lie that came with the plugin.
    pub stock_config_dir: Option<PathBuf>,
    /// `NETDATA_UPDATE_EVERY`, seconds.
    pub update_every: Option<u32>,
    /// Least severity that reaches the log: `NETDATA_LOG_LEVEL` (2.x).
    pub log_level: Option<String>,
    /// Form of log lines, `NETDATA_LOG_FORMAT` (2.x): `journal`, `logfmt`, `json`.
    pub log_format: Option<String>,
    /// `NETDATA_HOST_PREFIX`: stands before `/proc` and `/sys` of the host.
    pub host_prefix: Option<PathBuf>,
    /// What else it tells, by the names of [`TOLD`]; shown in the debug log.
    pub told: Vec<(&'static str, String)>,
}

/// Variables that change nothing here and help who reads a debug log.
pub const TOLD: &[&str] = &[
    "NETDATA_HOSTNAME",
    "NETDATA_PLUGINS_DIR",
    "NETDATA_LIB_DIR",
    "NETDATA_CACHE_DIR",
    "NETDATA_LOG_DIR",
    "NETDATA_LOG_METHOD",
    "NETDATA_INVOCATION_ID",
];

impl Agent {
    /// Reads the agent's variables through `lookup`. Empty ones are absent.
    #[must_use]
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        Self {
            version: text("NETDATA_VERSION")
                .and_then(|v| Version::parse(&v))
                .unwrap_or(ASSUMED),
            user_config_dir: text("NETDATA_USER_CONFIG_DIR").map(PathBuf::from),
            stock_config_dir: text("NETDATA_STOCK_CONFIG_DIR").map(PathBuf::from),
            update_every: text("NETDATA_UPDATE_EVERY")
                .and_then(|seconds| seconds.trim().parse().ok())
                .filter(|seconds| *seconds > 0),
            log_level: text("NETDATA_LOG_LEVEL"),
            log_format: text("NETDATA_LOG_FORMAT"),
            host_prefix: text("NETDATA_HOST_PREFIX").map(PathBuf::from),
            told: TOLD
                .iter()
                .filter_map(|name| Some((*name, text(name)?)))
                .collect(),
        }
    }

    /// Whether this agent understands a feature.
    #[must_use]
    pub fn understands(&self, feature: Feature) -> bool {
        FEATURES
            .iter()
            .any(|(known, since)| *known == feature && self.version >= *since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(version: &str) -> Agent {
        Agent::from_env(|name| (name == "NETDATA_VERSION").then(|| version.to_owned()))
    }

    #[test]
    fn labels_are_for_agents_that_take_them_from_plugins() {
        for (version, want) in [
            ("v1.34.1", false),
            ("v1.35.0", true),
            ("v1.37.1", true),
            ("v2.10.0-12-nightly", true),
            ("", true),
            ("custom build", true),
        ] {
            assert_eq!(
                agent(version).understands(Feature::Labels),
                want,
                "{version:?}"
            );
        }
    }

    #[test]
    fn functions_are_for_agents_that_can_call_them() {
        for (version, functions, since_1_45) in [
            ("v1.36.1", false, false),
            ("v1.37.0", true, false),
            ("v1.44.3", true, false),
            ("v1.45.0", true, true),
            ("v2.10.0", true, true),
            ("", true, false),
        ] {
            let agent = agent(version);
            assert_eq!(
                agent.understands(Feature::Functions),
                functions,
                "{version:?}"
            );
            for feature in [Feature::Progress, Feature::Dyncfg] {
                assert_eq!(agent.understands(feature), since_1_45, "{version:?}");
            }
        }
    }

    #[test]
    fn every_variable_of_an_agent_is_taken() {
        let agent = Agent::from_env(|name| Some(format!("/{name}")));
        let path = |name: &str| Some(PathBuf::from(name));
        assert_eq!(agent.user_config_dir, path("/NETDATA_USER_CONFIG_DIR"));
        assert_eq!(agent.stock_config_dir, path("/NETDATA_STOCK_CONFIG_DIR"));
        assert_eq!(agent.host_prefix, path("/NETDATA_HOST_PREFIX"));
        assert_eq!(agent.log_level.as_deref(), Some("/NETDATA_LOG_LEVEL"));
        assert_eq!(agent.log_format.as_deref(), Some("/NETDATA_LOG_FORMAT"));
        let told: Vec<&str> = agent.told.iter().map(|(name, _)| *name).collect();
        assert_eq!(told, TOLD);
        assert_eq!(Agent::from_env(|_| Some(" ".into())).told, []);
    }

    #[test]
    fn an_interval_of_nothing_is_no_interval() {
        for (text, want) in [
            ("5", Some(5)),
            ("0", None),
            ("x", None),
            ("-1", None),
            (" ", None),
        ] {
            let agent =
                Agent::from_env(|name| (name == "NETDATA_UPDATE_EVERY").then(|| text.into()));
            assert_eq!(agent.update_every, want, "{text:?}");
        }
    }
}
