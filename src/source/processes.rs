//! The server processes of this machine: who they are, in which network they live,
//! where they listen.
//!
//! Reads `/proc` with no privileges; what needs some is a way around where it is to
//! be had. Must not ask any server, nor name a job.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::claims::ProcessId;
use super::host::{Kernel, text};
use super::procfs;
use super::sockets::{self, Tcp};

/// Programs that are looked for, by the name that the kernel has of them.
pub const PROGRAMS: &[&str] = &["redis-server", "valkey-server", "keydb-server"];

/// Most lines read of one table of sockets.
const MOST_SOCKETS: usize = 1_000_000;

/// A server process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerProcess {
    /// Its pid on the machine.
    pub pid: u32,
    /// When it was started, in ticks; with the pid what it is known by.
    pub start_time: u64,
    /// The pid that it has to itself, as INFO tells it.
    pub own_pid: u32,
    /// User that it runs as.
    pub uid: u32,
    /// The number of its network namespace.
    pub network: Option<u64>,
    /// Its title: `redis-server 127.0.0.1:6379 [cluster]`.
    pub title: String,
    /// The container that it runs in, where its cgroup names one.
    pub container: Option<String>,
}

/// Where a server process listens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listening {
    /// Addresses at which others of its network reach it.
    pub tcp: Vec<SocketAddr>,
    /// Sockets.
    pub unix: Vec<PathBuf>,
}

