//! The name that was most likely meant by a word that is none: of a command, a job, a topic.
//!
//! Pure. Must not know what is named.

/// How alike a word and a name must be, as of Jaro and Winkler: clap suggests from 0.7 on,
/// where `hits` is like `misses`.
const ALIKE: f64 = 0.75;

/// The names that are like the word, the likest first.
#[must_use]
pub fn alike<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let likeness = names.map(|name| (strsim::jaro_winkler(word, name), name));
    let mut found: Vec<(f64, &str)> = likeness.filter(|(like, _)| *like >= ALIKE).collect();
    found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    found.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likest_comes_first_and_what_is_not_like_it_never() {
        let names = ["cache", "cache-2", "sessions"];
        assert_eq!(alike("cahce", names.into_iter()), ["cache", "cache-2"]);
        assert_eq!(alike("sesions", names.into_iter()), ["sessions"]);
        assert_eq!(alike("xyz", names.into_iter()), [""; 0]);
        assert_eq!(alike("", names.into_iter()), [""; 0]);
    }
}
