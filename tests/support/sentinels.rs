//! A real set of three Sentinels with a primary and two replicas.
//!
//! Knows the commands of Sentinel, nothing of what the plugin makes of it.

use std::process::{Child, Stdio};
use std::time::Duration;

use super::process::{self, Tie};
use super::servers::connect;
use super::{Kind, Server, eventually};

/// The name of the primary.
pub const NAME: &str = "mymaster";

/// For what the Sentinels have to agree on.
const AGREEMENT: Duration = Duration::from_secs(60);

/// Servers and those who look after them; all end when it is dropped.
pub struct Sentinels {
    servers: Vec<Server>,
    sentinels: Vec<Sentinel>,
}

struct Sentinel {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        process::kill(&mut self.child);
    }
}

impl Sentinels {
    /// Three servers, the first of them the primary, and three Sentinels that know all
    /// of it; a silence of a second makes a server fail for them.
    pub fn start(kind: Kind) -> Sentinels {
        let mut servers = vec![Server::start(kind)];
        let port = servers[0].port();
        for _ in 0..2 {
            let replica = Server::start(kind);
            replica.ok(&["REPLICAOF", "127.0.0.1", &port.to_string()]);
            servers.push(replica);
        }
        let sentinels = (0..3).map(|_| sentinel(kind, port)).collect();
        let set = Sentinels { servers, sentinels };
        let known =
            |text: &str, name: &str, value: &str| text.contains(&format!("{name}\n{value}\n"));
        eventually(AGREEMENT, "the Sentinels know each other", || {
            set.sentinels.iter().all(|sentinel| {
                let text = sentinel.ask(&["SENTINEL", "MASTER", NAME]);
                known(&text, "num-other-sentinels", "2") && known(&text, "num-slaves", "2")
            })
        });
        set
    }

    /// A server by its number; the first was the primary in the beginning.
    pub fn server(&self, number: usize) -> &Server {
        &self.servers[number]
    }

    /// The same, to kill it or start it anew.
    pub fn server_mut(&mut self, number: usize) -> &mut Server {
        &mut self.servers[number]
    }

    /// The Sentinels' addresses.
    pub fn addresses(&self) -> Vec<String> {
        let ports = self.sentinels.iter().map(|sentinel| sentinel.port);
        ports
            .map(|port| format!("redis://127.0.0.1:{port}"))
            .collect()
    }

    /// Ends the Sentinel of this number.
    pub fn kill_sentinel(&mut self, number: usize) {
        process::kill(&mut self.sentinels[number].child);
    }
}

impl Sentinel {
    fn ask(&self, words: &[&str]) -> String {
        let address = redis::ConnectionAddr::Tcp("127.0.0.1".to_string(), self.port);
        let Ok(mut connection) = connect(address, None) else {
            return String::new();
        };
        let mut command = redis::Cmd::new();
        command.arg(words);
        let texts: redis::RedisResult<Vec<String>> = command.query(&mut connection);
        texts
            .map(|texts| texts.join("\n") + "\n")
            .unwrap_or_default()
    }
}

/// One that does not know the others yet.
fn sentinel(kind: Kind, primary: u16) -> Sentinel {
    let dir = process::short_dir();
    let config = dir.path().join("sentinel.conf");
    let text = format!(
        "sentinel monitor {NAME} 127.0.0.1 {primary} 2\n\
         sentinel down-after-milliseconds {NAME} 1000\n\
         sentinel failover-timeout {NAME} 5000\n"
    );
    for _ in 0..5 {
        let port = process::free_port();
        std::fs::write(&config, &text).expect("cannot write a Sentinel's configuration");
        let mut child = process::spawn(&kind.binary(), Tie::DiesWithUs, |command| {
            command
                .arg(&config)
                .arg("--sentinel")
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
                .arg("--dir")
                .arg(dir.path())
                .current_dir(dir.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
        })
        .unwrap_or_else(|e| panic!("cannot run a Sentinel: {e}"));
        let answers = super::becomes_true(AGREEMENT, || {
            let ended = child.try_wait().is_ok_and(|ended| ended.is_some());
            let address = redis::ConnectionAddr::Tcp("127.0.0.1".to_string(), port);
            ended || connect(address, None).is_ok()
        });
        if answers && child.try_wait().is_ok_and(|ended| ended.is_none()) {
            return Sentinel {
                child,
                port,
                _dir: dir,
            };
        }
        process::kill(&mut child);
    }
    panic!("no Sentinel of {} came up", kind.name())
}
