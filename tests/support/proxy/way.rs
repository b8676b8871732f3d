//! One connection through a proxy, and what goes wrong with it.
//!
//! Knows where a RESP request and a reply end (`resp.rs`); must not know what is asked.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::resp;
use super::{Behind, Fault, Handover, To};

const BUFFER: usize = 16 << 10;
/// A client does so once its question is no use any more.
const HANGS_UP: Duration = Duration::from_secs(2);
/// How long after a reply its copy comes.
const COPY_AFTER: Duration = Duration::from_millis(50);

/// One end of a connection.
pub(super) enum Client {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Client {
    async fn to(to: &To) -> io::Result<Self> {
        Ok(match to {
            To::Tcp(address) => Self::Tcp(TcpStream::connect(address).await?),
            To::Unix(path) => Self::Unix(UnixStream::connect(path).await?),
        })
    }

    /// Waits until it says something, and resets it.
    async fn reset(self) {
        match self {
            Self::Tcp(stream) => {
                let _ = stream.ready(Interest::READABLE).await;
                let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
            }
            // What was not read makes the end of a unix socket a reset.
            Self::Unix(stream) => drop(stream.ready(Interest::READABLE).await),
        }
    }
}

impl AsyncRead for Client {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Client {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// What becomes of the connection.
enum Next {
    On,
    /// The fault is another one.
    Anew,
    End,
}

struct Way {
    client: Client,
    server: Client,
    fault: Receiver<Fault>,
    behind: Receiver<Behind>,
    /// Another server is behind it, and the next question goes there.
    is_handed_over: bool,
    /// Bytes of replies that passed since the fault began.
    passed: usize,
    /// Bytes of replies that wait for its end, or for the next question.
    held: Vec<u8>,
    /// The beginning of a command.
    begun: Vec<u8>,
    /// The beginning of a reply that is to be copied.
    heard: Vec<u8>,
    /// What is said once more, and when. A fault that is over takes none of it back.
    copies: VecDeque<(Instant, Vec<u8>)>,
}

/// Leads a client to the server until one of them or the proxy ends.
pub(super) async fn lead(client: Client, mut behind: Receiver<Behind>, fault: Receiver<Fault>) {
    let (to, _) = behind.borrow_and_update().clone();
    let Ok(server) = Client::to(&to).await else {
        return;
    };
    let way = Way {
        client,
        server,
        fault,
        behind,
        is_handed_over: false,
        passed: 0,
        held: Vec::new(),
        begun: Vec::new(),
        heard: Vec::new(),
        copies: VecDeque::new(),
    };
    // A client or server that is gone ends it, and that is all.
    let _ = way.run().await;
}

impl Way {
    async fn run(mut self) -> io::Result<()> {
        loop {
            let now = self.fault.borrow_and_update().clone();
            self.passed = 0;
            self.heard.clear();
            match &now {
                Fault::Refused => return Ok(()),
                Fault::Reset => {
                    tokio::select! {
                        () = self.client.reset() => {}
                        _ = self.fault.changed() => {}
                    }
                    return Ok(());
                }
                Fault::Greets(words) => {
                    self.client.write_all(words).await?;
                    return self.client.shutdown().await;
                }
                _ => {}
            }
            if !matches!(now, Fault::BlackHole | Fault::Silent) {
                let held = std::mem::take(&mut self.held);
                self.client.write_all(&held).await?;
            }
            loop {
                match self.step(&now).await? {
                    Next::On => {}
                    Next::Anew => break,
                    Next::End => return Ok(()),
                }
            }
        }
    }

