//! A server that only says what it is told to: for states that a real one cannot
//! be brought into, such as swap on a machine without any, or a version that no
//! package has.
//!
//! Answers INFO and CONFIG GET over a unix socket. Must not be used for what a
//! real server can show.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
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
        let dir = process::short_dir();
        let listener = UnixListener::bind(dir.path().join("s")).expect("cannot bind a socket");
        let info = Arc::new(Mutex::new(info.to_owned()));
        let theirs = Arc::clone(&info);
        let settings: Vec<String> = settings
            .iter()
            .flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()])
            .collect();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (info, settings) = (Arc::clone(&theirs), settings.clone());
                thread::spawn(move || answer(&stream, &info, &settings));
            }
        });
        Self { dir, info }
    }

    /// Starts one that answers every command with an error that repeats it, as proxies do.
    pub fn echoing() -> Self {
        let dir = process::short_dir();
        let listener = UnixListener::bind(dir.path().join("s")).expect("cannot bind a socket");
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || -> Option<()> {
                    let mut reader = BufReader::new(&stream);
                    loop {
                        let words = command(&mut reader)?.join(" ");
                        let reply = format!("-ERR invalid request: {words}\r\n");
                        (&stream).write_all(reply.as_bytes()).ok()?;
                    }
                });
            }
        });
        Self {
            dir,
            info: Arc::default(),
        }
    }

    /// Starts one that answers every command with these bytes, whatever they are.
    pub fn answering(reply: impl Fn(&[String]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let dir = process::short_dir();
        let listener = UnixListener::bind(dir.path().join("s")).expect("cannot bind a socket");
        let reply = Arc::new(reply);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let reply = Arc::clone(&reply);
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

/// Answers every command of one connection, until it ends.
fn answer(stream: &UnixStream, info: &Mutex<String>, settings: &[String]) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let words = command(&mut reader)?;
        let reply = match words.first()?.to_ascii_uppercase().as_str() {
            "INFO" => bulk(&info.lock().ok()?),
            "CONFIG" => {
                let items: String = settings.iter().map(|text| bulk(text)).collect();
                format!("*{}\r\n{items}", settings.len())
            }
            _ => "-ERR unknown command\r\n".to_owned(),
        };
        (&*stream).write_all(reply.as_bytes()).ok()?;
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
