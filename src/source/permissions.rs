//! What a user of a server must be allowed: one line for each kind of server, and
//! what to add where a command is refused.
//!
//! Pure. Messages, README and tests take the lines from here. Facts: acl.c of Redis
//! 6.0 to 8.2 and Valkey 9.1, and real users on them.

use crate::model::server::{Flavour, Server, Version};

use super::trouble::Trouble;

/// A command that is sent, and needs to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// All figures.
    Info,
    /// The instance's own settings of active defrag.
    ConfigGet,
    /// A name in CLIENT LIST and SLOWLOG.
    ClientSetname,
    /// How the allocator was built, and its size classes.
    MallocStats,
    /// The members of a cluster: with the endpoints that it prefers (7.0 and later).
    ClusterShards,
    /// The same on every version.
    ClusterNodes,
    /// The primaries that a Sentinel follows.
    SentinelMasters,
    /// Their replicas.
    SentinelReplicas,
}

/// How a command is allowed.
#[derive(Debug)]
pub struct Rule {
    /// Which one.
    pub command: Command,
    /// As a person writes it.
    pub name: &'static str,
    /// As ACL rules have it, since 6.0.
    pub allows: &'static str,
    /// What is missing without it.
    pub without: &'static str,
}

/// Every command that is sent to an instance. AUTH and HELLO need no permission
/// (`CMD_NO_AUTH`).
pub const RULES: &[Rule] = &[
    Rule {
        command: Command::Info,
        name: "INFO",
        allows: "+info",
        without: "everything",
    },
    Rule {
        command: Command::ConfigGet,
        name: "CONFIG GET",
        allows: "+config|get",
        without: "the instance's own thresholds of active defrag: its version's defaults stand in",
    },
    Rule {
        command: Command::ClientSetname,
        name: "CLIENT SETNAME",
        allows: "+client|setname",
        without: "the name redis-frag in CLIENT LIST and SLOWLOG",
    },
    Rule {
        command: Command::MallocStats,
        name: "MEMORY MALLOC-STATS",
        allows: "+memory|malloc-stats",
        without: "size classes, and whether the build can defragment",
    },
];

/// What is sent beside to who tells of others: nodes for jobs with `cluster: yes`, and
/// Sentinels.
pub const FOLLOWING: &[Rule] = &[
    Rule {
        command: Command::ClusterShards,
        name: "CLUSTER SHARDS",
        allows: "+cluster|shards",
        without: "endpoints that a cluster prefers; CLUSTER NODES stands in",
    },
    Rule {
        command: Command::ClusterNodes,
        name: "CLUSTER NODES",
        allows: "+cluster|nodes",
        without: "clusters before 7.0, and those where CLUSTER SHARDS is not allowed",
    },
    Rule {
        command: Command::SentinelMasters,
        name: "SENTINEL MASTERS",
        allows: "+sentinel|masters",
        without: "what Sentinels follow",
    },
    Rule {
        command: Command::SentinelReplicas,
        name: "SENTINEL REPLICAS",
        allows: "+sentinel|replicas",
        without: "the replicas that Sentinels know",
    },
];

/// What to type so that a user may send these commands.
#[must_use]
pub fn allow(commands: &[Command]) -> String {
    let rules = RULES.iter().chain(FOLLOWING);
    let wanted = rules.filter(|rule| commands.contains(&rule.command));
    let rules: Vec<&str> = wanted.map(|rule| rule.allows).collect();
    format!("allow it: ACL SETUSER NAME {}", rules.join(" "))
}

/// How users are made on some servers.
#[derive(Debug)]
pub struct Line {
    /// Which servers, in words.
    pub servers: &'static str,
    /// The words of `ACL SETUSER` in front of the commands; `None` without ACL.
    pub begins: Option<&'static str>,
}

/// The kinds of servers. What `begins` without ACL is said in [`WITHOUT_ACL`].
pub const LINES: &[Line] = &[
    Line {
        servers: "Redis 5 and older",
        begins: None,
    },
    Line {
        servers: "Redis 6.0 and 6.2, KeyDB, and every later one too",
        begins: Some("resetkeys -@all"),
    },
    Line {
        servers: "Redis 7.0 and later, Valkey",
        begins: Some("resetkeys resetchannels -@all"),
    },
];

