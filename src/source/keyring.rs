//! What one instance is shown to be let in: read when a connection is opened, kept,
//! and read again when it is refused, so that a changed password heals itself.
//!
//! Reads in a thread of its own: a program that hangs holds up its instance alone.
//! Must not know where secrets are kept, nor how they are sent.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::config::exposed;
use crate::config::job::Credentials;
use crate::config::limits;
use crate::config::login::Login;
use crate::config::reference::{Reference, Source};
use crate::config::secrets::{self, Leash};

use super::trouble::Trouble;

/// Stack of a thread that reads secrets: it does little.
const STACK: usize = 256 << 10;

/// Longest pause between two runs of a program whose secret is refused, or that
/// fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How much longer than a program has is waited for what was read.
const GRACE: Duration = Duration::from_millis(500);

/// What came of a reading.
type Read = Result<Arc<Login>, String>;

/// A reading that is under way; ended when dropped.
struct Reading {
    leash: Arc<Leash>,
    answer: oneshot::Receiver<Read>,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.leash.cut();
    }
}

/// The login of one instance.
pub(super) struct Keyring {
    credentials: Credentials,
    patience: Duration,
    last: Option<Read>,
    reading: Option<Reading>,
    /// When the last reading began.
    read_at: Instant,
    /// When to read again what was refused, or could not be read.
    again: Option<Instant>,
    /// How many readings in a row came to nothing.
    failures: u32,
}

impl Keyring {
    /// Reads nothing yet.
    pub(super) fn new(credentials: &Credentials) -> Self {
        Self {
            credentials: credentials.clone(),
            patience: secrets::PATIENCE,
            last: None,
            reading: None,
            read_at: Instant::now(),
            again: None,
            failures: 0,
        }
    }

    /// The login, read where it was not yet or is to be read again. May take as long
    /// as a program is given; whoever gives up waiting finds it here the next time.
    ///
    /// # Errors
    /// [`Trouble::Secret`]: a reference could not be read.
    pub(super) async fn login(&mut self) -> Result<Arc<Login>, Trouble> {
        if self.reading.is_none() {
            let now = Instant::now();
            if let Some(last) = &self.last
                && self.again.is_none_or(|again| now < again)
            {
                return last.clone().map_err(Trouble::Secret);
            }
            self.read_at = now;
            self.begin();
        }
        if let Some(reading) = &mut self.reading {
            // A program has had its time by then; a file may hang for good.
            let Ok(read) = timeout(self.patience.saturating_add(GRACE), &mut reading.answer).await
            else {
                return Err(Trouble::Secret(self.unanswered()));
            };
            let gone = || Err("reading secrets broke down, which is a defect".to_owned());
            self.reading = None;
            self.keep(read.unwrap_or_else(|_| gone()));
        }
        let last = self.last.clone().unwrap_or_else(|| Ok(Arc::default()));
        last.map_err(Trouble::Secret)
    }

    /// Notes that a try that began then was refused. Says whether another is worth
    /// while at once: the login was from before, and what is read now may differ.
    pub(super) fn refused(&mut self, began: Instant) -> bool {
        if !self.credentials.refers() || self.again.is_some() {
            return false;
        }
        let from_before = self.read_at < began;
        self.failures = if from_before {
            0
        } else {
            self.failures.saturating_add(1)
        };
        self.again = Instant::now().checked_add(self.pause());
        from_before
    }

    /// Notes that the login was good.
    pub(super) fn accepted(&mut self) {
        (self.again, self.failures) = (None, 0);
    }

    fn keep(&mut self, read: Read) {
        self.again = None;
        if read.is_err() {
            self.failures = self.failures.saturating_add(1);
            self.again = Instant::now().checked_add(self.pause());
        }
        self.last = Some(read);
    }

    /// Files and variables cost nothing; to run a program every other second would.
    fn pause(&self) -> Duration {
        let runs = |reference: &Reference| matches!(reference.source, Source::Cmd(_));
        if self.failures == 0 || !self.credentials.references().any(runs) {
            return Duration::ZERO;
        }
        Duration::from_secs(1 << self.failures.min(6)).min(LONGEST_PAUSE)
    }

    fn unanswered(&self) -> String {
        let names: Vec<String> = self
            .credentials
            .references()
            .map(ToString::to_string)
            .collect();
        format!(
            "no answer yet to {}; check that it can be read",
            names.join(" and ")
        )
    }

