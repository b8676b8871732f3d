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

/// Notes the passwords of a configuration: `password: …`, among other keys in braces too,
/// and `redis://user:password@host`.
pub fn note_config(text: &str) {
    for line in text.lines() {
        for value in line.split("password: ").skip(1) {
            note(scalar(value));
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

/// The scalar that a text begins with, or the beginning of one: whoever tells of it tells
/// that too.
fn scalar(text: &str) -> &str {
    let text = text.trim_start();
    let whole = match text.strip_prefix(['\'', '"']) {
        Some(quoted) => quoted.split(['\'', '"']).next(),
        // A reference has braces of its own.
        None if text.starts_with("${") => Some(text),
        None => text
            .split(|c: char| c.is_whitespace() || "},'\"".contains(c))
            .next(),
    };
    whole.unwrap_or_default()
}

/// The secrets that a text holds.
pub fn told(text: &str) -> Vec<String> {
    let used = used();
    let told = used.iter().filter(|secret| text.contains(secret.as_str()));
    told.cloned().collect()
}

/// Panics where a text holds a secret; says nothing while a test fails anyhow.
#[track_caller]
pub fn assert_none(text: &str, whose: &str) {
    if std::thread::panicking() {
        return;
    }
    let told = told(text);
    assert!(told.is_empty(), "{whose} tells secrets: {told:?}\n{text}");
}
