//! The Debian package: installed without and with an agent, run by it, upgraded, removed,
//! purged; nothing is asked, and nothing is left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::root::Root;
use crate::support::{Kind, Server};
use crate::{CONFIGURATION as CONFFILE, links_lead_somewhere, tarball, watched, well};

const STOCK: &str = "usr/lib/netdata/conf.d/redis-frag.conf";
const ALERTS: &str = "usr/lib/netdata/conf.d/health.d/redis_frag.conf";

/// The package of this build, made once, below a folder.
fn package(folder: &Path) -> PathBuf {
    static MADE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let folder = TempDir::new().unwrap();
        let made = folder.path().join("redis-frag.deb");
        well(
            Command::new("bash")
                .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/deb.sh"))
                .args(["--no-build", "--profile", "dev", "--strip", "--fast"])
                .env("OUTPUT", &made),
        );
        fs::read(made).unwrap()
    });
    let package = folder.join("redis-frag.deb");
    fs::write(&package, &*MADE).unwrap();
    package
}

/// A package like this one of another version, of whose files these have another last line.
fn next(package: &Path, version: &str, lines: &[(&str, &str)]) -> PathBuf {
    let folder = package.with_extension(version);
    well(Command::new("dpkg-deb").arg("-R").arg(package).arg(&folder));
    let control = folder.join("DEBIAN/control");
    let text = fs::read_to_string(&control).unwrap();
    let own = text
        .lines()
        .find(|line| line.starts_with("Version: "))
        .unwrap();
    fs::write(&control, text.replace(own, &format!("Version: {version}"))).unwrap();
    for (file, line) in lines {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        fs::write(folder.join(file), text + line).unwrap();
    }
    let made = folder.with_extension("deb");
    well(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "-b"])
            .arg(&folder)
            .arg(&made),
    );
    made
}

/// An agent of another version, as far as a package sees it.
fn agent_of_2(folder: &Path) -> PathBuf {
    let tree = folder.join("netdata");
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    fs::create_dir_all(tree.join("usr/sbin")).unwrap();
    let control = "Package: netdata\nVersion: 2.10.0\nArchitecture: all\nMaintainer: nobody <a@b.invalid>\n\
                   Conflicts: netdata-core\nReplaces: netdata-core\nDescription: stand-in\n";
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    let program = tree.join("usr/sbin/netdata");
    fs::write(&program, "#!/bin/sh\necho 'netdata v2.10.0'\n").unwrap();
    well(Command::new("chmod").arg("755").arg(&program));
    let made = folder.join("netdata.deb");
    well(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "-b"])
            .arg(&tree)
            .arg(&made),
    );
    made
}

#[test]
fn it_comes_without_an_agent_and_leaves_nothing() {
    let Some(root) = Root::new() else { return };
    let folder = TempDir::new().unwrap();
    let package = package(folder.path());
    root.run("dpkg --purge netdata-core");
    let before = root.files();

    let said = root.install(&package);
    assert!(said.contains("no Netdata agent yet"), "{said}");
    let told = root.run("redis-frag --version && redis-frag explain small");
    assert!(told.contains("at this size every ratio is noise"), "{told}");
    // As dpkg sees it: nothing is missing or changed, and the conffile is one.
    assert_eq!(root.run("dpkg --verify redis-frag"), "");
    let told = root.run("dpkg-query --show --showformat '${Conffiles}' redis-frag");
    assert_eq!(
        told.lines()
            .filter(|line| line.contains("/etc/netdata/redis-frag.conf"))
            .count(),
        1,
        "{told}"
    );

    root.run("dpkg --remove redis-frag");
    let left: Vec<String> = root.files().difference(&before).cloned().collect();
    assert_eq!(
        left,
        ["./etc/netdata", &format!("./{CONFFILE}")],
        "only what an operator may have changed"
    );
    root.run("dpkg --purge redis-frag");
    assert_eq!(root.files(), before);
}

