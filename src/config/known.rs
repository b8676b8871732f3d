//! Keys that nobody knows, and the ones they were meant to be.
//!
//! Pure. Must not name what may be a secret in the wrong place.

use strsim::levenshtein;

/// Keys of go.d's redis collector that have no meaning here (collector/redis/config.go
/// and confgroup/config.go of Netdata 2.10).
const OF_GO_D: &[&str] = &["ping_samples", "functions", "function_only", "module"];

/// Longest text that is taken for a key.
const LONGEST: usize = 32;

/// The key, if it is safe to name: a line like `password hunter2` in the wrong
/// place is a key to YAML. No key of ours has a digit or a space.
pub(super) fn named(key: &str) -> Option<&str> {
    let fits = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '-';
    (!key.is_empty() && key.len() <= LONGEST && key.chars().all(fits)).then_some(key)
}

/// What to tell of a key that go.d's redis collector has and this one has no use for.
pub(super) fn of_go_d(key: &str) -> Option<String> {
    let known = OF_GO_D.contains(&key);
    known.then(|| format!("{key} is go.d's and has no meaning here"))
}

/// What to tell of a key that is not among `known`; `deeper` are the keys of the
/// mappings below.
pub(super) fn unknown(key: &str, known: &[&str], deeper: &[&str]) -> String {
    let Some(key) = named(key) else {
        return format!("not a key; known here: {}", known.join(", "));
    };
    if let Some(meant) = closest(key, known) {
        return format!("unknown key {key}; did you mean {meant}?");
    }
    if deeper.contains(&key) {
        return format!("{key} is a key of a job; indent it as deep as the other keys of its job");
    }
    format!("unknown key {key}; known here: {}", known.join(", "))
}

/// The key within two slips of the pen.
pub(super) fn closest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let key = key.to_ascii_lowercase().replace('-', "_");
    let slips = |of: &&str| levenshtein(&key, of);
    let nearest = known.iter().copied().min_by_key(slips)?;
    // Two slips in a short word make another word.
    let most = if nearest.len() < 5 { 1 } else { 2 };
    (levenshtein(&key, nearest) <= most).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        let known = ["name", "address", "password", "update_every"];
        for (key, want) in [
            ("pasword", Some("password")),
            ("Password", Some("password")),
            ("addres", Some("address")),
            ("adress", Some("address")),
            ("update-every", Some("update_every")),
            ("updateevery", Some("update_every")),
            ("nam", Some("name")),
            ("same", Some("name")),
            ("port", None),
            ("db", None),
            ("url", None),
        ] {
            assert_eq!(closest(key, &known), want, "{key}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_named() {
        for key in ["hunter2", "password hunter", "", "a:b", &"x".repeat(40)] {
            let told = unknown(key, &["name"], &[]);
            assert_eq!(told, "not a key; known here: name", "{key:?}");
        }
    }
}
