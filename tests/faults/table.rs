//! The faults, and the words by which the log tells each.

#![allow(dead_code, reason = "the soak takes the faults alone")]

use crate::support::Fault;

/// A fault and what the log says of it.
pub struct Row {
    /// Part of the names of the instances that have it.
    pub name: &'static str,
    pub fault: Fault,
    /// Words of the one line that tells it: by unix socket and TCP they may differ.
    pub told: &'static [&'static str],
}

/// All of these are one outage to the log, and the first of them is told: on a slow
/// machine a connection may be lost and opened again until there is no time left.
const AWAY: &[&str] = &[
    "connection lost",
    "cannot connect: Connection re",
    "TLS: the server broke off the handshake",
    SILENT[0],
    NO_HANDSHAKE[0],
];
/// What tells such a fault for what it is: by one of its ways at least.
pub fn right_words(fault: &Fault) -> Option<&'static str> {
    match fault {
        Fault::Refused => Some("cannot connect: Connection refused"),
        Fault::Reset | Fault::Cut(_) => Some("connection lost"),
        _ => None,
    }
}

const SILENT: &[&str] = &["no answer in time; the server is stuck or timeout is too short"];
const NOT_INFO: &[&str] =
    &["the reply is no INFO text; check that a Redis server listens at address"];
/// As much as is read at most, or all that comes in time.
const UNHEARD: &[&str] = &["its reply has no end", SILENT[0]];
const LOST_IN_THE_NET: &[&str] = &[SILENT[0], "more connections wait there"];
const NO_TLS: &[&str] = &["TLS: the server speaks no TLS on this port"];
const NO_HANDSHAKE: &[&str] = &["no answer to the TLS handshake in time", SILENT[0]];

/// Every fault of the way that is not one of TLS.
pub fn rows() -> Vec<Row> {
    let row = |name, fault, told| Row { name, fault, told };
    let asks = |words: &[&str]| {
        let bulk = |word: &&str| format!("${}\r\n{word}\r\n", word.len());
        let bulks = words.iter().map(bulk).collect::<String>();
        let command = format!("*{}\r\n{bulks}", words.len());
        Fault::Asks(command.into_bytes().into())
    };
    let bytes = |bytes: &[u8]| Fault::Says(bytes.into());
    vec![
        row("refused", Fault::Refused, AWAY),
        row("reset", Fault::Reset, AWAY),
        row("black_hole", Fault::BlackHole, LOST_IN_THE_NET),
        row("silence", Fault::Silent, SILENT),
        // The first question has none.
        row("late", Fault::Late, SILENT),
        row("stalled_at_once", Fault::Stalled(1), SILENT),
        row("stalled_in_the_middle", Fault::Stalled(700), SILENT),
        row("trickle", Fault::Trickle, SILENT),
        row("cut_at_once", Fault::Cut(1), AWAY),
        row("cut_in_the_middle", Fault::Cut(700), AWAY),
        row(
            "garbage",
            bytes(b"\x00\xff\xfe\x1b[31mHTTP/1.1 400\r\n\r\n"),
            NOT_INFO,
        ),
        row(
            "web_server",
            bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            NOT_INFO,
        ),
        row(
            "four_gigabytes",
            bytes(b"$4294967296\r\nredis_version:7"),
            NOT_INFO,
        ),
        row("negative_length", bytes(b"$-7\r\n"), NOT_INFO),
        row(
            "length_beyond_numbers",
            bytes(b"$99999999999999999999\r\n"),
            NOT_INFO,
        ),
        row("many_items", bytes(b"*4294967296\r\n"), NOT_INFO),
        row(
            "deep_nesting",
            bytes(&[b"*1\r\n".repeat(30_000), b":1\r\n".to_vec()].concat()),
            NOT_INFO,
        ),
        row(
            "endless_line",
            Fault::Floods(b"+x".repeat(4096).into()),
            NOT_INFO,
        ),
        row(
            "endless_pushes",
            Fault::Floods(b">1\r\n+x\r\n".repeat(500).into()),
            UNHEARD,
        ),
        row("number", Fault::says(":5"), NOT_INFO),
        row("list", Fault::says("*2\r\n$1\r\na\r\n$1\r\nb"), NOT_INFO),
        row("map", Fault::says("%1\r\n+used_memory\r\n:7"), NOT_INFO),
        row("nil", Fault::says("$-1"), NOT_INFO),
        row("ok", Fault::says("+OK"), NOT_INFO),
        row("empty", Fault::says("$0\r\n"), NOT_INFO),
        row("other_words", Fault::says("$11\r\nhello world"), NOT_INFO),
        row("reply_to_ping", asks(&["PING"]), NOT_INFO),
        row(
            "reply_to_config",
            asks(&["CONFIG", "GET", "maxmemory"]),
            NOT_INFO,
        ),
        row("reply_to_clients", asks(&["INFO", "clients"]), NOT_INFO),
        row(
            "no_auth",
            Fault::says("-NOAUTH Authentication required."),
            &["the server wants a password; set password"],
        ),
        row(
            "wrong_pass",
            Fault::says("-WRONGPASS invalid username-password pair or user is disabled."),
            &["the server refuses username or password"],
        ),
        row(
            "no_perm",
            Fault::says("-NOPERM this user has no permissions to run the 'info' command"),
            &["the user may not run INFO"],
        ),
        row(
            "loading",
            Fault::says("-LOADING Redis is loading the dataset in memory"),
            &["the server answers: LOADING Redis is loading the dataset in memory"],
        ),
        row(
            "busy",
            Fault::says("-BUSY Redis is busy running a script. You can only call SCRIPT KILL."),
            &["the server answers: BUSY Redis is busy running a script"],
        ),
        row(
            "master_down",
            Fault::says("-MASTERDOWN Link with MASTER is down"),
            &["the server answers: MASTERDOWN Link with MASTER is down"],
        ),
        row(
            "max_clients",
            Fault::Greets(b"-ERR max number of clients reached\r\n"[..].into()),
            &["the server answers: ERR max number of clients reached"],
        ),
    ]
}

/// Faults that TLS meets in its handshake.
pub fn rows_of_tls() -> Vec<Row> {
    let row = |name, fault, told| Row { name, fault, told };
    vec![
        row("refused", Fault::Refused, AWAY),
        row("reset", Fault::Reset, AWAY),
        row("silence", Fault::Silent, NO_HANDSHAKE),
        row("trickle", Fault::Trickle, NO_HANDSHAKE),
        row("cut_at_once", Fault::Cut(1), AWAY),
        row("cut_in_the_hello", Fault::Cut(60), AWAY),
        row("cut_in_the_certificate", Fault::Cut(600), AWAY),
        row("stalled_in_the_hello", Fault::Stalled(60), NO_HANDSHAKE),
        row(
            "garbage",
            Fault::Greets(b"\x00\xff\x1b[31m no TLS"[..].into()),
            NO_TLS,
        ),
        row(
            "plain",
            Fault::Greets(b"-ERR unknown command\r\n"[..].into()),
            NO_TLS,
        ),
    ]
}
