//! A plugin run by itself, as an agent would run it: pipes, environment and
//! configuration folders; its output goes to the [`Checker`] as it comes.
//!
//! Knows how an agent treats a plugin, nothing of what this one says.

mod streams;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::checker::Checker;
use super::process::{self, Tie};
use super::secrets;
use streams::{Listener, Output, Stderr};

/// The name of the plugin's file in the configuration folders.
const CONFIG: &str = "redis-frag.conf";

/// What to run, and with what around it.
pub struct PluginBuilder {
    binary: PathBuf,
    args: Vec<String>,
    env: BTreeMap<String, Option<String>>,
    files: Vec<(PathBuf, String)>,
    version: String,
    under: Vec<String>,
    listener: Option<Listener>,
}

impl PluginBuilder {
    /// Each line of its output goes here and is not kept: a long run has millions.
    pub fn listener(mut self, listener: impl FnMut(&str) + Send + 'static) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    /// Runs it by these words, which become the program that is named behind them:
    /// `setpriv` and the like.
    pub fn under(mut self, words: &[String]) -> Self {
        self.under = words.to_vec();
        self
    }

    /// One argument; the agent gives the update interval in seconds alone.
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_string());
        self
    }

    /// One variable of its environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_string(), Some(value.to_string()));
        self
    }

    /// Leaves out a variable that would be set or inherited.
    pub fn env_remove(mut self, name: &str) -> Self {
        self.env.insert(name.to_string(), None);
        self
    }

    /// The user's redis-frag.conf.
    pub fn user_config(mut self, text: &str) -> Self {
        self.files
            .push((Path::new("etc").join(CONFIG), text.to_string()));
        self
    }

    /// Another file in the user's folder, as `go.d/redis.conf`.
    pub fn user_file(mut self, path: &str, text: &str) -> Self {
        self.files
            .push((Path::new("etc").join(path), text.to_string()));
        self
    }

    /// The stock redis-frag.conf.
    pub fn stock_config(mut self, text: &str) -> Self {
        self.files
            .push((Path::new("stock").join(CONFIG), text.to_string()));
        self
    }

    /// The agent's version as it exports it, `v1.37.1`; the checker takes the
    /// same. `v1.37.1` if not said.
    pub fn version(mut self, version: &str) -> Self {
        self.version = version.to_string();
        self
    }

    /// Starts it.
    pub fn start(self) -> PluginRun {
        let dir = process::short_dir();
        for folder in ["etc", "stock", "lib", "cache"] {
            std::fs::create_dir(dir.path().join(folder))
                .unwrap_or_else(|e| panic!("cannot create a folder for the plugin: {e}"));
        }
        for (path, text) in &self.files {
            secrets::note_config(text);
            let path = dir.path().join(path);
            let folder = path.parent().map(std::fs::create_dir_all);
            folder
                .unwrap_or(Ok(()))
                .and_then(|()| std::fs::write(&path, text))
                .unwrap_or_else(|e| panic!("cannot write the plugin's {}: {e}", path.display()));
        }
        let pipe = || std::io::pipe().unwrap_or_else(|e| panic!("no pipe: {e}"));
        let ((reader, writer), (log, stderr)) = (pipe(), pipe());
        let start = Instant::now();
        let mut words: Vec<PathBuf> = self.under.iter().map(PathBuf::from).collect();
        words.push(self.binary.clone());
        let program = words.remove(0);
        let mut child = process::spawn(&program, Tie::DiesWithUs, |command| {
            for (name, _) in std::env::vars_os() {
                if name.to_string_lossy().starts_with("NETDATA") {
                    command.env_remove(name);
                }
            }
            command
                .args(&words)
                .args(&self.args)
                .env("NETDATA_VERSION", &self.version)
                .env("NETDATA_UPDATE_EVERY", "1")
                .env("NETDATA_HOSTNAME", "test-agent")
                .env("NETDATA_HOST_PREFIX", "")
                .env("NETDATA_USER_CONFIG_DIR", dir.path().join("etc"))
                .env("NETDATA_STOCK_CONFIG_DIR", dir.path().join("stock"))
                .env("NETDATA_LIB_DIR", dir.path().join("lib"))
                .env("NETDATA_CACHE_DIR", dir.path().join("cache"));
            for (name, value) in &self.env {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
            command
                .current_dir(dir.path())
                .stdin(Stdio::piped())
                .stdout(writer)
                .stderr(stderr);
        })
        .unwrap_or_else(|e| panic!("cannot run {}: {e}", self.binary.display()));
        PluginRun {
            stdin: child.stdin.take(),
            output: Output::read(reader, Checker::new(&self.version), start, self.listener),
            stderr: Stderr::read(log),
            child,
            dir,
        }
    }
}