/// What stands for permissions before there was ACL.
pub const WITHOUT_ACL: &str = "no ACL: the password of requirepass allows everything, and what \
                               rename-command takes away is done without, but for INFO";

impl Line {
    /// The command that makes a user who may do what is needed, and no more; `None`
    /// without ACL.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        let begins = self.begins?;
        Some(format!(
            "ACL SETUSER netdata on >PASSWORD {begins} {}",
            all()
        ))
    }

    /// The line for a server; `None` for those that are no Redis.
    #[must_use]
    pub fn of(server: &Server) -> Option<&'static Self> {
        let [without_acl, first, later] = LINES else {
            return None;
        };
        let before = |major| {
            let limit = Version::new(major, 0, 0);
            server.version.is_some_and(|version| version < limit)
        };
        match server.flavour {
            Flavour::Redis if before(6) => Some(without_acl),
            Flavour::Redis if before(7) => Some(first),
            Flavour::KeyDb => Some(first),
            Flavour::Redis | Flavour::Valkey => Some(later),
            Flavour::Dragonfly | Flavour::Garnet | Flavour::Unknown => None,
        }
    }
}

/// All that is allowed, as ACL rules.
fn all() -> String {
    let rules: Vec<&str> = RULES.iter().map(|rule| rule.allows).collect();
    rules.join(" ")
}

/// What to type where INFO is refused, so that the version is not known: right on
/// every server with ACL.
#[must_use]
pub fn allow_all() -> String {
    format!("ACL SETUSER NAME {}", all())
}

/// What to do about a command that a server refused; `server` is `None` where it is
/// not known.
#[must_use]
pub fn remedy(command: Command, refused: &Trouble, server: Option<&Server>) -> String {
    let without_acl = server
        .and_then(Line::of)
        .is_some_and(|l| l.begins.is_none());
    match refused {
        Trouble::NotAllowed => allow(&[command]),
        Trouble::Refused(told) if told.starts_with("ERR unknown") => {
            if without_acl {
                "its redis.conf takes the command away (rename-command)".to_owned()
            } else {
                "the server does not have the command: it is renamed (rename-command), or \
                 withheld by those who run it"
                    .to_owned()
            }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::info::Info;

    fn server(info: &str) -> Server {
        Server::of(&Info::parse(info.as_bytes()))
    }

    #[test]
    fn each_server_has_its_line() {
        for (info, want) in [
            ("redis_version:5.0.14", Some("Redis 5")),
            ("redis_version:6.0.16", Some("Redis 6")),
            ("redis_version:6.2.5", Some("Redis 6")),
            ("redis_version:7.0.0", Some("Redis 7")),
            ("redis_version:255.255.255", Some("Redis 7")),
            (
                "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2",
                Some("Redis 7"),
            ),
            (
                "redis_version:6.3.4\r\nexecutable:/x/keydb-server",
                Some("Redis 6"),
            ),
            ("redis_version:7.4.0\r\ndragonfly_version:df-v1.30.0", None),
            ("uptime:1", None),
        ] {
            let line = Line::of(&server(info)).map(|line| line.servers);
            let fits = match (line, want) {
                (Some(line), Some(want)) => line.starts_with(want),
                (line, want) => line.is_none() && want.is_none(),
            };
            assert!(fits, "{info}: {line:?}");
        }
    }

    #[test]
    fn what_is_refused_has_its_remedy() {
        let old = server("redis_version:5.0.14");
        let unknown = Trouble::Refused("ERR unknown command `CONFIG`".into());
        for (refused, server, says) in [
            (Trouble::NotAllowed, None, "ACL SETUSER NAME +config|get"),
            (unknown.clone(), Some(&old), "redis.conf"),
            (unknown, None, "withheld"),
            (Trouble::Silent, None, "no answer"),
        ] {
            let told = remedy(Command::ConfigGet, &refused, server);
            assert!(told.contains(says), "{told}");
        }
    }
}
