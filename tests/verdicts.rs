//! Ground truth: states that real servers were brought into, and what the
//! diagnosis makes of each.
//!
//! A sample is taken through the library from INFO, CONFIG GET and MEMORY
//! MALLOC-STATS. Nothing is mocked; each state is asserted on every server to
//! which it applies.

mod defrag;
mod fragmented;
mod loading;
mod outside;
mod pages;

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use redis_frag::model::advice::{Action, Advice};
use redis_frag::model::defrag::{DefragConfig, State};
use redis_frag::model::derive::Derived;
use redis_frag::model::diagnosis::{Diagnosis, diagnose};
use redis_frag::model::history::History;
use redis_frag::model::info::Info;
use redis_frag::model::malloc_stats::Build;
use redis_frag::model::sample::Sample;
use redis_frag::model::thresholds::Thresholds;
use redis_frag::model::verdict::{Evidence, Figure, Verdict};
use redis_frag::model::waste::{Parts, Reclaim, Waste};

use crate::support::{Kind, Server, eventually};

/// Longest wait for a state that comes by itself.
const LIMIT: Duration = Duration::from_secs(30);

/// INFO's memory figures are of the server's last tick, 100 ms ago or more.
const TICK: Duration = Duration::from_millis(250);

const MEGABYTE: u64 = 1_000_000;

