//! The book of jobs against a made-up roster and an agent that reads its lines: one
//! course after the other, then random ones.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::address::Address;
use crate::netdata::dyncfg::TEMPLATE;
use crate::netdata::request::Payload;

const FORMS: &[&str] = &[
    r#"{"address":"redis://h:1"}"#,
    r#"{"address":"redis://h:2","password":"hunter2"}"#,
    r#"{"address":"redis://h:2","password":"(not shown: write it again)"}"#,
    r#"{"address":"hunter2://h"}"#,
];

/// A roster, and what an agent understood.
struct World {
    book: Book,
    roster: BTreeMap<String, Seen>,
    /// The job of a file that another stands in for.
    under: BTreeMap<String, Seen>,
    told: BTreeMap<String, String>,
    /// The source of each job, as the agent knows it.
    sources: BTreeMap<String, String>,
    /// Code and words of each call, as far as it is answered.
    calls: Vec<Option<(u16, String)>>,
    trials: Vec<String>,
    waits: HashMap<String, Duration>,
}

fn job(name: &str, address: &str) -> Arc<Job> {
    Arc::new(Job::new(name, Address::parse(address).unwrap().0))
}

fn file() -> Source {
    Source::User("/f".into())
}

impl World {
    fn new() -> Self {
        Self {
            book: Book::new(1),
            roster: BTreeMap::new(),
            under: BTreeMap::new(),
            told: BTreeMap::new(),
            sources: BTreeMap::new(),
            calls: Vec::new(),
            trials: Vec::new(),
            waits: HashMap::new(),
        }
    }

    /// What the roster does when a job is named.
    fn enter(&mut self, name: &str, source: Source, address: &str) {
        let standing = Standing::Held;
        let job = job(name, address);
        let seen = Seen {
            job,
            source,
            standing,
        };
        self.roster.entry(name.to_owned()).or_insert(seen);
        self.sync();
    }

    /// A file names what was found before, or names another way to it.
    fn named_by_file(&mut self, name: &str) {
        if let Some(seen) = self.roster.get_mut(name)
            && seen.source != Source::Dynamic
        {
            seen.source = file();
            seen.job = job(name, "h:9");
        }
        self.sync();
    }

    fn lose(&mut self, name: &str) {
        let is_dynamic = |seen: &Seen| seen.source == Source::Dynamic;
        if self.roster.get(name).is_some_and(is_dynamic) {
            self.under.remove(name);
        } else {
            self.roster.remove(name);
        }
        self.sync();
    }

    fn outcome(&mut self, name: &str, outcome: Standing) {
        if let Some(seen) = self.roster.get_mut(name)
            && !matches!(seen.standing, Standing::Held | Standing::Disabled)
        {
            seen.standing = outcome;
        }
        self.sync();
    }

    fn command(&mut self, verb: Verb, name: &str, form: &str, by_agent: bool) -> usize {
        let call = self.calls.len();
        self.calls.push(None);
        let command = Command {
            verb,
            name: name.to_owned(),
            payload: Payload {
                content_type: "application/json".into(),
                text: form.to_owned(),
            },
            by_agent,
        };
        let deeds = self.book.command(&call.to_string(), command);
        self.apply(deeds);
        self.sync();
        call
    }

    fn sync(&mut self) {
        let deeds = self.book.seen(self.roster.values().cloned().collect());
        self.apply(deeds);
        let names = |of: Vec<&String>| of.into_iter().cloned().collect::<Vec<_>>();
        assert_eq!(
            names(self.told.keys().collect()),
            names(self.roster.keys().collect())
        );
        for (name, seen) in &self.roster {
            let word = match seen.standing.status() {
                Status::Accepted => "accepted",
                Status::Running => "running",
                Status::Failed => "failed",
                Status::Disabled => "disabled",
            };
            assert_eq!(self.told[name], word, "{name}");
            let source = match &seen.source {
                Source::Stock(_) => "stock",
                Source::User(_) => "user",
                Source::Discovered => "discovered",
                Source::Dynamic => "dyncfg",
            };
            assert_eq!(self.sources[name], source, "{name}");
        }
    }

    fn apply(&mut self, deeds: Vec<Deed>) {
        for deed in deeds {
            match deed {
                Deed::Answer {
                    call,
                    code,
                    body,
                    lines,
                } => {
                    let body = format!("{body:?}");
                    assert!(!body.contains("hunter2"), "{body}");
                    let call: usize = call.parse().unwrap();
                    let before = self.calls[call].replace((code, body));
                    assert_eq!(before, None, "call {call} was answered twice");
                    self.read(&lines);
                }
                Deed::Lines(lines) => self.read(&lines),
                Deed::Begin(name) => self.turn(&name, Standing::Starting),
                Deed::Restart(name) => self.turn(&name, Standing::Starting),
                Deed::End(name) => self.turn(&name, Standing::Disabled),
                Deed::Put(job) => self.put(job),
                Deed::Remove(name) => {
                    self.roster.remove(&name).unwrap();
                    if let Some(seen) = self.under.remove(&name) {
                        self.roster.insert(name, seen);
                    }
                }
                Deed::Try { call, .. } => self.trials.push(call),
                Deed::Wait { call, at_most } => {
                    self.waits.insert(call, at_most);
                }
            }
        }
    }

