//! One question and one reply at a time over a byte stream.
//!
//! Keeps nothing between two questions, so that a connection that waits costs its socket
//! alone: buffers of the client library's own would take 16 kB each. A reply is read where
//! it lies, for INFO comes from every instance every second and is read once; what is no
//! plain text is left to the client library. Must not know what is asked.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use redis::{Cmd, Value};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::buffers::Buffer;
use super::reply::{self, Malformed, Scan};
use super::trouble::Trouble;

/// Longest answer to one question, bytes. INFO has some 10 kB and MEMORY MALLOC-STATS
/// 100 kB. Whoever listens at an address could fill the memory of this machine.
const LONGEST_REPLY: usize = 4 << 20;

/// What a connection runs over.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> Stream for S {}

/// Why there is no reply that could be read.
#[derive(Debug)]
pub enum Failed {
    /// The connection ended, or cannot be used any more.
    Broken(io::Error),
    /// What came is no reply.
    NoReply,
}

/// A stream to a server.
pub struct Exchange {
    stream: Box<dyn Stream>,
    /// A reply is still to come: whoever asked gave up waiting.
    owed: bool,
    /// Something was answered.
    heard: bool,
}

impl Exchange {
    /// Over a stream on which nothing was said yet.
    pub fn new(stream: impl Stream + 'static) -> Self {
        let stream = Box::new(stream);
        Self {
            stream,
            owed: false,
            heard: false,
        }
    }