/// A running plugin; killed when dropped.
pub struct PluginRun {
    child: Child,
    stdin: Option<ChildStdin>,
    output: Output,
    stderr: Stderr,
    dir: tempfile::TempDir,
}

impl PluginRun {
    /// Runs this program; give it its interval with [`PluginBuilder::arg`].
    pub fn builder(binary: &Path) -> PluginBuilder {
        PluginBuilder {
            binary: binary.to_path_buf(),
            args: Vec::new(),
            env: BTreeMap::new(),
            files: Vec::new(),
            version: "v1.37.1".to_string(),
            under: Vec::new(),
            listener: None,
        }
    }

    /// The plugin's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folder with `etc`, `stock`, `lib` and `cache`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Waits until `f` holds of what came so far, at most `limit`; looks
    /// again at every line. Whether it held.
    pub fn wait_for(&self, limit: Duration, f: impl Fn(&Checker) -> bool) -> bool {
        self.output.wait_for(limit, f)
    }

    /// The same, and panics with `what` and the plugin's own words if not.
    #[track_caller]
    pub fn expect(&self, limit: Duration, what: &str, f: impl Fn(&Checker) -> bool) {
        assert!(
            self.wait_for(limit, f),
            "not within {limit:?}: {what}\nviolations: {:#?}\nstandard error:\n{}",
            self.with_checker(|checker| checker.violations().to_vec()),
            self.stderr()
        );
    }

    /// Asks the checker.
    pub fn with_checker<T>(&self, f: impl FnOnce(&Checker) -> T) -> T {
        self.output.with_checker(f)
    }

    /// Each line of its output with the time from the start to its arrival.
    pub fn lines(&self) -> Vec<(Duration, String)> {
        self.output.lines()
    }

    /// Whether it has closed its output, and all of it was read.
    pub fn output_ended(&self) -> bool {
        self.output.ended()
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Writes a line to its standard input; an error if it reads no more.
    pub fn send_line(&mut self, line: &str) -> std::io::Result<()> {
        self.send(format!("{line}\n").as_bytes())
    }

    /// Writes bytes to its standard input; an error if it reads no more.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let stdin = self.stdin.as_mut().expect("its standard input was closed");
        stdin.write_all(bytes)?;
        stdin.flush()
    }

    /// Ends its standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Reads no more of its standard output, as an agent that is stuck.
    pub fn hold(&self) {
        self.output.hold(true);
    }

    /// Reads on, as fast as it comes.
    pub fn let_go(&self) {
        self.output.hold(false);
        self.output.slow(None);
    }

    /// Reads no more than so many bytes of its standard output each second.
    pub fn read_slowly(&self, bytes_per_second: usize) {
        self.output.slow(Some(bytes_per_second));
    }

    /// Closes our end of its standard output: when this returns, its next
    /// write fails with EPIPE.
    pub fn close_stdout(&mut self) {
        self.output.close();
    }

    /// Reads no more of its standard error.
    pub fn hold_stderr(&self) {
        self.stderr.hold(true);
    }

    /// Reads on.
    pub fn let_go_stderr(&self) {
        self.stderr.hold(false);
    }

    /// Bytes that wait in the pipe of its standard error, while it is held.
    pub fn stderr_unread(&self) -> u64 {
        self.stderr.unread()
    }

    /// Closes our end of its standard error: when this returns, its next write fails with
    /// EPIPE.
    pub fn close_stderr(&self) {
        self.stderr.close();
    }

    /// Sends a signal by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        assert!(process::signal(self.pid(), name), "no plugin to signal");
    }

    /// Waits for its end, at most `limit`: how it ended, and how long after
    /// this call. All of its output is in the checker then.
    pub fn wait_exit(&mut self, limit: Duration) -> Option<(ExitStatus, Duration)> {
        let ended = process::wait_exit(&mut self.child, limit)?;
        self.output.wait_end();
        self.stderr.wait_end();
        Some(ended)
    }
}

impl Drop for PluginRun {
    fn drop(&mut self) {
        process::kill(&mut self.child);
        self.output.close();
        self.stderr.wait_end();
        self.stderr.close();
        let lines = self.output.lines();
        let said: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
        secrets::assert_none(&said.join("\n"), "the plugin's output");
        let leaked = self.output.leaked();
        if !std::thread::panicking() {
            assert!(
                leaked.is_empty(),
                "the plugin's output tells secrets: {leaked:?}"
            );
        }
        secrets::assert_none(&self.stderr(), "the plugin's log");
    }
}
