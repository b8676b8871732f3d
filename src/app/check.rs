//! `redis-frag check-config`: the jobs as understood, and tried where that is asked for.
//!
//! Returns the text; printing it is main's. Secrets are masked, and references to
//! them shown.

use std::fmt::Write;
use std::path::Path;

use crate::config::exposed;
use crate::config::file::{Problem, Severity};
use crate::config::job::{Credentials, Job, Sentinel};
use crate::config::load::{self, Loaded};
use crate::config::reference::Template;
use crate::model::families::Families;
use crate::netdata::agent::Agent;

use super::{Failure, block_on, logging, trial};

/// Where Netdata's own packages and Debian's keep the operator's files.
const USER_DIR: &str = "/etc/netdata";

/// Where both keep the stock files.
const STOCK_DIR: &str = "/usr/lib/netdata/conf.d";

/// What was found, as a text for a person, and whether it has no error. With
/// `connect` each job is tried too, and one that does not answer is an error.
///
/// # Errors
/// Why jobs could not be tried.
pub fn report(
    agent: &Agent,
    file: Option<&Path>,
    connect: bool,
) -> Result<(String, bool), Failure> {
    let loaded = match file {
        Some(path) => load::from_file(path),
        None => load(agent),
    };
    let of_go_d = loaded.go_d.iter().flat_map(|(_, go_d)| &go_d.problems);
    let of_nodes = loaded.vnode_problems.iter().map(|(_, problem)| problem);
    let mut problems = loaded.parsed.problems.iter().chain(of_go_d).chain(of_nodes);
    let sound = problems.all(|problem| problem.severity != Severity::Error);
    let mut report = text(&loaded);
    if !connect {
        return Ok((report, sound));
    }
    let tried = block_on(async { Ok(trial::all(loaded.jobs().map(|(job, _)| job)).await) })?;
    report.push('\n');
    report.push_str(&trial::table(&tried));
    let answered = trial::each_answers(&tried);
    Ok((report, sound && answered))
}

/// Reads the file that the agent's plugin would read.
pub(super) fn load(agent: &Agent) -> Loaded {
    let (user, stock) = (&agent.user_config_dir, &agent.stock_config_dir);
    load::from_dirs(
        Some(user.as_deref().unwrap_or(Path::new(USER_DIR))),
        Some(stock.as_deref().unwrap_or(Path::new(STOCK_DIR))),
    )
}

fn text(loaded: &Loaded) -> String {
    let mut out = String::new();
    match &loaded.path {
        Some(path) => {
            line(&mut out, &format!("file: {}", path.display()));
            problems(&mut out, path, &loaded.parsed.problems);
        }
        None => out.push_str("file: none found, so the defaults hold\n"),
    }
    if let Some((path, go_d)) = &loaded.go_d {
        line(&mut out, &format!("import_go_d: {}", path.display()));
        problems(&mut out, path, &go_d.problems);
    }
    for (path, problem) in &loaded.vnode_problems {
        problems(&mut out, path, std::slice::from_ref(problem));
    }
    let named = exposed::named(loaded.jobs().map(|(job, _)| job)).into_iter();
    let named = named.filter_map(|path| exposed::now(&path).map(|told| (path, told)));
    for (path, told) in loaded.exposed.iter().cloned().chain(named) {
        line(&mut out, &format!("{}: warning: {told}", path.display()));
    }
    let discover = if loaded.parsed.discover { "yes" } else { "no" };
    let _ = writeln!(out, "discovery of local instances: {discover}");
    let _ = writeln!(out, "jobs: {}", loaded.jobs().count());
    if loaded.parsed.discover {
        let seconds = loaded.parsed.forget_after.as_secs();
        let _ = writeln!(out, "forget_after: {seconds} s");
    }
    for (job, path) in loaded.jobs() {
        describe(&mut out, job);
        if loaded.path.as_deref().is_some_and(|own| own != path) {
            row(&mut out, "file", &path.display().to_string());
        }
    }
    out
}

fn problems(out: &mut String, path: &Path, problems: &[Problem]) {
    for problem in problems {
        line(out, &format!("{}:{problem}", path.display()));
    }
}

/// A key and its value, which may be anybody's words.
fn row(out: &mut String, name: &str, value: &str) {
    line(out, &format!("  {name:<20} {value}"));
}