    /// Sends a command and waits for its reply, an error of the server's among them. Who
    /// gives up waiting must not ask again.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ask(&mut self, command: &Cmd) -> Result<Value, Failed> {
        let request = command.get_packed_command();
        let value = self.talk(&request, redis::parse_redis_value).await?;
        value.map_err(|_| self.no_reply())
    }

    /// Sends a packed command and has the text of its reply read, whichever way it is sent
    /// as text; `Err` holds what is none: an error of the server's, say. Who gives up
    /// waiting must not ask again.
    ///
    /// # Errors
    /// Why there is no reply.
    pub async fn ask_text<T>(
        &mut self,
        request: &[u8],
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<Result<T, Value>, Failed> {
        let told = self.talk(request, |reply| read_text(reply, read));
        told.await?.map_err(|Malformed| self.no_reply())
    }

    /// Whatever comes next belongs to nobody's question.
    fn no_reply(&mut self) -> Failed {
        self.owed = true;
        Failed::NoReply
    }

    /// Sends a request and has the bytes of its reply read.
    async fn talk<T>(
        &mut self,
        request: &[u8],
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, Failed> {
        if std::mem::replace(&mut self.owed, true) {
            let told = "a reply to another question is still to come";
            return Err(Failed::Broken(io::Error::other(told)));
        }
        let mut came = None;
        self.look(&mut came).await?;
        let written = match self.stream.write_all(request).await {
            Ok(()) => self.stream.flush().await,
            broken => broken,
        };
        let mut is_read = came.is_some();
        let mut scan = Scan::default();
        let mut passed_over: usize = 0;
        loop {
            // A server that refuses a connection says why, and closes it: that is read
            // although nothing could be written any more.
            if !std::mem::take(&mut is_read) {
                match poll_fn(|context| self.poll_read(&mut came, context)).await {
                    Ok(0) => return Err(Failed::Broken(written.err().unwrap_or_else(closed))),
                    Ok(_) => {}
                    Err(error) => return Err(Failed::Broken(error)),
                }
            }
            let Some(buffer) = &mut came else {
                continue;
            };
            // Each taken out by itself would cost the square of their number.
            let mut begin: usize = 0;
            let end = loop {
                let rest = buffer.get(begin..).unwrap_or_default();
                match scan.end(rest, LONGEST_REPLY) {
                    // What a server says unasked (RESP3) is no reply.
                    Ok(Some(end)) if rest.first() == Some(&b'>') => {
                        begin = begin.saturating_add(end);
                        scan = Scan::default();
                    }
                    Ok(end) => break end,
                    Err(Malformed) => return Err(Failed::NoReply),
                }
            };
            buffer.drain(..begin);
            passed_over = passed_over.saturating_add(begin);
            if let Some((reply, rest)) = end.and_then(|end| buffer.split_at_checked(end)) {
                self.owed = pushes(rest) < rest.len();
                self.heard = true;
                return Ok(read(reply));
            }
            if passed_over.saturating_add(buffer.len()) > LONGEST_REPLY {
                return Err(Failed::Broken(io::Error::other("its reply has no end")));
            }
        }
    }

    /// Looks what has come before anything is asked. Taken for the reply, one that came
    /// twice or too late would be followed by others of the past.
    async fn look(&mut self, came: &mut Option<Buffer>) -> Result<(), Failed> {
        let looked = poll_fn(|context| {
            Poll::Ready(match self.poll_read(came, context) {
                Poll::Pending => None,
                Poll::Ready(read) => Some(read),
            })
        });
        match looked.await {
            None => return Ok(()),
            Some(Ok(0)) => return Err(Failed::Broken(closed())),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(Failed::Broken(error)),
        }
        let Some(buffer) = came else {
            return Ok(());
        };
        let passed_over = pushes(buffer);
        buffer.drain(..passed_over);
        match buffer.first() {
            None => *came = None,
            // A server that refuses a connection says why at once.
            Some(b'-' | b'>') => {}
            // Another kind of server greets first.
            Some(_) if !self.heard => return Err(self.no_reply()),
            Some(_) => {
                let told = "it says what was not asked for";
                return Err(Failed::Broken(io::Error::other(told)));
            }
        }
        Ok(())
    }

    /// Reads on: the number of bytes, none at the end of the stream. There is a buffer
    /// only once something has come.
    fn poll_read(
        &mut self,
        came: &mut Option<Buffer>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut buffer = came.take().unwrap_or_else(Buffer::take);
        buffer.make_room();
        let read = pin!(self.stream.read_buf(&mut *buffer)).poll(context);
        if !buffer.is_empty() {
            *came = Some(buffer);
        }
        read
    }
}

fn closed() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

/// Bytes of what a server says unasked (RESP3) at the beginning of these, as far as it is
/// whole.
fn pushes(bytes: &[u8]) -> usize {
    let mut passed: usize = 0;
    while let Some(rest @ [b'>', ..]) = bytes.get(passed..)
        && let Ok(Some(length)) = Scan::default().end(rest, LONGEST_REPLY)
    {
        passed = passed.saturating_add(length);
    }
    passed
}

/// Reads the text of a whole reply where it lies, or what else it is.
fn read_text<T>(
    reply: &[u8],
    read: impl FnOnce(&[u8]) -> T,
) -> Result<Result<T, Value>, Malformed> {
    if let Some(text) = reply::text(reply) {
        return Ok(Ok(read(text)));
    }
    let value = redis::parse_redis_value(reply).map_err(|_| Malformed)?;
    Ok(match text(&value) {
        Some(text) => Ok(read(text)),
        None => Err(value),
    })
}

/// The text of a reply that is one.
pub(super) fn text(reply: &Value) -> Option<&[u8]> {
    match reply {
        Value::BulkString(bytes) => Some(bytes),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

/// The words for a connection that broke.
pub fn lost(error: &io::Error) -> Trouble {
    Trouble::lost(&match error.kind() {
        io::ErrorKind::UnexpectedEof => "the server closed it".to_owned(),
        _ => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::io::{DuplexStream, duplex};
    use tokio::time::timeout;

    use super::*;

    /// Runs a test beside a server of a few words.
    fn with(test: impl AsyncFnOnce(Exchange, DuplexStream)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let (ours, theirs) = duplex(1 << 16);
        runtime.block_on(test(Exchange::new(ours), theirs));
    }

    #[test]
    fn a_reply_comes_in_pieces_and_what_was_not_asked_for_is_passed_over() {
        with(async |mut exchange, mut server| {
            let talk = async {
                let mut asked = [0; 14];
                server.read_exact(&mut asked).await.unwrap();
                assert_eq!(&asked, b"*1\r\n$4\r\nINFO\r\n");
                for piece in [">1\r\n+note\r\n$5\r\nhe", "ll", "o\r", "\n"] {
                    server.write_all(piece.as_bytes()).await.unwrap();
                    tokio::task::yield_now().await;
                }
            };
            let command = redis::cmd("INFO");
            let (reply, ()) = tokio::join!(exchange.ask(&command), talk);
            assert_eq!(reply.unwrap(), Value::BulkString(b"hello".to_vec()));
        });
    }

    #[test]
    fn who_waits_holds_no_buffer_and_a_text_is_read_where_it_lies() {
        with(async |mut exchange, mut server| {
            let places = std::cell::RefCell::new(Vec::new());
            for _ in 0..3 {
                let asked = exchange.ask_text(b"INFO\r\n", |text| {
                    assert_eq!(text, b"hello");
                    places.borrow_mut().push(text.as_ptr());
                });
                let talk = async {
                    let mut asked = [0; 6];
                    server.read_exact(&mut asked).await.unwrap();
                    // One that waits meanwhile would have it.
                    let mut free = Buffer::take();
                    free.make_room();
                    places.borrow_mut().push(free.as_ptr().wrapping_add(4));
                    drop(free);
                    server.write_all(b"$5\r\nhello\r\n").await.unwrap();
                };
                let (told, ()) = tokio::join!(asked, talk);
                assert_eq!(told.unwrap(), Ok(()));
            }
            let places = places.into_inner();
            assert!(places.iter().all(|place| *place == places[0]), "{places:?}");
            let talk = server.write_all(b"-ERR no\r\n");
            let (told, sent) = tokio::join!(exchange.ask_text(b"INFO\r\n", |_| ()), talk);
            sent.unwrap();
            assert!(matches!(told, Ok(Err(Value::ServerError(_)))));
            let talk = async {
                // The question before is in front of it.
                let mut asked = [0; 12];
                server.read_exact(&mut asked).await.unwrap();
                server.write_all(b"=3\r\ntxt\r\n").await.unwrap();
            };
            let (told, ()) = tokio::join!(exchange.ask_text(b"INFO\r\n", |_| ()), talk);
            assert!(matches!(told, Err(Failed::NoReply)), "it has no kind");
            let again = exchange.ask_text(b"INFO\r\n", |_| ()).await;
            assert!(matches!(again, Err(Failed::Broken(_))));
        });
    }

    /// Any reply of RESP2 or RESP3.
    fn replies() -> impl Strategy<Value = Vec<u8>> {
        let framed = |kind: &'static str, bytes: Vec<u8>| {
            let head = format!("{kind}{}\r\n", bytes.len());
            [head.as_bytes(), &bytes, b"\r\n"].concat()
        };
        let words = "[ -~]{0,20}";
        let leaf = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40).prop_map(move |bytes| framed("$", bytes)),
            "\\PC{0,20}".prop_map(move |text| framed("=", format!("txt:{text}").into_bytes())),
            words.prop_map(move |text| framed("=", format!("mkd:{text}").into_bytes())),
            words.prop_map(|text| format!("+{text}\r\n").into_bytes()),
            "ERR [a-z ]{1,20}".prop_map(|text| format!("-{text}\r\n").into_bytes()),
            "ERR [a-z ]{1,20}".prop_map(move |text| framed("!", text.into_bytes())),
            any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
            Just(b"$-1\r\n".to_vec()),
            Just(b"_\r\n".to_vec()),
            Just(b"#t\r\n".to_vec()),
            Just(b",1.5\r\n".to_vec()),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            let list = |kind: &'static str, each: usize, items: Vec<Vec<u8>>| {
                let count = items.len() / each;
                let head = format!("{kind}{count}\r\n").into_bytes();
                let items = items[..count * each].concat();
                [head, items].concat()
            };
            let items = prop::collection::vec(inner, 0..4);
            prop_oneof![
                items.clone().prop_map(move |items| list("*", 1, items)),
                items.clone().prop_map(move |items| list("~", 1, items)),
                items.prop_map(move |items| list("%", 2, items)),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_client_library_reads_the_same_text(reply in replies()) {
            let value = redis::parse_redis_value(&reply).unwrap();
            let ours = read_text(&reply, <[u8]>::to_vec).unwrap();
            prop_assert_eq!(ours.as_deref().ok(), text(&value));
            prop_assert!(ours.err().is_none_or(|other| other == value));
            prop_assert_eq!(Scan::default().end(&reply, LONGEST_REPLY), Ok(Some(reply.len())));
        }
    }

    #[test]
    fn whoever_gave_up_gets_no_other_s_reply() {
        with(async |mut exchange, mut server| {
            let command = redis::cmd("INFO");
            let short = Duration::from_millis(10);
            assert!(timeout(short, exchange.ask(&command)).await.is_err());
            server.write_all(b"+late\r\n").await.unwrap();
            assert!(matches!(
                exchange.ask(&command).await,
                Err(Failed::Broken(_))
            ));
        });
    }

    #[test]
    fn a_reply_that_comes_twice_or_too_late_is_nobody_s() {
        let broken = |reply| matches!(reply, Err(Failed::Broken(_)));
        let ask = async |exchange: &mut Exchange| exchange.ask(&redis::cmd("INFO")).await;
        for said in [
            "+one\r\n+one\r\n",
            "+one\r\n+o",
            "+one\r\n>1\r\n+no",
            "+one\r\n>1\r\n+note\r\n",
            ">1\r\n+note\r\n+one\r\n",
        ] {
            with(async |mut exchange, mut server| {
                let (reply, sent) = tokio::join!(ask(&mut exchange), async {
                    // Not before it is asked.
                    let mut asked = [0; 14];
                    server.read_exact(&mut asked).await.unwrap();
                    server.write_all(said.as_bytes()).await
                });
                sent.unwrap();
                assert_eq!(
                    reply.unwrap(),
                    Value::SimpleString("one".into()),
                    "{said:?}"
                );
                server.write_all(b"+two\r\n").await.unwrap();
                assert!(broken(ask(&mut exchange).await), "{said:?}");
            });
        }
        with(async |mut exchange, mut server| {
            server.write_all(b">1\r\n+note\r\n").await.unwrap();
            let (reply, ()) = tokio::join!(ask(&mut exchange), async {
                let mut asked = [0; 14];
                server.read_exact(&mut asked).await.unwrap();
                server.write_all(b"+one\r\n").await.unwrap();
            });
            assert_eq!(reply.unwrap(), Value::SimpleString("one".into()));
            drop(server);
            assert!(broken(ask(&mut exchange).await));
        });
    }

    #[test]
    fn last_words_are_read_and_an_end_without_any_is_told() {
        for (words, broken) in [
            ("-ERR max number of clients reached\r\n", false),
            ("", true),
        ] {
            with(async |mut exchange, mut server| {
                server.write_all(words.as_bytes()).await.unwrap();
                drop(server);
                let reply = exchange.ask(&redis::cmd("INFO")).await;
                match reply {
                    Ok(Value::ServerError(_)) => assert!(!broken),
                    Err(Failed::Broken(error)) => {
                        assert!(broken && !lost(&error).to_string().is_empty());
                    }
                    other => panic!("{other:?}"),
                }
            });
        }
    }

    #[test]
    fn a_reply_without_end_is_not_kept() {
        let x = [b'x'; 8192].as_slice();
        let pushes = b">1\r\n+x\r\n".repeat(900);
        for (begin, again) in [
            ("$4194305\r\n", x),
            ("*1\r\n$4000000\r\n", x),
            ("+", x),
            ("", &pushes),
        ] {
            with(async |mut exchange, mut server| {
                let flood = async {
                    let _ = server.write_all(begin.as_bytes()).await;
                    while server.write_all(again).await.is_ok() {}
                };
                let command = redis::cmd("INFO");
                let asked = async {
                    let reply = exchange.ask(&command).await;
                    drop(exchange);
                    reply
                };
                let (reply, ()) = tokio::join!(asked, flood);
                assert!(reply.is_err(), "{begin}");
            });
        }
    }

    /// What greets before it is asked is no Redis, whenever the greeting arrives.
    #[tokio::test]
    async fn one_that_speaks_first_is_none_of_ours() {
        for early in [true, false] {
            let (client, mut server) = tokio::io::duplex(1024);
            let mut exchange = Exchange::new(client);
            if early {
                server.write_all(b"220 mail\r\n").await.unwrap();
            }
            let ping = redis::cmd("PING");
            let (asked, ()) = tokio::join!(exchange.ask(&ping), async {
                if !early {
                    server.write_all(b"220 mail\r\n").await.unwrap();
                }
            });
            assert!(matches!(asked, Err(Failed::NoReply)), "{early}: {asked:?}");
        }
    }
}
