//! A private Netdata agent: a folder of its own, one loopback port, no
//! collector but the plugins given, health checks on, no disk database.
//!
//! Knows how the agent is set up and asked, nothing of what a plugin collects.

mod ask;
mod log;
mod settings;
mod streaming;

pub use ask::Point;
pub use streaming::Received;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::process::{self, Tie};

const NETDATA: &str = "/usr/sbin/netdata";
const START_LIMIT: Duration = Duration::from_secs(15);
const STOP_PATIENCE: Duration = Duration::from_secs(10);
const PORT_ATTEMPTS: u32 = 5;

/// What the agent gets.
pub struct AgentBuilder {
    plugins: Vec<(PathBuf, String)>,
    files: Vec<(PathBuf, String)>,
    settings: Vec<(String, String, String)>,
    update_every: u32,
    hostname: String,
    tie: Tie,
    install: Option<Install>,
}

/// Puts files into the agent's folder before it starts.
type Install = Box<dyn Fn(&Path)>;

impl AgentBuilder {
    /// Runs an installer before the agent starts, with the agent's folder: its
    /// subfolders `plugins`, `stock` and `etc` are there.
    pub fn installed_by(mut self, install: impl Fn(&Path) + 'static) -> Self {
        self.install = Some(Box::new(install));
        self
    }

    /// Copies this program into the agent's plugins as `redis-frag.plugin`.
    pub fn plugin(self, binary: &Path) -> Self {
        self.plugin_as(binary, "redis-frag.plugin")
    }

    /// The same under another name, which must end in `.plugin`.
    pub fn plugin_as(mut self, binary: &Path, name: &str) -> Self {
        assert!(
            name.ends_with(".plugin"),
            "the agent would not run '{name}'"
        );
        self.plugins.push((binary.to_path_buf(), name.to_string()));
        self
    }

    /// A file of the user's configuration folder: `redis-frag.conf`, …
    pub fn user_config(self, name: &str, text: &str) -> Self {
        super::secrets::note_config(text);
        self.file(Path::new("etc").join(name), text)
    }

    /// A file of the stock configuration folder.
    pub fn stock_config(self, name: &str, text: &str) -> Self {
        self.file(Path::new("stock").join(name), text)
    }

    /// A file of the stock alerts: `redis-frag.conf` and so on.
    pub fn health(self, name: &str, text: &str) -> Self {
        self.stock_config(&format!("health.d/{name}"), text)
    }

    fn file(mut self, path: PathBuf, text: &str) -> Self {
        self.files.push((path, text.to_string()));
        self
    }

    /// One more setting of netdata.conf; one given last wins.
    pub fn setting(mut self, section: &str, key: &str, value: &str) -> Self {
        self.settings
            .push((section.to_string(), key.to_string(), value.to_string()));
        self
    }

    /// The agent's update interval in seconds; 1 if not said.
    pub fn update_every(mut self, seconds: u32) -> Self {
        self.update_every = seconds;
        self
    }

    /// The name the agent shows on its dashboard.
    pub fn hostname(mut self, name: &str) -> Self {
        self.hostname = name.to_string();
        self
    }

    /// Allows [`Agent::keep`]; the agent does not die with this process.
    pub fn detached(mut self) -> Self {
        self.tie = Tie::Detached;
        self
    }

    /// Starts it and waits until it answers; panics with its log otherwise.
    pub fn start(self) -> Agent {
        for _ in 0..PORT_ATTEMPTS {
            let dir = process::short_dir();
            let port = process::free_port();
            self.lay_out(dir.path(), port);
            if let Some(install) = &self.install {
                install(dir.path());
            }
            let child = launch(dir.path(), self.tie);
            let mut agent = Agent {
                child,
                port,
                hostname: self.hostname.clone(),
                http: ask::client(),
                tie: self.tie,
                dir: Some(dir),
            };
            match agent.wait_until_up(0) {
                Ok(()) => return agent,
                // Its own words: it says the port's owner's error, then ends.
                Err(_) if agent.log().contains("Cannot bind to") => {}
                Err(why) => panic!("the agent did not start: {why}; its log:\n{}", agent.log()),
            }
        }
        panic!("the agent did not start: {PORT_ATTEMPTS} ports in a row were taken");
    }
}

