//! Files of the project that are worked out from its tables and committed all the same,
//! for who reads or packs them without building anything.
//!
//! One way to hold them current: a test works the text out and compares, and with
//! `REDIS_FRAG_WRITE` set (`make generated`) it writes. Must not know what is in them.

use std::fs;
use std::path::Path;

/// Whether files are to be written instead of compared.
fn writes() -> bool {
    std::env::var_os("REDIS_FRAG_WRITE").is_some_and(|value| !value.is_empty())
}

/// Holds that a file of the project, by its path below the root, has this text.
#[track_caller]
pub fn hold(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let committed = fs::read_to_string(&file).unwrap_or_default();
    if committed == text {
        return;
    }
    if writes() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        // In one step: another test may be reading it.
        let new = file.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, &file).unwrap();
        return;
    }
    let pairs = committed.lines().zip(text.lines());
    let same = pairs.take_while(|(old, new)| old == new).count();
    panic!(
        "{path} is not what the tables say, from line {}:\n  committed: {:?}\n  worked out: {:?}\n\
         write it anew: make generated",
        same + 1,
        committed.lines().nth(same),
        text.lines().nth(same)
    );
}
