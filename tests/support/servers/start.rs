//! Starts a server: its arguments, its free port, and the wait for its first
//! answer.

use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

use super::super::certificates::Certificate;
use super::super::process::{self, Tie};
use super::super::secrets;
use super::load::Keys;
use super::{Kind, Server};

pub(super) const START_LIMIT: Duration = Duration::from_secs(60);
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
const PORT_ATTEMPTS: u32 = 5;

/// What to start and how.
pub struct ServerBuilder {
    pub(super) kind: Kind,
    pub(super) args: Vec<(String, String)>,
    pub(super) socket: bool,
    pub(super) tcp: bool,
    pub(super) password: Option<String>,
    pub(super) tie: Tie,
    pub(super) user: Option<u32>,
    pub(super) cluster: bool,
}

impl ServerBuilder {
    /// One more setting, as on the command line: `arg("--maxclients", "10")`.
    pub fn arg(mut self, name: &str, value: &str) -> Self {
        self.args.push((name.to_string(), value.to_string()));
        self
    }

    /// Sets `requirepass`, and lets [`Server::command`] log in with it.
    pub fn password(mut self, password: &str) -> Self {
        secrets::note(password);
        self.password = Some(password.to_string());
        self.arg("--requirepass", password)
    }

    /// Speaks TLS on this port, beside the Unix socket, and shows this certificate.
    /// Clients must show one that the CA in the file `clients` has signed, if given.
    pub fn tls(self, port: u16, certificate: &Certificate, clients: Option<&Path>) -> Self {
        let show = |path: &Path| path.to_string_lossy().into_owned();
        let server = self
            .socket_only()
            .arg("--tls-port", &port.to_string())
            .arg("--tls-cert-file", &show(&certificate.cert))
            .arg("--tls-key-file", &show(&certificate.key));
        match clients {
            Some(authority) => server.arg("--tls-ca-cert-file", &show(authority)),
            None => server.arg("--tls-auth-clients", "no"),
        }
    }

    /// Listens on the Unix socket alone.
    pub fn socket_only(mut self) -> Self {
        (self.socket, self.tcp) = (true, false);
        self
    }

    /// Listens on the port alone.
    pub fn port_only(mut self) -> Self {
        (self.socket, self.tcp) = (false, true);
        self
    }

    /// As a node that is no cluster's yet; `timeout` makes another node fail for it.
    pub fn cluster(mut self, timeout: Duration) -> Self {
        self.cluster = true;
        self.arg("--cluster-enabled", "yes")
            .arg("--cluster-node-timeout", &timeout.as_millis().to_string())
    }

    /// Runs as another user: its number, and that of its group.
    pub fn user(mut self, id: u32) -> Self {
        self.user = Some(id);
        self
    }

    /// Allows [`Server::keep`]; the server does not die with this process.
    pub fn detached(mut self) -> Self {
        self.tie = Tie::Detached;
        self
    }

    /// Starts it and waits until it answers; panics with its log otherwise.
    pub fn start(self) -> Server {
        let dir = process::short_dir();
        if let Some(id) = self.user {
            std::os::unix::fs::chown(dir.path(), Some(id), Some(id))
                .unwrap_or_else(|e| panic!("cannot give a folder to user {id}: {e}"));
        }
        let socket = dir.path().join("s");
        let mut port = 0;
        for _ in 0..PORT_ATTEMPTS {
            if self.tcp {
                port = if self.cluster {
                    process::free_port_with_bus()
                } else {
                    process::free_port()
                };
            }
            match self.launch(dir.path(), port) {
                Ok(child) => {
                    return Server {
                        child,
                        socket,
                        port,
                        connection: Mutex::new(None),
                        keys: Mutex::new(Keys::new()),
                        builder: self,
                        dir: Some(dir),
                    };
                }
                Err(Failure::PortTaken) => {}
                Err(Failure::Other(why)) => panic!("{} did not start: {why}", self.kind.name()),
            }
        }
        panic!(
            "{} did not start: {PORT_ATTEMPTS} ports in a row were taken",
            self.kind.name()
        );
    }

