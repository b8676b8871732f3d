//! Memory outside of the dataset: scripts that Lua holds, and a client that
//! announced a value and never sent it.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use redis_frag::model::advice::Action;
use redis_frag::model::verdict::{Figure, Severity, Verdict};

use super::{MEGABYTE, Seen, Watcher, on_each, start};
use crate::support::{Kind, Server};

/// A megabyte of calls takes 5.6 MB as Lua's code: three characters become an
/// instruction for the function, one for the call, and their line numbers.
const SCRIPTS: usize = 30;
const CALLS: usize = 350_000;

const ANNOUNCED: usize = 400 << 20;

fn fill_lua(server: &Server) {
    let calls = "f()".repeat(CALLS);
    for number in 0..SCRIPTS {
        let script = format!("-- {number}\nlocal f {calls}");
        server.ok(&["SCRIPT", "LOAD", &script]);
    }
}

#[test]
fn lua_holds_memory() {
    on_each(&Kind::ALL, |kind| {
        let server = start(kind);
        let mut watcher = Watcher::of(&server);
        server.fill(60 * MEGABYTE);
        fill_lua(&server);
        let seen = watcher.look_after_a_tick(&server);
        let fields = &seen.sample.fields;
        let lua = fields.used_memory_vm_total.or(fields.used_memory_lua);
        assert!(lua.unwrap() > 100 * MEGABYTE, "{seen}");
        match kind {
            Kind::Redis62 | Kind::Redis70 => outside_of_the_dataset(&seen),
            Kind::Redis82 => counted_as_used(&seen),
            Kind::Valkey91 => named_all_the_same(&seen),
        }
        server.ok(&["SCRIPT", "FLUSH"]);
    });
}

/// In 7.0.15 of Debian Lua and the dataset share a jemalloc, which allocated more
/// than is used; in 6.2.5 Lua takes its memory from the C library.
fn outside_of_the_dataset(seen: &Seen) {
    seen.is(Verdict::ProcessOverhead);
    assert_eq!(seen.found.severity, Severity::Warning);
    let parts = seen.parts();
    let elsewhere = if seen.kind == Kind::Redis70 {
        parts.other
    } else {
        parts.process
    };
    assert!(elsewhere > 100_000_000, "{seen}");
    assert!(
        seen.bytes("waste.process_and_other") > 100_000_000,
        "{seen}"
    );
    assert!(seen.bytes("used_memory_lua") > 100_000_000, "{seen}");
    // Boxes F and I of the guide: neither a purge nor defrag reaches this.
    assert!(seen.not(Verdict::Fragmented).contains("holes"), "{seen}");
    assert!(seen.not(Verdict::RetainedPages).contains("free pages"));
    assert_eq!(seen.first(), Action::ScriptFlush, "{seen}");
    seen.offers(Action::ScriptFlush, Some("redis-cli SCRIPT FLUSH"));
    let because = if seen.kind.can_defrag() {
        "it would not start"
    } else {
        "this build cannot"
    };
    seen.refuses(Action::ActiveDefrag, because);
}

/// Since 7.4 Lua's memory is used memory. It grows its tables by doubling, and the
/// untouched ends of them bring the ratio below 1, without swap.
fn counted_as_used(seen: &Seen) {
    assert!(seen.sample.fields.used_memory.unwrap() > 200 * MEGABYTE);
    assert!(seen.ratio() < 1.2, "{seen}");
    seen.is(Verdict::Healthy);
}

/// The C library does not tell where the waste is, but the server tells Lua's.
fn named_all_the_same(seen: &Seen) {
    seen.is(Verdict::Unattributed);
    assert!(seen.bytes("used_memory_lua") > 100_000_000, "{seen}");
    assert_eq!(seen.first(), Action::ScriptFlush, "{seen}");
}

/// The server allocates the buffer at once and the client never fills it: a ratio
/// of 0.01 to 0.03, and not a byte in swap.
#[test]
fn a_stalled_client_is_not_swap() {
    on_each(&Kind::ALL, |kind| {
        let server = start(kind);
        let mut watcher = Watcher::of(&server);
        watcher.look_until(&server, "memory statistics are there", |seen| {
            seen.sample.ratio().is_some()
        });
        let mut client = UnixStream::connect(server.socket()).unwrap();
        write!(client, "*3\r\n$3\r\nSET\r\n$1\r\nx\r\n${ANNOUNCED}\r\nabc").unwrap();

        // Looked at all the time: between the server's ticks a used memory of now
        // stands beside a ratio of before.
        let mut low = 0;
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(1500) {
            let seen = watcher.look(&server);
            let large = seen.sample.used_at_tick().unwrap() > 400 * MEGABYTE
                && seen.sample.fields.used_memory.unwrap() > 400 * MEGABYTE;
            if !large {
                seen.is(Verdict::Small);
                continue;
            }
            low += 1;
            assert!(seen.ratio() < 0.1, "{seen}");
            seen.is(Verdict::Healthy);
            assert_eq!(seen.found.severity, Severity::Fine, "{seen}");
            assert!(seen.not(Verdict::Swapping).contains("never touched"));
            assert_eq!(seen.found.advice, [], "{seen}");
            let ratio = seen.fact("mem_fragmentation_ratio").value;
            assert!(matches!(ratio, Some(Figure::Ratio(ratio)) if ratio < 0.1));
        }
        // 6.2 gives the buffer back before its next tick.
        assert!(low > 0 || kind == Kind::Redis62, "{}", kind.name());
    });
}
