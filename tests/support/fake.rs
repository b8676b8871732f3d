//! A server that only says what it is told to: for states that a real one cannot
//! be brought into, such as swap on a machine without any, or a version that no
//! package has.
//!
//! Answers INFO and CONFIG GET over a unix socket. Must not be used for what a
//! real server can show.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

use super::process;

/// A running fake; its threads end with the process.
pub struct Fake {
    dir: TempDir,
    info: Arc<Mutex<String>>,
}

impl Fake {
    /// Starts one that answers INFO with this text and `CONFIG GET *defrag*` with
    /// these names and values.
    pub fn start(info: &str, settings: &[(&str, &str)]) -> Self {
        let info = Arc::new(Mutex::new(info.to_owned()));
        let theirs = Arc::clone(&info);
        let pairs = settings.iter();
        let items: String = pairs
            .map(|(name, value)| bulk(name) + &bulk(value))
            .collect();
        let settings = format!("*{}\r\n{items}", 2 * settings.len());
        let reply = move |words: &[String]| {
            let name = words.first().map(|word| word.to_ascii_uppercase());
            let reply = match name.as_deref() {
                Some("INFO") => bulk(&theirs.lock().expect("a thread of the fake panicked")),
                Some("CONFIG") => settings.clone(),
                _ => "-ERR unknown command\r\n".to_owned(),
            };
            reply.into_bytes()
        };
        Self {
            info,
            ..Self::answering(reply)
        }
    }

    /// Starts one that answers every command with an error that repeats it, as proxies do.
    pub fn echoing() -> Self {
        Self::answering(|words| {
            let told = words.join(" ");
            format!("-ERR invalid request: {told}\r\n").into_bytes()
        })
    }

    /// Starts one that answers every command with these bytes, whatever they are.
    pub fn answering(reply: impl Fn(&[String]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let dir = process::short_dir();
        let listener = UnixListener::bind(dir.path().join("s")).expect("cannot bind a socket");
        let reply = Arc::new(reply);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let reply = Arc::clone(&reply);
                // Until the connection ends.
                thread::spawn(move || -> Option<()> {
                    let mut reader = BufReader::new(&stream);
                    loop {
                        let words = command(&mut reader)?;
                        (&stream).write_all(&reply(&words)).ok()?;
                    }
                });
            }
        });
        Self {
            dir,
            info: Arc::default(),
        }
    }

    /// Where it listens.
    pub fn unix_address(&self) -> String {
        format!("unix://{}", self.dir.path().join("s").display())
    }

    /// Changes what it answers to INFO.
    pub fn set_info(&self, text: &str) {
        text.clone_into(&mut self.info.lock().expect("a thread of the fake panicked"));
    }
}

/// One command: an array of bulk strings.
fn command(reader: &mut impl BufRead) -> Option<Vec<String>> {
    let mut line = |prefix: char| -> Option<String> {
        let mut text = String::new();
        reader
            .read_line(&mut text)
            .ok()
            .filter(|length| *length > 0)?;
        Some(text.trim_end().trim_start_matches(prefix).to_owned())
    };
    let count: usize = line('*')?.parse().ok()?;
    (0..count)
        .map(|_| {
            line('$')?;
            line('\0')
        })
        .collect()
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}
