//! Instances that hang, refuse, or come and go, among healthy ones.
//!
//! Knows the stand-ins and which instance is which; must not know what becomes of the
//! figures.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use crate::Args;
use crate::lateness::Lateness;
use crate::load::Servers;
use crate::measure::wall;
use crate::plugin::Plugin;
use crate::support::process::short_dir;

/// All instances, and those of each kind of sickness.
const ALL: usize = 500;
const EACH: usize = 16;

/// How often one that comes and goes answers before it is gone.
const ANSWERS: usize = 2;

/// How the healthy ones fared.
pub fn measure(args: &Args, servers: &Servers, window: Duration) -> Lateness {
    let dir = short_dir();
    let path = |kind: &str, index: usize| dir.path().join(format!("{kind}{index}"));
    let info = servers.info();
    let mut addresses = servers.addresses(ALL);
    let mut healthy: Vec<usize> = (0..ALL).collect();
    for index in 0..EACH {
        let (hung, refusing, flapping) = (
            path("hung", index),
            path("refusing", index),
            path("flapping", index),
        );
        hang(&hung);
        // The file stays, and nobody listens.
        drop(UnixListener::bind(&refusing).unwrap());
        flap(&flapping, info.clone());
        for (kind, socket) in [hung, refusing, flapping].iter().enumerate() {
            // Every tenth instance, so that all slots have some of them.
            let number = (index * 3 + kind) * 10 + index % 10;
            addresses[number] = format!("unix://{}", socket.display());
            healthy.retain(|healthy| *healthy != number);
        }
    }
    let plugin = Plugin::start(&args.plugin, &addresses, args.descriptors);
    plugin.wait_for(&healthy);
    std::thread::sleep(Duration::from_secs(5));
    let from = wall();
    std::thread::sleep(window + Duration::from_secs(2));
    plugin.lateness(&healthy, from, window)
}

/// Accepts and never answers.
fn hang(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let kept: Vec<UnixStream> = listener.incoming().map_while(Result::ok).collect();
        drop(kept);
    });
}

/// Every other connection is answered a few times and closed, the others are closed at
/// once.
fn flap(socket: &Path, info: String) {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for (index, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            if index % 2 == 0 {
                let _ = answer(stream, &info);
            }
        }
    });
}

/// The plugin sends a question when the last one is answered: a read has one.
fn answer(mut stream: UnixStream, info: &str) -> std::io::Result<()> {
    let mut question = [0; 4096];
    let mut answers = 0;
    while answers < ANSWERS {
        let length = stream.read(&mut question)?;
        if length == 0 {
            break;
        }
        if question[..length].windows(4).any(|word| word == b"INFO") {
            stream.write_all(format!("${}\r\n{info}\r\n", info.len()).as_bytes())?;
            answers += 1;
        } else {
            stream.write_all(b"-ERR unknown command\r\n")?;
        }
    }
    Ok(())
}
