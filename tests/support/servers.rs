//! Real Redis and Valkey servers: which versions the tests have, and one
//! started in a folder of its own, asked, stopped, paused and restarted.
//!
//! Knows how to run a server, nothing of what the plugin asks of it.

mod kinds;
mod load;
mod start;

pub use kinds::Kind;
pub use load::Rewrite;
pub use start::ServerBuilder;

use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::process::{self, Tie};
use super::secrets;
use load::Keys;
pub(in crate::support) use start::connect;
use start::{Failure, START_LIMIT};

const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// A running server, which ends and takes its folder along when dropped.
pub struct Server {
    builder: ServerBuilder,
    child: Child,
    socket: PathBuf,
    port: u16,
    connection: Mutex<Option<redis::Connection>>,
    keys: Mutex<Keys>,
    // Gone only once the folder was given away.
    dir: Option<tempfile::TempDir>,
}

/// A read with a timeout ends with whatever signal comes (signal(7)), and each child that
/// ends sends one: of many tests at once several may come in a row.
const INTERRUPTED: usize = 10;

impl Server {
    /// A server with a socket and a port, without a password.
    pub fn start(kind: Kind) -> Server {
        Server::builder(kind).start()
    }

    /// For anything else than [`Server::start`] gives.
    pub fn builder(kind: Kind) -> ServerBuilder {
        ServerBuilder {
            kind,
            args: Vec::new(),
            socket: true,
            tcp: true,
            password: None,
            tie: Tie::DiesWithUs,
            user: None,
            cluster: false,
        }
    }

    /// Which server this is.
    pub fn kind(&self) -> Kind {
        self.builder.kind
    }

    /// The path of its Unix socket.
    pub fn socket(&self) -> &Path {
        assert!(self.builder.socket, "this server has no Unix socket");
        &self.socket
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        assert!(self.builder.tcp, "this server has no port");
        self.port
    }

