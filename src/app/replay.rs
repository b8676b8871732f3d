//! `redis-frag replay`: recorded INFO texts diagnosed in the order of their time,
//! each server with one history through all of its files.
//!
//! Reads files; asks nobody.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::cli;
use crate::model::defrag::DefragConfig;
use crate::model::derive::Derived;
use crate::model::history::History;
use crate::model::info::Info;
use crate::model::malloc_stats::Build;
use crate::model::sample::Sample;
use crate::model::server::Server;
use crate::model::text::utc;
use crate::model::thresholds::Thresholds;

use super::progress::Progress;
use super::report::{Report, json, summary, text, words};
use super::screen::Screen;
use super::{Failure, Out, exit_code, given};

/// A longer file is no recording: INFO of a large cluster has some 100 kB.
const LARGEST: u64 = 16 << 20;

/// Between two samples of which nothing tells when they were taken.
const USUAL: Duration = Duration::from_secs(1);

/// Seconds of a day.
const DAY: u64 = 86_400;

/// One recorded moment.
struct Moment {
    file: PathBuf,
    info: Vec<u8>,
    /// When, on a clock that all moments share.
    at: Duration,
}

/// Where times come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    /// `server_time_usec`: microseconds since 1970.
    Wall,
    /// `uptime_in_seconds`, of one process.
    Uptime,
    /// The order in which the files were given.
    Order,
}

/// Diagnoses the files and returns the exit code of the last.
///
/// # Errors
/// Which file is none of INFO, and what to do about it.
pub fn run(args: &cli::Replay, screen: &Screen, out: Out<'_>) -> Result<u8, Failure> {
    let config = match &args.config_get {
        Some(path) => settings(path)?,
        None => DefragConfig::default(),
    };
    let build = match &args.malloc_stats {
        Some(path) => build(path)?,
        None => None,
    };
    let mut progress = Progress::new();
    let all = args.files.len();
    let read = args.files.iter().zip(1..).map(|(path, number)| {
        progress.tell(|| format!("reading file {number} of {all}"));
        info_in(path)
    });
    let files: Result<Vec<_>, Failure> = read.collect();
    let (moments, clock) = ordered(files?);
    drop(progress);
    let reports = diagnosed(&moments, config, build);
    let Some(last) = reports.last() else {
        return Err(Failure::Usage("no file given".to_owned()));
    };
    if args.json {
        out(&reports.iter().map(json::line).collect::<String>());
    } else {
        out(&shown(&moments, &reports, clock, screen));
    }
    Ok(exit_code(last.severity()))
}

/// A line for each file, then the whole report of the last.
fn shown(moments: &[Moment], reports: &[Report], clock: Clock, screen: &Screen) -> String {
    let style = screen.style();
    let start = moments.first().map_or(Duration::ZERO, |moment| moment.at);
    let end = moments.last().map_or(Duration::ZERO, |moment| moment.at);
    let one_day = start.as_secs() / DAY == end.as_secs() / DAY;
    let time = |moment: &Moment| match clock {
        Clock::Wall if one_day => utc(moment.at.as_secs()).split_off("2026-11-23 ".len()),
        Clock::Wall => utc(moment.at.as_secs()),
        Clock::Uptime | Clock::Order => {
            format!("+{} s", moment.at.saturating_sub(start).as_secs())
        }
    };
    let lines: Vec<(String, String, &Report)> = moments
        .iter()
        .zip(reports)
        .map(|(moment, report)| (words::clean(&file_name(&moment.file)), time(moment), report))
        .collect();
    let last = reports.last().map(|last| text::report(last, &style));
    summary::recorded(&lines, &style) + "\n" + &last.unwrap_or_default()
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

fn diagnosed(moments: &[Moment], config: DefragConfig, build: Option<Build>) -> Vec<Report> {
    let thresholds = Thresholds::default();
    let mut histories: Vec<(Arc<Server>, History)> = Vec::new();
    let mut reports = Vec::with_capacity(moments.len());
    for moment in moments {
        let info = Info::parse(&moment.info);
        let known = histories
            .iter()
            .position(|(server, _)| server.answers(&info));
        let known = known.and_then(|place| histories.get_mut(place));
        let server = known.as_ref().map(|(server, _)| server);
        let mut sample = Sample::new(moment.at, &info, server);
        sample.config = config;
        sample.build = build;
        let mut first = History::default();
        let is_new = known.is_none();
        let history = known.map_or(&mut first, |(_, history)| history);
        let derived = Derived::new(&sample, &thresholds, history);
        reports.push(Report::of(&moment.file.to_string_lossy(), &derived));
        if let Some(server) = sample.server.take().filter(|_| is_new) {
            histories.push((server, first));
        }
    }
    reports
}

/// The files in time order, and what that comes from.
fn ordered(files: Vec<(PathBuf, Vec<u8>)>) -> (Vec<Moment>, Clock) {
    let all = |name: &str| -> Option<Vec<u64>> {
        let number = |(_, info): &(PathBuf, Vec<u8>)| field(info, name)?.parse().ok();
        files.iter().map(number).collect()
    };
    let ids: Vec<Option<&str>> = files
        .iter()
        .map(|(_, info)| field(info, "run_id"))
        .collect();
    let one_process = ids.iter().all(|id| id.is_some() && Some(id) == ids.first());
    let (times, clock): (Vec<Duration>, Clock) = if let Some(times) = all("server_time_usec") {
        let times = times.into_iter().map(Duration::from_micros);
        (times.collect(), Clock::Wall)
    } else if let Some(times) = all("uptime_in_seconds").filter(|_| one_process) {
        let times = times.into_iter().map(Duration::from_secs);
        (times.collect(), Clock::Uptime)
    } else {
        let times = (0..files.len()).map(|n| USUAL * u32::try_from(n).unwrap_or(u32::MAX));
        (times.collect(), Clock::Order)
    };
    let moments = files.into_iter().zip(times);
    let mut moments: Vec<Moment> = moments
        .map(|((file, info), at)| Moment { file, info, at })
        .collect();
    moments.sort_by_key(|moment| moment.at);
    (moments, clock)
}

/// The first value of a name in an INFO text.
fn field<'a>(info: &'a [u8], name: &str) -> Option<&'a str> {
    let value = |line: &'a [u8]| {
        let line = std::str::from_utf8(line).ok()?.strip_prefix(name)?;
        line.strip_prefix(':').map(str::trim)
    };
    info.split(|byte| *byte == b'\n').find_map(value)
}

