//! What README and docs say to type, typed: in their order, in a shell, at a real server,
//! with this build as `redis-frag`. What would change the machine is met by stand-ins.
//!
//! The guide's own lines: `tests/guide/commands.rs`. Links and tables: `tests/drift`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::{Kind, Server};

/// The documents with lines to type, in a reader's order.
const DOCUMENTS: &[&str] = &["README.md", "docs/configuration.md", "docs/size-classes.md"];

/// Where the agent has the plugin, and its files.
const PLUGIN: &str = "/usr/libexec/netdata/plugins.d/redis-frag.plugin";
const CONFIG: &str = "/etc/netdata";

/// Stand-ins for programs that would change this machine, build for minutes or run for ever.
/// `make` tells what it would do, so that a target which is not there is found.
const STAND_INS: &[(&str, &str)] = &[
    ("sudo", "exec \"$@\""),
    ("systemctl", "echo \"systemctl $*\""),
    ("apt", "echo \"apt $*\""),
    ("make", "exec /usr/bin/make -C \"$ROOT\" --dry-run \"$@\""),
    ("edit-config", "cp -v \"$ROOT/conf.d/$1\" ."),
];

/// A code block: the language behind its first quotes, and its lines.
struct Block {
    language: String,
    lines: Vec<String>,
}

fn blocks(document: &str) -> Vec<Block> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = fs::read_to_string(path).unwrap();
    let block = |text: &str| {
        let (language, rest) = text.split_once('\n').unwrap();
        Block {
            language: language.to_owned(),
            lines: rest.lines().map(str::to_owned).collect(),
        }
    };
    text.split("```").skip(1).step_by(2).map(block).collect()
}

/// The lines to type: all of a block of `sh`, and those behind a `$` of one that shows
/// what is answered.
fn typed(document: &str) -> Vec<String> {
    let mut found = Vec::new();
    for block in blocks(document) {
        match block.language.as_str() {
            "sh" => found.extend(block.lines),
            "" => found.extend(
                block
                    .lines
                    .iter()
                    .filter_map(|line| line.strip_prefix("$ ").map(str::to_owned)),
            ),
            _ => {}
        }
    }
    found.retain(|line| !line.trim().is_empty());
    found
}

/// A reader's machine: a folder with an agent's, the programs, a server, a job for it.
struct Reader {
    home: TempDir,
    server: Server,
}

