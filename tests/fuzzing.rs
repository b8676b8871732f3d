//! The bodies of all fuzz targets, without a fuzzer: over their seeds, over what a
//! fuzzer found once, and over both with a little damage.
//!
//! `make fuzz` lets a fuzzer loose on the same bodies.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::fuzzed::{BODIES, Body};

/// How often an input is damaged, and bytes of damaged inputs of a target, for large ones
/// take their time without an optimizer. A fuzzer tries tens of thousands a minute.
const DAMAGED: (usize, usize) = (6, 200_000);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Names and seed folders of all targets, as `make fuzz` has them.
fn targets() -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(root().join("fuzz/targets")).unwrap();
    let lines = text.lines().map(|line| {
        let mut words = line.split(' ').map(str::to_owned);
        (words.next().unwrap(), words.collect())
    });
    lines.collect()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        found.push(entry.unwrap().path());
    }
}

/// The seeds of a target, and what a fuzzer found.
fn inputs(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let (_, folders) = targets().into_iter().find(|(own, _)| own == name).unwrap();
    let mut paths = Vec::new();
    for folder in folders {
        let before = paths.len();
        files(&root().join(&folder), &mut paths);
        assert!(paths.len() > before, "no seeds in {folder}");
    }
    files(&root().join("tests/fixtures/fuzzed").join(name), &mut paths);
    assert!(!paths.is_empty(), "nothing to run {name} with");
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap();
        (path, bytes)
    };
    paths.into_iter().map(read).collect()
}

/// Numbers that look like chance and are the same every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        // Knuth's constants (MMIX); the upper bits are the better ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end.max(1)
    }
}

/// The same with a piece cut out, doubled or overwritten.
fn damaged(bytes: &[u8], chance: &mut Chance) -> Vec<u8> {
    let from = chance.below(bytes.len());
    let to = (from + chance.below(80)).min(bytes.len());
    let (before, piece, behind) = (&bytes[..from], &bytes[from..to], &bytes[to..]);
    match chance.below(4) {
        0 => before.to_vec(),
        1 => [before, behind].concat(),
        2 => [before, piece, piece, behind].concat(),
        _ => {
            let odd = [b'9', b'-', 0xff, 0, b'\n', b'\'', b'{', 0x1b][chance.below(8)];
            [before, &vec![odd; piece.len()], behind].concat()
        }
    }
}

/// Runs a target's body over all; says which input it was that it broke at.
fn replay(name: &str) {
    let (_, body): &(&str, Body) = BODIES.iter().find(|(own, _)| *own == name).unwrap();
    let run = |told: &str, bytes: &[u8]| {
        let ended = catch_unwind(AssertUnwindSafe(|| body(bytes)));
        assert!(
            ended.is_ok(),
            "{name} broke at {told}: {}",
            bytes.escape_ascii()
        );
    };
    let mut chance = Chance(0x5eed);
    run("nothing", b"");
    let inputs = inputs(name);
    for (path, bytes) in &inputs {
        run(&path.display().to_string(), bytes);
    }
    let (most, mut room) = DAMAGED;
    for (path, bytes) in inputs.iter().cycle().take(most * inputs.len()) {
        let bytes = damaged(bytes, &mut chance);
        let Some(left) = room.checked_sub(bytes.len()) else {
            break;
        };
        room = left;
        run(&path.display().to_string(), &bytes);
    }
    for length in (1..1000).step_by(10) {
        let bytes: Vec<u8> = (0..length)
            .map(|_| u8::try_from(chance.below(256)).unwrap())
            .collect();
        run("chance", &bytes);
    }
}

macro_rules! replayed {
    ($($name:ident)+) => {
        $( #[test] fn $name() { replay(stringify!($name)); } )+

        /// One list for `make fuzz`, one for cargo, one for the tests: all the same.
        #[test]
        fn every_target_is_fuzzed_and_replayed() {
            let listed: Vec<String> = targets().into_iter().map(|(name, _)| name).collect();
            let bodies: Vec<&str> = BODIES.iter().map(|(name, _)| *name).collect();
            assert_eq!(bodies, listed);
            assert_eq!([$( stringify!($name) ),+], *bodies);
            let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
            let mut built: Vec<&str> = manifest
                .lines()
                .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/"))
                .filter_map(|rest| rest.strip_suffix(".rs\""))
                .collect();
            built.sort_unstable();
            assert_eq!(built, bodies);
            for name in bodies {
                let target = format!("fuzz/fuzz_targets/{name}.rs");
                let text = fs::read_to_string(root().join(target)).unwrap();
                assert!(text.contains(&format!("fuzzed::{name}::body")), "{name}");
            }
        }
    };
}

replayed! { configuration diagnosis info kernel malloc_stats reply requests wire }