/// Whatever is in it, it is one line.
fn line(out: &mut String, text: &str) {
    out.push_str(&logging::shown(text));
    out.push('\n');
}

/// By whom the server is verified, and whether it is shown a certificate.
fn tls(job: &Job) -> String {
    let Some(tls) = &job.tls else {
        return "no".to_owned();
    };
    let mut said = match &tls.ca {
        _ if tls.skip_verify => "yes, any certificate is accepted".to_owned(),
        Some(path) => format!("yes, by the CAs in {}", path.display()),
        None => "yes, by the CAs of the system".to_owned(),
    };
    if let Some(name) = &tls.server_name {
        let _ = write!(said, ", for the name {name}");
    }
    if let Some(path) = &tls.cert {
        let _ = write!(said, ", showing {}", path.display());
    }
    said
}

/// Username and password as they are shown.
fn credentials(credentials: &Credentials) -> (String, String) {
    let shown = |text: &Option<Template>, in_full| text.as_ref().map(|text| text.shown(in_full));
    let username = shown(&credentials.username, true).unwrap_or_else(|| "default".to_owned());
    let password = shown(&credentials.password, false).unwrap_or_else(|| "none".to_owned());
    (username, password)
}

fn describe_sentinel(out: &mut String, sentinel: &Sentinel) {
    let shown = |list: &[String]| list.join(", ");
    let addresses: Vec<String> = sentinel.addresses.iter().map(ToString::to_string).collect();
    let (username, password) = credentials(&sentinel.credentials);
    let masters = match sentinel.masters.as_slice() {
        [] => "all".to_owned(),
        named => shown(named),
    };
    for (name, value) in [
        ("sentinel", shown(&addresses)),
        ("  username", username),
        ("  password", password),
        ("  masters", masters),
    ] {
        row(out, name, &value);
    }
}

fn describe(out: &mut String, job: &Job) {
    let _ = writeln!(out, "\n{}", job.name);
    let (username, password) = credentials(&job.credentials);
    let retry = match job.autodetection_retry {
        0 => "by back-off".to_owned(),
        seconds => format!("every {seconds} s"),
    };
    let malloc_stats = match job.malloc_stats_every {
        0 => "never".to_owned(),
        seconds => format!("{seconds} s"),
    };
    let size_classes = if job.size_classes { "yes" } else { "no" };
    let thresholds = &job.thresholds;
    let charts = match job.charts {
        Families::ALL => "all".to_owned(),
        some => some.names().collect::<Vec<_>>().join(", "),
    };
    let address = match &job.sentinel {
        Some(_) => "told by the Sentinels".to_owned(),
        None => job.url(),
    };
    let rows = [
        ("address", address),
        ("username", username),
        ("password", password),
        ("tls", tls(job)),
        ("timeout", format!("{} s", job.timeout.as_secs_f64())),
        ("update_every", format!("{} s", job.update_every)),
        ("autodetection_retry", retry),
        ("priority", job.priority.to_string()),
        ("charts", charts),
        ("malloc_stats_every", malloc_stats),
        ("size_classes", size_classes.to_owned()),
        ("ratio", thresholds.ratio.to_string()),
        (
            "allocator_frag_ratio",
            thresholds.allocator_frag_ratio.to_string(),
        ),
        (
            "min_used_memory",
            format!("{} bytes", thresholds.min_used_memory),
        ),
        (
            "swap_min_used_memory",
            format!("{} bytes", thresholds.swap_min_used_memory),
        ),
        ("peak_factor", thresholds.peak_factor.to_string()),
        ("defrag_hit_rate", thresholds.defrag_hit_rate.to_string()),
    ];
    for (name, value) in rows {
        row(out, name, &value);
    }
    if job.cluster {
        row(out, "cluster", "yes");
    }
    if let Some(sentinel) = &job.sentinel {
        describe_sentinel(out, sentinel);
    }
    for other in &job.alternatives {
        row(out, "else", &other.url());
    }
    if let Some(node) = &job.vnode {
        row(out, "vnode", &format!("{} ({})", node.hostname, node.guid));
    }
    for (name, value) in &job.labels {
        row(out, "label", &format!("{name}={value}"));
    }
}
