//! INFO text to fields.
//!
//! Knows the names of the fields, how servers print them and which printed
//! values are no values at all. Must not know what a field means: that is
//! `server.rs` and `sample.rs`. Every field is optional and a bad one costs
//! only itself.

/// Declares the numbers of INFO as one table: the struct, its parser and the
/// list of names come from the same rows, so none can be forgotten.
macro_rules! fields {
    ($( $(#[$doc:meta])* $name:ident : $kind:ident -> $ty:ty ),+ $(,)?) => {
        /// The numbers of one INFO reply that redis-frag uses. `None` is a
        /// field that the server does not have, or printed as nonsense.
        #[derive(Debug, Clone, Copy, Default, PartialEq)]
        pub struct Fields {
            $( $(#[$doc])* pub $name: Option<$ty>, )+
        }

        impl Fields {
            /// Names of all fields, as INFO prints them.
            pub const NAMES: &'static [&'static str] = &[$( stringify!($name) ),+];

            /// Takes one value. The first of a repeated name stands; an
            /// unknown name is none of ours.
            fn take(&mut self, name: &str, text: &str) {
                match name {
                    $( stringify!($name) => if self.$name.is_none() {
                        self.$name = read::$kind(text);
                    }, )+
                    _ => {}
                }
            }
        }
    };
}

fields! {
    /// Seconds since the server started; falls on a restart.
    uptime_in_seconds: counter -> u64,
    /// The server's pid as it sees itself: 1 in most containers.
    process_id: counter -> u64,

    /// Bytes allocated through zmalloc, live at INFO time (server.c, all versions).
    used_memory: size -> u64,
    /// Bytes of the process resident in RAM, from the server's 100 ms cron
    /// (zmalloc.c `zmalloc_get_rss`). 0 before the first cron, which is no value.
    used_memory_rss: nonzero -> u64,
    /// Highest `used_memory` since start, bytes. Not cleared by CONFIG RESETSTAT.
    used_memory_peak: nonzero -> u64,
    /// The limit set by `maxmemory`, bytes. 0 means unlimited, which is no value.
    maxmemory: nonzero -> u64,
    /// Memory of the machine as the server saw it at its start, bytes: whatever a
    /// cgroup allows (zmalloc.c `zmalloc_get_memory_size`, since 3.2).
    total_system_memory: nonzero -> u64,
    /// What eviction does not count as used, bytes (evict.c, since 5.0).
    mem_not_counted_for_evict: size -> u64,
    /// jemalloc `stats.allocated`, bytes (since 5.0). Made up without jemalloc.
    allocator_allocated: nonzero -> u64,
    /// jemalloc `stats.active`: bytes of pages that hold live regions (since 5.0).
    allocator_active: nonzero -> u64,
    /// jemalloc `stats.resident`: active, dirty and metadata, bytes (since 5.0).
    allocator_resident: nonzero -> u64,
    /// Pages given to MADV_FREE and still resident, bytes (Redis 7.4, Valkey 8.0).
    allocator_muzzy: size -> u64,
    /// Two meanings, see `server::FragMeaning` (since 5.0).
    allocator_frag_ratio: ratio -> f64,
    /// Two meanings, see `server::FragMeaning`. Printed `%zu` of a signed number,
    /// so a negative one comes wrapped by 2^64 (object.c, all versions).
    allocator_frag_bytes: signed -> i64,
    /// resident / active (object.c, since 5.0).
    allocator_rss_ratio: ratio -> f64,
    /// RSS / resident (object.c, since 5.0).
    rss_overhead_ratio: ratio -> f64,
    /// RSS / used memory, both of one cron tick since 5.0 (object.c).
    mem_fragmentation_ratio: ratio -> f64,
    /// RSS minus used memory of one cron tick, bytes (since 5.0); 5.0.0 to
    /// 5.0.2 print it wrapped (redis#5580).
    mem_fragmentation_bytes: signed -> i64,
    /// Buffers of ordinary clients, bytes (since 5.0). May be allocated and never
    /// touched: a client that announced a value and stalls.
    mem_clients_normal: size -> u64,
    /// Buffers of replicas, bytes (since 5.0).
    mem_clients_slaves: size -> u64,
    /// Buffer of the AOF, bytes (since 5.0).
    mem_aof_buffer: size -> u64,
    /// Replication backlog, bytes (since 5.0); allocated whole and filled later up
    /// to 6.2.
    mem_replication_backlog: size -> u64,
    /// Memory of the Lua engine, bytes; of EVAL alone since 7.0.
    used_memory_lua: size -> u64,
    /// Memory of all script engines, bytes (since 7.0).
    used_memory_vm_total: size -> u64,
    /// The share of a CPU, percent, that active defrag aims at; 0 when no cycle
    /// is under way. Not a measurement and not a boolean (defrag.c).
    active_defrag_running: effort -> u8,

    /// 1 while the dataset is being loaded.
    loading: flag -> bool,
    /// 1 while a replica loads a new dataset beside the old one (since 7.0).
    async_loading: flag -> bool,
    /// Bytes that the running child has copied so far (since 6.2).
    current_cow_size: size -> u64,
    /// 1 while a child writes an RDB file.
    rdb_bgsave_in_progress: flag -> bool,
    /// 1 while a child rewrites the AOF.
    aof_rewrite_in_progress: flag -> bool,
    /// 1 while a module's child runs (since 6.0).
    module_fork_in_progress: flag -> bool,
    /// 1 while a child exports slots (Valkey 9.0).
    slot_migration_fork_in_progress: flag -> bool,
    /// 1 where the AOF is on: it is rewritten by a child now and then.
    aof_enabled: flag -> bool,
    /// Children that were forked, counter (since 6.2).
    total_forks: counter -> u64,
    /// Microseconds that the last fork took; 0 before the first, and after CONFIG
    /// RESETSTAT.
    latest_fork_usec: counter -> u64,
    /// Bytes copied during the last RDB child: at its end up to 6.2, its peak since 7.0.
    rdb_last_cow_size: size -> u64,
    /// Bytes copied during the last AOF child: at its end up to 6.2, its peak since 7.0.
    aof_last_cow_size: size -> u64,

    /// Allocations that active defrag moved, counter (since 4.0).
    active_defrag_hits: counter -> u64,
    /// Allocations that active defrag looked at and left, counter (since 4.0).
    active_defrag_misses: counter -> u64,
    /// Keys in which something was moved, counter (since 4.0).
    active_defrag_key_hits: counter -> u64,
    /// Keys in which nothing was moved, counter (since 4.0).
    active_defrag_key_misses: counter -> u64,
    /// Milliseconds with a defrag cycle under way, counter (since 7.0). Jumps by
    /// the uptime of the machine after CONFIG RESETSTAT in a cycle (8.0, Valkey 8.1).
    total_active_defrag_time: counter -> u64,

    /// System CPU seconds of the whole process.
    used_cpu_sys: seconds -> f64,
    /// User CPU seconds of the whole process.
    used_cpu_user: seconds -> f64,
    /// System CPU seconds of the main thread (since 6.2).
    used_cpu_sys_main_thread: seconds -> f64,
    /// User CPU seconds of the main thread (since 6.2).
    used_cpu_user_main_thread: seconds -> f64,
}

/// Declares the texts of INFO, borrowed from the reply.
macro_rules! texts {
    ($( $(#[$doc:meta])* $name:ident ),+ $(,)?) => {
        /// The texts of one INFO reply that tell servers apart.
        #[derive(Debug, Clone, Copy, Default, PartialEq)]
        pub struct Texts<'a> {
            $( $(#[$doc])* pub $name: Option<&'a str>, )+
        }

        impl<'a> Texts<'a> {
            fn take(&mut self, name: &str, text: &'a str) {
                match name {
                    $( stringify!($name) => if self.$name.is_none() && !text.is_empty() {
                        self.$name = Some(text);
                    }, )+
                    _ => {}
                }
            }
        }
    };
}

texts! {
    /// Version; Valkey prints 7.2.4 here whatever it is.
    redis_version,
    /// `valkey`, `garnet`, … Redis has no such field.
    server_name,
    /// Version of Valkey (since 7.2.5).
    valkey_version,
    /// Present in Dragonfly only.
    dragonfly_version,
    /// Present in Garnet only.
    garnet_version,
    /// Present in KeyDB only.
    storage_provider,
    /// Path of the server's program.
    executable,
    /// 40 hex digits, new on every start of the process.
    run_id,
    /// `libc`, `jemalloc-5.3.0`, `tcmalloc-x.y`, `memkind`.
    mem_allocator,
}

/// One INFO reply, read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Info<'a> {
    /// Keys with a time to live, in all databases; `None` where the reply has no
    /// keyspace section, or no key.
    pub volatile_keys: Option<u64>,
    /// Texts that identify the server.
    pub texts: Texts<'a>,
    /// Numbers.
    pub fields: Fields,
}

impl<'a> Info<'a> {
    /// Reads a reply in any state, whole or cut, with any line ends. Cannot
    /// fail: what is not a known `name:value` is passed over.
    #[must_use]
    pub fn parse(reply: &'a [u8]) -> Self {
        let mut info = Self::default();
        for line in reply.split(|byte| *byte == b'\n') {
            let Ok(line) = std::str::from_utf8(line) else {
                continue;
            };
            let line = line.strip_suffix('\r').unwrap_or(line);
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            info.fields.take(name, value);
            info.texts.take(name, value);
            if let Some(expires) = read::expires(name, value) {
                info.volatile_keys = Some(info.volatile_keys.unwrap_or(0).saturating_add(expires));
            }
        }
        info
    }
}

/// The kinds of value that INFO prints, and what of them is believed.
mod read {
    /// No machine holds 2^60 bytes: a larger size is an underflow of the
    /// server's (`used_memory_dataset` was captured at 1.8e19).
    const ABSURD: u64 = 1 << 60;

    /// `db0:keys=45901,expires=12,avg_ttl=0` to 12.
    pub(super) fn expires(name: &str, value: &str) -> Option<u64> {
        name.strip_prefix("db")?.parse::<u32>().ok()?;
        value
            .split(',')
            .find_map(|part| part.strip_prefix("expires="))
            .and_then(counter)
    }

    pub(super) fn counter(text: &str) -> Option<u64> {
        text.parse().ok()
    }

    pub(super) fn size(text: &str) -> Option<u64> {
        counter(text).filter(|bytes| *bytes < ABSURD)
    }

    pub(super) fn nonzero(text: &str) -> Option<u64> {
        size(text).filter(|bytes| *bytes > 0)
    }

    /// Printed `%zd`, or `%zu` of the same bits.
    pub(super) fn signed(text: &str) -> Option<i64> {
        let value = match text.parse::<u64>() {
            Ok(bits) => bits.cast_signed(),
            Err(_) => text.parse().ok()?,
        };
        (value.unsigned_abs() < ABSURD).then_some(value)
    }

    /// `"-nan"` and `"inf"` parse as numbers in Rust, so a range is asked for: no
    /// quotient of two sizes is larger than a size, and a percentage of 1e308
    /// would be infinite.
    pub(super) fn ratio(text: &str) -> Option<f64> {
        #[allow(clippy::cast_precision_loss, reason = "a power of two is exact")]
        let absurd = ABSURD as f64;
        text.parse()
            .ok()
            .filter(|ratio: &f64| (0.0..absurd).contains(ratio))
    }

    pub(super) fn seconds(text: &str) -> Option<f64> {
        ratio(text)
    }

    pub(super) fn flag(text: &str) -> Option<bool> {
        match text {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        }
    }

    /// A share of one CPU, 0 to 100 percent.
    pub(super) fn effort(text: &str) -> Option<u8> {
        text.parse().ok().filter(|percent| *percent <= 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        Info::parse(text.as_bytes()).fields
    }

    #[test]
    fn nonsense_is_absent_and_costs_only_itself() {
        let got = fields(
            "mem_fragmentation_ratio:-nan\r\nallocator_frag_ratio:inf\r\nused_memory_rss:0\r\n\
             used_memory:18446744073709508956\r\nactive_defrag_running:yes\r\nloading:2\r\n\
             maxmemory:0\r\nused_memory_peak:12\r\n",
        );
        assert_eq!(
            got,
            Fields {
                used_memory_peak: Some(12),
                ..Fields::default()
            }
        );
    }

    #[test]
    fn a_wrapped_negative_is_a_negative() {
        let got = fields("allocator_frag_bytes:18446744073292481392\nmem_fragmentation_bytes:-5\n");
        assert_eq!(got.allocator_frag_bytes, Some(-417_070_224));
        assert_eq!(got.mem_fragmentation_bytes, Some(-5));
    }

    #[test]
    fn line_ends_order_and_garbage_do_not_matter() {
        let text = b"# Memory\n\xff\xfe:1\nused_memory:1\r\nused_memory:2\nno colon\n:\nrun_id:\nexecutable:/a:b";
        let info = Info::parse(text);
        assert_eq!(
            info.fields.used_memory,
            Some(1),
            "the first of a repeated name stands"
        );
        assert_eq!(info.texts.run_id, None, "an empty text is absent");
        assert_eq!(
            info.texts.executable,
            Some("/a:b"),
            "a value may hold colons"
        );
    }

    #[test]
    fn volatile_keys_are_summed_over_databases() {
        let text = b"db0:keys=9,expires=2,avg_ttl=0\r\ndb12:keys=9,expires=40\r\ndbx:expires=7\r\n";
        assert_eq!(Info::parse(text).volatile_keys, Some(42));
        assert_eq!(Info::parse(b"db_size:1\n").volatile_keys, None);
    }

    #[test]
    fn a_field_whose_name_only_begins_alike_is_another_field() {
        assert_eq!(
            fields("used_memory_human:1.00M\nused_memor:7\n"),
            Fields::default()
        );
    }
}
