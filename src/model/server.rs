//! Which server this is, and what its fragmentation fields mean.
//!
//! The only place that knows versions and flavours: everything else asks here.
//! Must not know the values of a sample, only what kind of values to expect.

use std::fmt;

use super::defrag::Settings;
use super::info::Info;
use super::value_sizes::Layout;

/// A family of servers that speak Redis' protocol and print an INFO of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Redis, or a server that does not say otherwise.
    Redis,
    /// Valkey.
    Valkey,
    /// KeyDB, a fork of Redis 6.
    KeyDb,
    /// Dragonfly: mimalloc, no fragmentation fields.
    Dragonfly,
    /// Garnet: .NET, no fragmentation fields.
    Garnet,
    /// Answers INFO, says neither name nor version.
    Unknown,
}

impl Flavour {
    /// Lower-case name, as in labels and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Valkey => "valkey",
            Self::KeyDb => "keydb",
            Self::Dragonfly => "dragonfly",
            Self::Garnet => "garnet",
            Self::Unknown => "unknown",
        }
    }

    fn of(info: &Info<'_>) -> Self {
        let texts = &info.texts;
        let keydb = texts
            .executable
            .is_some_and(|path| path.ends_with("keydb-server"));
        if texts.dragonfly_version.is_some() {
            Self::Dragonfly
        } else if texts.garnet_version.is_some() || texts.server_name == Some("garnet") {
            Self::Garnet
        } else if texts.valkey_version.is_some() || texts.server_name == Some("valkey") {
            Self::Valkey
        } else if texts.storage_provider.is_some() || keydb {
            Self::KeyDb
        } else if texts.redis_version.is_some() {
            Self::Redis
        } else {
            Self::Unknown
        }
    }
}

/// A server's version, ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// First number.
    pub major: u16,
    /// Second number.
    pub minor: u16,
    /// Third number, 0 where none is printed.
    pub patch: u16,
}

impl Version {
    /// A version by its numbers.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// Reads `8.2.3`, `v1.37.1`, `8.0-rc2`, `2.0`. `None` where it does not
    /// begin with two numbers.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('v');
        let mut parts = text.splitn(3, '.').map(|part| {
            let digits = part.split(|c: char| !c.is_ascii_digit()).next();
            digits?.parse::<u16>().ok()
        });
        Some(Self {
            major: parts.next()??,
            minor: parts.next()??,
            patch: parts.next().flatten().unwrap_or(0),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// What `allocator_frag_ratio` and `allocator_frag_bytes` mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FragMeaning {
    /// `active / allocated` and `active − allocated`: Redis 5.0 to 7.2, Valkey
    /// 7.2, KeyDB (object.c `getMemoryOverheadData`, 7.0.15).
    ActiveOverAllocated,
    /// Free regions in slabs of small bins alone, over allocated: Redis 7.4 and
    /// later (zmalloc.c, redis#12996), Valkey 8.0 and later. Redis leaves out
    /// the arena of Lua.
    SmallBins,
    /// The server makes the numbers up from RSS, or prints none: not jemalloc.
    MadeUp,
}

/// One running server process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Family.
    pub flavour: Flavour,
    /// Its own version: of Valkey, not the 7.2.4 it prints for compatibility.
    pub version: Option<Version>,
    /// `mem_allocator` as printed.
    pub allocator: Option<String>,
    /// Meaning of `allocator_frag_*`.
    pub frag_meaning: FragMeaning,
    /// Identity of the process; another one means a restart.
    pub run_id: Option<String>,
}

impl Server {
    /// Decides once what the rest of the program builds on.
    #[must_use]
    pub fn of(info: &Info<'_>) -> Self {
        let flavour = Flavour::of(info);
        Self {
            flavour,
            version: own_version(flavour, info).and_then(Version::parse),
            allocator: info.texts.mem_allocator.map(str::to_owned),
            frag_meaning: frag_meaning(info),
            run_id: info.texts.run_id.map(str::to_owned),
        }
    }

    /// Whether a reply comes from this very process. Allocates nothing.
    #[must_use]
    pub fn answers(&self, info: &Info<'_>) -> bool {
        let flavour = Flavour::of(info);
        self.flavour == flavour
            && self.run_id.as_deref() == info.texts.run_id
            && self.allocator.as_deref() == info.texts.mem_allocator
            && self.frag_meaning == frag_meaning(info)
            && self.version == own_version(flavour, info).and_then(Version::parse)
    }

    /// Whether allocated, active and resident are jemalloc's own figures.
    #[must_use]
    pub fn has_allocator_statistics(&self) -> bool {
        self.frag_meaning != FragMeaning::MadeUp
    }