/// Runs the agent that was laid out in this folder.
fn launch(dir: &Path, tie: Tie) -> Child {
    let netdata = std::env::var_os("REDIS_FRAG_TEST_NETDATA")
        .filter(|path| !path.is_empty())
        .map_or_else(|| PathBuf::from(NETDATA), PathBuf::from);
    assert!(
        netdata.is_file(),
        "no Netdata agent at {}: run `make setup`, or set REDIS_FRAG_TEST_NETDATA to its path",
        netdata.display()
    );
    let out = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("out"))
        .unwrap_or_else(|e| panic!("cannot write {}/out: {e}", dir.display()));
    process::spawn(&netdata, tie, |command| {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("NETDATA") {
                command.env_remove(name);
            }
        }
        command
            .arg("-D")
            .arg("-c")
            .arg(dir.join("netdata.conf"))
            .arg("-P")
            .arg(dir.join("pid"))
            .current_dir(dir)
            .stdin(Stdio::null())
            .stderr(out.try_clone().expect("cannot copy a file handle"))
            .stdout(out);
    })
    .unwrap_or_else(|e| panic!("cannot run {}: {e}", netdata.display()))
}

/// A running agent, which ends and takes its folder along when dropped.
pub struct Agent {
    child: Child,
    port: u16,
    hostname: String,
    http: ureq::Agent,
    tie: Tie,
    // Gone only once the folder was given away.
    dir: Option<tempfile::TempDir>,
}

impl Agent {
    /// An agent with no plugin yet.
    pub fn builder() -> AgentBuilder {
        AgentBuilder {
            plugins: Vec::new(),
            files: Vec::new(),
            settings: Vec::new(),
            update_every: 1,
            hostname: "test-agent".to_string(),
            tie: Tie::DiesWithUs,
            install: None,
        }
    }

    /// `http://127.0.0.1:port`
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The agent's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folder with everything of this agent: `etc`, `stock`, `log`,
    /// `plugins`, `netdata.conf`, …
    pub fn dir(&self) -> &Path {
        self.dir.as_ref().expect("the folder was given away").path()
    }

    /// The processes that the agent has started from its plugins folder.
    pub fn plugin_pids(&self) -> Vec<u32> {
        let plugins = self.dir().join("plugins");
        let is_plugin = |words: &[u8]| {
            words.split(|b| *b == 0).any(|word| {
                let word = Path::new(std::str::from_utf8(word).unwrap_or_default());
                word.parent() == Some(&plugins) && word.extension().is_some_and(|e| e == "plugin")
            })
        };
        let processes = std::fs::read_dir("/proc").expect("cannot read /proc");
        let mut pids: Vec<u32> = processes
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| {
                // Gone meanwhile is no error.
                std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| is_plugin(&words))
            })
            .collect();
        pids.sort_unstable();
        pids
    }

    /// What `alarm-notify.sh` was called with, a call per line, the arguments
    /// parted by tabs: the recipient first, the alert's name seventh, the chart
    /// eighth, the status tenth, the status before eleventh.
    pub fn notifications(&self) -> Vec<String> {
        std::fs::read_to_string(self.dir().join("notifications"))
            .unwrap_or_default()
            .lines()
            .map(str::to_string)
            .collect()
    }

    /// SIGTERM, wait, SIGKILL if need be. The folder and the log stay.
    pub fn stop(&mut self) {
        process::stop(&mut self.child, STOP_PATIENCE);
    }

    /// Runs it again after [`Agent::stop`], with all that it kept and at the same port;
    /// waits until it answers.
    pub fn start_again(&mut self) {
        self.stop();
        let logged = self.log().len();
        self.child = launch(self.dir(), self.tie);
        if let Err(why) = self.wait_until_up(logged) {
            panic!(
                "the agent did not start again: {why}; its log:\n{}",
                self.log()
            );
        }
    }

    /// Leaves a [detached](AgentBuilder::detached) agent running; its process
    /// id and folder.
    pub fn keep(mut self) -> (u32, PathBuf) {
        assert!(
            self.tie == Tie::Detached,
            "only an agent built with detached() can be kept"
        );
        let dir = self.dir.take().expect("the folder was given away");
        (self.pid(), dir.keep())
    }

    /// `logged`: bytes of its log that an earlier run wrote.
    fn wait_until_up(&mut self, logged: usize) -> Result<(), String> {
        let start = Instant::now();
        while start.elapsed() < START_LIMIT {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended with {status}"));
            }
            // Its own log first: another agent may answer at this port.
            let up = format!("listening on 'tcp:127.0.0.1:{}'", self.port);
            if self.log()[logged..].contains(&up) && self.try_get("/api/v1/info").is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("silent for {START_LIMIT:?}"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if self.dir.is_none() {
            return;
        }
        self.stop();
        // The agent ends its plugins; a plugin that ignores it must not stay.
        for pid in self.plugin_pids() {
            process::signal(pid, "KILL");
        }
        super::secrets::assert_none(&self.log(), "the agent's log");
    }
}
