//! Content from outside that would be more than content: a server's words, names and
//! labels, files and their modes. Nothing of it becomes a line of the protocol, an
//! escape on a terminal or markup on a dashboard, and nothing grows with it.
//!
//! Knows what may be shown by rules of its own, not by the crate's.

mod exits;
mod files;
mod members;
mod modes;
mod numbers;
mod said;
mod texts;

/// Whether a character does something else than to be seen: moves a cursor, ends a line,
/// turns the direction of writing, or is there and has no shape.
pub fn is_strange(c: char) -> bool {
    let hidden = [
        0xad..=0xad,
        0x61c..=0x61c,
        0x180e..=0x180e,
        0x200b..=0x200f,
        0x2028..=0x202e,
        0x2060..=0x206f,
        0xfe00..=0xfe0f,
        0xfeff..=0xfeff,
        0xfff9..=0xfffb,
        0xe0000..=0xe01ef,
    ];
    c.is_control() || hidden.iter().any(|range| range.contains(&u32::from(c)))
}

/// A text of lines, none of which is longer than that, with nothing strange in them.
#[track_caller]
pub fn assert_tame(what: &str, text: &str, longest: usize) {
    for line in text.lines() {
        let strange = line.chars().find(|c| is_strange(*c));
        assert_eq!(strange, None, "{what}: {line:?}");
        let length = line.chars().count();
        assert!(
            length <= longest,
            "{what}: {length} characters: {line:.200}"
        );
    }
}

/// Words that were made to do harm, each by a name.
pub fn words() -> Vec<(&'static str, Vec<u8>)> {
    let mut words: Vec<(&str, Vec<u8>)> = [
        ("lines", "x\r\nDISABLE\r\nCHART 'evil.a' '' 'a' 'b'\nEND\r"),
        (
            "answer",
            "x\nFUNCTION_RESULT_END\nFUNCTION GLOBAL \"evil\" 1 \"x\"",
        ),
        ("config", "x\nCONFIG redis-frag:redis delete"),
        ("host", "x'\nHOST_DEFINE 'a' 'b'\nHOST_DEFINE_END"),
        ("quotes", "a' 'b\" \"c\\' 'd\\"),
        ("backslash", "ends with \\"),
        ("escape", "\u{1b}[2J\u{1b}]0;owned\u{7}\u{1b}[31mred"),
        ("c1", "\u{9b}31mred\u{85}DISABLE\u{9d}0;owned\u{9c}"),
        ("nul", "a\0b\u{7f}\u{8}\u{8}c\u{b}\u{c}"),
        ("bidi", "\u{202e}exe.evil\u{202c}\u{2066}x\u{2069}\u{200f}"),
        (
            "invisible",
            "re\u{200b}dis\u{2060}\u{feff}\u{ad}\u{e0041}\u{fe0f}",
        ),
        ("ends", "x\u{2028}DISABLE\u{2029}DISABLE\u{b}DISABLE"),
        (
            "markup",
            "<script>alert(1)</script><img src=x onerror=alert(2)>",
        ),
        (
            "link",
            "[a](javascript:alert(1)) {{constructor}} ${HOME} %s%n",
        ),
    ]
    .map(|(name, text)| (name, text.as_bytes().to_vec()))
    .to_vec();
    words.push(("bytes", b"\xff\xfe\xc0\xaf\xed\xa0\x80\xf8\x88x".to_vec()));
    words.push(("long", b"L".repeat(4_000)));
    words
}

/// The number fields of an instance with holes, and every text of INFO in that word.
pub fn info(word: &[u8]) -> Vec<u8> {
    let mut info = b"# Server\r\n".to_vec();
    let mut line = |name: &str, value: &[u8]| {
        info.extend_from_slice(name.as_bytes());
        info.push(b':');
        info.extend_from_slice(value);
        info.extend_from_slice(b"\r\n");
    };
    line("redis_version", &[b"8.2.3-", word].concat());
    line("mem_allocator", &[b"jemalloc-", word].concat());
    for name in [
        "server_name",
        "valkey_version",
        "valkey_release_stage",
        "dragonfly_version",
        "garnet_version",
        "storage_provider",
        "redis_mode",
        "server_mode",
        "redis_git_sha1",
        "os",
        "multiplexing_api",
        "gcc_version",
        "tcp_port",
        "process_id",
        "run_id",
        "executable",
        "config_file",
        "listener0",
        "io_threads_active",
        "maxmemory_policy",
        "maxmemory_human",
        "role",
        "master_host",
        "master_link_status",
        "slave0",
        "rdb_last_bgsave_status",
        "aof_last_write_status",
        "db0",
        "active_defrag_hits",
    ] {
        line(name, word);
    }
    info.extend_from_slice(b"# Memory\r\n");
    let numbers = crate::watching::FRAGMENTED.lines();
    for number in numbers.filter(|line| !line.starts_with("redis_") && !line.contains("jemalloc")) {
        info.extend_from_slice(number.as_bytes());
        info.extend_from_slice(b"\r\n");
    }
    info
}

/// A bulk string, as servers send texts.
pub fn bulk(text: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat()
}

/// A scalar of YAML whose every odd character is written as its number.
pub fn quoted(text: &str) -> String {
    let letter = |c: char| match c {
        ' ' | '-' | '_' | '.' | '/' | ':' | '@' | '%' => c.to_string(),
        c if c.is_ascii_alphanumeric() => c.to_string(),
        c => format!("\\U{:08x}", u32::from(c)),
    };
    format!("\"{}\"", text.chars().map(letter).collect::<String>())
}
