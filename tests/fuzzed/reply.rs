//! What a server sends, whatever it is: where a reply ends does not depend on how it
//! comes in, its text is what the client library reads, and members of a cluster are
//! read of it without harm.
//!
//! Its length says in pieces of what size it comes.

use redis::Value;
use redis_frag::source::cluster::{self, Way};
use redis_frag::source::exchange::{Exchange, Failed};
use redis_frag::source::inquiry::told;
use redis_frag::source::reply::{self, Malformed, Scan};
use redis_frag::source::sentinel;
use tokio::io::{AsyncWriteExt, duplex};
use tokio::task::yield_now;

/// Longest reply that is taken here.
const MOST: usize = 1 << 20;

/// More is read at once where less waits.
const LARGEST_PIECE: usize = 200;

/// Longest that an exchange takes.
const LONGEST: usize = 4 << 20;

/// Bytes are what a server sends.
pub fn body(bytes: &[u8]) {
    let size = 1 + bytes.len() % LARGEST_PIECE;
    let whole = Scan::default().end(bytes, MOST);
    let mut scan = Scan::default();
    let mut ends = (1..=bytes.len().div_ceil(size)).map(|piece| {
        let came = &bytes[..(piece * size).min(bytes.len())];
        scan.end(came, MOST)
    });
    let pieced = ends.find(|end| *end != Ok(None)).unwrap_or(Ok(None));
    assert_eq!(pieced, whole);
    let library = redis::parse_redis_value(bytes);
    match whole {
        Ok(Some(end)) => {
            assert!(end <= bytes.len());
            assert_eq!(reply::text(&bytes[..end]), reply::text(bytes));
            if let Ok(value) = redis::parse_redis_value(&bytes[..end]) {
                assert_eq!(library.as_ref(), Ok(&value));
                read(&bytes[..end], &value);
            }
        }
        Ok(None) => assert!(library.is_err(), "{library:?} is waited for"),
        Err(Malformed) => {}
    }
    exchanged(bytes, size);
}

/// A reply that the client library reads.
fn read(reply: &[u8], value: &Value) {
    let text = reply::text(reply);
    match value {
        Value::BulkString(bytes) => assert_eq!(text, Some(&**bytes)),
        // The library replaces what is not UTF-8; here it costs its line alone.
        Value::VerbatimString {
            text: replaced,
            format: redis::VerbatimFormat::Text,
        } => assert_eq!(
            text.map(String::from_utf8_lossy).as_deref(),
            Some(&**replaced)
        ),
        _ => assert_eq!(text, None, "{value:?}"),
    }
    let told = told(value);
    let way = Way {
        host: "h",
        tls: true,
        verified: true,
    };
    let _ = cluster::shards(&told, way);
    if let Some(text) = told.text() {
        let _ = cluster::nodes(text, way);
    }
    let primaries = sentinel::primaries(&told).unwrap_or_default();
    let replicas = sentinel::replicas(&told, "one").unwrap_or_default();
    let both = primaries.len() + replicas.len();
    assert!(sentinel::merged(primaries, replicas).len() <= both);
}

/// What was read of a reply: its text, or what else it is.
type Read = Result<Result<Vec<u8>, Value>, Failed>;

/// The same bytes over a stream, of whom two questions are asked: what is read is the first
/// reply, and then the one behind it or none, but never what was left of the first.
fn exchanged(bytes: &[u8], size: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let [first, second] = runtime.unwrap().block_on(async {
        let (ours, mut theirs) = duplex(1 << 12);
        let asked = async {
            let mut exchange = Exchange::new(ours);
            let mut ask = async || exchange.ask_text(b"PING\r\n", <[u8]>::to_vec).await;
            [ask().await, ask().await]
        };
        let sent = async {
            for piece in bytes.chunks(size) {
                if theirs.write_all(piece).await.is_err() {
                    break;
                }
                // It is read before the next piece comes.
                yield_now().await;
            }
            let _ = theirs.shutdown().await;
        };
        tokio::join!(asked, sent).0
    });
    assert!(first.is_ok() || second.is_err(), "{second:?} of what broke");
    let behind = match next(bytes) {
        Ok(Some((reply, behind))) => {
            is_of(first, reply);
            behind
        }
        Ok(None) => {
            assert!(matches!(first, Err(Failed::Broken(_))), "{first:?}");
            return;
        }
        Err(Malformed) => {
            assert!(matches!(first, Err(Failed::NoReply)), "{first:?}");
            return;
        }
    };
    match (second, next(behind)) {
        // What came before it was asked for may be nobody's.
        (Err(_), _) => {}
        (read, Ok(Some((reply, _)))) => is_of(read, reply),
        (read, _) => panic!("{read:?} of {:?}", behind.escape_ascii().to_string()),
    }
}

/// A reply, and what is behind it.
type Next<'a> = Option<(&'a [u8], &'a [u8])>;

/// The first reply of these bytes. What comes unasked is passed over.
fn next(mut bytes: &[u8]) -> Result<Next<'_>, Malformed> {
    while let Some(end) = Scan::default().end(bytes, LONGEST)? {
        let (reply, behind) = bytes.split_at(end);
        if !reply.starts_with(b">") {
            return Ok(Some((reply, behind)));
        }
        bytes = behind;
    }
    Ok(None)
}

/// That was read of this reply, as the client library reads it.
fn is_of(read: Read, reply: &[u8]) {
    match (read, redis::parse_redis_value(reply)) {
        (Ok(Ok(text)), Ok(Value::BulkString(bytes))) => assert_eq!(text, bytes),
        (Ok(Ok(read)), Ok(Value::VerbatimString { text, .. } | Value::SimpleString(text))) => {
            assert_eq!(String::from_utf8_lossy(&read), text)
        }
        (Ok(Err(read)), Ok(value)) => assert_eq!(read, value),
        (Err(Failed::NoReply), Err(_)) => {}
        (read, value) => panic!("{read:?} of {value:?}"),
    }
}
