//! What of a server's replies goes into a recording: numbers, and the few texts
//! that a diagnosis reads. All other texts are left out, known or not.
//!
//! Pure: text in, text out.

use crate::model::text::is_hidden;
use crate::source::sections::SECTIONS;

/// Texts that are kept: they tell server, version, allocator and mode.
const TEXTS: &[&str] = &[
    "redis_version",
    "server_name",
    "valkey_version",
    "valkey_release_stage",
    "dragonfly_version",
    "garnet_version",
    "storage_provider",
    "redis_mode",
    "server_mode",
    "mem_allocator",
    "maxmemory_policy",
    "gcc_version",
    "rdb_last_bgsave_status",
    "aof_last_bgrewrite_status",
    "aof_last_write_status",
];

/// Numbers that tell where a server is to be reached.
const PRIVATE: &[&str] = &["tcp_port", "ssl_port", "tls_port", "process_id"];

/// Run ids that were met, in order.
#[derive(Debug, Default)]
pub struct RunIds(Vec<String>);

impl RunIds {
    /// Forty digits that stand for a run id: the same for the same, and nothing
    /// of it.
    fn stand_in(&mut self, id: &str) -> String {
        let known = self.0.iter().position(|known| known == id);
        let number = known.unwrap_or_else(|| {
            self.0.push(id.to_owned());
            self.0.len() - 1
        });
        format!("{:040x}", number + 1)
    }
}

/// An INFO text without what may be private.
#[must_use]
pub fn info(reply: &[u8], ids: &mut RunIds) -> String {
    let mut out = String::new();
    let mut wanted = true;
    for line in reply.split(|byte| *byte == b'\n') {
        let Ok(line) = std::str::from_utf8(line) else {
            continue;
        };
        let line = line.trim_end_matches('\r');
        if let Some(section) = line.strip_prefix("# ") {
            wanted = SECTIONS.contains(&section.to_ascii_lowercase().as_str());
            if wanted {
                out.push_str(&format!("# {section}\r\n"));
            }
        } else if let Some((name, value)) = line.split_once(':')
            && wanted
            && is_name(name)
        {
            out.push_str(&format!("{name}:{}\r\n", kept(name, value, ids)));
        }
    }
    out
}

/// Settings as `redis-cli` writes them into a file.
#[must_use]
pub fn settings(pairs: &[(String, String)]) -> String {
    let ours = |(name, value): &&(String, String)| {
        name.contains("defrag") && is_name(&name.replace('-', "_")) && is_word(value)
    };
    let kept = pairs.iter().filter(ours);
    kept.map(|(name, value)| format!("{name}\n{value}\n"))
        .collect()
}

/// An allocator's report without the texts of its options.
#[must_use]
pub fn malloc_stats(report: &str) -> String {
    let is_harmless = |line: &&str| {
        !line.contains(['"', '/']) && !line.contains("malloc_conf") && !line.contains("prefix")
    };
    let visible = |line: &str| -> String { line.chars().filter(|c| !is_hidden(*c)).collect() };
    let lines = report.lines().filter(is_harmless);
    lines.map(|line| visible(line) + "\n").collect()
}

fn kept(name: &str, value: &str, ids: &mut RunIds) -> String {
    if PRIVATE.contains(&name) || name.starts_with("listener") {
        String::new()
    } else if name == "run_id" {
        ids.stand_in(value)
    } else if name == "executable" {
        let program = value.rsplit('/').next().unwrap_or_default();
        Some(program)
            .filter(|name| is_word(name))
            .unwrap_or_default()
            .to_owned()
    } else if is_number(value) || is_counts(value) || (TEXTS.contains(&name) && is_word(value)) {
        value.to_owned()
    } else {
        String::new()
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_word(value: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._+-".contains(&b);
    !value.is_empty() && value.len() <= 64 && value.bytes().all(plain)
}

/// `12`, `-1`, `1.04`, `97.27%`, `162.19M`, `-nan`, `inf`.
fn is_number(value: &str) -> bool {
    let value = value.strip_prefix('-').unwrap_or(value);
    let value = value
        .strip_suffix(['%', 'B', 'K', 'M', 'G', 'T'])
        .unwrap_or(value);
    matches!(value, "nan" | "inf")
        || (value.len() <= 24
            && value.starts_with(|c: char| c.is_ascii_digit())
            && value.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

/// `keys=9,expires=2,avg_ttl=0`
fn is_counts(value: &str) -> bool {
    value.split(',').all(|part| {
        let number = part.split_once('=').filter(|(name, _)| is_name(name));
        number.is_some_and(|(_, number)| is_number(number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_of_versions_stay_and_nothing_else() {
        let reply = b"# Server\r\nredis_version:8.2.3\r\nos:Linux host-a 6.1\r\nprocess_id:77\r\n\
            run_id:abc\r\ntcp_port:6380\r\nexecutable:/home/ann/bin/redis-server\r\n\
            config_file:/etc/secret.conf\r\nlistener0:name=tcp,bind=10.0.0.1\r\n\r\n\
            # Memory\r\nused_memory:12\r\nused_memory_human:1.5M\r\nratio:-nan\r\nx\x1b:1\r\n\
            new_text:hello\r\nmem_allocator:jemalloc-5.3.0\r\n\
            # Replication\r\nmaster_host:10.0.0.2\r\nmaster_port:6379\r\n\
            # Keyspace\r\ndb0:keys=9,expires=2,avg_ttl=0\r\ndb1:secret=word\r\n";
        let want = "# Server\r\nredis_version:8.2.3\r\nos:\r\nprocess_id:\r\n\
            run_id:0000000000000000000000000000000000000001\r\ntcp_port:\r\n\
            executable:redis-server\r\nconfig_file:\r\nlistener0:\r\n\
            # Memory\r\nused_memory:12\r\nused_memory_human:1.5M\r\nratio:-nan\r\n\
            new_text:\r\nmem_allocator:jemalloc-5.3.0\r\n\
            # Keyspace\r\ndb0:keys=9,expires=2,avg_ttl=0\r\ndb1:\r\n";
        let mut ids = RunIds::default();
        assert_eq!(info(reply, &mut ids), want);
        let again = info(b"run_id:def\nrun_id:abc\n", &mut ids);
        assert!(
            again.contains("02\r\n") && again.ends_with("01\r\n"),
            "{again}"
        );
    }

    #[test]
    fn settings_and_the_report_lose_their_texts_too() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let pairs = [
            pair("activedefrag", "no"),
            pair("requirepass", "pw"),
            pair("defrag", "a b"),
        ];
        assert_eq!(settings(&pairs), "activedefrag\nno\n");
        let report = "___ Begin\nopt.prof_prefix: \"/home/ann\"\nQuantum size: 8\n";
        assert_eq!(malloc_stats(report), "___ Begin\nQuantum size: 8\n");
    }
}
