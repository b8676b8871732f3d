//! A configuration, whatever it says, as a file and as what the dashboard sends: no
//! panic, no long wait, no secret told, every mistake at a place inside the text, and
//! what is shown of a job is that job when it is read again.
//!
//! References have a value or none, by the length of what they refer to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis_frag::config::file::{self, Parsed, Problem, Severity};
use redis_frag::config::job::{Job, Secret};
use redis_frag::config::reference::Reference;
use redis_frag::config::vnodes::{self, Vnode};
use redis_frag::config::{payload, shown};

/// The password of all fixtures and seeds, which nothing may tell.
const SECRET: &str = "hunter2";

/// More than enough for a debug build on a busy machine.
const LONG: Duration = Duration::from_secs(10);

/// Problems that are told, and one for the rest.
const MOST: usize = 101;

/// Bytes are a file's text.
pub fn body(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let start = Instant::now();
    let vnodes = [Arc::new(Vnode {
        name: "db1".to_owned(),
        hostname: "db1.example".to_owned(),
        guid: "0b1f1e9a-36d2-4c5a-9d4e-1f2a3b4c5d6e".to_owned(),
        ..Vnode::default()
    })];
    let parsed = file::parse_with(&text, &vnodes, &resolve);
    sound(&text, &parsed);
    let (nodes, problems) = vnodes::parse(&text);
    let names = nodes.iter().flat_map(|node| [&node.name, &node.hostname]);
    told(&text, &problems, names.map(String::as_str));
    for job in parsed.jobs.iter().take(20) {
        again(job, &vnodes);
    }
    for is_json in [false, true] {
        match payload::read(&text, is_json, "one", &vnodes) {
            Ok(job) => again(&job, &vnodes),
            Err(why) => assert!(!why.trim().is_empty() && !why.contains(SECRET), "{why}"),
        }
    }
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
}

fn resolve(reference: &Reference) -> Result<Secret, String> {
    match reference.to_string().len() % 3 {
        // Its name may hold anything, and is not told here.
        0 => Err("what it refers to is not there".to_owned()),
        1 => Ok(Secret::new("5".to_owned())),
        _ => Ok(Secret::new("a value".to_owned())),
    }
}

#[track_caller]
fn sound(text: &str, parsed: &Parsed) {
    let names = parsed.jobs.iter().map(|job| job.name.as_str());
    told(text, &parsed.problems, names.clone());
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all, "a name twice: {names:?}");
}

/// Every problem stands inside of the text, and tells no secret that is in no name.
#[track_caller]
fn told<'a>(text: &str, problems: &[Problem], mut names: impl Iterator<Item = &'a str>) {
    let is_named = names.any(|name| name.contains(SECRET));
    assert!(problems.len() <= MOST);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = text.split('\n').collect();
    for problem in problems {
        let at = usize::try_from(problem.line).unwrap().checked_sub(1);
        let line = at.and_then(|at| lines.get(at));
        let width = line.map(|line| line.chars().count() + 1);
        let column = usize::try_from(problem.column).unwrap();
        assert!(column > 0 && Some(column) <= width, "{problem} in {text:?}");
        assert!(!problem.text.trim().is_empty() && !problem.text.contains(char::is_control));
        assert!(is_named || !problem.text.contains(SECRET), "{problem}");
    }
}

/// A job that is shown is the same when it is read again, but for its secrets.
#[track_caller]
fn again(job: &Job, vnodes: &[Arc<Vnode>]) {
    let stored = shown::stored(job).to_string();
    let yaml = shown::yaml(job);
    let from_form = payload::read(&stored, true, &job.name, vnodes);
    let read = file::parse(&yaml, vnodes);
    let mut jobs = read.jobs;
    let from_file = jobs.pop();
    let worst = read.problems.iter().map(|p| p.severity).min();
    assert_ne!(worst, Some(Severity::Error), "{yaml}: {:?}", read.problems);
    for again in [from_form.ok(), from_file] {
        let Some(mut again) = again else {
            panic!("{job:?} is shown as {stored} and {yaml}");
        };
        assert!(shown::reveal(&mut again, job), "{stored}");
        same(&again, job);
    }
}

/// What a form or a file says of a job, apart from its secrets.
#[track_caller]
fn same(one: &Job, other: &Job) {
    assert_eq!(one.url(), other.url());
    assert_eq!(
        (one.timeout, one.update_every, one.autodetection_retry),
        (other.timeout, other.update_every, other.autodetection_retry)
    );
    assert_eq!((one.priority, one.charts), (other.priority, other.charts));
    assert_eq!((&one.labels, &one.tls), (&other.labels, &other.tls));
    assert_eq!(one.thresholds, other.thresholds);
    assert_eq!(
        (one.malloc_stats_every, one.size_classes, one.cluster),
        (other.malloc_stats_every, other.size_classes, other.cluster)
    );
}