    /// Whether `INFO` takes several sections at once: Redis and Valkey since
    /// 7.0; 6.2 answers `ERR syntax error` (server.c `infoCommand`).
    #[must_use]
    pub fn takes_sections(&self) -> bool {
        matches!(self.flavour, Flavour::Redis | Flavour::Valkey) && self.is_at_least(7, 0)
    }

    /// Whether active defrag is out of the question: HAVE_DEFRAG needs jemalloc
    /// (zmalloc.h). The reverse does not hold: distributions build Redis with a
    /// jemalloc that lacks the hint.
    #[must_use]
    pub fn cannot_defrag(&self) -> bool {
        self.allocator
            .as_deref()
            .is_some_and(|name| !name.starts_with("jemalloc"))
    }

    /// Whether a jemalloc that does not come with the server makes it print 0
    /// fragmented bytes, whatever they are: Valkey since 8.1.1 (allocator_defrag.c).
    #[must_use]
    pub fn counts_own_bins_only(&self) -> bool {
        let since = Version::new(8, 1, 1);
        self.flavour == Flavour::Valkey && self.version.is_some_and(|version| version >= since)
    }

    /// Whether it switches huge pages off for itself at the start: `disable-thp`,
    /// yes by default, of Redis 6.2 and later and of Valkey (server.c
    /// `linuxMemoryWarnings`, 6.2.0). It does where they are `always` then.
    #[must_use]
    pub fn switches_huge_pages_off(&self) -> bool {
        matches!(self.flavour, Flavour::Redis | Flavour::Valkey) && self.is_at_least(6, 2)
    }

    /// Where short values are kept: with their keys from Redis 8.2 on (seen on
    /// 8.2.3). Of Valkey from 8.0 on nothing is claimed.
    #[must_use]
    pub fn layout(&self) -> Layout {
        match self.flavour {
            Flavour::Redis if self.is_at_least(8, 2) => Layout::WithKey,
            Flavour::Redis if self.version.is_some() => Layout::WithObject,
            Flavour::Valkey if self.version.is_some() && !self.is_at_least(8, 0) => {
                Layout::WithObject
            }
            Flavour::KeyDb => Layout::WithObject,
            _ => Layout::Unknown,
        }
    }

    /// Whether `active_defrag_running` stays up when defrag is switched off in
    /// the middle of a cycle: before 6.0.0 (redis#6559).
    #[must_use]
    pub fn effort_sticks(&self) -> bool {
        self.version.is_some() && !self.is_at_least(6, 0)
    }

    /// The thresholds of active defrag that this version starts with
    /// (server.h of 4.0.14 and 5.0.14, config.c of 6.0.0 and later).
    #[must_use]
    pub fn default_settings(&self) -> Settings {
        let (cycle_min, cycle_max) = match self.version {
            Some(Version { major: 4, .. }) => (25, 75),
            Some(Version { major: 5, .. }) if self.flavour == Flavour::Redis => (5, 75),
            _ => (1, 25),
        };
        Settings {
            ignore_bytes: 100 << 20,
            lower: 10,
            upper: 100,
            cycle_min,
            cycle_max,
        }
    }

    fn is_at_least(&self, major: u16, minor: u16) -> bool {
        self.version
            .is_some_and(|version| version >= Version::new(major, minor, 0))
    }
}

fn own_version<'a>(flavour: Flavour, info: &Info<'a>) -> Option<&'a str> {
    let texts = &info.texts;
    match flavour {
        Flavour::Valkey => texts.valkey_version.or(texts.redis_version),
        Flavour::Dragonfly => texts.dragonfly_version,
        Flavour::Garnet => texts.garnet_version,
        Flavour::Redis | Flavour::KeyDb | Flavour::Unknown => texts.redis_version,
    }
}