fn info_in(path: &Path) -> Result<(PathBuf, Vec<u8>), Failure> {
    let bytes = bytes_in(path)?;
    if Info::parse(&bytes) != Info::default() {
        return Ok((path.to_owned(), bytes));
    }
    let text = String::from_utf8_lossy(&bytes);
    Err(unable(
        path,
        if text.trim().is_empty() {
            "is empty; record again: redis-cli INFO everything > FILE"
        } else if pairs(&text).iter().any(|(name, _)| name.contains("defrag")) {
            "is no INFO text but settings; give it behind --config-get"
        } else if text.contains("jemalloc statistics") {
            "is no INFO text but an allocator's report; give it behind --malloc-stats"
        } else {
            "is no INFO text; record one: redis-cli INFO everything > FILE"
        },
    ))
}

fn settings(path: &Path) -> Result<DefragConfig, Failure> {
    let bytes = bytes_in(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let pairs = pairs(&text);
    let config = DefragConfig::from_pairs(pairs.iter().copied());
    if config == DefragConfig::default() {
        let told = "holds no defrag settings; record them: redis-cli CONFIG GET '*defrag*' > FILE";
        return Err(unable(path, told));
    }
    Ok(config)
}

/// `None` where the allocator is not jemalloc, which INFO tells too.
fn build(path: &Path) -> Result<Option<Build>, Failure> {
    let bytes = bytes_in(path)?;
    let text = String::from_utf8_lossy(&bytes);
    // Quoted where a terminal was written to.
    let text = text.replace("\\n", "\n");
    let build = Build::parse(&text);
    if build.is_none() && !text.contains("not supported") {
        let told = "is no allocator's report; record it: redis-cli MEMORY MALLOC-STATS > FILE";
        return Err(unable(path, told));
    }
    Ok(build)
}

fn bytes_in(path: &Path) -> Result<Vec<u8>, Failure> {
    given::bytes(path, LARGEST).map_err(|told| unable(path, &told))
}

fn unable(path: &Path, told: &str) -> Failure {
    let path = words::clean(&path.to_string_lossy());
    Failure::Unable(format!("{path}: {told}"))
}

/// Names and values as `redis-cli` prints a list: a line each, bare into a pipe,
/// `1) "name"` on a terminal; or `name value` on one line, as in redis.conf.
fn pairs(text: &str) -> Vec<(&str, &str)> {
    let lines = text.lines().map(bare).filter(|line| !line.is_empty());
    let mut words: Vec<&str> = Vec::new();
    for line in lines {
        match line.split_once(' ') {
            Some((name, value)) if name.contains("defrag") => words.extend([name, value.trim()]),
            _ => words.push(line),
        }
    }
    words
        .as_chunks()
        .0
        .iter()
        .map(|[name, value]| (*name, *value))
        .collect()
}

/// A line of a list without number and quotes.
fn bare(line: &str) -> &str {
    let line = line.trim();
    let item = match line.split_once(") ") {
        Some((number, item)) if number.bytes().all(|b| b.is_ascii_digit()) => item.trim(),
        _ => line,
    };
    let inner = item
        .strip_prefix('"')
        .and_then(|item| item.strip_suffix('"'));
    inner.unwrap_or(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_redis_cli_prints_them() {
        let want = vec![("activedefrag", "no"), ("active-defrag-cycle-min", "1")];
        for text in [
            "activedefrag\nno\nactive-defrag-cycle-min\n1\n",
            "activedefrag\r\nno\r\nactive-defrag-cycle-min\r\n1\r\n",
            "1) \"activedefrag\"\n2) \"no\"\n 3) \"active-defrag-cycle-min\"\n 4) \"1\"\n",
            "activedefrag no\nactive-defrag-cycle-min 1\n",
        ] {
            assert_eq!(pairs(text), want, "{text:?}");
        }
    }

    #[test]
    fn time_orders_where_all_have_it() {
        let file = |name: &str, info: &str| (PathBuf::from(name), info.as_bytes().to_vec());
        let names = |(moments, clock): (Vec<Moment>, Clock)| -> (String, Clock) {
            (
                moments
                    .iter()
                    .map(|moment| file_name(&moment.file))
                    .collect(),
                clock,
            )
        };
        let wall = ordered(vec![
            file("b", "server_time_usec:2000\r\n"),
            file("a", "server_time_usec:1000\r\n"),
        ]);
        assert_eq!(names(wall), ("ab".to_owned(), Clock::Wall));
        let uptime = ordered(vec![
            file("b", "uptime_in_seconds:9\nrun_id:x\n"),
            file("a", "uptime_in_seconds:8\nrun_id:x\nserver_time_usec:1\n"),
        ]);
        assert_eq!(names(uptime), ("ab".to_owned(), Clock::Uptime));
        let restarted = ordered(vec![
            file("b", "uptime_in_seconds:9\nrun_id:x\n"),
            file("a", "uptime_in_seconds:8\nrun_id:y\n"),
        ]);
        assert_eq!(names(restarted), ("ba".to_owned(), Clock::Order));
    }
}
