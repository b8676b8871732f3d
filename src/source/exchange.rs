//! One question and one reply at a time over a byte stream.
//!
//! Keeps nothing between two questions, so that a connection that waits costs its socket
//! alone: buffers of the client library's own would take 16 kB each. Must not know what
//! is asked.

use std::io;

use redis::{Cmd, Value};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::reply::{Malformed, Scan};
use super::trouble::Trouble;

/// Longest answer to one question, bytes. INFO has some 10 kB and MEMORY MALLOC-STATS
/// 100 kB. Whoever listens at an address could fill the memory of this machine.
const LONGEST_REPLY: usize = 4 << 20;

/// Room made for what comes: INFO in one piece.
const ROOM: usize = 8 << 10;

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
}

impl Exchange {
    /// Over a stream on which nothing was said yet.
    pub fn new(stream: impl Stream + 'static) -> Self {
        let stream = Box::new(stream);
        Self {
            stream,
            owed: false,
        }
    }

    /// Sends a command and waits for its reply, an error of the server's among them. Who
    /// gives up waiting must not ask again.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ask(&mut self, command: &Cmd) -> Result<Value, Failed> {
        if std::mem::replace(&mut self.owed, true) {
            let told = "a reply to another question is still to come";
            return Err(Failed::Broken(io::Error::other(told)));
        }
        let asked = command.get_packed_command();
        let sent = async {
            self.stream.write_all(&asked).await?;
            self.stream.flush().await
        };
        let written = sent.await;
        let mut came = Vec::with_capacity(ROOM);
        let mut scan = Scan::default();
        let reply = loop {
            match scan.end(&came, LONGEST_REPLY) {
                // What a server says unasked (RESP3) is no reply.
                Ok(Some(end)) if came.first() == Some(&b'>') => {
                    came.drain(..end);
                    scan = Scan::default();
                    continue;
                }
                Ok(Some(end)) => break &came[..end],
                Ok(None) => {}
                Err(Malformed) => return Err(Failed::NoReply),
            }
            if came.len() > LONGEST_REPLY {
                return Err(Failed::Broken(io::Error::other("its reply has no end")));
            }
            came.reserve(ROOM);
            // A server that refuses a connection says why, and closes it: that is read
            // although nothing could be written any more.
            match self.stream.read_buf(&mut came).await {
                Ok(0) => {
                    let closed = || io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Err(Failed::Broken(written.err().unwrap_or_else(closed)));
                }
                Ok(_) => {}
                Err(error) => return Err(Failed::Broken(error)),
            }
        };
        let value = redis::parse_redis_value(reply).map_err(|_| Failed::NoReply)?;
        self.owed = false;
        Ok(value)
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
        for begin in ["$4194305\r\n", "*1\r\n$4000000\r\n", "+"] {
            with(async |mut exchange, mut server| {
                let flood = async {
                    let _ = server.write_all(begin.as_bytes()).await;
                    while server.write_all(&[b'x'; 8192]).await.is_ok() {}
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
}
