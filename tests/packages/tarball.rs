//! The tarball: the same bytes from the same commit, and an installer that works from where
//! it was unpacked.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::root::Root;
use crate::support::{Kind, Server};
use crate::{CONFIGURATION, links_lead_somewhere, watched, well};

/// Packs this build, below a folder. What only a debugger reads is left out, for it takes
/// most of the time.
fn pack(folder: &Path) -> PathBuf {
    let said = well(&mut packing(folder, &stripped(folder)));
    PathBuf::from(said.lines().last().unwrap())
}

fn stripped(folder: &Path) -> PathBuf {
    let program = folder.join("redis-frag");
    well(
        Command::new("strip")
            .arg("-o")
            .arg(&program)
            .arg(env!("CARGO_BIN_EXE_redis-frag")),
    );
    program
}

/// Packs a program, below a folder.
fn packing(folder: &Path, program: &Path) -> Command {
    let mut command = Command::new("bash");
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/dist.sh"))
        .env("CARGO_TARGET_DIR", folder)
        .env("BINARY", program);
    command
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
    links_lead_somewhere(&source);

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
    let installed = files(machine.path());
    let is_document = |file: &&String| file.starts_with("usr/local/share/doc/redis-frag/");
    let documents = installed.iter().filter(is_document).count();
    assert!(installed.len() == 8 + documents && documents > 30, "{said}");
    links_lead_somewhere(&machine.path().join("usr/local/share/doc/redis-frag"));
    let told = well(Command::new(machine.path().join("usr/local/bin/redis-frag")).arg("--version"));
    assert!(told.starts_with("redis-frag "), "{told}");
    run("uninstall");
    assert_eq!(files(machine.path()), Vec::<String>::new());
}

/// Unpacked inside of a system; the installer there.
pub fn unpacked_in(root: &Root) -> String {
    let folder = TempDir::new().unwrap();
    fs::copy(pack(folder.path()), root.path("tmp/packed.tar.gz")).unwrap();
    root.run("cd /tmp && tar xzf packed.tar.gz && mv redis-frag-*-linux redis-frag");
    "/tmp/redis-frag/install.sh".to_owned()
}

#[test]
fn debians_agent_runs_what_it_installs() {
    let Some(root) = Root::new() else { return };
    let script = unpacked_in(&root);
    let files = || -> BTreeSet<String> {
        let is_file = |path: &String| root.path(path).is_file();
        root.files().into_iter().filter(is_file).collect()
    };
    let before = files();
    let said = root.run(&format!("{script} install"));
    assert!(said.contains("Agent: 1.37."), "{said}");
    let told = root.run("/usr/local/bin/redis-frag explain small");
    assert!(told.contains("at this size every ratio is noise"), "{told}");
    let server = Server::builder(Kind::Redis82).start();
    drop(watched(&root, &server));
    let said = root.run(&format!("{script} uninstall"));
    assert!(said.contains("it is yours"), "{said}");
    let left: Vec<String> = files().difference(&before).cloned().collect();
    assert_eq!(left, [format!("./{CONFIGURATION}")]);
}

/// A program for another machine is not packed as one of this.
#[test]
fn its_name_tells_the_machine_that_the_program_is_for() {
    let folder = TempDir::new().unwrap();
    let mut program = fs::read(stripped(folder.path())).unwrap();
    let path = folder.path().join("program");
    // Of an ELF's header: EM_AARCH64, and a machine that is none.
    for (machine, name) in [(183, Some("aarch64")), (9999_u16, None)] {
        program[18..20].copy_from_slice(&machine.to_le_bytes());
        fs::write(&path, &program).unwrap();
        let run = packing(folder.path(), &path).output().unwrap();
        let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
        match name {
            Some(name) => assert!(said.contains(&format!("-{name}-linux.tar.gz")), "{said}"),
            None => assert!(
                !run.status.success() && said.contains("no name here"),
                "{said}"
            ),
        }
    }
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
