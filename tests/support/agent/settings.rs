//! The agent's folder: netdata.conf, its subfolders, the plugins and a script
//! in the place of the one that would send notifications.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::AgentBuilder;

const FOLDERS: &[&str] = &[
    "cache",
    "etc/health.d",
    "home",
    "lib",
    "log",
    "plugins",
    "stock/health.d",
];

/// What else the agent would collect.
const OTHERS: &[&str] = &[
    "proc",
    "diskspace",
    "cgroups",
    "tc",
    "timex",
    "statsd",
    "idlejitter",
    "netdata monitoring",
    "apps",
    "perf",
    "slabinfo",
    "ioping",
];

/// What the agent asks its system for. 1.37.1 frees a constant where one of these is not
/// told, as soon as it streams, and dies (streaming/sender.c, rrdpush_clean_encoded).
const SYSTEM_INFO: &str = "\
echo NETDATA_HOST_OS_NAME=Linux
echo NETDATA_HOST_OS_ID=linux
echo NETDATA_HOST_OS_VERSION=1
echo NETDATA_SYSTEM_KERNEL_NAME=Linux
echo NETDATA_SYSTEM_KERNEL_VERSION=1
";

impl AgentBuilder {
    pub(super) fn lay_out(&self, dir: &Path, port: u16) {
        for folder in FOLDERS {
            std::fs::create_dir_all(dir.join(folder))
                .unwrap_or_else(|e| panic!("cannot create {}/{folder}: {e}", dir.display()));
        }
        write(&dir.join("netdata.conf"), &self.netdata_conf(dir, port));
        for (path, text) in &self.files {
            write(&dir.join(path), text);
        }
        for (binary, name) in &self.plugins {
            let target = dir.join("plugins").join(name);
            std::fs::copy(binary, &target)
                .unwrap_or_else(|e| panic!("cannot copy {} as a plugin: {e}", binary.display()));
            make_executable(&target);
        }
        let script = dir.join("plugins/alarm-notify.sh");
        // One write per call: two calls at once must not mix.
        let text = format!(
            "#!/bin/bash\nIFS=$'\\t'\nprintf '%s\\n' \"$*\" >>'{}/notifications'\n",
            dir.display()
        );
        write(&script, &text);
        make_executable(&script);
        let script = dir.join("plugins/system-info.sh");
        write(&script, &format!("#!/bin/sh\n{SYSTEM_INFO}"));
        make_executable(&script);
    }

    fn netdata_conf(&self, dir: &Path, port: u16) -> String {
        let folder = |name: &str| dir.join(name).display().to_string();
        let quoted = |name: &str| format!("\"{}\"", folder(name));
        let mut conf = String::new();
        let mut section = |name: &str, settings: &[(&str, String)]| {
            conf += &format!("[{name}]\n");
            for (key, value) in settings {
                conf += &format!("    {key} = {value}\n");
            }
        };
        let no = || "no".to_string();
        section(
            "global",
            &[
                ("run as user", user_name()),
                ("hostname", self.hostname.clone()),
            ],
        );
        section(
            "directories",
            &[
                ("config", folder("etc")),
                ("stock config", folder("stock")),
                ("log", folder("log")),
                ("cache", folder("cache")),
                ("lib", folder("lib")),
                ("home", folder("home")),
                ("plugins", quoted("plugins")),
                ("health config", folder("etc/health.d")),
                ("stock health config", folder("stock/health.d")),
            ],
        );
        section(
            "db",
            &[
                ("mode", "ram".to_string()),
                ("retention", "3600".to_string()),
                ("update every", self.update_every.to_string()),
            ],
        );
        section(
            "web",
            &[
                ("default port", port.to_string()),
                ("bind to", "127.0.0.1".to_string()),
            ],
        );
        section("ml", &[("enabled", no())]);
        section("registry", &[("enabled", no())]);
        // Every 10 s and not right after the start if not said: too late for
        // a test. The flood protection would hide complaints.
        section(
            "health",
            &[
                ("enabled", "yes".to_string()),
                ("run at least every seconds", "1".to_string()),
            ],
        );
        section(
            "logs",
            &[("errors to trigger flood protection", "1000000".to_string())],
        );
        let others: Vec<(&str, String)> = OTHERS.iter().map(|name| (*name, no())).collect();
        section("plugins", &others);
        for (name, key, value) in &self.settings {
            section(name, &[(key, value.clone())]);
        }
        conf
    }
}

fn user_name() -> String {
    let output = Command::new("id")
        .arg("-un")
        .output()
        .unwrap_or_else(|e| panic!("cannot run `id`: {e}"));
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

fn write(path: &Path, text: &str) {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)
            .unwrap_or_else(|e| panic!("cannot create {}: {e}", parent.display()));
    }
    std::fs::write(path, text).unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
}

fn make_executable(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
        .unwrap_or_else(|e| panic!("cannot make {} executable: {e}", path.display()));
}
