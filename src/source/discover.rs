//! The instances of this machine that nobody named: ways to each server process,
//! and the usual addresses for processes that cannot be seen.
//!
//! An address is tried only where a server process is known to listen, or servers
//! usually do. Must not decide what becomes of an instance.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::address::Address;
use crate::config::job::{Job, clean_name};
use crate::model::host::View;
use crate::model::sample::Sample;

use super::claims::ProcessId;
use super::host::Kernel;
use super::poll::Poller;
use super::processes::{self, Listeners, ServerProcess};
use super::trouble::Trouble;

/// Unix sockets by default or custom: Debian's redis.conf and valkey.conf,
/// Fedora's, upstream's commented example, go.d's stock jobs.
const SOCKETS: &[&str] = &[
    "/run/redis/redis-server.sock",
    "/run/redis/redis.sock",
    "/run/redis.sock",
    "/tmp/redis.sock",
    "/run/valkey/valkey-server.sock",
    "/run/valkey/valkey.sock",
    "/run/valkey.sock",
    "/tmp/valkey.sock",
];

/// Port by default.
const PORT: u16 = 6379;

/// How long a container is missed: it is not to be told as unreachable when it was
/// replaced, which takes two minutes.
const CONTAINER_GONE: Duration = Duration::from_secs(60);

/// Folders of sockets that say nothing.
const SOCKET_FOLDERS: &[&str] = &["/var/run/", "/run/", "/"];

/// An instance that nobody named, and the ways to it, the best first.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The process; `None` of a usual address.
    pub process: Option<ServerProcess>,
    /// Whether it lives in a network of its own, as in a container.
    pub apart: bool,
    /// Jobs for the ways to it.
    pub ways: Vec<Job>,
}

/// All candidates: the server processes that can be seen, then the usual addresses
/// that none of them has. Reads `/proc`, and may take some milliseconds. A process that
/// is `known` is left out, and its address with it.
#[must_use]
pub fn candidates(kernel: &Kernel, known: impl Fn(ProcessId) -> bool) -> Vec<Candidate> {
    let own = processes::own_network();
    let mut listeners = Listeners::default();
    let processes = kernel.servers();
    let processes = processes
        .iter()
        .filter(|process| !known(process.id()))
        .cloned();
    let stores = processes.filter(|process| !processes::is_sentinel(process));
    let mut found: Vec<Candidate> = stores
        .map(|process| of_process(kernel, process, own, &mut listeners))
        .collect();
    let known: HashSet<Address> = found
        .iter()
        .flat_map(|c| &c.ways)
        .map(|w| w.address.clone())
        .collect();
    let usual = usual()
        .into_iter()
        .filter(|job| !known.contains(&job.address));
    found.extend(usual.map(|job| Candidate {
        process: None,
        apart: false,
        ways: vec![job],
    }));
    found
}

fn of_process(
    kernel: &Kernel,
    process: ServerProcess,
    own: Option<u64>,
    listeners: &mut Listeners,
) -> Candidate {
    let listening = process.listening(kernel, listeners);
    let apart = own.is_some() && process.network.is_some() && process.network != own;
    let addresses = if apart {
        process.addresses(kernel)
    } else {
        Vec::new()
    };
    let mut ways = Vec::new();
    for socket in listening.tcp {
        if apart {
            let reached = reached_from_outside(socket, &addresses);
            ways.extend(reached.map(|way| Job {
                // Another container takes its place, with another name.
                forget_after: process.container.is_some().then_some(CONTAINER_GONE),
                ..job(&apart_name(&process, way), tcp(way))
            }));
        } else {
            let way = reached_from_here(socket);
            ways.push(job(&tcp_name(way), tcp(way)));
        }
    }
    // In a container a path is another one.
    if !apart {
        ways.extend(
            listening
                .unix
                .into_iter()
                .map(|path| job(&socket_name(&path), Address::Unix(path))),
        );
    }
    let mut seen = HashSet::new();
    ways.retain(|way| seen.insert(way.address.clone()));
    Candidate {
        process: Some(process),
        apart,
        ways,
    }
}

/// The usual local addresses, the surest first.
fn usual() -> Vec<Job> {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    let sockets = SOCKETS.iter().map(Path::new);
    let sockets = sockets.map(|path| job(&socket_name(path), Address::Unix(path.to_owned())));
    std::iter::once(job(&tcp_name(loopback), tcp(loopback)))
        .chain(sockets)
        .collect()
}

fn job(name: &str, address: Address) -> Job {
    Job {
        discovered: true,
        ..Job::new(name, address)
    }
}

fn tcp(socket: SocketAddr) -> Address {
    Address::Tcp {
        host: socket.ip().to_string(),
        port: socket.port(),
    }
}

fn reached_from_here(socket: SocketAddr) -> SocketAddr {
    let ip = match socket.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, socket.port())
}

fn reached_from_outside(
    socket: SocketAddr,
    addresses: &[IpAddr],
) -> impl Iterator<Item = SocketAddr> {
    let everywhere = socket.ip().is_unspecified();
    let itself = (!everywhere && !socket.ip().is_loopback()).then_some(socket.ip());
    let any = addresses.iter().copied().filter(move |_| everywhere);
    itself
        .into_iter()
        .chain(any)
        .map(move |ip| SocketAddr::new(ip, socket.port()))
}

/// `local_6379`; where it listens on one address alone and that is not the
/// loopback's, that address too: several may have the same port.
fn tcp_name(socket: SocketAddr) -> String {
    let loopback = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    match socket.ip() {
        ip if loopback.contains(&ip) => format!("local_{}", socket.port()),
        ip => clean_name(&format!("local_{ip}_{}", socket.port())),
    }
}