/// `allocator_muzzy` came in the very commit that changed the meaning
/// (redis#12996), in Redis and Valkey alike, so its presence tells more surely
/// than a version, which proxies and managed services rewrite.
fn frag_meaning(info: &Info<'_>) -> FragMeaning {
    if !info
        .texts
        .mem_allocator
        .is_some_and(|name| name.starts_with("jemalloc"))
    {
        FragMeaning::MadeUp
    } else if info.fields.allocator_muzzy.is_some() {
        FragMeaning::SmallBins
    } else {
        FragMeaning::ActiveOverAllocated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> Server {
        Server::of(&Info::parse(text.as_bytes()))
    }

    #[test]
    fn versions_are_read_and_ordered() {
        for (text, want) in [
            ("8.2.3", Some(Version::new(8, 2, 3))),
            ("v1.37.1", Some(Version::new(1, 37, 1))),
            ("v2.10.0-35-nightly", Some(Version::new(2, 10, 0))),
            ("8.0-rc2", Some(Version::new(8, 0, 0))),
            ("7.4.1-v2.1", Some(Version::new(7, 4, 1))),
            ("255.255.255", Some(Version::new(255, 255, 255))),
            ("99999.1.1", None),
            ("7", None),
            ("", None),
            ("x.y.z", None),
        ] {
            assert_eq!(Version::parse(text), want, "{text:?}");
        }
        assert!(Version::new(7, 10, 0) > Version::new(7, 9, 9));
    }

    #[test]
    fn flavours_are_told_apart_by_their_own_fields() {
        for (text, flavour, version) in [
            ("redis_version:7.0.15\n", Flavour::Redis, "7.0.15"),
            (
                "redis_version:7.2.4\nserver_name:valkey\nvalkey_version:9.1.2\n",
                Flavour::Valkey,
                "9.1.2",
            ),
            (
                "redis_version:6.3.4\nstorage_provider:none\n",
                Flavour::KeyDb,
                "6.3.4",
            ),
            (
                "redis_version:6.3.4\nexecutable:/usr/bin/keydb-server\n",
                Flavour::KeyDb,
                "6.3.4",
            ),
            (
                "redis_version:7.2.0\ndragonfly_version:df-v1.2.3\n",
                Flavour::Dragonfly,
                "",
            ),
            (
                "redis_version:6.2.11\nserver_name:garnet\ngarnet_version:1.0.61\n",
                Flavour::Garnet,
                "1.0.61",
            ),
            ("hello:world\n", Flavour::Unknown, ""),
        ] {
            let got = server(text);
            assert_eq!(got.flavour, flavour, "{text}");
            let shown = got.version.map(|v| v.to_string()).unwrap_or_default();
            assert_eq!(shown, version, "{text}");
        }
    }

    #[test]
    fn the_meaning_of_frag_follows_the_allocator_and_the_muzzy_field() {
        for (text, want) in [
            (
                "mem_allocator:jemalloc-5.1.0\n",
                FragMeaning::ActiveOverAllocated,
            ),
            (
                "mem_allocator:jemalloc-5.3.0\nallocator_muzzy:0\n",
                FragMeaning::SmallBins,
            ),
            (
                "mem_allocator:libc\nallocator_muzzy:0\n",
                FragMeaning::MadeUp,
            ),
            ("mem_allocator:tcmalloc-2.7\n", FragMeaning::MadeUp),
            ("redis_version:7.2.0\n", FragMeaning::MadeUp),
        ] {
            assert_eq!(server(text).frag_meaning, want, "{text}");
        }
    }

    #[test]
    fn sections_are_asked_for_from_7_0_on() {
        assert!(server("redis_version:7.0.0\n").takes_sections());
        assert!(!server("redis_version:6.2.14\n").takes_sections());
        assert!(server("valkey_version:7.2.5\nredis_version:7.2.4\n").takes_sections());
        assert!(!server("redis_version:7.2.0\ndragonfly_version:1.2.3\n").takes_sections());
        assert!(!server("").takes_sections());
    }

    #[test]
    fn default_settings_changed_with_5_0_and_6_0() {
        let cycle = |text: &str| {
            let got = server(text).default_settings();
            (got.cycle_min, got.cycle_max)
        };
        assert_eq!(cycle("redis_version:4.0.14\n"), (25, 75));
        assert_eq!(cycle("redis_version:5.0.14\n"), (5, 75));
        assert_eq!(cycle("redis_version:6.0.0\n"), (1, 25));
        assert_eq!(cycle("valkey_version:9.1.2\n"), (1, 25));
    }

    #[test]
    fn valkey_counts_bins_of_its_own_jemalloc_alone_since_8_1_1() {
        for (version, want) in [("8.1.0", false), ("8.1.1", true), ("9.1.2", true)] {
            let text = format!("redis_version:7.2.4\nvalkey_version:{version}\n");
            assert_eq!(server(&text).counts_own_bins_only(), want, "{version}");
        }
        assert!(!server("redis_version:8.2.3\n").counts_own_bins_only());
    }

    #[test]
    fn a_reply_of_the_same_process_is_recognised() {
        let text =
            "redis_version:8.2.3\nrun_id:aa\nmem_allocator:jemalloc-5.3.0\nallocator_muzzy:0\n";
        let known = server(text);
        assert!(known.answers(&Info::parse(text.as_bytes())));
        for other in [
            text.replace("aa", "bb"),
            text.replace("8.2.3", "8.2.4"),
            text.replace("jemalloc", "x"),
        ] {
            assert!(!known.answers(&Info::parse(other.as_bytes())), "{other}");
        }
    }
}
