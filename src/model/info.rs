//! INFO text to fields.
//!
//! Knows the names of the fields, how servers print them and which printed
//! values are no values at all. Must not know what a field means: that is
//! `server.rs` and `sample.rs`. Every field is optional and a bad one costs
//! only itself.

use super::lines;
use super::lookup::Lookup;

/// One name of INFO, and how its value is taken in. The first of a repeated name
/// stands.
struct Row {
    name: &'static str,
    take: for<'a> fn(&mut Info<'a>, &'a [u8]),
}

/// Declares what is read of INFO as one table: the structs, the reader and the list
/// of names come from the same rows, so none can be forgotten.
macro_rules! table {
    (
        numbers { $( $(#[$doc:meta])* $number:ident : $kind:ident -> $ty:ty ),+ $(,)? }
        texts { $( $(#[$text_doc:meta])* $text:ident ),+ $(,)? }
    ) => {
        /// The numbers of one INFO reply that redis-frag uses. `None` is a
        /// field that the server does not have, or printed as nonsense.
        #[derive(Debug, Clone, Copy, Default, PartialEq)]
        pub struct Fields {
            $( $(#[$doc])* pub $number: Option<$ty>, )+
        }

        impl Fields {
            /// Names of all fields, as INFO prints them.
            pub const NAMES: &'static [&'static str] = &[$( stringify!($number) ),+];
        }

        /// The texts of one INFO reply that tell servers apart, borrowed from it.
        #[derive(Debug, Clone, Copy, Default, PartialEq)]
        pub struct Texts<'a> {
            $( $(#[$text_doc])* pub $text: Option<&'a str>, )+
        }

        /// Every name that is read.
        static ROWS: &[Row] = &[
            $( Row {
                name: stringify!($number),
                take: |info, value| if info.fields.$number.is_none() {
                    info.fields.$number = read::$kind(value);
                },
            }, )+
            $( Row {
                name: stringify!($text),
                take: |info, value| if info.texts.$text.is_none() {
                    info.texts.$text = read::text(value);
                },
            }, )+
        ];

        static LOOKUP: Lookup = Lookup::over(
            &[$( stringify!($number), )+ $( stringify!($text) ),+]
        );
    };
}

table! {
    numbers {
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
    texts {
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
        /// When the last save ended, or else the process was started, seconds since 1970 by
        /// the server's clock (rdb.c `lastsave`, all versions).
        rdb_last_save_time,
    }
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
    /// Whether the reply tells what server it is of: the section for that was asked for.
    #[must_use]
    pub fn names_server(&self) -> bool {
        self.texts.redis_version.is_some() || self.texts.run_id.is_some()
    }

    /// Reads a reply in any state, whole or cut, with any line ends. Cannot
    /// fail: what is not a known `name:value` is passed over, and so is a line whose
    /// value is not UTF-8.
    #[must_use]
    pub fn parse(reply: &'a [u8]) -> Self {
        let mut info = Self::default();
        lines::each(reply, |name, value| info.take(name, value));
        info
    }

    fn take(&mut self, name: &[u8], value: &'a [u8]) {
        let row = LOOKUP.place(name).and_then(|place| ROWS.get(place));
        if let Some(row) = row.filter(|row| row.name.as_bytes() == name) {
            (row.take)(self, value);
        } else if name.starts_with(b"db")
            && let Some(expires) = read::expires(name, value)
        {
            self.volatile_keys = Some(self.volatile_keys.unwrap_or(0).saturating_add(expires));
        }
    }
}

/// The kinds of value that INFO prints, and what of them is believed. All are what
/// `str::parse` makes of them; what it would only spend time on is done by hand.
mod read {
    use std::str::{FromStr, from_utf8};

    /// No machine holds 2^60 bytes: a larger size is an underflow of the
    /// server's (`used_memory_dataset` was captured at 1.8e19).
    const ABSURD: u64 = 1 << 60;

    /// So many digits cannot overflow.
    const SAFE_DIGITS: usize = 19;

    fn parsed<T: FromStr>(text: &[u8]) -> Option<T> {
        from_utf8(text).ok()?.parse().ok()
    }

    /// Longest text, in bytes: `executable` is a path (`PATH_MAX` of Linux). Some are kept
    /// for as long as an instance is watched.
    const LONGEST_TEXT: usize = 4096;

    /// An empty text is absent, and so is one that is longer than any server's.
    pub(super) fn text(text: &[u8]) -> Option<&str> {
        let fits = (1..=LONGEST_TEXT).contains(&text.len());
        from_utf8(text).ok().filter(|_| fits)
    }

    /// `db0:keys=45901,expires=12,avg_ttl=0` to 12.
    pub(super) fn expires(name: &[u8], value: &[u8]) -> Option<u64> {
        parsed::<u32>(name.strip_prefix(b"db")?)?;
        let mut parts = from_utf8(value).ok()?.split(',');
        parts
            .find_map(|part| part.strip_prefix("expires="))
            .and_then(|expires| counter(expires.as_bytes()))
    }

    pub(super) fn counter(text: &[u8]) -> Option<u64> {
        if text.is_empty() || text.len() > SAFE_DIGITS {
            return parsed(text);
        }
        let mut value = 0_u64;
        for byte in text {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return parsed(text);
            }
            // So few digits cannot overflow.
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        }
        Some(value)
    }

    pub(super) fn size(text: &[u8]) -> Option<u64> {
        counter(text).filter(|bytes| *bytes < ABSURD)
    }

    pub(super) fn nonzero(text: &[u8]) -> Option<u64> {
        size(text).filter(|bytes| *bytes > 0)
    }

    /// Printed `%zd`, or `%zu` of the same bits.
    pub(super) fn signed(text: &[u8]) -> Option<i64> {
        let value = match counter(text) {
            Some(bits) => bits.cast_signed(),
            None => parsed(text)?,
        };
        (value.unsigned_abs() < ABSURD).then_some(value)
    }

    /// `"-nan"` and `"inf"` parse as numbers in Rust, so a range is asked for: no
    /// quotient of two sizes is larger than a size, and a percentage of 1e308
    /// would be infinite.
    pub(super) fn ratio(text: &[u8]) -> Option<f64> {
        #[allow(clippy::cast_precision_loss, reason = "a power of two is exact")]
        let absurd = ABSURD as f64;
        parsed(text).filter(|ratio: &f64| (0.0..absurd).contains(ratio))
    }

    pub(super) fn seconds(text: &[u8]) -> Option<f64> {
        ratio(text)
    }

    pub(super) fn flag(text: &[u8]) -> Option<bool> {
        match text {
            b"0" => Some(false),
            b"1" => Some(true),
            _ => None,
        }
    }

    /// A share of one CPU, 0 to 100 percent.
    pub(super) fn effort(text: &[u8]) -> Option<u8> {
        let percent = counter(text).filter(|percent| *percent <= 100)?;
        u8::try_from(percent).ok()
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
        let long = format!(
            "run_id:{}\nmem_allocator:{}\n",
            "x".repeat(4097),
            "y".repeat(4096)
        );
        let long = Info::parse(long.as_bytes()).texts;
        assert!(long.run_id.is_none() && long.mem_allocator.is_some());
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

    /// What is done by hand is what `str::parse` does.
    #[test]
    fn numbers_are_read_as_str_reads_them() {
        for text in [
            "",
            "0",
            "7",
            "+7",
            "-7",
            "+",
            "-",
            "007",
            " 7",
            "7 ",
            "7x",
            "0x7",
            "7.0",
            "1e3",
            "\u{ff17}",
            "9999999999999999999",
            "18446744073709551615",
            "18446744073709551616",
            "00000000000000000000000042",
            "+18446744073709551615",
            "9223372036854775808",
        ] {
            assert_eq!(
                read::counter(text.as_bytes()),
                text.parse().ok(),
                "{text:?}"
            );
            let effort: Option<u8> = text.parse().ok().filter(|percent| *percent <= 100);
            assert_eq!(read::effort(text.as_bytes()), effort, "{text:?}");
        }
        assert_eq!(read::counter(b"7\xff"), None);
    }

    #[test]
    fn every_row_is_found_by_its_name() {
        for (place, row) in ROWS.iter().enumerate() {
            assert_eq!(
                LOOKUP.place(row.name.as_bytes()),
                Some(place),
                "{}",
                row.name
            );
        }
        assert!(ROWS.len() > Fields::NAMES.len());
    }
}