/// All of them, in the order of their start.
#[must_use]
pub fn all(kernel: &Kernel) -> Vec<ServerProcess> {
    let Ok(entries) = fs::read_dir(kernel.root().join("proc")) else {
        return Vec::new();
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_server = |pid: &u32| {
        let name = text(&kernel.of_process(*pid, "comm")).unwrap_or_default();
        PROGRAMS.contains(&name.trim_end())
    };
    let servers = pids.filter(is_server);
    let mut found: Vec<_> = servers.filter_map(|pid| of(kernel, pid)).collect();
    found.sort_by_key(|process| (process.start_time, process.pid));
    // A child that saves has the name and the title of its parent, and listens to
    // nobody: it is the one that is the younger of two with a parent among them.
    let pids: HashSet<u32> = found.iter().map(|process| process.pid).collect();
    found
        .retain(|process| parent(kernel, process.pid).is_none_or(|parent| !pids.contains(&parent)));
    found
}

/// One process by its pid, whatever its name; `None` where it is gone or hidden.
#[must_use]
pub fn of(kernel: &Kernel, pid: u32) -> Option<ServerProcess> {
    let status = kernel.status(pid).ok()?;
    let stat = text(&kernel.of_process(pid, "stat")).ok()?;
    // To read a title takes the lock of the process' memory, which one that is stuck in
    // the kernel may hold for ever.
    let title = match procfs::is_stuck(&stat) {
        true => String::new(),
        false => text(&kernel.of_process(pid, "cmdline")).unwrap_or_default(),
    };
    let cgroup = text(&kernel.of_process(pid, "cgroup")).unwrap_or_default();
    Some(ServerProcess {
        pid,
        start_time: procfs::start_time(&stat)?,
        // Before Linux 4.1 nobody tells: containers are not told apart then.
        own_pid: status.own_pid.unwrap_or(pid),
        uid: status.uid?,
        network: network(kernel.root(), &pid.to_string()),
        title: title.replace('\0', " ").trim().to_owned(),
        container: container(&cgroup),
    })
}

/// The network namespace that we live in ourselves.
#[must_use]
pub fn own_network() -> Option<u64> {
    network(Path::new("/"), "self")
}

/// Every namespace has files of its own below `net`, and the kernel numbers them
/// (fs/proc/proc_net.c): what `ns/net` tells to the privileged alone.
fn network(root: &Path, process: &str) -> Option<u64> {
    let table = root.join("proc").join(process).join("net/tcp");
    table.metadata().ok().map(|meta| meta.ino())
}

fn parent(kernel: &Kernel, pid: u32) -> Option<u32> {
    procfs::parent(&text(&kernel.of_process(pid, "stat")).ok()?)
}

/// The first 12 digits of the container's id, as every tool shows it: of Docker,
/// containerd, CRI-O and podman the cgroup's name has all 64.
fn container(cgroup: &str) -> Option<String> {
    let paths = cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let mut words = paths.flat_map(|path| path.split(['/', '-', '.', ':']));
    let id = words.find(|word| word.len() == 64 && word.chars().all(|c| c.is_ascii_hexdigit()))?;
    Some(id.chars().take(12).collect())
}

/// What kind of server its title says it is; `None` where that is not a store of
/// data.
#[must_use]
pub fn is_sentinel(process: &ServerProcess) -> bool {
    process.title.contains("[sentinel]") || process.title.contains("--sentinel")
}

/// What listens in each network: read once for all processes that share it.
#[derive(Debug, Default)]
pub struct Listeners(HashMap<u64, Arc<Table>>);

/// What listens in one network.
#[derive(Debug, Default)]
struct Table {
    tcp: Vec<Tcp>,
    unix: Vec<(PathBuf, u64)>,
}

impl Listeners {
    fn of(&mut self, kernel: &Kernel, process: &ServerProcess) -> Arc<Table> {
        let read = || {
            let paths = text(&kernel.of_process(process.pid, "net/unix")).unwrap_or_default();
            Arc::new(Table {
                tcp: process.tcp(kernel, |socket| socket.listens),
                unix: sockets::listening_paths(&paths),
            })
        };
        match process.network {
            Some(network) => Arc::clone(self.0.entry(network).or_insert_with(read)),
            None => read(),
        }
    }
}

impl ServerProcess {
    /// What it is known by.
    #[must_use]
    pub fn id(&self) -> ProcessId {
        (self.pid, self.start_time)
    }

    /// Where it listens, by the sockets that it holds where we may see them, else by
    /// its title and the listeners of its user.
    #[must_use]
    pub fn listening(&self, kernel: &Kernel, listeners: &mut Listeners) -> Listening {
        let table = listeners.of(kernel, self);
        let held = self.sockets(kernel);
        let (port, path) = titled(&self.title);
        let holds_tcp = |socket: &&Tcp| match &held {
            Some(held) => held.contains(&socket.inode),
            None => socket.uid == self.uid && Some(socket.local.port()) == port,
        };
        let holds_path = |(known, inode): &&(PathBuf, u64)| match &held {
            Some(held) => held.contains(inode),
            None => Some(known) == path.as_ref(),
        };
        let mut tcp: Vec<SocketAddr> = table
            .tcp
            .iter()
            .filter(holds_tcp)
            .map(|socket| socket.local)
            .collect();
        let mut unix: Vec<PathBuf> = table
            .unix
            .iter()
            .filter(holds_path)
            .map(|(path, _)| path.clone())
            .collect();
        // The cluster's bus is 10000 above the port, and speaks another language.
        let ports: HashSet<u16> = tcp.iter().map(SocketAddr::port).collect();
        let is_bus = |port: u16| {
            port.checked_sub(10_000)
                .is_some_and(|base| ports.contains(&base))
        };
        tcp.retain(|socket| !is_bus(socket.port()));
        // 127.0.0.1 before ::1 before all others, and the same each time.
        tcp.sort_by_key(|socket| {
            let apart = !socket.ip().is_loopback() && !socket.ip().is_unspecified();
            (apart, socket.port(), socket.is_ipv6(), *socket)
        });
        tcp.dedup();
        unix.sort();
        Listening { tcp, unix }
    }

    /// The addresses of its network by which others reach it.
    #[must_use]
    pub fn addresses(&self, kernel: &Kernel) -> Vec<IpAddr> {
        let trie = text(&kernel.of_process(self.pid, "net/fib_trie")).unwrap_or_default();
        sockets::own_addresses(&trie)
    }

    /// Whether nothing but its title could tell where it listens, and that does not.
    #[must_use]
    pub fn is_silent(&self, kernel: &Kernel, port: u16) -> bool {
        self.sockets(kernel).is_none() && titled(&self.title).0 != Some(port)
    }

    /// Whether this very connection ends at a socket that it holds: `server` and
    /// `client` as the client sees them. Where its sockets cannot be seen, at one of
    /// its user's, in its network, at the port of its title.
    #[must_use]
    pub fn holds(&self, kernel: &Kernel, server: SocketAddr, client: SocketAddr) -> bool {
        let plain =
            |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let (server, client) = (plain(server), plain(client));
        let ends = |socket: &Tcp| {
            socket.local == server && socket.remote == client && socket.uid == self.uid
        };
        let found = self.tcp(kernel, ends);
        match self.sockets(kernel) {
            Some(held) => found.iter().any(|socket| held.contains(&socket.inode)),
            None => !found.is_empty() && titled(&self.title).0 == Some(server.port()),
        }
    }

    /// The TCP sockets of its network that are wanted. Read line by line: a busy
    /// machine has very many.
    fn tcp(&self, kernel: &Kernel, wanted: impl Fn(&Tcp) -> bool) -> Vec<Tcp> {
        let mut found = Vec::new();
        for table in ["net/tcp", "net/tcp6"] {
            let Ok(file) = File::open(kernel.of_process(self.pid, table)) else {
                continue;
            };
            let lines = BufReader::new(file).lines().map_while(Result::ok);
            let lines = lines.take(MOST_SOCKETS);
            found.extend(lines.filter_map(|line| sockets::tcp(&line)).filter(&wanted));
        }
        found
    }

    /// The numbers of the sockets that it holds; `None` where we may not look: only
    /// its own user and root may.
    fn sockets(&self, kernel: &Kernel) -> Option<HashSet<u64>> {
        let entries = fs::read_dir(kernel.of_process(self.pid, "fd")).ok()?;
        let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let inodes = links.filter_map(|link| sockets::inode_of_link(link.to_str()?));
        Some(inodes.collect())
    }
}

/// Port and socket that a title names (server.c `redisSetProcTitle`, since 6.2 by
/// `proc-title-template`): `redis-server *:6379`, `redis-server unixsocket:/path`.
fn titled(title: &str) -> (Option<u16>, Option<PathBuf>) {
    if let Some((_, path)) = title.split_once(" unixsocket:") {
        // A path may have blanks; the mode of the server stands behind it in brackets.
        let path = path.rsplit_once(" [").map_or(path, |(path, _)| path);
        return (None, Some(PathBuf::from(path.trim_end())));
    }
    let Some(first) = title.split_whitespace().nth(1) else {
        return (None, None);
    };
    let port = first
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok());
    (port.filter(|port| *port > 0), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_names_a_port_or_a_socket() {
        for (title, port, path) in [
            ("redis-server 127.0.0.1:6379", Some(6379), None),
            ("redis-server *:7000 [cluster]", Some(7000), None),
            ("/usr/bin/redis-server ::1:6380", Some(6380), None),
            (
                "redis-server unixsocket:/run/r.sock",
                None,
                Some("/run/r.sock"),
            ),
            (
                "redis-server unixsocket:/run/a b.sock [cluster]",
                None,
                Some("/run/a b.sock"),
            ),
            ("redis-server 127.0.0.1:0", None, None),
            ("redis-server /etc/redis/redis.conf", None, None),
            ("redis-server", None, None),
            ("", None, None),
        ] {
            assert_eq!(titled(title), (port, path.map(PathBuf::from)), "{title}");
        }
    }

    #[test]
    fn containers_are_known_by_their_id() {
        let id = "0123456789abcdef".repeat(4);
        for cgroup in [
            format!("0::/system.slice/docker-{id}.scope\n"),
            format!("4:memory:/docker/{id}\n"),
            format!("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope\n"),
            format!("0::/machine.slice/libpod-{id}.scope/container\n"),
        ] {
            assert_eq!(
                container(&cgroup).as_deref(),
                Some("0123456789ab"),
                "{cgroup}"
            );
        }
        assert_eq!(container("0::/system.slice/redis-server.service\n"), None);
    }
}
