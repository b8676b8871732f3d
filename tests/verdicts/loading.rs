//! A server that starts and loads its dataset: nothing is judged before it is up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use redis_frag::model::advice::Action;
use redis_frag::model::history::History;
use redis_frag::model::info::Info;
use redis_frag::model::sample::Sample;
use redis_frag::model::verdict::{Figure, Severity, Verdict};

use super::{MEGABYTE, Seen, Watcher, on_each};
use crate::support::{Kind, Server};

/// Microseconds that loading waits at each key: some seconds in all.
const SLOW_LOAD: &str = "200";

#[test]
fn a_server_that_loads_is_starting() {
    on_each(&Kind::ALL, |kind| {
        let builder = Server::builder(kind).socket_only();
        let mut server = builder.arg("--key-load-delay", SLOW_LOAD).start();
        server.fill(12 * MEGABYTE);
        server.ok(&["SAVE"]);

        let address = server.unix_address();
        let up = AtomicBool::new(false);
        let seen = thread::scope(|scope| {
            let onlooker = scope.spawn(|| look_on(kind, &address, &up));
            server.restart();
            up.store(true, Ordering::Relaxed);
            onlooker.join().unwrap()
        });

        assert!(!seen.is_empty(), "{}: it loaded unseen", kind.name());
        for seen in seen {
            seen.is(Verdict::Starting);
            assert_eq!(seen.found.severity, Severity::Unknown);
            assert_eq!(seen.fact("loading").value, Some(Figure::Count(1)));
            assert_eq!(seen.first(), Action::Wait);
            assert_eq!(seen.found.advice.len(), 1, "{seen}");
        }
        Watcher::of(&server)
            .look_after_a_tick(&server)
            .is(Verdict::Small);
    });
}

/// What is seen of the server, through a connection of its own, while it loads.
fn look_on(kind: Kind, address: &str, up: &AtomicBool) -> Vec<Seen> {
    let began = Instant::now();
    let client = redis::Client::open(address).unwrap();
    let mut connection = None;
    let mut seen = Vec::new();
    while !up.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(20));
        let Some(asked) = connection.as_mut() else {
            connection = client.get_connection().ok();
            continue;
        };
        let Ok(info) = redis::cmd("INFO").query::<String>(asked) else {
            connection = None;
            continue;
        };
        let sample = Sample::new(began.elapsed(), &Info::parse(info.as_bytes()), None);
        if sample.loading() == Some(true) {
            seen.push(Seen::new(kind, sample, &mut History::default()));
        }
    }
    seen
}
