//! Real servers: the sum against their own figure, and values of chosen lengths
//! against the class that grows.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use redis_frag::model::info::Info;
use redis_frag::model::malloc_stats::report::{MallocStats, Unread};
use redis_frag::model::server::Server as Identity;
use redis_frag::model::size_classes::SizeClasses;
use redis_frag::model::value_sizes::{Layout, Lengths};

use crate::support::{Kind, Server, becomes_true};

/// A few ticks of 100 ms, in which INFO's memory figures are read.
const TICKS: Duration = Duration::from_millis(350);

/// Keys of one length; a class that grows by most of them has their values.
const KEYS: u64 = 600;

/// Bytes of each key.
const KEY: u64 = 10;

fn report(server: &Server) -> MallocStats {
    MallocStats::parse(&server.ok(&["MEMORY", "MALLOC-STATS"])).unwrap()
}

fn view(server: &Server) -> SizeClasses {
    SizeClasses::of(&report(server), layout(server))
}

fn layout(server: &Server) -> Layout {
    Identity::of(&Info::parse(server.info().as_bytes())).layout()
}

fn holes(server: &Server) {
    server.fill(24 << 20);
    server.delete_random(60);
}

fn threads(kind: Kind, number: &str) -> Server {
    Server::builder(kind)
        .socket_only()
        .arg("--io-threads", number)
        .start()
}

/// Twice the same sum, and the server's figure between the two the same.
fn is_exact(server: &Server) -> bool {
    let before = view(server).wasted.unwrap();
    thread::sleep(TICKS);
    let told = server.info_number("allocator_frag_bytes");
    let after = view(server).wasted.unwrap();
    #[allow(clippy::cast_precision_loss, reason = "bytes of a small server")]
    let exact = before == after && told == before as f64;
    exact
}

#[test]
fn from_7_4_on_the_sum_is_the_servers_figure_bit_for_bit() {
    for number in ["1", "4"] {
        let server = threads(Kind::Redis82, number);
        server.ok(&["EVAL", "return 1", "0"]);
        holes(&server);
        let limit = Duration::from_secs(20);
        let exact = becomes_true(limit, || is_exact(&server));
        let (sum, told) = (
            view(&server).wasted,
            server.info_field("allocator_frag_bytes"),
        );
        assert!(exact, "io-threads {number}: {sum:?} is not {told:?}");
        let stats = report(&server);
        let lua = stats.of_lua().unwrap();
        // INFO tells of Lua's own allocations in a section for developers.
        let debug = server.ok(&["INFO", "debug"]);
        let told = debug
            .lines()
            .find_map(|line| line.strip_prefix("allocator_allocated_lua:"));
        assert_eq!(told.unwrap().parse().ok(), lua.totals.allocated, "{debug}");
    }
}

#[test]
fn before_7_4_it_is_nearly_all_of_it_with_and_without_threads() {
    for kind in [Kind::Redis62, Kind::Redis70] {
        for number in ["1", "4"] {
            let server = threads(kind, number);
            holes(&server);
            thread::sleep(TICKS);
            let told = server.info_number("allocator_frag_bytes");
            let view = view(&server);
            #[allow(clippy::cast_precision_loss, reason = "bytes of a small server")]
            let apart = told - view.wasted.unwrap() as f64;
            let what = format!("{} io-threads {number}: {apart}", kind.name());
            assert!((-500_000.0..500_000.0).contains(&apart), "{what}");
            assert!(view.wasted.unwrap() > 5 << 20, "{what}");
            assert!(view.arenas.iter().all(|arena| !arena.of_lua), "{what}");
            let told = view.worst(1)[0].slabs.unwrap().half_empty;
            assert_eq!(told.is_some(), kind != Kind::Redis62, "{what}");
        }
    }
}

#[test]
fn a_server_without_jemalloc_has_none() {
    let server = Server::start(Kind::Valkey91);
    let text = server.ok(&["MEMORY", "MALLOC-STATS"]);
    assert_eq!(MallocStats::parse(&text), Err(Unread::NotSupported));
}

fn in_use(server: &Server) -> BTreeMap<u64, u64> {
    let classes = view(server).classes.into_iter();
    classes.map(|class| (class.size, class.in_use)).collect()
}

/// The classes that grow when values of that length are written.
fn grown(server: &Server, length: usize) -> Vec<u64> {
    let before = in_use(server);
    let value = "x".repeat(length);
    for key in 0..KEYS {
        server.ok(&["SET", &format!("{length:05}:{key:04}"), &value]);
    }
    let grew = |(size, now): (u64, u64)| {
        let was = before.get(&size).copied().unwrap_or(0);
        // Thread caches take and give some dozens at a time.
        (now.saturating_sub(was) > KEYS / 2).then_some(size)
    };
    in_use(server).into_iter().filter_map(grew).collect()
}

/// Whether a value of that length lands in a class of that size.
fn lands(view: &SizeClasses, size: u64, value: u64) -> bool {
    let class = view.classes.iter().find(|class| class.size == size);
    let values = class.unwrap().values.as_ref().unwrap();
    let holds = |lengths: &Option<Lengths>, of: u64| {
        let lengths = lengths.as_ref();
        lengths.is_some_and(|lengths| lengths.contains(&of))
    };
    holds(&values.short, value)
        || holds(&values.long, value)
        || holds(&values.with_key, value + KEY)
}

#[test]
fn values_and_keys_land_in_the_classes_that_are_told() {
    for kind in [Kind::Redis62, Kind::Redis70, Kind::Redis82] {
        let server = Server::builder(kind).socket_only().start();
        let with_key = kind == Kind::Redis82;
        assert_eq!(layout(&server) == Layout::WithKey, with_key);
        for length in [
            1, 12, 28, 31, 32, 40, 44, 45, 52, 53, 60, 61, 252, 253, 256, 314, 315, 1018, 1019,
            14_330,
        ] {
            let grown = grown(&server, length);
            let (view, length) = (view(&server), length as u64);
            let told = grown.iter().filter(|size| lands(&view, **size, length));
            let told: Vec<&u64> = told.collect();
            let what = format!("{} {length}: {grown:?}", kind.name());
            assert_eq!(told, grown.last().as_slice(), "{what}");
            // A value apart leaves its key alone.
            let alone = !with_key || grown.len() > 1;
            let key = |size: &u64| {
                let class = view.classes.iter().find(|class| class.size == *size);
                let keys = class.unwrap().values.as_ref().unwrap().keys.as_ref();
                keys.is_some_and(|keys| keys.contains(&KEY))
            };
            assert_eq!(
                grown.iter().filter(|size| key(size)).count() == 1,
                alone,
                "{what}"
            );
        }
    }
}
