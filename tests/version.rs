//! `packaging/build.rs`: which commit the program says that it is of. It is built and run by
//! itself, for the tests' own build is none of a release.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A folder with a source in it, and the build script as a program.
struct Source {
    folder: TempDir,
    script: PathBuf,
}

impl Source {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let script = folder.path().join("script");
        let built = Command::new("rustc")
            .args(["--edition", "2024", "-o"])
            .arg(&script)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/build.rs"))
            .output()
            .unwrap();
        assert!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
        fs::create_dir_all(folder.path().join("source/src")).unwrap();
        let source = Self { folder, script };
        source.write("one");
        source
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    fn write(&self, text: &str) {
        fs::write(self.path().join("src/main.rs"), text).unwrap();
    }

    fn git(&self, arguments: &[&str]) {
        let own = ["-c", "user.name=a", "-c", "user.email=a@b.invalid"];
        let mut command = Command::new("git");
        command.args(own).args(arguments).current_dir(self.path());
        let day = "2026-11-26T12:00:00Z";
        command
            .env("GIT_COMMITTER_DATE", day)
            .env("GIT_AUTHOR_DATE", day);
        assert!(command.output().unwrap().status.success(), "{arguments:?}");
    }

    /// What a build of this kind says, with this in the environment.
    fn told(&self, profile: &str, given: Option<&str>) -> String {
        let mut command = Command::new(&self.script);
        command
            .current_dir(self.path())
            .env("CARGO_MANIFEST_DIR", self.path())
            .env("CARGO_PKG_VERSION", "1.2.3")
            .env("PROFILE", profile)
            .env_remove("REDIS_FRAG_COMMIT");
        if let Some(given) = given {
            command.env("REDIS_FRAG_COMMIT", given);
        }
        let run = command.output().unwrap();
        let said = String::from_utf8(run.stdout).unwrap();
        let told = said
            .lines()
            .find_map(|line| line.strip_prefix("cargo::rustc-env=REDIS_FRAG_VERSION="));
        told.unwrap().to_owned()
    }
}

#[test]
fn a_release_tells_its_commit_and_whether_it_is_that() {
    let source = Source::new();
    assert_eq!(source.told("release", None), "1.2.3", "no git, no commit");
    source.git(&["init", "--quiet"]);
    source.git(&["add", "."]);
    source.git(&["commit", "--quiet", "-m", "one"]);
    let told = source.told("release", None);
    let commit = told.strip_prefix("1.2.3 (").unwrap();
    let (id, rest) = commit.split_once(' ').unwrap();
    assert!(
        id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit()),
        "{told}"
    );
    assert_eq!(rest, "2026-11-26)");
    source.write("two");
    assert_eq!(
        source.told("release", None),
        told.replace(id, &format!("{id}+"))
    );
    assert_eq!(
        source.told("debug", None),
        "1.2.3",
        "no build anew after each commit"
    );
}

#[test]
fn a_packager_says_it_himself() {
    let source = Source::new();
    for profile in ["release", "debug"] {
        assert_eq!(source.told(profile, Some(" deadbeef ")), "1.2.3 (deadbeef)");
        assert_eq!(source.told(profile, Some("")), "1.2.3");
    }
}

/// A source that lies in somebody else's repository is not of it.
#[test]
fn another_s_commit_is_not_ours() {
    let source = Source::new();
    source.git(&["init", "--quiet", ".."]);
    source.git(&["-C", "..", "add", "source"]);
    source.git(&["-C", "..", "commit", "--quiet", "-m", "theirs"]);
    assert_eq!(source.told("release", None), "1.2.3");
}
