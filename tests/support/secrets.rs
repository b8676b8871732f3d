//! Every secret that a test used, and whether anybody told one.
//!
//! Passwords are noted where tests hand them to servers and plugins; what plugins and
//! agents said is searched for all of them when they end.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shorter ones are found in innocent words.
const SHORTEST: usize = 6;

static USED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn used() -> MutexGuard<'static, BTreeSet<String>> {
    USED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes a secret.
pub fn note(secret: &str) {
    if secret.len() >= SHORTEST && !secret.starts_with("${") {
        used().insert(secret.to_owned());
    }
}

/// Notes the passwords of a command for a server: `ACL SETUSER … >password`,
/// `CONFIG SET requirepass password`.
pub fn note_command(words: &[&str]) {
    let first = words.first().map(|word| word.to_ascii_uppercase());
    if first.as_deref() == Some("ACL") {
        let passwords = words.iter().filter_map(|word| word.strip_prefix('>'));
        passwords.for_each(note);
    }
    let pairs = words.iter().zip(words.iter().skip(1));
    for (name, value) in pairs {
        if ["requirepass", "masterauth"].contains(name) {
            note(value);
        }
    }
}

/// Notes the passwords of a configuration: `password: …`, `redis://user:password@host`.
pub fn note_config(text: &str) {
    for line in text.lines() {
        if let Some((_, value)) = line.split_once("password: ") {
            note(value.trim().trim_matches(['\'', '"']));
        }
        if let Some((head, _)) = line.split_once('@')
            // A reference is no secret.
            && !head.contains("${")
            && let Some((_, password)) = head.rsplit_once(':')
        {
            note(password);
        }
    }
}

/// Panics where a text holds a secret; says nothing while a test fails anyhow.
pub fn assert_none(text: &str, whose: &str) {
    if std::thread::panicking() {
        return;
    }
    let told: Vec<String> = used()
        .iter()
        .filter(|secret| text.contains(secret.as_str()))
        .cloned()
        .collect();
    assert!(told.is_empty(), "{whose} tells secrets: {told:?}\n{text}");
}
