//! The configuration file, from its text to the jobs: one file for each mistake. What
//! the commands make of it is in `config/commands.rs`.
//!
//! A fixture says at its top what is to come of it: the jobs, then the problems.
//! Where a fixture has a password, it is `hunter2`, which nothing may print.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use redis_frag::config::file::{Parsed, Severity};
use redis_frag::config::load;

mod chance;
mod charts;
mod commands;
mod tls;

use commands::check;

const SECRET: &str = "hunter2";

fn fixtures(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config");
    let entries = fs::read_dir(folder.join(kind)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no fixtures: {kind}");
    paths
}

/// The names of the jobs and the problems that a fixture announces.
fn announced(path: &Path) -> (Vec<String>, Vec<String>) {
    let bytes = fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let mut head = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map_while(|line| line.strip_prefix("# "));
    let is_problem = |line: &&str| line.starts_with(|c: char| c.is_ascii_digit());
    let jobs = head.next().unwrap_or("jobs:");
    let jobs = jobs.strip_prefix("jobs:").expect("begins with # jobs:");
    let jobs = jobs.split_whitespace().map(str::to_owned).collect();
    (
        jobs,
        head.take_while(is_problem).map(str::to_owned).collect(),
    )
}

fn names(parsed: &Parsed) -> Vec<&str> {
    parsed.jobs.iter().map(|job| job.name.as_str()).collect()
}

#[test]
fn a_mistake_is_told_with_its_place_and_costs_only_its_job() {
    let mut wrong = Vec::new();
    for path in fixtures("invalid") {
        let (jobs, problems) = announced(&path);
        let parsed = load::from_file(&path).parsed;
        let told: Vec<String> = parsed.problems.iter().map(ToString::to_string).collect();
        let as_announced = told.len() == problems.len()
            && told.iter().zip(&problems).all(|(t, p)| t.starts_with(p));
        if problems.is_empty() || !as_announced || names(&parsed) != jobs {
            wrong.push(format!(
                "{}: {:?} {told:#?}",
                path.display(),
                names(&parsed)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_right_file_has_no_problem() {
    for path in fixtures("valid") {
        let (jobs, problems) = announced(&path);
        let parsed = load::from_file(&path).parsed;
        let wrong = parsed
            .problems
            .iter()
            .filter(|p| p.severity != Severity::Note);
        assert_eq!(
            wrong.count(),
            0,
            "{}: {:?}",
            path.display(),
            parsed.problems
        );
        assert_eq!(problems, [] as [String; 0], "{}", path.display());
        assert_eq!(names(&parsed), jobs, "{}", path.display());
    }
}

#[test]
fn words_that_yaml_knows_are_texts_in_a_password() {
    let parsed = load::from_file(&fixture("valid/words_that_yaml_knows.conf")).parsed;
    let passwords: Vec<_> = parsed.jobs.iter().map(password).collect();
    let wanted = ["0123", "no", ".inf", "null", "1_000", "true"];
    assert_eq!(passwords, wanted.map(Some));
    let signs = load::from_file(&fixture("valid/passwords_with_signs.conf")).parsed;
    let passwords: Vec<_> = signs.jobs.iter().map(password).collect();
    let wanted = ["*&!%@`#{[:,?|>", "it's hunter2", SECRET];
    assert_eq!(passwords, wanted.map(Some));
    let nothing = load::from_file(&fixture("valid/nothing_said.conf")).parsed;
    assert_eq!(nothing.jobs[0].credentials.username, None);
    assert_eq!(password(&nothing.jobs[0]), None);
}

#[test]
fn what_is_merged_holds_unless_the_job_says_otherwise() {
    let fleet = load::from_file(&fixture("valid/fleet.conf")).parsed;
    assert_eq!(password(&fleet.jobs[3]), Some(SECRET));
    assert_eq!(fleet.jobs[3].labels["role"], "cache");
    assert_eq!(fleet.jobs[4].labels["role"], "other");
    let pattern = load::from_file(&fixture("valid/first_job_as_the_pattern.conf")).parsed;
    assert_eq!(pattern.jobs[1].timeout, Duration::from_secs(3));
}

#[test]
fn the_file_s_defaults_hold_unless_the_job_says_otherwise() {
    let parsed = load::from_file(&fixture("valid/go_d.conf")).parsed;
    let seen = parsed
        .jobs
        .iter()
        .map(|job| (job.update_every, job.autodetection_retry, job.priority));
    assert_eq!(seen.collect::<Vec<_>>(), [(1, 0, 1), (2, 60, 70_000)]);
}

#[test]
fn this_machine_is_searched_where_no_job_was_meant() {
    for (name, want) in [
        ("valid/empty.conf", true),
        ("valid/comments.conf", true),
        ("valid/jobs_null.conf", true),
        ("valid/no_jobs.conf", true),
        ("valid/go_d.conf", false),
        ("valid/discovery_with_jobs.conf", true),
        ("valid/discovery_off.conf", false),
        ("invalid/jobs_a_scalar.conf", false),
        ("invalid/discovery_word.conf", false),
        ("invalid/not_utf8.conf", false),
    ] {
        let parsed = load::from_file(&fixture(name)).parsed;
        assert_eq!(parsed.discover, want, "{name}");
    }
}

#[test]
fn no_problem_and_no_report_has_a_secret_and_every_place_is_in_the_file() {
    for path in fixtures("invalid").into_iter().chain(fixtures("valid")) {
        let shown = format!("{:?}", load::from_file(&path));
        assert!(!shown.contains(SECRET), "{shown}");
        let (code, out, err) = check(&[path.to_str().unwrap()], &[]);
        let errors = out.contains(": error: ");
        assert_eq!(code, Some(i32::from(errors)), "{out}");
        assert!(!out.contains(SECRET) && err.is_empty(), "{out}{err}");
        let bytes = fs::read(&path).unwrap();
        places_are_inside(
            &String::from_utf8_lossy(&bytes),
            &load::from_file(&path).parsed,
        );
    }
}

fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config");
    folder.join(name)
}

fn password(job: &redis_frag::config::job::Job) -> Option<&str> {
    job.credentials.password.as_ref()?.reveal()
}

#[track_caller]
fn places_are_inside(text: &str, parsed: &Parsed) {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = text.split('\n').collect();
    for problem in &parsed.problems {
        let at = usize::try_from(problem.line).unwrap() - 1;
        let width = lines.get(at).map(|line| line.chars().count() + 1);
        let column = usize::try_from(problem.column).unwrap();
        assert!(column > 0 && Some(column) <= width, "{problem} in {text:?}");
    }
}