    pub(super) fn launch(&self, dir: &Path, port: u16) -> Result<Child, Failure> {
        let log = dir.join("log");
        // The words of an earlier attempt must not be read as of this one.
        let _ = std::fs::remove_file(&log);
        let out = std::fs::File::create(dir.join("out"))
            .unwrap_or_else(|e| panic!("cannot create {}/out: {e}", dir.display()));
        let mut words = self.user.map(process::as_user).unwrap_or_default();
        let binary = self.kind.binary();
        words.push(binary.to_string_lossy().into_owned());
        let program = words.remove(0);
        let mut child = process::spawn(Path::new(&program), self.tie, |command| {
            command
                .args(&words)
                .args(["--save", "", "--appendonly", "no"])
                .arg("--dir")
                .arg(dir)
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
                .args(["--daemonize", "no", "--loglevel", "warning"])
                .arg("--logfile")
                .arg(&log);
            if self.socket {
                command
                    .arg("--unixsocket")
                    .arg(dir.join("s"))
                    .args(["--unixsocketperm", "777"]);
            }
            if self.kind.knows_enable_debug() {
                command.args(["--enable-debug-command", "yes"]);
            }
            for (name, value) in &self.args {
                command.arg(name).arg(value);
            }
            command
                .current_dir(dir)
                .stdin(Stdio::null())
                .stderr(out.try_clone().expect("cannot copy a file handle"))
                .stdout(out);
        })
        .unwrap_or_else(|e| panic!("cannot run {}: {e}", binary.display()));

        let start = Instant::now();
        loop {
            let ended = child.try_wait().ok().flatten();
            if ended.is_none() && self.answers(dir, port) {
                return Ok(child);
            }
            let why = match ended {
                Some(status) => status.to_string(),
                None if start.elapsed() > START_LIMIT => format!("silent for {START_LIMIT:?}"),
                None => {
                    std::thread::sleep(Duration::from_millis(10));
                    continue;
                }
            };
            process::kill(&mut child);
            let mut said = std::fs::read_to_string(&log).unwrap_or_default();
            said += &std::fs::read_to_string(dir.join("out")).unwrap_or_default();
            if self.tcp && said.contains("Address already in use") {
                return Err(Failure::PortTaken);
            }
            return Err(Failure::Other(format!("{why}; its log:\n{said}")));
        }
    }

    /// Any answer will do: one that wants a password is up as well.
    fn answers(&self, dir: &Path, port: u16) -> bool {
        let Ok(mut connection) = connect(self.address(dir, port), None) else {
            return false;
        };
        match redis::cmd("PING").query::<redis::Value>(&mut connection) {
            Ok(_) => true,
            Err(e) => !e.is_io_error() && e.code() != Some("LOADING"),
        }
    }

    pub(super) fn address(&self, dir: &Path, port: u16) -> ConnectionAddr {
        if self.socket {
            ConnectionAddr::Unix(dir.join("s"))
        } else {
            ConnectionAddr::Tcp("127.0.0.1".to_string(), port)
        }
    }
}

/// Why a server did not come up.
pub(super) enum Failure {
    PortTaken,
    Other(String),
}

pub(in crate::support) fn connect(
    address: ConnectionAddr,
    password: Option<&str>,
) -> redis::RedisResult<redis::Connection> {
    let mut settings = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(password) = password {
        settings = settings.set_password(password);
    }
    let info: ConnectionInfo = address.into_connection_info()?;
    let connection = redis::Client::open(info.set_redis_settings(settings))?
        .get_connection_with_timeout(START_LIMIT)?;
    connection.set_read_timeout(Some(ANSWER_LIMIT))?;
    connection.set_write_timeout(Some(ANSWER_LIMIT))?;
    Ok(connection)
}
