//! What is read from a kernel that is a folder of files: cgroups of both versions,
//! nested, unlimited, incomplete, hidden, denied.

use std::fs;
use std::path::{Path, PathBuf};

use redis_frag::model::host::{Cgroup, Host, HugePages, Overcommit};
use redis_frag::source::host::{Kernel, Watched};
use redis_frag::source::processes;

/// A folder in place of `/`.
struct Tree(tempfile::TempDir);

const STATUS: &str = "Name:\tredis-server\nUid:\t107\t107\t107\t107\nNSpid:\t812\nVmHWM:\t 3000 kB\n\
                      VmRSS:\t 2000 kB\nVmSwap:\t 500 kB\nTHP_enabled:\t0\n";

fn stat(start: u64) -> String {
    format!("812 (redis-server) S 1 2 3 0 -1 4194560 94 0 0 0 0 0 0 0 20 0 1 0 {start} 2990080\n")
}

impl Tree {
    fn new(cgroup: &str) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        tree.file("proc/812/status", STATUS)
            .file("proc/812/stat", &stat(500))
            .file("proc/812/cgroup", cgroup)
            .file(
                "proc/meminfo",
                "MemTotal: 1000000 kB\nMemAvailable: 400000 kB\n",
            )
            .file("proc/sys/vm/overcommit_memory", "2\n")
            .file("proc/sys/vm/swappiness", "10\n")
            .file(
                "sys/kernel/mm/transparent_hugepage/enabled",
                "[always] madvise never\n",
            )
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn without(self, path: &str) -> Self {
        fs::remove_file(self.path(path)).unwrap();
        self
    }

    fn kernel(&self) -> Kernel {
        Kernel::new(Some(self.0.path()))
    }

    fn host(&self) -> Host {
        let kernel = self.kernel();
        Watched::new(&kernel, 812, 500).read(&kernel).unwrap()
    }
}

/// Version 2: three levels, of which the inner and the outer limit.
fn v2() -> Tree {
    Tree::new("0::/a.slice/b.slice/redis.service\n")
        .file("sys/fs/cgroup/cgroup.controllers", "cpu memory\n")
        .file("sys/fs/cgroup/a.slice/memory.max", "900000000\n")
        .file("sys/fs/cgroup/a.slice/memory.current", "700000000\n")
        .file(
            "sys/fs/cgroup/a.slice/memory.stat",
            "anon 1\ninactive_file 100\nactive_file 20\n",
        )
        .file("sys/fs/cgroup/a.slice/b.slice/memory.max", "max\n")
        .file(
            "sys/fs/cgroup/a.slice/b.slice/memory.current",
            "600000000\n",
        )
        .file(
            "sys/fs/cgroup/a.slice/b.slice/redis.service/memory.max",
            "1073741824\n",
        )
        .file(
            "sys/fs/cgroup/a.slice/b.slice/redis.service/memory.current",
            "500000000\n",
        )
        .file(
            "sys/fs/cgroup/a.slice/b.slice/redis.service/memory.swap.current",
            "4096\n",
        )
        .file(
            "sys/fs/cgroup/a.slice/b.slice/redis.service/memory.events",
            "low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\n",
        )
}

fn group(
    path: &str,
    limit: u64,
    used: Option<u64>,
    cache: Option<u64>,
    swap: Option<u64>,
) -> Cgroup {
    Cgroup {
        path: path.into(),
        limit,
        used,
        cache,
        swap,
    }
}

#[test]
fn all_ancestors_of_version_2_are_looked_at() {
    let host = v2().host();
    let service = "/a.slice/b.slice/redis.service";
    let inner = group(service, 1 << 30, Some(500_000_000), None, Some(4096));
    let outer = group("/a.slice", 900_000_000, Some(700_000_000), Some(120), None);
    assert_eq!(host.cgroups, Some(vec![inner, outer.clone()]));
    assert_eq!(
        host.tightest(),
        Some(&outer),
        "the least is not the innermost"
    );
    assert_eq!(host.oom_kills, Some(2));
    assert_eq!(
        (host.process.rss, host.process.swap),
        (Some(2000 << 10), Some(500 << 10))
    );
    assert_eq!(
        (host.process.peak, host.process.huge_pages_enabled),
        (Some(3000 << 10), Some(false))
    );
    assert_eq!(host.machine.huge_pages, Some(HugePages::Always));
    assert_eq!(
        (host.machine.overcommit, host.machine.swappiness),
        (Some(Overcommit::Never), Some(10))
    );
    assert_eq!(host.machine.available, Some(400_000 << 10));
}

#[test]
fn version_1_counts_swap_with_the_memory_and_prints_a_number_for_no_limit() {
    let mount = "sys/fs/cgroup/memory/docker";
    let tree = Tree::new("7:cpu:/x\n4:memory:/docker/ab\n0::/\n")
        .file(
            &format!("{mount}/memory.limit_in_bytes"),
            "9223372036854771712\n",
        )
        .file(&format!("{mount}/ab/memory.limit_in_bytes"), "536870912\n")
        .file(&format!("{mount}/ab/memory.usage_in_bytes"), "100000000\n")
        .file(
            &format!("{mount}/ab/memory.memsw.usage_in_bytes"),
            "130000000\n",
        )
        .file(
            &format!("{mount}/ab/memory.stat"),
            "inactive_file 1\nactive_file 1\ntotal_inactive_file 30\ntotal_active_file 40\n",
        )
        .file(
            &format!("{mount}/ab/memory.oom_control"),
            "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n",
        );
    let host = tree.host();
    let own = group(
        "/docker/ab",
        512 << 20,
        Some(100_000_000),
        Some(70),
        Some(30_000_000),
    );
    assert_eq!((host.cgroups, host.oom_kills), (Some(vec![own]), Some(7)));
}

