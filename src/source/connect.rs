//! Opens connections: TCP and unix sockets, let in by password or ACL user.
//!
//! Makes the stream itself and hands it to the client library. Must not know
//! what is asked over it.

use std::io;
use std::net::SocketAddr;

use redis::RedisConnectionInfo;
use redis::aio::{AsyncStream, MultiplexedConnection};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::task::JoinHandle;

use crate::config::address::Address;
use crate::config::job::Secret;
use crate::config::login::Login;

use super::bounded::{Allowance, Bounded};
use super::identify::Ends;
use super::trouble::Trouble;

/// Addresses found for a name.
type Found = io::Result<Vec<SocketAddr>>;

/// The name of one instance, being looked up. A question that takes longer than a
/// try is kept for the next, so that names without an answer do not queue up.
#[derive(Debug, Default)]
pub struct Lookup {
    under_way: Option<JoinHandle<Found>>,
}

impl Lookup {
    /// Whether an answer is still awaited.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    async fn find(&mut self, host: &str, port: u16) -> Found {
        let question = self.under_way.get_or_insert_with(|| {
            let host = host.to_owned();
            tokio::spawn(async move { Ok(lookup_host((host, port)).await?.collect()) })
        });
        let found = question.await;
        self.under_way = None;
        found.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

/// An open connection; closed when dropped.
pub struct Connection {
    multiplexed: MultiplexedConnection,
    driver: JoinHandle<()>,
    allowance: Allowance,
    ends: Option<Ends>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Connects and logs in. The caller bounds the time.
    ///
    /// # Errors
    /// Why it did not come to a connection.
    pub async fn open(
        address: &Address,
        login: &Login,
        lookup: &mut Lookup,
    ) -> Result<Self, Trouble> {
        match address {
            Address::Tcp { host, port } => {
                let found = lookup.find(host, *port).await;
                let found = found.map_err(|error| Trouble::from_connect(&error))?;
                let stream = TcpStream::connect(found.as_slice()).await;
                let stream = stream.map_err(|error| Trouble::from_connect(&error))?;
                stream
                    .set_nodelay(true)
                    .map_err(|error| Trouble::from_connect(&error))?;
                let ends = stream.peer_addr().ok().zip(stream.local_addr().ok());
                let ends = ends.map(|(server, client)| Ends::Tcp { server, client });
                Self::log_in(stream, ends, login).await
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                let stream = stream.map_err(|error| Trouble::from_connect(&error))?;
                let listener = stream.peer_cred().ok().and_then(|peer| peer.pid());
                let listener = listener.and_then(|pid| u32::try_from(pid).ok());
                Self::log_in(stream, Some(Ends::Unix(listener)), login).await
            }
        }
    }

    async fn log_in(
        stream: impl AsyncStream + Unpin + Send + 'static,
        ends: Option<Ends>,
        login: &Login,
    ) -> Result<Self, Trouble> {
        // CLIENT SETINFO is left out: a user that may run INFO alone would leave
        // a denial in the server's ACL LOG for it.
        let mut settings = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(password) = &login.password {
            settings = settings.set_password(Secret::reveal(password));
            if let Some(username) = &login.username {
                settings = settings.set_username(Secret::reveal(username));
            }
        }
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let allowance = Allowance::new();
        let stream = Bounded::new(stream, allowance.clone());
        let opened = MultiplexedConnection::new_with_config(&settings, stream, config).await;
        let (multiplexed, driver) = opened.map_err(|error| Trouble::from_redis(&error))?;
        Ok(Self {
            multiplexed,
            driver: tokio::spawn(driver),
            allowance,
            ends,
        })
    }

    /// Where it begins and ends.
    #[must_use]
    pub fn ends(&self) -> Option<Ends> {
        self.ends
    }

    /// Sends a command and waits for its reply. The caller bounds the time.
    ///
    /// # Errors
    /// Why there is no reply.
    pub async fn ask(&mut self, command: &redis::Cmd) -> Result<redis::Value, Trouble> {
        self.allowance.renew();
        let reply = command.query_async(&mut self.multiplexed).await;
        reply.map_err(|error| Trouble::from_redis(&error))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    #[test]
    fn a_slow_answer_is_awaited_by_the_next_try() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let slow = SocketAddr::from(([192, 0, 2, 1], 1));
            let mut lookup = Lookup {
                under_way: Some(tokio::spawn(async move {
                    sleep(Duration::from_millis(50)).await;
                    Ok(vec![slow])
                })),
            };
            let short = Duration::from_millis(5);
            assert!(timeout(short, lookup.find("127.0.0.1", 2)).await.is_err());
            assert!(lookup.is_under_way());
            assert_eq!(lookup.find("127.0.0.1", 2).await.unwrap(), [slow]);
            assert!(!lookup.is_under_way());
            let next = lookup.find("127.0.0.1", 2).await.unwrap();
            assert_eq!(next, [SocketAddr::from(([127, 0, 0, 1], 2))]);
        });
    }
}
