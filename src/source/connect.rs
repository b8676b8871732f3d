//! Opens connections: TCP and unix sockets, let in by password or ACL user.
//!
//! Makes the stream itself and hands it to the client library. Must not know
//! what is asked over it.

use redis::RedisConnectionInfo;
use redis::aio::{AsyncStream, MultiplexedConnection};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;

use crate::config::address::Address;
use crate::config::job::{Credentials, Secret};

use super::trouble::Trouble;

/// An open connection; closed when dropped.
pub struct Connection {
    multiplexed: MultiplexedConnection,
    driver: JoinHandle<()>,
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
    pub async fn open(address: &Address, credentials: &Credentials) -> Result<Self, Trouble> {
        match address {
            Address::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await;
                let stream = stream.map_err(|error| Trouble::from_connect(&error))?;
                stream
                    .set_nodelay(true)
                    .map_err(|error| Trouble::from_connect(&error))?;
                Self::log_in(stream, credentials).await
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                let stream = stream.map_err(|error| Trouble::from_connect(&error))?;
                Self::log_in(stream, credentials).await
            }
        }
    }

    async fn log_in(
        stream: impl AsyncStream + Unpin + Send + 'static,
        credentials: &Credentials,
    ) -> Result<Self, Trouble> {
        // CLIENT SETINFO is left out: a user that may run INFO alone would leave
        // a denial in the server's ACL LOG for it.
        let mut settings = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(password) = &credentials.password {
            settings = settings.set_password(Secret::reveal(password));
            if let Some(username) = &credentials.username {
                settings = settings.set_username(username);
            }
        }
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let opened = MultiplexedConnection::new_with_config(&settings, stream, config).await;
        let (multiplexed, driver) = opened.map_err(|error| Trouble::from_redis(&error))?;
        Ok(Self {
            multiplexed,
            driver: tokio::spawn(driver),
        })
    }

    /// Sends a command and waits for its reply. The caller bounds the time.
    ///
    /// # Errors
    /// Why there is no reply.
    pub async fn ask(&mut self, command: &redis::Cmd) -> Result<redis::Value, Trouble> {
        let reply = command.query_async(&mut self.multiplexed).await;
        reply.map_err(|error| Trouble::from_redis(&error))
    }
}
