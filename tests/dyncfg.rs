//! Dynamic configuration of the running plugin: what the agent sends is answered once,
//! done, and told; jobs begin when the agent says so.
//!
//! Drives the binary beside real servers, as an agent does.

mod living;
mod orders;
mod recorded;

use std::time::{Duration, Instant};

use crate::functions::{AT_ONCE, answer};
use crate::support::{AnswerSeen, Checker, ConfigSeen, Kind, PluginRun, Server};
use crate::watching::{SOON, blocks, is_down, jobs, plugin};

const TEMPLATE: &str = "redis-frag:redis";

/// An agent's and a user's hand.
struct Hand {
    run: PluginRun,
    calls: usize,
}

impl Hand {
    /// A plugin that an agent of 2.10 runs.
    fn start(config: &str) -> Self {
        Self::of(plugin(config).version("v2.10.0").start())
    }

    fn of(run: PluginRun) -> Self {
        Self { run, calls: 0 }
    }

    /// Puts a command: what identifies its answer.
    fn put(&mut self, about: &str, payload: Option<&str>, by: &str) -> String {
        self.calls += 1;
        let id = format!("c{}", self.calls);
        let call = format!("{id} 10 \"config {about}\" \"0x7ff\" \"{by}\"");
        let lines = match payload {
            None => format!("FUNCTION {call}"),
            Some(text) => {
                format!(
                    "FUNCTION_PAYLOAD {call} \"application/json\"\n{text}\nFUNCTION_PAYLOAD_END"
                )
            }
        };
        self.run.send_line(&lines).unwrap();
        id
    }

    /// A user's command to a job, and its answer.
    #[track_caller]
    fn job(&mut self, name: &str, command: &str) -> AnswerSeen {
        let id = self.put(&format!("{TEMPLATE}:{name} {command}"), None, "user=me");
        answer(&self.run, &id)
    }

    /// The agent's own command to a job, and how soon it was answered.
    #[track_caller]
    fn agent(&mut self, name: &str, command: &str) -> (AnswerSeen, Duration) {
        let start = Instant::now();
        let id = self.put(&format!("{TEMPLATE}:{name} {command}"), None, "");
        (answer(&self.run, &id), start.elapsed())
    }

    #[track_caller]
    fn update(&mut self, name: &str, form: &str) -> AnswerSeen {
        let about = format!("{TEMPLATE}:{name} update");
        let id = self.put(&about, Some(form), "user=me");
        answer(&self.run, &id)
    }

    #[track_caller]
    fn template(&mut self, command: &str, form: &str) -> AnswerSeen {
        let about = format!("{TEMPLATE} {command}");
        let id = self.put(&about, Some(form), "user=me");
        answer(&self.run, &id)
    }

    /// Waits until a job is told so.
    #[track_caller]
    fn expect(&self, name: &str, what: &str, f: impl Fn(&ConfigSeen) -> bool) {
        self.run.expect(SOON, &format!("{name}: {what}"), |c| {
            config(c, name).is_some_and(&f)
        });
    }

    #[track_caller]
    fn expect_status(&self, name: &str, status: &str) {
        self.expect(name, status, |config| config.status == status);
    }

    /// Adds a job as a user, and enables it as the agent then does.
    fn add(&mut self, name: &str, address: &str) {
        let added = self.template(&format!("add {name}"), &form(address));
        assert_eq!(added.code, "202", "{}", added.body);
        let (enabled, _) = self.agent(name, "enable");
        assert_eq!(enabled.code, "202", "{}", enabled.body);
    }

    fn watched(&self, name: &str) -> bool {
        self.run.with_checker(|c| is_charted(c, name))
    }
}

fn config<'a>(checker: &'a Checker, name: &str) -> Option<&'a ConfigSeen> {
    checker.config(&format!("{TEMPLATE}:{name}"))
}

fn form(address: &str) -> String {
    format!("{{\"address\":\"{address}\"}}")
}

/// Whether a job has charts that were not taken off the dashboard.
fn is_charted(checker: &Checker, name: &str) -> bool {
    let chart = checker.chart(&format!("redis_frag_{name}.status"));
    chart.is_some_and(|chart| !chart.obsolete)
}

/// Nothing is looked for either.
const NO_JOBS: &str = "discovery:\n  local: no\n";

const NOWHERE: &str = "unix:///nowhere/redis.sock";

#[test]
fn a_form_is_tried_on_the_real_server_and_told_what_is_wrong() {
    let secret = "correct-horse";
    let server = Server::builder(Kind::Redis82).password(secret).start();
    let mut hand = Hand::start(NO_JOBS);
    let address = server.unix_address();
    let with =
        |password: &str| format!("{{\"address\":\"{address}\",\"password\":\"{password}\"}}");
    for (form, code, says) in [
        (form(NOWHERE), "422", "cannot connect: No such file"),
        (form(&address), "422", "the server wants a password"),
        (with("wrong-horse"), "422", "refuses username or password"),
        (
            with(secret),
            "200",
            "Redis 8.2.3 with jemalloc-5.3.0 answers; active defrag",
        ),
        (
            with(secret).replace("unix", "sftp"),
            "400",
            "address: unknown scheme",
        ),
        ("{".to_owned(), "400", "no JSON"),
        (
            with("(not shown: write it again)"),
            "400",
            "password: write it again",
        ),
    ] {
        let seen = hand.template("test trial", &form);
        assert_eq!(seen.code, code, "{form}: {}", seen.body);
        assert!(seen.body.contains(says), "{form}: {}", seen.body);
    }
    let paste = hand.template("userconfig trial", &with(secret));
    assert_eq!(paste.content_type, "application/yaml");
    assert!(
        paste
            .body
            .starts_with("jobs:\n  - name: \"trial\"\n    address: \"unix://")
    );
    hand.run.with_checker(|checker| {
        assert_eq!(checker.configs(), [TEMPLATE], "what is tried is no job");
        checker.assert_clean();
        let told: String = checker.answers().iter().map(|a| a.body.clone()).collect();
        assert!(!told.contains("horse"), "{told}");
    });
    assert!(!hand.run.stderr().contains("horse"));
}

#[test]
fn the_schema_is_served_to_the_template_and_to_jobs() {
    let mut hand = Hand::start(&jobs(&[("a", NOWHERE)]));
    hand.expect("a", "named", |config| config.source_type == "user");
    let want: serde_json::Value =
        serde_json::from_str(include_str!("../src/config/schema.json")).unwrap();
    for about in [format!("{TEMPLATE} schema"), format!("{TEMPLATE}:a schema")] {
        let id = hand.put(&about, None, "user=me");
        let seen = answer(&hand.run, &id);
        assert_eq!(seen.code, "200");
        let got: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
        assert_eq!(got, want);
    }
    hand.run.with_checker(Checker::assert_clean);
}

#[test]
fn agents_without_it_are_told_nothing_of_it() {
    for version in ["v1.37.1", "v1.44.3"] {
        let run = plugin(&jobs(&[("a", NOWHERE)])).version(version).start();
        let mut hand = Hand::of(run);
        hand.run.expect(SOON, "down", |c| is_down(c, "a"));
        assert_eq!(hand.job("a", "disable").code, "404");
        hand.run.with_checker(|checker| {
            assert_eq!(checker.count("CONFIG"), 0, "{version}");
            checker.assert_clean();
        });
    }
}
