//! `packaging/install.sh`: puts three files where an agent looks and five where people and
//! shells do, takes exactly them back, and touches nothing of the operator's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A machine with an agent, as far as the script looks at it.
struct Machine {
    root: TempDir,
    plugins: &'static str,
}

const OF_NETDATA: &str = "usr/libexec/netdata/plugins.d";
const OF_DEBIAN: &str = "usr/lib/netdata/plugins.d";

impl Machine {
    fn new(plugins: &'static str, version: &str) -> Self {
        let machine = Self {
            root: TempDir::new().unwrap(),
            plugins,
        };
        for folder in [
            plugins,
            "usr/lib/netdata/conf.d/health.d",
            "etc/netdata/health.d",
            "usr/sbin",
        ] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        let netdata = machine.path("usr/sbin/netdata");
        fs::write(&netdata, format!("#!/bin/sh\necho 'netdata {version}'\n")).unwrap();
        fs::set_permissions(&netdata, fs::Permissions::from_mode(0o755)).unwrap();
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn run(&self, word: &str) -> Output {
        Command::new("bash")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/install.sh"))
            .arg(word)
            .env("PREFIX", self.root.path())
            .env("LOCAL", self.path("usr/local"))
            .env("BINARY", env!("CARGO_BIN_EXE_redis-frag"))
            .output()
            .unwrap()
    }

    fn ok(&self, word: &str) -> String {
        let output = self.run(word);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Every file below the root, sorted.
    fn files(&self) -> Vec<String> {
        let found = Command::new("find")
            .arg(self.root.path())
            .args(["-type", "f"])
            .output()
            .unwrap();
        let root = format!("{}/", self.root.path().display());
        let text = String::from_utf8(found.stdout).unwrap();
        let mut files: Vec<String> = text.lines().map(|line| line.replace(&root, "")).collect();
        files.sort();
        files
    }

    fn installed(&self) -> [String; 8] {
        [
            &format!("{}/redis-frag.plugin", self.plugins),
            "usr/lib/netdata/conf.d/redis-frag.conf",
            "usr/lib/netdata/conf.d/health.d/redis_frag.conf",
            "usr/local/bin/redis-frag",
            "usr/local/share/man/man1/redis-frag.1",
            "usr/local/share/bash-completion/completions/redis-frag",
            "usr/local/share/zsh/site-functions/_redis-frag",
            "usr/local/share/fish/vendor_completions.d/redis-frag.fish",
        ]
        .map(str::to_owned)
    }
}

#[test]
fn what_is_installed_comes_and_goes_again_in_either_layout() {
    for plugins in [OF_NETDATA, OF_DEBIAN] {
        let machine = Machine::new(plugins, "v2.10.0");
        let before = machine.files();
        let said = machine.ok("install");
        assert!(said.contains("restart netdata"), "{said}");
        let mut wanted = before.clone();
        wanted.extend(machine.installed());
        wanted.sort();
        assert_eq!(machine.files(), wanted);
        let plugin = machine.path(&machine.installed()[0]);
        let mode = fs::metadata(&plugin).unwrap().permissions().mode();
        assert!([0o755, 0o750].contains(&(mode & 0o7777)), "{mode:o}");
        let version = Command::new(plugin).arg("--version").output().unwrap();
        assert!(version.status.success() && version.stdout.starts_with(b"redis-frag "));
        machine.ok("install");
        assert_eq!(machine.files(), wanted, "once more changes nothing");
        machine.ok("uninstall");
        assert_eq!(machine.files(), before);
        let said = machine.ok("uninstall");
        assert!(said.contains("nothing of redis-frag"), "{said}");
    }
}

#[test]
fn the_operators_files_are_neither_written_nor_removed() {
    let machine = Machine::new(OF_DEBIAN, "v1.37.1");
    let own = [
        "etc/netdata/redis-frag.conf",
        "etc/netdata/health.d/redis_frag.conf",
    ];
    for file in own {
        fs::write(machine.path(file), "mine").unwrap();
    }
    machine.ok("install");
    let said = machine.ok("uninstall");
    for file in own {
        assert_eq!(fs::read_to_string(machine.path(file)).unwrap(), "mine");
        assert!(said.contains(&format!("{file}: it is yours")), "{said}");
    }
}

#[test]
fn somebody_elses_file_in_the_way_is_left_and_told() {
    let machine = Machine::new(OF_DEBIAN, "v1.37.1");
    let [_, stock, ..] = machine.installed();
    fs::write(machine.path(&stock), "somebody else's").unwrap();
    let before = machine.files();
    for word in ["install", "uninstall"] {
        let output = machine.run(word);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && said.contains("move it away"),
            "{word}: {said}"
        );
        assert_eq!(
            fs::read_to_string(machine.path(&stock)).unwrap(),
            "somebody else's"
        );
        assert_eq!(machine.files(), before, "{word}: all or nothing");
    }
}

#[test]
fn agents_before_1_43_get_alerts_without_summaries() {
    for (version, wanted) in [
        ("v1.37.1", false),
        ("v1.42.9", false),
        ("v1.43.0", true),
        ("v2.0.0", true),
        ("v2.10.0-35-nightly", true),
        ("unknown", false),
    ] {
        let machine = Machine::new(OF_NETDATA, version);
        machine.ok("install");
        let alerts = fs::read_to_string(machine.path(&machine.installed()[2])).unwrap();
        assert_eq!(alerts.contains("summary:"), wanted, "{version}");
        assert!(alerts.contains("template: redis_frag_ratio"), "{version}");
    }
}

#[test]
fn without_an_agent_the_script_says_what_to_name() {
    let empty = TempDir::new().unwrap();
    let output = Command::new("bash")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/install.sh"))
        .arg("install")
        .env("PREFIX", empty.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("correct PREFIX"),
        "{said}"
    );
}

/// A second operator's program of our name, or one that does not run, stops it before
/// anything is changed.
#[test]
fn a_program_that_does_not_run_here_replaces_none_that_does() {
    let machine = Machine::new(OF_DEBIAN, "v1.37.1");
    let other = machine.path("other");
    fs::write(&other, "#!/nowhere/redis-frag\n").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
    let before = machine.files();
    let output = Command::new("bash")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/install.sh"))
        .arg("install")
        .env("PREFIX", machine.root.path())
        .env("LOCAL", machine.path("usr/local"))
        .env("BINARY", &other)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("does not run on this machine"),
        "{said}"
    );
    assert_eq!(machine.files(), before);
}

/// An agent's own files are enough where nobody is to have the command.
#[test]
fn without_a_place_for_the_command_the_agent_gets_its_files_alone() {
    let machine = Machine::new(OF_DEBIAN, "v1.37.1");
    let before = machine.files();
    let output = Command::new("bash")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/install.sh"))
        .arg("install")
        .env("PREFIX", machine.root.path())
        .env("LOCAL", "")
        .env("BINARY", env!("CARGO_BIN_EXE_redis-frag"))
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(machine.files().len(), before.len() + 3);
}