impl Reader {
    fn new() -> Self {
        let reader = Self {
            home: TempDir::new().unwrap(),
            server: Server::builder(Kind::Redis82).start(),
        };
        for folder in ["bin", "etc"] {
            fs::create_dir(reader.path(folder)).unwrap();
        }
        symlink(
            env!("CARGO_BIN_EXE_redis-frag"),
            reader.path("bin/redis-frag"),
        )
        .unwrap();
        for (name, does) in STAND_INS {
            let folder = if *name == "edit-config" { "etc" } else { "bin" };
            let path = reader.path(folder).join(name);
            fs::write(&path, format!("#!/bin/sh\n{does}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        reader.configure();
        reader
    }

    fn path(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    /// The operator's configuration, with the job that the documents name.
    fn configure(&self) {
        let job = format!(
            "jobs:\n  - name: cache\n    address: {}\n",
            self.server.tcp_address()
        );
        fs::write(self.path("etc/redis-frag.conf"), job).unwrap();
    }

    /// A line as it is on this machine, and never longer than it has to take.
    fn here(&self, line: &str) -> String {
        let host = format!("127.0.0.1:{}", self.server.port());
        let line = line
            .replace("127.0.0.1:6379", &host)
            .replace("unix:///run/redis/cache.sock", &self.server.unix_address())
            .replace(
                "/run/redis/cache.sock",
                &self.server.socket().display().to_string(),
            )
            .replace("redis-cli", &format!("redis-cli -p {}", self.server.port()))
            .replace(PLUGIN, "redis-frag")
            .replace(CONFIG, &self.path("etc").display().to_string())
            .replace("DIR", &self.path("recording").display().to_string())
            .replace("--for 60s", "--for 1s")
            .replace("--for 5m --every 5s", "--for 1s --every 500ms");
        if line.contains("--watch") {
            format!("timeout --preserve-status -s INT 3 {line}")
        } else if line == "redis-frag 1" {
            // As long as its stdin is open, as an agent's is.
            format!("sleep 3 | {line}")
        } else {
            line
        }
    }

    /// Types a line; panics where it does not end well.
    fn types(&self, line: &str) -> String {
        let bin = self.path("bin").display().to_string();
        let path = std::env::var("PATH").unwrap();
        let run = Command::new("bash")
            .args(["-c", &self.here(line)])
            .current_dir(self.home.path())
            .env("PATH", format!("{bin}:{path}"))
            .env("ROOT", env!("CARGO_MANIFEST_DIR"))
            .env("NETDATA_USER_CONFIG_DIR", self.path("etc"))
            .env("NETDATA_STOCK_CONFIG_DIR", self.path("etc"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        let errors = String::from_utf8_lossy(&run.stderr);
        assert!(
            run.status.success(),
            "{line}: {}\n{said}{errors}",
            run.status
        );
        assert!(
            !said.is_empty() || line.contains("record"),
            "{line} says nothing"
        );
        said
    }
}

#[test]
fn every_line_that_the_documents_say_to_type_does_what_it_should() {
    let mut all = 0;
    for document in DOCUMENTS {
        let reader = Reader::new();
        reader.server.fill(1_000_000);
        for line in typed(document) {
            reader.types(&line);
            // What the reader is told to edit is a copy of the stock file by now.
            if line.contains("edit-config") {
                reader.configure();
            }
            all += 1;
        }
    }
    assert!(all > 20, "only {all} lines were typed");
}

/// A document with lines to type that is not among those above would not be tried.
#[test]
fn no_document_with_lines_to_type_is_left_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(folder.join("docs")).unwrap();
    let names = docs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for name in names.filter(|name| name.ends_with(".md")) {
        let document = format!("docs/{name}");
        let listed = DOCUMENTS.contains(&document.as_str());
        assert!(listed || typed(&document).is_empty(), "{document}");
    }
    for document in DOCUMENTS {
        assert!(
            !typed(document).is_empty(),
            "{document} has nothing to type"
        );
    }
}

/// Whether `check-config` finds a text sound, and what it says. A virtual node `db-01` is
/// there.
pub fn checked(text: &str) -> (bool, String) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("redis-frag.conf");
    fs::write(&file, text).unwrap();
    fs::create_dir(folder.path().join("vnodes")).unwrap();
    let node = "- hostname: db-01\n  guid: 11111111-2222-3333-4444-555555555555\n";
    fs::write(folder.path().join("vnodes/a.conf"), node).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_redis-frag"))
        .arg("check-config")
        .arg(&file)
        .env("NETDATA_USER_CONFIG_DIR", folder.path())
        .env("NETDATA_STOCK_CONFIG_DIR", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    (run.status.success(), said)
}

/// Every configuration that is shown is one that redis-frag understands without a word.
#[test]
fn every_configuration_that_is_shown_is_understood() {
    let mut all = 0;
    for document in DOCUMENTS {
        for block in blocks(document)
            .iter()
            .filter(|block| block.language == "yaml")
        {
            let text = block.lines.join("\n") + "\n";
            let text = if text.starts_with("  - ") {
                format!("jobs:\n{text}")
            } else {
                text
            };
            let (sound, said) = checked(&text);
            assert!(sound, "{document}:\n{text}\n{said}");
            for word in ["unknown key", "not a ", "warning"] {
                let warned = said
                    .lines()
                    .any(|line| line.contains(word) && !line.contains("may read"));
                assert!(!warned, "{document}:\n{text}\n{said}");
            }
            all += 1;
        }
    }
    assert!(all > 4, "only {all} were shown");
}

/// The lines to type of a help, which begin with two spaces.
fn examples(help: &str) -> Vec<String> {
    let (_, examples) = help.split_once("\nExamples:\n").unwrap();
    let lines = examples
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("  "));
    let typed = lines.filter_map(|line| line.strip_prefix("  "));
    let typed = typed.filter(|line| !line.starts_with(' '));
    typed.map(str::to_owned).collect()
}

#[test]
fn every_example_that_the_help_shows_does_what_it_should() {
    let reader = Reader::new();
    reader.server.fill(1_000_000);
    fs::copy(
        reader.path("etc/redis-frag.conf"),
        reader.path("redis-frag.conf"),
    )
    .unwrap();
    let mut all = 0;
    for command in [
        "",
        "check-config",
        "diagnose",
        "explain",
        "record",
        "replay",
        "size-classes",
    ] {
        let help = reader.types(&format!("redis-frag {command} --help"));
        let examples = examples(&help);
        assert!(examples.len() > 1, "{command}: {help}");
        for example in examples {
            assert!(example.contains("redis-frag"), "{command}: {example}");
            reader.types(&example);
            all += 1;
        }
        let short = reader.types(&format!("redis-frag {command} -h"));
        assert!(!short.contains("Examples:"), "-h is the short one");
    }
    assert!(all > 15, "only {all} examples");
}