/// Of a container, whose address may be another after a restart, its id.
fn apart_name(process: &ServerProcess, socket: SocketAddr) -> String {
    match &process.container {
        Some(id) => format!("container_{id}_{}", socket.port()),
        None => tcp_name(socket),
    }
}

/// `/run/redis/cache.sock` to `local_redis_cache`.
fn socket_name(path: &Path) -> String {
    let path = path.to_string_lossy();
    let stripped = SOCKET_FOLDERS
        .iter()
        .find_map(|folder| path.strip_prefix(folder));
    let name = stripped.unwrap_or(&path);
    let name = name
        .strip_suffix(".sock")
        .or(name.strip_suffix(".socket"))
        .unwrap_or(name);
    clean_name(&format!("local_{}", name.replace('/', "_")))
}

/// What came of trying the ways to a candidate.
#[derive(Debug)]
pub enum Reached {
    /// This way leads to it.
    Found(Box<Job>, Box<Sample>),
    /// It is there and lets nobody in without more: the way, and why.
    Refused(Box<Job>, Trouble),
    /// It does not answer in time; worth another try.
    Silent,
    /// No way leads to it.
    Unreachable {
        /// Why the first one does not.
        why: String,
        /// Whether somebody is there all the same, who is no server.
        taken: bool,
    },
}

/// Tries the ways to a candidate, one after the other: one that lets nobody in by the
/// one may by another, as protected mode does.
pub async fn reach(
    candidate: &Candidate,
    kernel: &Arc<Kernel>,
    epoch: Instant,
    patience: Duration,
) -> Reached {
    let (mut why, mut refused, mut taken) = (None, None, false);
    for job in &candidate.ways {
        let poller = Poller::new(Arc::new(job.clone()), epoch);
        let answer = poller
            .on_kernel(Arc::clone(kernel))
            .patiently()
            .collect(patience)
            .await;
        let trouble = match answer {
            Ok(sample) if leads_to(candidate, &sample) => {
                return Reached::Found(Box::new(job.clone()), Box::new(sample));
            }
            Ok(_) => "another server answers there".to_owned(),
            Err(Trouble::Silent) => return Reached::Silent,
            Err(trouble @ (Trouble::Connect(_) | Trouble::Lost(_) | Trouble::NotInfo)) => {
                taken |= !matches!(trouble, Trouble::Connect(_));
                trouble.to_string()
            }
            Err(trouble) => {
                refused.get_or_insert((job, trouble));
                continue;
            }
        };
        why.get_or_insert(format!("{}: {trouble}", job.url()));
    }
    if let Some((job, trouble)) = refused {
        return Reached::Refused(Box::new(job.clone()), trouble);
    }
    let nowhere = if candidate.apart {
        "it listens in a network of its own, at no address that is reached from here"
    } else {
        "where it listens cannot be told"
    };
    let why = why.unwrap_or_else(|| nowhere.to_owned());
    Reached::Unreachable { why, taken }
}

/// Whether it was the candidate that answered. In a network of its own the kernel
/// must say so: other networks may have the same address.
fn leads_to(candidate: &Candidate, sample: &Sample) -> bool {
    let Some(process) = &candidate.process else {
        return true;
    };
    match &sample.host {
        View::Here(host) => host.process.pid == process.pid,
        View::Unsure(_) | View::Elsewhere => {
            let own = sample.fields.process_id;
            !candidate.apart && own == Some(u64::from(process.own_pid))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_addresses_have_names_of_their_own() {
        let mut names: Vec<String> = usual().into_iter().map(|job| job.name).collect();
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        assert_eq!(usual()[0].name, "local_6379");
    }

    #[test]
    fn names_follow_from_addresses_alone() {
        for (path, want) in [
            ("/run/redis/redis-server.sock", "local_redis_redis-server"),
            ("/var/run/redis/cache.sock", "local_redis_cache"),
            ("/tmp/a b.socket", "local_tmp_a_b"),
            ("/srv/x/s", "local_srv_x_s"),
        ] {
            assert_eq!(socket_name(Path::new(path)), want);
        }
        for (socket, want) in [
            ("127.0.0.1:6380", "local_6380"),
            ("[::1]:6380", "local_6380"),
            ("10.0.0.5:6379", "local_10_0_0_5_6379"),
            ("127.0.0.2:6379", "local_127_0_0_2_6379"),
        ] {
            assert_eq!(tcp_name(socket.parse().unwrap()), want);
        }
    }

    #[test]
    fn what_listens_everywhere_is_reached_at_the_loopback_or_from_outside_at_its_addresses() {
        let here = |text: &str| reached_from_here(text.parse().unwrap()).to_string();
        assert_eq!(here("0.0.0.0:6379"), "127.0.0.1:6379");
        assert_eq!(here("[::]:6379"), "[::1]:6379");
        assert_eq!(here("10.0.0.5:6379"), "10.0.0.5:6379");
        let own = ["172.17.0.2".parse().unwrap()];
        let outside = |text: &str| -> Vec<String> {
            reached_from_outside(text.parse().unwrap(), &own)
                .map(|way| way.to_string())
                .collect()
        };
        assert_eq!(outside("0.0.0.0:6379"), ["172.17.0.2:6379"]);
        assert_eq!(
            outside("127.0.0.1:6379"),
            Vec::<String>::new(),
            "not reachable, never guessed"
        );
        assert_eq!(outside("10.9.9.9:6379"), ["10.9.9.9:6379"]);
    }
}