    fn begin(&mut self) {
        let credentials = self.credentials.clone();
        let patience = self.patience;
        let leash = Arc::new(Leash::default());
        let theirs = Arc::clone(&leash);
        let read = move || {
            let login = credentials.login(|reference| {
                exposed::warn_of(reference);
                secrets::read(reference, patience, &theirs)
            });
            login.map(Arc::new)
        };
        if !self.credentials.refers() {
            self.keep(read());
            return;
        }
        let (send, answer) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("secrets".to_owned())
            .stack_size(STACK);
        let begun = thread.spawn(move || {
            // Nobody may want it any more.
            let _ = send.send(read());
        });
        match begun {
            Ok(_) => self.reading = Some(Reading { leash, answer }),
            Err(error) => self.keep(Err(format!(
                "no thread to read secrets is to be had: {error}; {}",
                limits::MORE_THREADS
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::config::reference::Template;

    fn keyring(password: &str) -> Keyring {
        Keyring::new(&Credentials {
            username: None,
            password: Some(Template::parse(password).unwrap()),
        })
    }

    fn runs(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(test);
    }

    async fn password(keyring: &mut Keyring) -> Result<String, Trouble> {
        let login = keyring.login().await?;
        let password = login.password.as_ref();
        Ok(password.map_or("", |text| text.reveal()).to_owned())
    }

    /// Refers to a program that counts its runs, and prints what is in a file.
    fn counting(folder: &Path) -> String {
        let at = |name: &str| folder.join(name).display().to_string();
        let body = format!("echo >> {}; cat {}", at("runs"), at("secret"));
        fs::write(folder.join("program"), body).unwrap();
        format!("${{cmd:/bin/sh {}}}", at("program"))
    }

    fn count(folder: &Path) -> usize {
        fs::read(folder.join("runs")).unwrap_or_default().len()
    }

    #[test]
    fn what_is_refused_is_read_again_and_at_once_where_it_is_from_before() {
        runs(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("secret");
            fs::write(&path, "one").unwrap();
            let mut keyring = keyring(&format!("${{file:{}}}", path.display()));
            let began = Instant::now();
            assert_eq!(password(&mut keyring).await.unwrap(), "one");
            keyring.accepted();
            fs::write(&path, "two").unwrap();
            assert_eq!(password(&mut keyring).await.unwrap(), "one", "kept");
            assert!(!keyring.refused(began), "read anew for this very try");
            assert_eq!(password(&mut keyring).await.unwrap(), "two");
            keyring.accepted();
            fs::write(&path, "three").unwrap();
            assert!(keyring.refused(Instant::now()), "read long ago");
            assert_eq!(password(&mut keyring).await.unwrap(), "three");
            fs::remove_file(&path).unwrap();
            assert!(keyring.refused(Instant::now()));
            let gone = password(&mut keyring).await.unwrap_err();
            assert!(gone.to_string().contains("does not exist"), "{gone}");
            fs::write(&path, "four").unwrap();
            assert_eq!(password(&mut keyring).await.unwrap(), "four");
        });
    }

    #[test]
    fn a_word_is_never_read_again() {
        let mut plain = keyring("plain");
        runs(async {
            assert_eq!(password(&mut plain).await.unwrap(), "plain");
            assert!(!plain.refused(Instant::now()));
            assert_eq!(password(&mut plain).await.unwrap(), "plain");
        });
    }

    #[test]
    fn a_program_is_run_once_until_it_is_refused_and_then_ever_less_often() {
        runs(async {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            fs::write(folder.join("secret"), "one").unwrap();
            let mut keyring = keyring(&counting(folder));
            for _ in 0..20 {
                assert_eq!(password(&mut keyring).await.unwrap(), "one");
            }
            assert_eq!(count(folder), 1);
            assert!(keyring.refused(Instant::now()));
            assert_eq!(password(&mut keyring).await.unwrap(), "one");
            assert_eq!(count(folder), 2);
            for times in 1..40 {
                assert!(!keyring.refused(keyring.read_at));
                assert!(!keyring.refused(Instant::now()), "told of that already");
                let pause = keyring
                    .again
                    .unwrap()
                    .saturating_duration_since(Instant::now());
                let want = Duration::from_secs(1 << times.min(6)).min(LONGEST_PAUSE);
                assert!(
                    pause <= want && pause + Duration::from_secs(1) > want,
                    "{pause:?}"
                );
                assert_eq!(password(&mut keyring).await.unwrap(), "one", "the old one");
                assert_eq!(count(folder), 1 + times as usize);
                keyring.again = Some(Instant::now());
                assert_eq!(password(&mut keyring).await.unwrap(), "one");
            }
            let before = count(folder);
            keyring.accepted();
            assert!(keyring.refused(Instant::now()));
            assert_eq!(password(&mut keyring).await.unwrap(), "one");
            assert_eq!(count(folder), before + 1, "at once again");
        });
    }

    #[test]
    fn a_program_that_fails_is_not_run_with_every_try() {
        runs(async {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            let mut keyring = keyring(&counting(folder));
            for _ in 0..20 {
                let told = password(&mut keyring).await.unwrap_err().to_string();
                assert!(told.contains("exit status: 1"), "{told}");
            }
            assert_eq!(count(folder), 1);
        });
    }

    #[test]
    fn who_gives_up_waiting_finds_the_answer_the_next_time() {
        runs(async {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            fs::write(folder.join("secret"), "one").unwrap();
            let program = counting(folder);
            let script = folder.join("program");
            let body = fs::read_to_string(&script).unwrap();
            fs::write(&script, format!("sleep 0.3; {body}")).unwrap();
            let mut keyring = keyring(&program);
            let short = Duration::from_millis(20);
            assert!(timeout(short, password(&mut keyring)).await.is_err());
            assert_eq!(password(&mut keyring).await.unwrap(), "one");
            assert_eq!(count(folder), 1);
        });
    }
}
