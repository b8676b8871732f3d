//! The tarball: the same bytes from the same commit, and an installer that works from where
//! it was unpacked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::well;

/// Packs this build, below a folder. What only a debugger reads is left out, for it takes
/// most of the time.
fn pack(folder: &Path) -> PathBuf {
    let program = folder.join("redis-frag");
    well(
        Command::new("strip")
            .arg("-o")
            .arg(&program)
            .arg(env!("CARGO_BIN_EXE_redis-frag")),
    );
    let said = well(
        Command::new("bash")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/dist.sh"))
            .env("CARGO_TARGET_DIR", folder)
            .env("BINARY", program),
    );
    PathBuf::from(said.lines().last().unwrap())
}

/// A machine with Netdata's own layout, and nothing on it.
fn machine() -> TempDir {
    let machine = TempDir::new().unwrap();
    fs::create_dir_all(machine.path().join("usr/libexec/netdata/plugins.d")).unwrap();
    machine
}

fn files(folder: &Path) -> Vec<String> {
    let found = well(
        Command::new("find")
            .arg(folder)
            .args(["-type", "f", "-printf", "%P\n"]),
    );
    let mut files: Vec<String> = found.lines().map(str::to_owned).collect();
    files.sort();
    files
}

#[test]
fn the_same_commit_gives_the_same_bytes() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (one, other) = (pack(one.path()), pack(other.path()));
    assert_eq!(one.file_name(), other.file_name());
    assert!(
        fs::read(&one).unwrap() == fs::read(&other).unwrap(),
        "{one:?}"
    );
}

#[test]
fn it_installs_from_where_it_was_unpacked_and_takes_itself_away() {
    let folder = TempDir::new().unwrap();
    let packed = pack(folder.path());
    let unpacked = TempDir::new().unwrap();
    well(
        Command::new("tar")
            .arg("xzf")
            .arg(&packed)
            .arg("-C")
            .arg(unpacked.path()),
    );
    let name = packed
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .strip_suffix(".tar.gz")
        .unwrap();
    let source = unpacked.path().join(name);
    assert!(files(&source).contains(&"docs/guide/alerts/redis_frag_ratio.md".to_owned()));

    let machine = machine();
    let run = |word: &str| {
        well(
            Command::new("bash")
                .arg(source.join("install.sh"))
                .arg(word)
                .current_dir("/")
                .env("PREFIX", machine.path())
                .env("LOCAL", machine.path().join("usr/local")),
        )
    };
    let said = run("install");
    assert_eq!(files(machine.path()).len(), 8, "{said}");
    let told = well(Command::new(machine.path().join("usr/local/bin/redis-frag")).arg("--version"));
    assert!(told.starts_with("redis-frag "), "{told}");
    run("uninstall");
    assert_eq!(files(machine.path()), Vec::<String>::new());
}

/// The word of a C library that is too old would be the loader's, of no use to anybody.
#[test]
fn what_it_needs_is_told_where_it_does_not_run() {
    let folder = TempDir::new().unwrap();
    let packed = pack(folder.path());
    let unpacked = TempDir::new().unwrap();
    well(
        Command::new("tar")
            .args(["xzf"])
            .arg(&packed)
            .args(["--strip-components=1", "-C"])
            .arg(unpacked.path()),
    );
    let needs = fs::read_to_string(unpacked.path().join("packaging/needs")).unwrap();
    assert!(needs.contains("glibc 2."), "{needs}");
    let program = unpacked.path().join("redis-frag");
    fs::write(&program, "#!/nowhere/ld.so\n").unwrap();
    let machine = machine();
    let refused = Command::new("bash")
        .arg(unpacked.path().join("install.sh"))
        .arg("install")
        .env("PREFIX", machine.path())
        .env("LOCAL", "")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "{said}");
    assert!(
        said.contains("does not run on this machine") && said.contains(needs.trim()),
        "{said}"
    );
    assert_eq!(files(machine.path()), Vec::<String>::new());
}