    fn turn(&mut self, name: &str, standing: Standing) {
        self.roster.get_mut(name).unwrap().standing = standing;
    }

    fn put(&mut self, job: Arc<Job>) {
        let name = job.name.clone();
        let mut seen = Seen {
            job,
            source: Source::Dynamic,
            standing: Standing::Held,
        };
        if let Some(before) = self.roster.remove(&name) {
            seen.standing = anew(before.standing.clone());
            if let Source::User(_) = before.source {
                let standing = Standing::Held;
                self.under.insert(name.clone(), Seen { standing, ..before });
            }
        }
        self.roster.insert(name, seen);
    }

    /// Reads lines as an agent does.
    fn read(&mut self, lines: &str) {
        for line in lines.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let name = words[1].strip_prefix(&format!("{TEMPLATE}:")).unwrap();
            match words[2] {
                "create" => {
                    self.told.insert(name.to_owned(), words[3].to_owned());
                    self.sources.insert(name.to_owned(), words[6].to_owned());
                }
                "status" => {
                    let told = self.told.get_mut(name);
                    *told.unwrap_or_else(|| panic!("{line}: never named")) = words[3].to_owned();
                }
                "delete" => {
                    self.told.remove(name).unwrap();
                }
                other => panic!("{other}"),
            }
        }
    }

    fn code(&self, call: usize) -> Option<u16> {
        Some(self.calls[call].as_ref()?.0)
    }

    fn words(&self, call: usize) -> &str {
        &self.calls[call].as_ref().unwrap().1
    }
}

fn failed() -> Standing {
    Standing::Failed("no way there".to_owned())
}

#[test]
fn the_agents_first_word_is_answered_at_once_and_a_person_waits_for_the_outcome() {
    let mut world = World::new();
    world.enter("a", file(), "h:1");
    let first = world.command(Verb::Enable, "a", "", false);
    assert_eq!(world.code(first), Some(202), "whatever name it comes with");
    world.outcome("a", failed());
    let again = world.command(Verb::Enable, "a", "", false);
    assert_eq!(world.code(again), None);
    assert_eq!(world.waits[&again.to_string()], Duration::from_secs(4));
    world.outcome("a", Standing::Running);
    assert_eq!(world.code(again), Some(200));
    let restart = world.command(Verb::Restart, "a", "", false);
    world.outcome("a", failed());
    assert_eq!(world.code(restart), Some(422));
    assert!(world.words(restart).contains("no way there"));
    let by_agent = world.command(Verb::Enable, "a", "", true);
    assert_eq!(world.code(by_agent), Some(202));
    assert!(world.words(by_agent).contains("no way there"));
}

#[test]
fn a_disabled_job_stays_so_until_it_is_enabled() {
    let mut world = World::new();
    world.enter("a", file(), "h:1");
    assert!(matches!(world.roster["a"].standing, Standing::Held));
    let first = world.command(Verb::Disable, "a", "", true);
    let restart = world.command(Verb::Restart, "a", "", false);
    let update = world.command(Verb::Update, "a", FORMS[0], false);
    assert_eq!(world.code(first), Some(200));
    assert_eq!(world.code(restart), Some(405));
    assert_eq!(world.code(update), Some(298));
    assert_eq!(world.told["a"], "disabled");
    // The update named it anew, and the agent says so once more.
    world.command(Verb::Disable, "a", "", true);
    let enable = world.command(Verb::Enable, "a", "", false);
    let disable = world.command(Verb::Disable, "a", "", false);
    assert_eq!(
        (world.code(enable), world.code(disable)),
        (Some(298), Some(200))
    );
}

#[test]
fn what_the_dashboard_changes_goes_before_the_file_which_comes_back() {
    let mut world = World::new();
    world.enter("a", file(), "h:1");
    let refused = world.command(Verb::Remove, "a", "", false);
    assert_eq!(world.code(refused), Some(405));
    world.command(Verb::Enable, "a", "", true);
    world.outcome("a", Standing::Running);
    let update = world.command(Verb::Update, "a", FORMS[1], false);
    assert_eq!(world.code(update), None);
    world.outcome("a", failed());
    assert_eq!(world.code(update), Some(202), "else the agent forgot it");
    assert_eq!(world.roster["a"].source, Source::Dynamic);
    let get = world.command(Verb::Get, "a", "", false);
    assert!(world.words(get).contains("not shown"));
    let same = world.command(Verb::Update, "a", FORMS[1], true);
    assert_eq!(world.code(same), Some(202));
    let remove = world.command(Verb::Remove, "a", "", false);
    assert_eq!(world.code(remove), Some(200));
    assert_eq!(world.roster["a"].source, file());
}