#[test]
fn an_upgrade_keeps_what_the_operator_changed_and_replaces_what_he_did_not() {
    let Some(root) = Root::new() else { return };
    let folder = TempDir::new().unwrap();
    let first = package(folder.path());
    let second = next(
        &first,
        "0.2.0-1",
        &[(CONFFILE, "# second\n"), (STOCK, "# second\n")],
    );
    // As most versions are: another stock file, the same conffile.
    let third = next(
        &first,
        "0.3.0-1",
        &[(CONFFILE, "# second\n"), (STOCK, "# third\n")],
    );
    let conffile = || fs::read_to_string(root.path(CONFFILE)).unwrap();
    let stock = || fs::read_to_string(root.path(STOCK)).unwrap();
    let before = root.files();

    root.install(&first);
    assert!(!conffile().contains("# second"));
    root.install(&second);
    assert!(
        conffile().ends_with("# second\n"),
        "not changed by anybody: the new one"
    );
    let own = "jobs:\n  - name: mine\n    address: redis://10.0.0.1:6379\n";
    fs::write(root.path(CONFFILE), own).unwrap();
    // There is nothing to ask, for the conffile is no copy of the stock file.
    root.install(&third);
    assert_eq!(conffile(), own);
    assert!(stock().ends_with("# third\n"));
    let checked = root.run("redis-frag check-config");
    assert!(
        checked.contains("mine"),
        "the operator's file stands in for the stock one: {checked}"
    );

    root.run("dpkg --remove redis-frag");
    assert_eq!(conffile(), own, "removing is not purging");
    root.install(&third);
    assert_eq!(conffile(), own);
    root.run("dpkg --purge redis-frag");
    assert_eq!(root.files(), before);
}

#[test]
fn the_alerts_are_as_the_agent_understands_them_also_when_it_changes() {
    let Some(root) = Root::new() else { return };
    let folder = TempDir::new().unwrap();
    let alerts = || fs::read_to_string(root.path(ALERTS)).unwrap();
    let package = package(folder.path());
    root.install(&package);
    assert!(
        alerts().contains("template: redis_frag_ratio") && !alerts().contains("summary:"),
        "of 1.37"
    );
    root.run("dpkg --purge netdata-core");
    root.install(&agent_of_2(folder.path()));
    assert!(alerts().contains("summary:"), "of 2.10");
    root.run("dpkg --purge netdata");
    root.run("dpkg --install /var/cache/apt/archives/netdata-core_*.deb");
    assert!(!alerts().contains("summary:"), "of 1.37 again");
}

#[test]
fn debians_agent_runs_it_from_where_the_package_puts_it() {
    let Some(root) = Root::new() else { return };
    let folder = TempDir::new().unwrap();
    root.install(&package(folder.path()));
    let server = Server::builder(Kind::Redis82).start();
    watched(&root, &server);
}

/// Upgrades ask nothing only as long as the conffile says nothing that the next version may
/// say otherwise: the stock file explains, and changes.
#[test]
fn the_conffile_explains_no_key_and_names_who_does() {
    let folder = TempDir::new().unwrap();
    let package = package(folder.path());
    let tree = folder.path().join("tree");
    well(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&tree));
    let [conffile, stock] =
        [CONFFILE, STOCK].map(|file| fs::read_to_string(tree.join(file)).unwrap());
    assert!(conffile.contains(&format!("/{STOCK}")), "{conffile}");
    assert!(conffile.lines().count() < 20, "{conffile}");
    let set = |text: &str| -> Vec<String> {
        let lines = text.lines().map(str::trim);
        let set = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        set.map(str::to_owned).collect()
    };
    assert_eq!(set(&conffile), set(&stock), "both mean the same");
}

#[test]
fn its_documents_are_whole() {
    let folder = TempDir::new().unwrap();
    let package = package(folder.path());
    let tree = folder.path().join("tree");
    well(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&tree));
    links_lead_somewhere(&tree.join("usr/share/doc/redis-frag"));
}

/// Two ways to install, of which each would take away what the other brought.
#[test]
fn the_installer_leaves_a_package_s_files_to_dpkg() {
    let Some(root) = Root::new() else { return };
    let folder = TempDir::new().unwrap();
    root.install(&package(folder.path()));
    let script = tarball::unpacked_in(&root);
    let before = root.files();
    for word in ["install", "uninstall"] {
        let said = root.run(&format!("! {script} {word}"));
        assert!(
            said.contains("of the package redis-frag") && said.contains("apt remove redis-frag"),
            "{word}: {said}"
        );
        assert_eq!(root.run("dpkg --verify redis-frag"), "", "{word}");
        assert_eq!(root.files(), before, "{word}");
    }
}
