//! A real cluster on this machine: three primaries, each with a replica, and nodes that
//! join it, fail, move slots and leave.
//!
//! Knows the commands of Redis Cluster, nothing of what the plugin makes of it.

use std::time::Duration;

use super::{Kind, Server, ServerBuilder, eventually};

/// After which silence a node has failed for the others.
pub const NODE_TIMEOUT: Duration = Duration::from_millis(1500);

/// For what the nodes have to agree on.
const AGREEMENT: Duration = Duration::from_secs(60);

/// First slot of each primary, and the end.
const SLOTS: [u32; 4] = [0, 5461, 10_923, 16_384];

/// The nodes of a cluster: in the beginning three primaries, then the replica of each.
/// All end when it is dropped.
pub struct Cluster {
    nodes: Vec<Server>,
    build: Box<dyn Fn() -> ServerBuilder>,
}

impl Cluster {
    /// Six nodes, agreed on who is who.
    pub fn start(kind: Kind) -> Cluster {
        Cluster::start_with(kind, |builder| builder)
    }

    /// The same, each started as `with` says, and those that join later too.
    pub fn start_with(
        kind: Kind,
        with: impl Fn(ServerBuilder) -> ServerBuilder + 'static,
    ) -> Cluster {
        // Without the delay of a full copy to a replica: one that has none cannot take over.
        let build = move || {
            let node = Server::builder(kind).cluster(NODE_TIMEOUT);
            with(node.arg("--repl-diskless-sync-delay", "0"))
        };
        let cluster = Cluster {
            nodes: (0..6).map(|_| build().start()).collect(),
            build: Box::new(build),
        };
        for (number, node) in (1..).zip(&cluster.nodes) {
            node.ok(&["CLUSTER", "SET-CONFIG-EPOCH", &number.to_string()]);
        }
        for (node, range) in cluster.nodes.iter().zip(SLOTS.windows(2)) {
            let slots: Vec<String> = (range[0]..range[1]).map(|slot| slot.to_string()).collect();
            let mut words = vec!["CLUSTER", "ADDSLOTS"];
            words.extend(slots.iter().map(String::as_str));
            node.ok(&words);
        }
        for node in &cluster.nodes[1..] {
            cluster.meet(node);
        }
        cluster.agree(6);
        for number in 3..6 {
            cluster.replicate(number, number - 3);
        }
        cluster.until("three replicas", |nodes| {
            nodes.matches("slave").count() == 3
        });
        cluster
    }

    /// A node by its number.
    pub fn node(&self, number: usize) -> &Server {
        &self.nodes[number]
    }

    /// The same, to kill it or start it anew.
    pub fn node_mut(&mut self, number: usize) -> &mut Server {
        &mut self.nodes[number]
    }

    /// Its id.
    pub fn id(&self, number: usize) -> String {
        self.nodes[number].ok(&["CLUSTER", "MYID"])
    }

    /// A new node, known to all, without slots; its number.
    pub fn join(&mut self) -> usize {
        let node = (self.build)().start();
        self.meet(&node);
        self.nodes.push(node);
        self.agree(self.nodes.len());
        self.nodes.len() - 1
    }

    /// Makes one a replica of another.
    pub fn replicate(&self, number: usize, primary: usize) {
        let id = self.id(primary);
        // The others' word on who is who may still be on its way.
        eventually(AGREEMENT, "a replica", || {
            let node = &self.nodes[number];
            node.command(&["CLUSTER", "REPLICATE", &id]).is_ok()
        });
    }

    /// Gives an empty slot of one primary to another.
    pub fn move_slot(&self, slot: u16, from: usize, to: usize) {
        let (slot, from_id, to_id) = (slot.to_string(), self.id(from), self.id(to));
        self.nodes[to].ok(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
        self.nodes[from].ok(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
        for node in [to, from] {
            self.nodes[node].ok(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]);
        }
    }

    /// Takes a node out: it knows nobody any more, and nobody it. It stays up.
    pub fn remove(&mut self, number: usize) -> Server {
        let id = self.id(number);
        let node = self.nodes.remove(number);
        node.ok(&["CLUSTER", "RESET", "SOFT"]);
        for other in &self.nodes {
            other.ok(&["CLUSTER", "FORGET", &id]);
        }
        node
    }

    /// Whether a node calls itself a primary.
    pub fn is_primary(&self, number: usize) -> bool {
        self.nodes[number].info_field("role").as_deref() == Some("master")
    }

    /// Waits until what every node that is up says of the nodes is so.
    pub fn until(&self, what: &str, f: impl Fn(&str) -> bool) {
        let says = |node: &Server| match node.command(&["CLUSTER", "NODES"]) {
            Ok(redis::Value::BulkString(text)) => f(&String::from_utf8_lossy(&text)),
            Ok(redis::Value::VerbatimString { text, .. }) => f(&text),
            Ok(other) => panic!("no text: {other:?}"),
            Err(_) => true,
        };
        eventually(AGREEMENT, what, || self.nodes.iter().all(says));
    }

    fn meet(&self, node: &Server) {
        let port = node.port().to_string();
        self.nodes[0].ok(&["CLUSTER", "MEET", "127.0.0.1", &port]);
    }

    fn agree(&self, count: usize) {
        self.until("all know each other", |nodes| {
            nodes.lines().count() == count && !nodes.contains("handshake")
        });
        eventually(AGREEMENT, "the cluster is up", || {
            let is_up = |node: &Server| node.ok(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
            self.nodes.iter().all(is_up)
        });
    }
}
