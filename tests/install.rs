//! `packaging/install.sh`: puts three files where an agent looks, five where people and
//! shells do, and the documents; takes exactly them back, and touches nothing of the
//! operator's.

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

    fn command(&self, word: &str) -> Command {
        let mut command = Command::new("bash");
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/install.sh"))
            .arg(word)
            .env("PREFIX", self.root.path())
            .env("LOCAL", self.path("usr/local"))
            .env("BINARY", env!("CARGO_BIN_EXE_redis-frag"));
        command
    }

    fn run(&self, word: &str) -> Output {
        self.command(word).output().unwrap()
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

/// The documents, where they are installed.
fn documents() -> Vec<String> {
    let found = Command::new("find")
        .args(["README.md", "CHANGELOG.md", "CONTRIBUTING.md"])
        .args(["conf.d", "health.d", "docs", "-type", "f"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let text = String::from_utf8(found.stdout).unwrap();
    let installed = |line| format!("usr/local/share/doc/redis-frag/{line}");
    text.lines().map(installed).collect()
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
        wanted.extend(documents());
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
    for file in [
        "usr/lib/netdata/conf.d/redis-frag.conf",
        "usr/local/bin/redis-frag",
        "usr/local/share/doc/redis-frag/README.md",
    ] {
        let machine = Machine::new(OF_DEBIAN, "v1.37.1");
        let path = machine.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "somebody else's").unwrap();
        let before = machine.files();
        for word in ["install", "uninstall"] {
            let output = machine.run(word);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                !output.status.success() && said.contains("move it away"),
                "{word} {file}: {said}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), "somebody else's");
            assert_eq!(machine.files(), before, "{word} {file}: all or nothing");
        }
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

/// The agent of this machine is not the one under PREFIX.
#[test]
fn an_agent_that_cannot_be_asked_is_not_taken_for_another() {
    let machine = Machine::new(OF_NETDATA, "v2.0.0");
    fs::remove_file(machine.path("usr/sbin/netdata")).unwrap();
    let other = machine.path("elsewhere");
    fs::create_dir(&other).unwrap();
    let netdata = other.join("netdata");
    fs::write(&netdata, "#!/bin/sh\necho 'netdata v2.0.0'\n").unwrap();
    fs::set_permissions(&netdata, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", other.display(), std::env::var("PATH").unwrap());
    let output = machine
        .command("install")
        .env("PATH", path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("Agent: version unknown"), "{said}");
    let alerts = fs::read_to_string(machine.path(&machine.installed()[2])).unwrap();
    assert!(!alerts.contains("summary:"), "{alerts}");
}

/// Root's own umask may be a narrow one.
#[test]
fn everybody_may_run_the_command_and_read_about_it() {
    let machine = Machine::new(OF_DEBIAN, "v1.37.1");
    let mut narrow = Command::new("sh");
    narrow.args(["-c", "umask 077 && exec \"$@\"", "sh"]);
    let command = machine.command("install");
    narrow.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        narrow.env(name, value.unwrap());
    }
    assert!(narrow.output().unwrap().status.success());
    let found = Command::new("find")
        .arg(machine.path("usr/local"))
        .args([
            "(", "-not", "-perm", "-o=r", "-o", "-type", "d", "-not", "-perm", "-o=x", ")",
        ])
        .output()
        .unwrap();
    assert!(
        machine
            .path("usr/local/share/doc/redis-frag/README.md")
            .exists()
    );
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
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
