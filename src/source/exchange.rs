//! One question and one reply at a time over a byte stream.
//!
//! Keeps nothing between two questions, so that a connection that waits costs its socket
//! alone: buffers of the client library's own would take 16 kB each. Must not know what
//! is asked.

use std::io;

use redis::{Cmd, Value};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::reply;
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
        let reply = loop {
            match reply::end(&came, LONGEST_REPLY) {
                // What a server says unasked (RESP3) is no reply.
                Ok(Some(end)) if came.first() == Some(&b'>') => {
                    came.drain(..end);
                    continue;
                }
                Ok(Some(end)) => break &came[..end],
                Ok(None) => {}
                Err(reply::Malformed) => return Err(Failed::NoReply),
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
