//! A diagnosis as it is shown: what it holds, and which of several comes first.
//!
//! Pure: data in, text out. Everything that a server or a file name wrote is
//! cleaned here, once, so that no rendering can let it through.

pub mod actions;
pub mod bar;
pub mod classes;
pub mod classes_json;
pub mod json;
pub mod markdown;
pub mod page;
pub mod spark;
pub mod summary;
pub mod text;
pub mod words;

use std::cmp::Reverse;

use crate::model::advice::Advice;
use crate::model::defrag::State;
use crate::model::derive::Derived;
use crate::model::diagnosis::{self, Diagnosis};
use crate::model::headroom::{Headroom, LimitedBy};
use crate::model::history::Rates;
use crate::model::host::{Host, View};
use crate::model::known_issues::{KNOWN_ISSUES, KnownIssue};
use crate::model::risks::Risk;
use crate::model::verdict::{RuledOut, Severity, Verdict};
use crate::model::waste::{Reclaim, Waste};

use words::clean;

/// What there is to say of one instance.
#[derive(Debug, Clone)]
pub struct Report {
    /// Name of the job, the address or the file.
    pub instance: String,
    /// Where it listens, without credentials, where that is not the name.
    pub address: Option<String>,
    /// How `redis-cli` reaches it: what stands before a command.
    pub client: String,
    /// What was found, or why the instance could not be asked.
    pub found: Result<Box<Found>, String>,
}

/// What was found in an instance that answered.
#[derive(Debug, Clone)]
pub struct Found {
    /// Family of the server.
    pub flavour: &'static str,
    /// Its own version.
    pub version: Option<String>,
    /// Its allocator.
    pub allocator: Option<String>,
    /// The reasoning.
    pub diagnosis: Diagnosis,
    /// Resident bytes.
    pub rss: Option<u64>,
    /// Used bytes of the same moment.
    pub used: Option<u64>,
    /// The one over the other.
    pub ratio: Option<f64>,
    /// What lies between the two.
    pub waste: Option<Waste>,
    /// What the remedies would bring back.
    pub reclaim: Reclaim,
    /// What active defrag is doing.
    pub defrag: Option<State>,
    /// What happened since the sample before.
    pub rates: Rates,
    /// How far it is from its limit of memory.
    pub headroom: Option<Headroom>,
    /// What the kernel tells, where it could be asked.
    pub host: Option<Host>,
    /// Why not, of an instance on this machine.
    pub unsure: Option<String>,
    /// Known defects of this version, and whether each strikes now.
    pub issues: Vec<(&'static KnownIssue, bool)>,
}

impl Report {
    /// The report on an instance that answered.
    #[must_use]
    pub fn of(instance: &str, derived: &Derived<'_>) -> Self {
        Self::new(instance, Ok(Box::new(Found::of(derived))))
    }

    /// The report on an instance that could not be asked.
    #[must_use]
    pub fn unreachable(instance: &str, error: &str) -> Self {
        Self::new(instance, Err(clean(error)))
    }

    fn new(instance: &str, found: Result<Box<Found>, String>) -> Self {
        Self {
            instance: clean(instance),
            address: None,
            client: "redis-cli".to_owned(),
            found,
        }
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match &self.found {
            Ok(found) => found.diagnosis.severity,
            Err(_) => Severity::Unknown,
        }
    }

    /// What it is found to be.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match &self.found {
            Ok(found) => found.diagnosis.verdict,
            Err(_) => Verdict::Unknown,
        }
    }

    /// Bytes beyond used memory; 0 where that is not known.
    #[must_use]
    pub fn wasted(&self) -> i64 {
        let waste = self.found.as_ref().ok().and_then(|found| found.waste);
        waste.map_or(0, |waste| waste.total)
    }
}

impl Found {
    fn of(derived: &Derived<'_>) -> Self {
        let sample = derived.sample;
        let server = sample.server.as_ref();
        let diagnosis = cleaned(diagnosis::diagnose(derived));
        let issues = KNOWN_ISSUES
            .iter()
            .filter(|issue| diagnosis.known_issues.contains(&issue.id))
            .map(|issue| (issue, issue.strikes(derived)))
            .collect();
        Self {
            flavour: server.map_or("unknown", |server| server.flavour.name()),
            version: server.and_then(|s| s.version.map(|version| version.to_string())),
            allocator: server.and_then(|server| server.allocator.as_deref().map(clean)),
            diagnosis,
            rss: sample.fields.used_memory_rss,
            used: sample.used_at_tick(),
            ratio: sample.ratio(),
            waste: derived.waste,
            reclaim: derived.reclaim,
            defrag: derived.defrag,
            rates: derived.rates,
            headroom: derived.headroom.clone().map(with_clean_path),
            host: sample.host.host().cloned().map(with_clean_paths),
            unsure: match &sample.host {
                View::Unsure(why) => Some(clean(why)),
                View::Elsewhere | View::Here(_) => None,
            },
            issues,
        }
    }
}