/// Runs one story on several servers at once.
fn on_each(kinds: &[Kind], story: fn(Kind)) {
    thread::scope(|scope| {
        let stories: Vec<_> = kinds
            .iter()
            .map(|kind| scope.spawn(move || story(*kind)))
            .collect();
        for story in stories {
            if let Err(panic) = story.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

fn start(kind: Kind) -> Server {
    Server::builder(kind).socket_only().start()
}

/// Looks at one server again and again, and keeps its past.
struct Watcher {
    began: Instant,
    history: History,
    build: Option<Build>,
}

impl Watcher {
    /// Asks how the server was built, as `malloc_stats_every` does.
    fn of(server: &Server) -> Self {
        let report = server.ok(&["MEMORY", "MALLOC-STATS"]);
        let build = Build::parse(&report);
        let kind = server.kind();
        assert_eq!(build.is_some(), kind.has_jemalloc(), "{}", kind.name());
        Self {
            began: Instant::now(),
            history: History::default(),
            build,
        }
    }

    /// What the server says this very moment.
    fn look(&mut self, server: &Server) -> Seen {
        let info = server.info();
        let settings = server.ok(&["CONFIG", "GET", "*defrag*"]);
        let mut sample = Sample::new(self.began.elapsed(), &Info::parse(info.as_bytes()), None);
        sample.config = DefragConfig::from_pairs(pairs(&settings));
        sample.build = self.build;
        Seen::new(server.kind(), sample, &mut self.history)
    }

    /// What it says once its memory figures are those of now.
    fn look_after_a_tick(&mut self, server: &Server) -> Seen {
        thread::sleep(TICK);
        self.look(server)
    }

    /// Looks until `wanted` holds.
    fn look_until(&mut self, server: &Server, what: &str, wanted: fn(&Seen) -> bool) -> Seen {
        let mut seen = self.look(server);
        let what = format!("{}: {what}", server.kind().name());
        eventually(LIMIT, &what, || {
            wanted(&seen) || {
                seen = self.look(server);
                false
            }
        });
        seen
    }
}

fn pairs(reply: &str) -> Vec<(&str, &str)> {
    let lines: Vec<&str> = reply.lines().collect();
    let pairs = lines.chunks_exact(2);
    pairs.map(|pair| (pair[0], pair[1])).collect()
}

/// One look at a server, with all that follows from it.
struct Seen {
    kind: Kind,
    sample: Sample,
    state: Option<State>,
    waste: Option<Waste>,
    reclaim: Reclaim,
    found: Diagnosis,
}

impl Seen {
    fn new(kind: Kind, sample: Sample, history: &mut History) -> Self {
        let thresholds = Thresholds::default();
        let derived = Derived::new(&sample, &thresholds, history);
        let found = diagnose(&derived);
        let seen = Self {
            kind,
            state: derived.defrag,
            waste: derived.waste,
            reclaim: derived.reclaim,
            found,
            sample,
        };
        seen.hangs_together();
        seen
    }

    /// What must hold in every state there is.
    fn hangs_together(&self) {
        let found = &self.found;
        let before = Verdict::ALL.iter().take_while(|v| **v != found.verdict);
        let ruled_out = found.ruled_out.iter();
        assert!(ruled_out.map(|out| &out.verdict).eq(before), "{self}");
        for out in &found.ruled_out {
            assert!(!out.reason.is_empty(), "{:?} of {self}", out.verdict);
        }
        assert!(!found.evidence.is_empty(), "{self}");
        for advice in &found.advice {
            assert!(!advice.refused || advice.command.is_none(), "{self}");
        }
    }

    #[track_caller]
    fn is(&self, verdict: Verdict) -> &Self {
        assert_eq!(self.found.verdict, verdict, "{self}");
        self
    }

    fn parts(&self) -> Parts {
        self.waste.and_then(|waste| waste.parts).unwrap()
    }

    fn rss(&self) -> i64 {
        self.sample.fields.used_memory_rss.unwrap().cast_signed()
    }

    /// The printed ratio, as an operator reads it.
    fn ratio(&self) -> f64 {
        self.sample.fields.mem_fragmentation_ratio.unwrap()
    }

    #[track_caller]
    fn fact(&self, field: &str) -> &Evidence {
        let mut evidence = self.found.evidence.iter();
        let fact = evidence.find(|fact| fact.field == field);
        fact.unwrap_or_else(|| panic!("no evidence {field} in {self}"))
    }

    #[track_caller]
    fn bytes(&self, field: &str) -> i64 {
        match self.fact(field).value {
            Some(Figure::Bytes(bytes)) => bytes,
            other => panic!("{field} is {other:?} in {self}"),
        }
    }

    /// Why that verdict was ruled out.
    #[track_caller]
    fn not(&self, verdict: Verdict) -> &str {
        let mut ruled_out = self.found.ruled_out.iter();
        let out = ruled_out.find(|out| out.verdict == verdict);
        &out.unwrap_or_else(|| panic!("{verdict:?} is not ruled out in {self}"))
            .reason
    }

    #[track_caller]
    fn advice(&self, action: Action) -> &Advice {
        let mut advice = self.found.advice.iter();
        let advice = advice.find(|advice| advice.action == action);
        advice.unwrap_or_else(|| panic!("no word of {action:?} in {self}"))
    }

    /// What it says to do before all else.
    #[track_caller]
    fn first(&self) -> Action {
        let first = self.found.advice.first();
        let first = first.unwrap_or_else(|| panic!("no advice in {self}"));
        assert!(!first.refused, "{self}");
        first.action
    }

    #[track_caller]
    fn refuses(&self, action: Action, because: &str) -> &Self {
        let advice = self.advice(action);
        assert!(advice.refused, "{action:?} is offered in {self}");
        assert!(
            advice.caution.contains(because),
            "{because:?} is not why {action:?} is refused in {self}"
        );
        self
    }

    #[track_caller]
    fn offers(&self, action: Action, command: Option<&str>) -> &Self {
        let advice = self.advice(action);
        assert!(!advice.refused, "{action:?} is refused in {self}");
        assert_eq!(advice.command.as_deref(), command, "{self}");
        self
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, defrag {:?}, {:?}, {:?}, {:#?}\n{:?}",
            self.kind.name(),
            self.state,
            self.waste,
            self.reclaim,
            self.found,
            self.sample.fields
        )
    }
}

const PURGE: Option<&str> = Some("redis-cli MEMORY PURGE");
const DEFRAG: Option<&str> = Some("redis-cli CONFIG SET activedefrag yes");
