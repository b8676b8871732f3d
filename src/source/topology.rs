//! Who belongs together, as a node of a cluster or a Sentinel tells it: members with
//! their roles, places and shards.
//!
//! Pure. Must not know which command told it, nor what becomes of a member.

/// Most members that are followed: the most nodes that a Redis Cluster is made for
/// (cluster specification, "up to 1000 nodes"). A reply that names more is nobody's
/// cluster.
pub const MOST: usize = 1000;

/// Longest name of a host that DNS knows.
const LONGEST_HOST: usize = 255;

/// A reply as far as readers of it care: a map (RESP3) is the flat list of its names
/// and values, as RESP2 sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Text.
    Text(String),
    /// A number.
    Number(i64),
    /// A list, or a map.
    List(Vec<Told>),
    /// Null, and everything else.
    Nothing,
}

impl Told {
    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items; none where it is no list.
    #[must_use]
    pub fn items(&self) -> &[Told] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The value of a name in a flat list of names and values.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Told> {
        let mut pairs = self.items().as_chunks().0.iter();
        let found = pairs.find(|[own, _]| own.text() == Some(name));
        found.map(|[_, value]| value)
    }

    /// A port that stands there as a number or as digits.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        let port = match self {
            Self::Number(number) => u16::try_from(*number).ok(),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        };
        port.filter(|port| *port != 0)
    }
}

/// What a member does for its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It follows a primary.
    Replica,
}

impl Role {
    /// Its word on the dashboard.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }
}

/// Where a member listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// Name or number; an IPv6 number without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Place {
    /// A place, if both can be one.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Option<Self> {
        let fits = |c: char| c.is_ascii_alphanumeric() || ".-_:%".contains(c);
        let known = !host.is_empty() && host.len() <= LONGEST_HOST && host.chars().all(fits);
        (known && port != 0).then(|| Self {
            host: host.to_owned(),
            port,
        })
    }
}

/// One member as it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What it stays known by: its node id, or with Sentinel its address.
    pub id: String,
    /// Its id in the cluster, where there is one.
    pub node_id: Option<String>,
    /// Where it listens; `None` where the teller does not know.
    pub place: Option<Place>,
    /// What it does.
    pub role: Role,
    /// [`Self::id`] of its primary, where it is a replica and that is told.
    pub primary: Option<String>,
    /// The name of its shard, where it has one: with Sentinel, its primary's.
    pub shard: Option<String>,
    /// The hash slots that it serves, first and last of each range.
    pub slots: Vec<(u16, u16)>,
    /// Whether it is not said to have failed.
    pub healthy: bool,
}

/// Whether a text can be a node's id: 40 hex digits, and nothing is asked for but that
/// it can stand in a label.
#[must_use]
pub fn is_node_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric())
}
