//! Texts of `/proc/PID/net` to sockets and addresses: of the network namespace that
//! the process lives in, whoever reads them.
//!
//! Pure: lines in, fields out. Must not know whose socket is whose.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// One line of `/proc/net/tcp` or `tcp6` (net/ipv4/tcp_ipv4.c `get_tcp4_sock`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcp {
    /// Its own end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// Whether it listens.
    pub listens: bool,
    /// User that made it.
    pub uid: u32,
    /// Number of the socket, as `/proc/PID/fd` shows it.
    pub inode: u64,
}

/// Reads one line; `None` of the heading and of what is none.
#[must_use]
pub fn tcp(line: &str) -> Option<Tcp> {
    let mut words = line.split_ascii_whitespace();
    words.next()?.strip_suffix(':')?;
    let (local, remote) = (
        socket_address(words.next()?)?,
        socket_address(words.next()?)?,
    );
    let state = words.next()?;
    let uid = words.nth(3)?.parse().ok()?;
    let inode = words.nth(1)?.parse().ok()?;
    // TCP_LISTEN of net/tcp_states.h.
    let listens = state == "0A";
    Some(Tcp {
        local,
        remote,
        listens,
        uid,
        inode,
    })
}

/// `0100007F:18EB`: each 32 bits as the machine holds them, the port as one reads it.
/// An IPv4 address in an IPv6 one is what it stands for.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let (digits, _) = address.as_bytes().as_chunks::<8>();
        let digits = str::from_utf8(digits.get(at)?).ok()?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip = match address.len() {
        8 => IpAddr::from(word(0)?),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let mut bytes = [0; 16];
            for (place, byte) in bytes.iter_mut().zip(words.into_iter().flatten()) {
                *place = byte;
            }
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The paths of the listening stream sockets of `/proc/net/unix`, and their inodes.
/// Abstract ones have no path (net/unix/af_unix.c `unix_seq_show`).
#[must_use]
pub fn listening_paths(text: &str) -> Vec<(PathBuf, u64)> {
    let listening = |line: &str| {
        // Num RefCount Protocol Flags Type St Inode Path; 0x10000 is SO_ACCEPTCON.
        let mut words = [""; 7];
        let mut rest = line;
        for word in &mut words {
            (*word, rest) = rest.trim_start().split_once(' ')?;
        }
        let flags = u32::from_str_radix(words[3], 16).ok()?;
        let listens = words[4] == "0001" && flags & 0x1_0000 != 0 && rest.starts_with('/');
        listens.then(|| Some((PathBuf::from(rest), words[6].parse().ok()?)))?
    };
    text.lines().filter_map(listening).collect()
}

/// The addresses of a namespace of its own that others can reach: those of
/// `/proc/net/fib_trie` marked as local, less the loopback's.
#[must_use]
pub fn own_addresses(fib_trie: &str) -> Vec<IpAddr> {
    let mut found = BTreeSet::new();
    let mut last: Option<Ipv4Addr> = None;
    for line in fib_trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line.contains("host LOCAL")
            && let Some(address) = last.filter(|address| !address.is_loopback())
        {
            found.insert(IpAddr::V4(address));
        }
    }
    found.into_iter().collect()
}

/// The number of a socket that a link of `/proc/PID/fd` names: `socket:[12345]`.
#[must_use]
pub fn inode_of_link(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn tcp_lines() {
        let listening = "   0: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000   107        0 23456 1 0000000000000000 100 0 0 10 0";
        let read = tcp(listening).unwrap();
        assert_eq!(read.local, "127.0.0.1:6379".parse().unwrap());
        assert_eq!((read.listens, read.uid, read.inode), (true, 107, 23456));
        let mapped = " 12: 0000000000000000FFFF00000100007F:18EB 0000000000000000FFFF00000100007F:D4C2 01 00000000:00000000 02:000A 00000000  1000        0 99 2 0 20 4 30 10 -1";
        let read = tcp(mapped).unwrap();
        assert_eq!(
            read.local,
            "127.0.0.1:6379".parse().unwrap(),
            "what it stands for"
        );
        assert_eq!(read.remote, "127.0.0.1:54466".parse().unwrap());
        assert!(!read.listens);
        let six = "1: B80D01200000000067452301EFCDAB89:0016 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 1 1";
        assert_eq!(
            tcp(six).unwrap().local.ip(),
            "2001:db8::123:4567:89ab:cdef".parse::<IpAddr>().unwrap()
        );
    }

    #[test]
    fn what_is_no_socket_is_none() {
        let heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
        for line in [
            heading,
            "",
            "0:",
            "0: 0100007F 0",
            "0: 0100007G:18EB 00000000:0000 0A a b c 1 2 3",
            "0: é00007F:18EB x 0A",
        ] {
            assert_eq!(tcp(line), None, "{line}");
        }
    }

    #[test]
    fn listening_unix_sockets_have_a_path() {
        let text = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01  1234 /run/redis/redis server.sock\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 12345 /run/redis/redis.sock\n\
            0000000000000000: 00000002 00000000 00010000 0005 01    99 /run/udev/control\n\
            0000000000000000: 00000002 00000000 00010000 0001 01    77 @abstract\n\
            0000000000000000: 00000002 00000000 00010000 0001 01    78\n";
        assert_eq!(
            listening_paths(text),
            [(PathBuf::from("/run/redis/redis server.sock"), 1234)]
        );
    }

    #[test]
    fn a_namespace_of_its_own_has_addresses() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     \
            +-- 127.0.0.0/8 2 0 2\n        |-- 127.0.0.1\n           /32 host LOCAL\n     \
            +-- 172.17.0.0/16 2 0 2\n        |-- 172.17.0.0\n           /16 link UNICAST\n        \
            |-- 172.17.0.2\n           /32 host LOCAL\n        |-- 172.17.255.255\n           \
            /32 link BROADCAST\nLocal:\n        |-- 172.17.0.2\n           /32 host LOCAL\n";
        assert_eq!(
            own_addresses(trie),
            ["172.17.0.2".parse::<IpAddr>().unwrap()]
        );
        assert_eq!(own_addresses(""), Vec::<IpAddr>::new());
        assert_eq!(inode_of_link("socket:[42]"), Some(42));
        assert_eq!(inode_of_link("pipe:[42]"), None);
    }
}
