//! The server versions the tests know, where their binaries are and what each
//! can do. Runs none of them.

use std::path::{Path, PathBuf};

/// A version of a server, as `tests/setup.sh` brings it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 6.2 with the jemalloc of its own source: defragments.
    Redis62,
    /// Debian's 7.0, with the system's jemalloc: cannot defragment.
    Redis70,
    /// 8.2 with the jemalloc of its own source: defragments.
    Redis82,
    /// Valkey with the C library's allocator: no allocator statistics.
    Valkey91,
}

impl Kind {
    /// Every one of them, oldest first.
    pub const ALL: [Kind; 4] = [Kind::Redis62, Kind::Redis70, Kind::Redis82, Kind::Valkey91];

    /// `redis-6.2.5` and so on; also the name of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Redis62 => "redis-6.2.5",
            Kind::Redis70 => "redis-7.0.15",
            Kind::Redis82 => "redis-8.2.3",
            Kind::Valkey91 => "valkey-9.1.2",
        }
    }

    /// `6.2.5` and so on.
    pub fn version(self) -> &'static str {
        let (_, version) = self.name().split_once('-').expect("a name has a version");
        version
    }

    /// Whether `CONFIG SET activedefrag yes` succeeds.
    pub fn can_defrag(self) -> bool {
        matches!(self, Kind::Redis62 | Kind::Redis82)
    }

    /// Whether it was built with jemalloc.
    pub fn has_jemalloc(self) -> bool {
        self != Kind::Valkey91
    }

    /// Whether `ACL` is known, as it is since 6.0.
    pub fn has_acl(self) -> bool {
        true
    }

    /// `DEBUG` must be allowed since 7.0; 6.2 refuses to start with the option.
    pub(super) fn knows_enable_debug(self) -> bool {
        self != Kind::Redis62
    }

    /// Where the server's binary is; panics with what to do if it is nowhere.
    pub fn binary(self) -> PathBuf {
        let variable = match self {
            Kind::Redis62 => "REDIS_FRAG_TEST_REDIS_62",
            Kind::Redis70 => "REDIS_FRAG_TEST_REDIS_70",
            Kind::Redis82 => "REDIS_FRAG_TEST_REDIS_82",
            Kind::Valkey91 => "REDIS_FRAG_TEST_VALKEY_91",
        };
        let path = match std::env::var_os(variable) {
            Some(path) if !path.is_empty() => PathBuf::from(path),
            _ => match self {
                Kind::Redis62 | Kind::Redis82 => unpacked(self.name(), "redis-server"),
                Kind::Redis70 => "/usr/bin/redis-server".into(),
                Kind::Valkey91 => unpacked(self.name(), "valkey-server"),
            },
        };
        assert!(
            path.is_file(),
            "no {} at {}: run `make setup`, or set {variable} to the server's path",
            self.name(),
            path.display()
        );
        path
    }
}

fn unpacked(name: &str, binary: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    // A relative one is relative to the project; `join` keeps an absolute one.
    root.join(target)
        .join("test-servers")
        .join(name)
        .join(binary)
}