    /// `unix:///path`
    pub fn unix_address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// `redis://127.0.0.1:port`
    pub fn tcp_address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folder with its socket, its `log` and what it saves.
    pub fn dir(&self) -> &Path {
        self.dir.as_ref().expect("the folder was given away").path()
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir().join("log")).unwrap_or_default()
    }

    /// Sends a command over a connection of its own, which stays open: it
    /// counts as one of the server's clients, and still works after the
    /// default user has lost its password or `maxclients` is reached.
    pub fn command(&self, words: &[&str]) -> redis::RedisResult<redis::Value> {
        secrets::note_command(words);
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word);
        }
        self.with_connection(|connection| command.query(connection))
    }

    /// The answer as text; panics with the server's words on an error.
    #[track_caller]
    pub fn ok(&self, words: &[&str]) -> String {
        match self.command(words) {
            Ok(value) => text(&value),
            Err(e) => panic!("{}: {words:?} failed: {e}", self.kind().name()),
        }
    }

    /// All of `INFO`.
    pub fn info(&self) -> String {
        self.ok(&["INFO", "everything"])
    }

    /// One field of `INFO`.
    pub fn info_field(&self, name: &str) -> Option<String> {
        self.info()
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::to_string)
    }

    /// One field of `INFO`, which must be there and be a number.
    #[track_caller]
    pub fn info_number(&self, name: &str) -> f64 {
        self.info_field(name)
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("{}: no number {name} in INFO", self.kind().name()))
    }

    /// Stops it where it is: it neither answers nor ends.
    pub fn pause(&self) {
        assert!(process::signal(self.pid(), "STOP"), "no server to pause");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        assert!(process::signal(self.pid(), "CONT"), "no server to resume");
    }

    /// Ends it as an administrator would.
    pub fn terminate(&mut self) {
        self.forget_connection();
        process::stop(&mut self.child, STOP_PATIENCE);
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.forget_connection();
        process::kill(&mut self.child);
    }

    /// A new, empty process on the same socket and port.
    pub fn restart(&mut self) {
        self.kill();
        *self.keys.get_mut().expect("a fill has panicked") = Keys::new();
        let dir = self.dir().to_path_buf();
        // Another server may hold the port for a moment: ours was free.
        let deadline = Instant::now() + START_LIMIT;
        self.child = loop {
            match self.builder.launch(&dir, self.port) {
                Ok(child) => break child,
                Err(Failure::PortTaken) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(Failure::PortTaken) => panic!("port {} was taken meanwhile", self.port),
                Err(Failure::Other(why)) => panic!("the restart failed: {why}"),
            }
        };
    }

    /// Another version or flavour with these settings on the same socket and port, in a new
    /// process.
    pub fn replace(&mut self, kind: Kind, args: &[(&str, &str)]) {
        self.builder.kind = kind;
        let owned = |(name, value): &(&str, &str)| ((*name).to_string(), (*value).to_string());
        self.builder.args = args.iter().map(owned).collect();
        self.restart();
    }

    /// Sends words without waiting for an answer, over a connection of their own that
    /// ends when what is returned is dropped: for what keeps the server busy.
    pub fn begin(&self, words: &[&str]) -> std::os::unix::net::UnixStream {
        use std::io::Write;

        let mut stream = std::os::unix::net::UnixStream::connect(self.socket())
            .unwrap_or_else(|e| panic!("cannot connect to {}: {e}", self.kind().name()));
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word);
        }
        stream
            .write_all(&command.get_packed_command())
            .unwrap_or_else(|e| panic!("{}: {words:?} not sent: {e}", self.kind().name()));
        stream
    }

    /// Leaves a [detached](ServerBuilder::detached) server running; its
    /// process id and folder.
    pub fn keep(mut self) -> (u32, PathBuf) {
        assert!(
            self.builder.tie == Tie::Detached,
            "only a server built with detached() can be kept"
        );
        let dir = self.dir.take().expect("the folder was given away");
        (self.pid(), dir.keep())
    }

    /// Does it over the server's own connection, and again where a signal broke it
    /// off: a socket with time limits is not waited on again by the kernel
    /// (signal(7)), and the client library does not either.
    fn with_connection<T>(
        &self,
        mut f: impl FnMut(&mut redis::Connection) -> redis::RedisResult<T>,
    ) -> redis::RedisResult<T> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_connection(&mut f) {
                Err(e) if tries < INTERRUPTED && e.to_string().contains("Interrupted") => {}
                done => return done,
            }
        }
    }

    fn try_connection<T>(
        &self,
        f: &mut impl FnMut(&mut redis::Connection) -> redis::RedisResult<T>,
    ) -> redis::RedisResult<T> {
        let mut slot = match self.connection.lock() {
            Ok(slot) => slot,
            Err(poisoned) => poisoned.into_inner(),
        };
        // Taken out: after an error of the connection it must not be reused,
        // the late answer would be taken for the next command's.
        let mut connection = match slot.take().filter(redis::ConnectionLike::is_open) {
            Some(connection) => connection,
            None => connect(
                self.builder.address(self.dir(), self.port),
                self.builder.password.as_deref(),
            )?,
        };
        let result = f(&mut connection);
        if !matches!(&result, Err(e) if e.is_io_error()) {
            *slot = Some(connection);
        }
        result
    }

    fn forget_connection(&mut self) {
        self.connection = Mutex::new(None);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.dir.is_some() {
            process::kill(&mut self.child);
        }
    }
}

fn text(value: &redis::Value) -> String {
    match value {
        redis::Value::Nil => String::new(),
        redis::Value::Int(number) => number.to_string(),
        redis::Value::Okay => "OK".to_string(),
        redis::Value::SimpleString(text) => text.clone(),
        redis::Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        redis::Value::VerbatimString { text, .. } => text.clone(),
        redis::Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join("\n"),
        other => format!("{other:?}"),
    }
}