#[test]
fn a_form_that_was_only_looked_at_can_be_tried_where_it_led_and_is_not_kept() {
    let mut world = World::new();
    let add = world.command(Verb::Add, "a", FORMS[1], false);
    assert_eq!(world.code(add), Some(202));
    let test = world.command(Verb::Test, "a", FORMS[2], false);
    assert_eq!((world.code(test), world.trials.len()), (None, 1));
    let elsewhere = FORMS[2].replace("h:2", "h:3");
    let test = world.command(Verb::Test, "a", &elsewhere, false);
    let other = world.command(Verb::Test, "b", FORMS[2], false);
    let update = world.command(Verb::Update, "a", FORMS[2], false);
    let again = world.command(Verb::Add, "a", FORMS[2], false);
    for call in [test, other, update, again] {
        assert_eq!(world.code(call), Some(400));
        assert!(world.words(call).contains("password: write it again"));
    }
    let paste = world.command(Verb::Userconfig, "p", FORMS[1], false);
    assert!(
        world.words(paste).contains("name: \\\"p\\\"") && world.words(paste).contains("not shown")
    );
}

#[test]
fn names_that_an_agent_would_not_give_back_are_refused() {
    let mut world = World::new();
    for name in ["a.b", "a b", "a:b", "ä", "", &"x".repeat(101)] {
        let add = world.command(Verb::Add, name, FORMS[0], false);
        assert_eq!(world.code(add), Some(400), "{name}");
    }
    for verb in [
        Verb::Get,
        Verb::Update,
        Verb::Remove,
        Verb::Enable,
        Verb::Disable,
        Verb::Restart,
    ] {
        let nobody = world.command(verb, "nobody", FORMS[0], false);
        assert_eq!(world.code(nobody), Some(404), "{verb:?}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Command(Verb, usize, usize, bool),
    Outcome(usize, bool),
    Named(usize, bool),
    Lost(usize),
    Late(usize),
    Cancelled(usize),
    Tried(usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    use Verb::*;
    let verbs = [
        Schema, Get, Update, Add, Remove, Enable, Disable, Restart, Test, Userconfig,
    ];
    let (name, call) = (0..NAMES.len(), 0..40_usize);
    prop_oneof![
        6 => (prop::sample::select(verbs.to_vec()), name.clone(), 0..FORMS.len(), any::<bool>())
            .prop_map(|(verb, name, form, by)| Step::Command(verb, name, form, by)),
        4 => (name.clone(), any::<bool>()).prop_map(|(name, ok)| Step::Outcome(name, ok)),
        2 => (name.clone(), any::<bool>()).prop_map(|(name, found)| Step::Named(name, found)),
        1 => name.prop_map(Step::Lost),
        1 => call.clone().prop_map(Step::Late),
        1 => call.clone().prop_map(Step::Cancelled),
        1 => (call, any::<bool>()).prop_map(|(call, ok)| Step::Tried(call, ok)),
    ]
}

const NAMES: &[&str] = &["a", "b", "c"];

proptest! {
    #[test]
    fn every_command_is_answered_once_and_the_agent_knows_what_runs(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let mut world = World::new();
        for step in steps {
            let deeds = match step {
                Step::Command(verb, name, form, by_agent) => {
                    let call = world.command(verb, NAMES[name], FORMS[form], by_agent);
                    let open = world.book.is_open(&call.to_string());
                    prop_assert_eq!(open, world.calls[call].is_none());
                    let waits = world.waits.contains_key(&call.to_string());
                    prop_assert_eq!(open, waits, "who waits has an end to it");
                    continue;
                }
                Step::Outcome(name, ok) => {
                    let outcome = if ok { Standing::Running } else { failed() };
                    world.outcome(NAMES[name], outcome);
                    continue;
                }
                Step::Named(name, found) => {
                    let source = if found { Source::Discovered } else { file() };
                    world.enter(NAMES[name], source, "h:1");
                    if !found {
                        world.named_by_file(NAMES[name]);
                    }
                    continue;
                }
                Step::Lost(name) => {
                    world.lose(NAMES[name]);
                    continue;
                }
                Step::Late(call) => world.book.late(&call.to_string()),
                Step::Cancelled(call) => world.book.cancelled(&call.to_string()),
                Step::Tried(call, ok) => {
                    let told = if ok { Ok("fine".into()) } else { Err("bad".into()) };
                    world.book.tried(&call.to_string(), told)
                }
            };
            world.apply(deeds);
            world.sync();
        }
        let deeds = world.book.close("the end");
        world.apply(deeds);
        prop_assert!(world.calls.iter().all(Option::is_some));
    }
}