#[test]
fn no_limit_is_no_limit() {
    let unlimited = Tree::new("0::/a\n")
        .file("sys/fs/cgroup/cgroup.controllers", "memory\n")
        .file("sys/fs/cgroup/a/memory.max", "max\n");
    let unaccounted = Tree::new("3:cpu:/a\n");
    for tree in [unlimited, unaccounted] {
        assert_eq!(tree.host().cgroups, Some(Vec::new()));
    }
}

/// A cgroup that cannot be seen may limit: that is not to be taken for none.
#[test]
fn what_cannot_be_seen_is_not_unlimited() {
    let outside = v2().file("proc/812/cgroup", "0::/../../other\n");
    let unmounted = Tree::new("0::/a\n");
    let gone = v2().file("proc/812/cgroup", "0::/a.slice/gone\n");
    // Another namespace's cgroup of the same name.
    let another = v2().file(
        "sys/fs/cgroup/a.slice/b.slice/redis.service/cgroup.procs",
        "811\n8120\n",
    );
    let none = Tree::new("").without("proc/812/cgroup");
    for tree in [outside, unmounted, gone, another, none] {
        let host = tree.host();
        assert_eq!((host.cgroups, host.oom_kills), (None, None));
        assert!(host.process.rss.is_some(), "and costs nothing else");
    }
    let own = v2().file(
        "sys/fs/cgroup/a.slice/b.slice/redis.service/cgroup.procs",
        "811\n812\n",
    );
    assert_eq!(own.host().cgroups.map(|all| all.len()), Some(2));
}

#[test]
fn what_is_not_there_costs_only_itself() {
    let tree = v2()
        .without("proc/meminfo")
        .without("sys/kernel/mm/transparent_hugepage/enabled")
        .without("sys/fs/cgroup/a.slice/memory.current");
    let host = tree.host();
    assert_eq!((host.machine.total, host.machine.huge_pages), (None, None));
    assert_eq!(host.machine.swappiness, Some(10));
    let groups = host.cgroups.unwrap();
    assert_eq!(groups[1].used, None);
    assert_eq!(groups[1].free(), None);
    // A folder in the place of a file is what even root cannot read.
    fs::create_dir(tree.path("proc/meminfo")).unwrap();
    assert_eq!(tree.host().machine.total, None);
}

#[test]
fn a_limit_that_is_changed_is_seen() {
    let tree = v2();
    let kernel = tree.kernel();
    let mut watched = Watched::new(&kernel, 812, 500);
    assert_eq!(
        watched.read(&kernel).unwrap().cgroups.map(|all| all.len()),
        Some(2)
    );
    let tree = tree.file("sys/fs/cgroup/a.slice/b.slice/memory.max", "800000000\n");
    assert!(watched.look_again(&kernel));
    let host = watched.read(&kernel).unwrap();
    assert_eq!(host.tightest().map(|group| group.limit), Some(800_000_000));
    drop(tree);
}

#[test]
fn a_process_that_is_gone_or_another_is_noticed() {
    let tree = v2();
    let kernel = tree.kernel();
    let mut watched = Watched::new(&kernel, 812, 500);
    assert!(watched.look_again(&kernel));
    let tree = tree.file("proc/812/stat", &stat(99_999));
    assert!(!watched.look_again(&kernel), "its pid was used again");
    // Dead and not yet buried: no memory any more.
    let tree = tree.file(
        "proc/812/status",
        "Name:\tredis-server\nState:\tZ (zombie)\nUid:\t1 1 1 1\n",
    );
    assert_eq!(watched.read(&kernel), None);
    let tree = tree.without("proc/812/status");
    assert_eq!(watched.read(&kernel), None);
    drop(tree);
}

/// With hidepid only one's own processes are there.
#[test]
fn hidden_processes_are_noticed() {
    let tree = v2();
    assert!(tree.kernel().hides_processes());
    let tree = tree.file("proc/1/status", "Name:\tinit\n");
    assert!(!tree.kernel().hides_processes());
    assert_eq!(
        processes::all(&Kernel::new(Some(Path::new("/nowhere")))),
        []
    );
}

#[test]
fn servers_are_found_by_name_and_their_children_are_none() {
    let one = |tree: Tree, pid: u32, name: &str, parent: u32| {
        let status = STATUS.replace("812", &pid.to_string());
        let stat = stat(u64::from(pid)).replacen("S 1", &format!("S {parent}"), 1);
        let cgroup = format!("0::/docker/{}\n", "0123456789abcdef".repeat(4));
        tree.file(&format!("proc/{pid}/status"), &status)
            .file(&format!("proc/{pid}/comm"), &format!("{name}\n"))
            .file(&format!("proc/{pid}/stat"), &stat)
            .file(&format!("proc/{pid}/cgroup"), &cgroup)
            .file(&format!("proc/{pid}/cmdline"), "redis-server *:6379\0")
    };
    let mut tree = Tree::new("");
    for (pid, name, parent) in [
        (900, "valkey-server", 1),
        (700, "redis-server", 1),
        (950, "redis-server", 700),
        (800, "keydb-server", 1),
        (600, "redis-cli", 1),
        (601, "redis-server2", 1),
    ] {
        tree = one(tree, pid, name, parent);
    }
    let found = processes::all(&tree.kernel());
    let pids: Vec<u32> = found.iter().map(|process| process.pid).collect();
    assert_eq!(pids, [700, 800, 900], "950 saves for 700");
    assert_eq!(found[0].container.as_deref(), Some("0123456789ab"));
    assert_eq!((found[0].uid, found[0].own_pid), (107, 700));
    assert_eq!(found[0].title, "redis-server *:6379");
}