    /// Passes on what comes next, from either side.
    async fn step(&mut self, now: &Fault) -> io::Result<Next> {
        let mut asked = [0; BUFFER];
        let mut told = [0; BUFFER];
        let is_deaf = matches!(now, Fault::BlackHole | Fault::Silent);
        let is_mute = is_deaf || (!self.held.is_empty() && *now != Fault::Late);
        let copy_at = self.copies.front().map(|(at, _)| *at);
        tokio::select! {
            biased;
            changed = self.fault.changed() => {
                Ok(if changed.is_ok() { Next::Anew } else { Next::End })
            }
            Ok(()) = self.behind.changed() => {
                self.is_handed_over = true;
                let (_, how) = *self.behind.borrow_and_update();
                Ok(if how == Handover::Cut { Next::End } else { Next::On })
            }
            () = sleep_until(copy_at.unwrap_or_else(Instant::now)), if copy_at.is_some() => {
                if let Some((_, copy)) = self.copies.pop_front() {
                    self.client.write_all(&copy).await?;
                }
                Ok(Next::On)
            }
            length = self.client.read(&mut asked), if !is_deaf => match length? {
                0 => Ok(Next::End),
                length => self.ask(now, &asked[..length]).await,
            },
            length = self.server.read(&mut told), if !is_mute => match length? {
                0 => Ok(Next::End),
                length => self.tell(now, &told[..length]).await,
            },
        }
    }

    async fn ask(&mut self, now: &Fault, bytes: &[u8]) -> io::Result<Next> {
        if std::mem::take(&mut self.is_handed_over) {
            let (to, _) = self.behind.borrow().clone();
            self.server = Client::to(&to).await?;
        }
        if *now == Fault::Late {
            let held = std::mem::take(&mut self.held);
            self.client.write_all(&held).await?;
        }
        let commands = match now {
            Fault::Says(_) | Fault::Floods(_) | Fault::Asks(_) => self.commands(bytes),
            _ => {
                self.server.write_all(bytes).await?;
                0
            }
        };
        for _ in 0..commands {
            match now {
                Fault::Says(words) => self.client.write_all(words).await?,
                Fault::Asks(words) => self.server.write_all(words).await?,
                Fault::Floods(words) => loop {
                    tokio::select! {
                        written = self.client.write_all(words) => written?,
                        _ = self.fault.changed() => {
                            // Half a reply was said: whoever heard it is to hang up.
                            let mut more = [0; 64];
                            let _ = timeout(HANGS_UP, self.client.read(&mut more)).await;
                            return Ok(Next::End);
                        }
                    }
                    // One thread serves all ways.
                    tokio::task::yield_now().await;
                },
                _ => {}
            }
        }
        Ok(Next::On)
    }

    async fn tell(&mut self, now: &Fault, bytes: &[u8]) -> io::Result<Next> {
        match now {
            Fault::Stalled(most) | Fault::Cut(most) => {
                let (pass, rest) = bytes.split_at(bytes.len().min(most - self.passed));
                self.passed += pass.len();
                self.client.write_all(pass).await?;
                if self.passed == *most && matches!(now, Fault::Cut(_)) {
                    return Ok(Next::End);
                }
                self.held.extend_from_slice(rest);
            }
            Fault::Trickle => {
                for (place, byte) in bytes.iter().enumerate() {
                    self.client.write_all(&[*byte]).await?;
                    tokio::select! {
                        () = sleep(Duration::from_secs(1)) => {}
                        changed = self.fault.changed() => {
                            self.client.write_all(&bytes[place + 1..]).await?;
                            return Ok(if changed.is_ok() { Next::Anew } else { Next::End });
                        }
                    }
                }
            }
            Fault::Late => self.held.extend_from_slice(bytes),
            _ => self.client.write_all(bytes).await?,
        }
        if *now == Fault::Twice {
            self.heard.extend_from_slice(bytes);
            while let Some(end) = resp::reply(&self.heard) {
                let copy = self.heard.drain(..end).collect();
                self.copies.push_back((Instant::now() + COPY_AFTER, copy));
            }
        }
        Ok(Next::On)
    }

    /// How many commands end in what came.
    fn commands(&mut self, bytes: &[u8]) -> usize {
        self.begun.extend_from_slice(bytes);
        let mut count = 0;
        while let Some(end) = resp::command(&self.begun) {
            self.begun.drain(..end);
            count += 1;
        }
        count
    }
}