/// Reasons may quote what a server calls its allocator.
fn cleaned(diagnosis: Diagnosis) -> Diagnosis {
    let ruled_out = diagnosis.ruled_out.into_iter().map(|ruled| RuledOut {
        reason: clean(&ruled.reason),
        ..ruled
    });
    let advice = diagnosis.advice.into_iter().map(|advice| Advice {
        why: clean(&advice.why),
        caution: clean(&advice.caution),
        ..advice
    });
    let risks = diagnosis.risks.into_iter().map(|risk| Risk {
        why: clean(&risk.why),
        ..risk
    });
    Diagnosis {
        risks: risks.collect(),
        ruled_out: ruled_out.collect(),
        advice: advice.collect(),
        defrag_reason: clean(&diagnosis.defrag_reason),
        ..diagnosis
    }
}

/// Whoever may make a cgroup may call it what he likes.
fn with_clean_path(mut room: Headroom) -> Headroom {
    if let LimitedBy::Cgroup(path) = &mut room.limited_by {
        *path = clean(path).into();
    }
    room
}

fn with_clean_paths(mut host: Host) -> Host {
    for group in host.cgroups.iter_mut().flatten() {
        group.path = clean(&group.path).into();
    }
    host
}

/// Worst first: by severity, then by wasted bytes, then in the order given.
pub fn sort(reports: &mut [Report]) {
    reports.sort_by_key(|report| Reverse((report.severity(), report.wasted())));
}

/// The worst severity; of none nothing can be told.
#[must_use]
pub fn worst(reports: &[Report]) -> Severity {
    let severities = reports.iter().map(Report::severity);
    severities.max().unwrap_or(Severity::Unknown)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::history::History;
    use crate::model::host::Cgroup;
    use crate::model::info::Info;
    use crate::model::sample::Sample;
    use crate::model::thresholds::Thresholds;

    /// As in a pipe.
    pub(crate) const PLAIN: page::Style = page::Style {
        width: 80,
        colour: false,
    };

    /// The report on an INFO text.
    pub(crate) fn report(instance: &str, info: &str) -> Report {
        let sample = Sample::new(Duration::ZERO, &Info::parse(info.as_bytes()), None);
        let thresholds = Thresholds::default();
        Report::of(
            instance,
            &Derived::new(&sample, &thresholds, &mut History::default()),
        )
    }

    /// An instance of 200 MB with 300 MB in holes, and a few in all other places.
    pub(crate) const FRAGMENTED: &str = "redis_version:8.2.3\nmem_allocator:jemalloc-5.3.0\n\
        used_memory:200000000\nused_memory_rss:530000000\nused_memory_peak:510000000\n\
        mem_fragmentation_ratio:2.65\nmem_fragmentation_bytes:330000000\n\
        allocator_allocated:201000000\nallocator_active:501000000\n\
        allocator_resident:525000000\nallocator_muzzy:0\nallocator_frag_bytes:299000000\n\
        allocator_frag_ratio:2.49\nactive_defrag_running:0\nrdb_bgsave_in_progress:0\n";

    #[test]
    fn worst_comes_first_and_decides() {
        let fine = report("fine", &FRAGMENTED.replace("ratio:2.65", "ratio:1.10"));
        let less = FRAGMENTED
            .replace("530000000", "420000000")
            .replace("330000000", "220000000")
            .replace("ratio:2.65", "ratio:2.10");
        let mut reports = vec![
            Report::unreachable("gone", "nobody there"),
            fine,
            report("less", &less),
            report("more", FRAGMENTED),
        ];
        sort(&mut reports);
        let names: Vec<&str> = reports.iter().map(|r| r.instance.as_str()).collect();
        assert_eq!(names, ["more", "less", "gone", "fine"]);
        assert_eq!(worst(&reports), Severity::Warning);
        assert_eq!(worst(&reports[2..]), Severity::Unknown);
        assert_eq!(worst(&[]), Severity::Unknown);
    }

    #[test]
    fn what_a_cgroup_is_called_is_cleaned() {
        let path = "/a\u{1b}[2J\u{202e}\nb";
        let group = Cgroup {
            path: path.into(),
            limit: 600_000_000,
            used: Some(530_000_000),
            cache: None,
            swap: None,
        };
        let mut sample = Sample::new(Duration::ZERO, &Info::parse(FRAGMENTED.as_bytes()), None);
        let host = Host {
            cgroups: Some(vec![group]),
            ..Host::default()
        };
        sample.host = View::Here(host.into());
        let thresholds = Thresholds::default();
        let derived = Derived::new(&sample, &thresholds, &mut History::default());
        let report = Report::of("a", &derived);
        let shown = text::report(&report, &PLAIN) + &json::line(&report);
        assert_eq!(shown.matches("/a[2J b").count(), 5, "{shown}");
        let strange = |c: char| c != '\n' && crate::model::text::is_hidden(c);
        assert!(
            !shown.contains(strange) && !shown.contains("\\u001b"),
            "{shown}"
        );
    }

    #[test]
    fn what_a_server_calls_itself_is_cleaned() {
        let hostile = "redis_version:7.0.0\nmem_allocator:\u{1b}]0;libc\u{7}\nused_memory:1\n\
            used_memory_rss:300000000\nmem_fragmentation_ratio:9.00\n";
        let shown = format!("{:?}", report("a\u{1b}[2J", hostile));
        assert!(
            !shown.contains("\\u{1b}") && !shown.contains("\\u{7}"),
            "{shown}"
        );
    }
}
