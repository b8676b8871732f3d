//! All faults at once, each on an instance by unix socket and on one by TCP.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::certificates::{Authority, Valid};
use crate::support::process::{free_port, resident, short_dir};
use crate::support::{Checker, Fault, Kind, PluginRun, Proxy, Server};
use crate::table::{Row, rows, rows_of_tls};
use crate::watching::{SOON, blocks, is_down, jobs, plugin, shown};

/// An instance is asked at the next second and has 0.9 s to answer.
const DOWN_WITHIN: Duration = Duration::from_millis(1900);
/// What is promised.
const BACK_WITHIN: Duration = Duration::from_secs(2);
/// For a machine with two cores that runs other tests beside all this.
const SLACK: Duration = Duration::from_millis(1500);
/// How long the faults stay.
const WRONG_FOR: Duration = Duration::from_secs(6);

/// Bytes by which seventy sick instances may make the plugin larger: a reply may have
/// 4 MiB before it is given up, and the allocator keeps what it had.
const MOST_GROWN: u64 = 16 << 20;

/// Instances that nothing happens to.
const WELLS: [&str; 4] = ["well_one", "well_two", "well_three", "well_four"];

struct Sick {
    job: String,
    row: Row,
    proxy: Proxy,
    kind: usize,
}

/// Each fault by both ways, to each server in turn.
fn by_both_ways(servers: &[Server]) -> Vec<Sick> {
    let both = [
        ("unix", Proxy::unix as fn(&Server) -> Proxy),
        ("tcp", Proxy::tcp),
    ];
    let each = both.into_iter().flat_map(|(by, proxy)| {
        rows().into_iter().enumerate().map(move |(number, row)| {
            let kind = number % servers.len();
            Sick {
                job: format!("{}_{by}", row.name),
                row,
                proxy: proxy(&servers[kind]),
                kind,
            }
        })
    });
    each.collect()
}

/// Lines of the log about a job that hold this.
fn log_lines(log: &str, job: &str, what: &str) -> Vec<String> {
    let about = |line: &&str| line.contains(&format!("job {job}")) && line.contains(what);
    log.lines().filter(about).map(str::to_owned).collect()
}

/// Enough that connections and their buffers do not show beside it.
fn filled(server: Server) -> Server {
    server.fill(8 << 20);
    server
}

#[test]
fn each_fault_costs_its_instance_alone_and_leaves_no_mark() {
    let servers = Kind::ALL.map(|kind| filled(Server::start(kind)));
    let sick = by_both_ways(&servers);
    let addresses = servers.each_ref().map(Server::tcp_address);
    let mut all: Vec<(&str, &str)> = sick
        .iter()
        .map(|each| (each.job.as_str(), each.proxy.address()))
        .collect();
    all.extend(WELLS.into_iter().zip(addresses.iter().map(String::as_str)));
    assert_faults_pass(&jobs(&all), &sick, &servers);
}

#[test]
fn each_fault_of_a_handshake_costs_its_instance_alone_and_leaves_no_mark() {
    let dir = short_dir();
    let authority = Authority::new(dir.path(), "ours");
    let certificate = authority.sign("server", &["127.0.0.1"], Valid::Now);
    let port = free_port();
    // Debian's is built with TLS.
    let server = Server::builder(Kind::Redis70).tls(port, &certificate, None);
    let server = filled(server.start());
    let sick: Vec<Sick> = rows_of_tls()
        .into_iter()
        .map(|row| Sick {
            job: format!("{}_tls", row.name),
            row,
            proxy: Proxy::to_port(port),
            kind: 0,
        })
        .collect();
    let address = |port: u16| format!("rediss://127.0.0.1:{port}");
    let all = sick
        .iter()
        .map(|each| (each.job.as_str(), each.proxy.port()));
    let all = all.chain(WELLS.map(|well| (well, port)));
    let ca = authority.file.display();
    let entry = |(job, port)| {
        format!(
            "- {{name: {job}, address: '{}', tls_ca: '{ca}'}}\n",
            address(port)
        )
    };
    let config = format!("jobs:\n{}", all.map(entry).collect::<String>());
    assert_faults_pass(&config, &sick, &[server]);
}

/// A plugin that starts in the middle of it is no worse off.
#[test]
fn instances_that_are_sick_from_the_start_are_right_soon_after_it() {
    let servers = Kind::ALL.map(|kind| filled(Server::start(kind)));
    let sick = by_both_ways(&servers);
    for each in &sick {
        each.proxy.set(each.row.fault.clone());
    }
    let all: Vec<(&str, &str)> = sick
        .iter()
        .map(|each| (each.job.as_str(), each.proxy.address()))
        .collect();
    let run = plugin(&jobs(&all)).start();
    run.expect(SOON, "all are down for some seconds", |c| {
        let is_told = |job| is_down(c, job) && blocks(c, job, "status") > 3;
        sick.iter().all(|each| is_told(&each.job))
    });
    let ended = Instant::now();
    for each in &sick {
        each.proxy.set(Fault::None);
    }
    let mut wrong = late(&run, &sick, ended, BACK_WITHIN + SLACK, |c, each| {
        !is_down(c, &each.job) && blocks(c, &each.job, "ratio") > 0
    });
    let log = run.stderr();
    run.with_checker(|c| {
        for each in &sick {
            wrong.extend(values_are_the_server_s(c, each, &servers[each.kind]));
            let begins = log_lines(&log, &each.job, "WARN");
            let ends = log_lines(&log, &each.job, ": watching ");
            let told = each.row.told;
            if !matches!(begins.as_slice(), [line] if told.iter().any(|words| line.contains(words)))
                || ends.len() != 1
            {
                wrong.push(format!("{}: {begins:#?} {ends:#?}", each.job));
            }
        }
    });
    assert!(wrong.is_empty(), "{}\n{log}", wrong.join("\n"));
    run.with_checker(Checker::assert_clean);
}

/// Brings the faults and takes them away again: what a user sees of either.
#[track_caller]
fn assert_faults_pass(config: &str, sick: &[Sick], servers: &[Server]) {
    let run = plugin(config).start();
    run.expect(SOON, "some seconds of all", |c| {
        let mut all = sick.iter().map(|each| each.job.as_str()).chain(WELLS);
        all.all(|job| blocks(c, job, "ratio") > 3)
    });
    let before = resident(run.pid());

    let begun = Instant::now();
    for each in sick {
        each.proxy.set(each.row.fault.clone());
    }
    let mut wrong = late(&run, sick, begun, DOWN_WITHIN + SLACK, |c, each| {
        is_down(c, &each.job)
    });
    let stopped: Vec<usize> =
        run.with_checker(|c| sick.iter().map(|s| blocks(c, &s.job, "ratio")).collect());
    sleep((begun + WRONG_FOR).saturating_duration_since(Instant::now()));
    run.with_checker(|c| {
        for (each, stopped) in sick.iter().zip(stopped) {
            if blocks(c, &each.job, "ratio") != stopped || !is_down(c, &each.job) {
                wrong.push(format!("{}: not down all the time", each.job));
            }
        }
    });
    let grown = resident(run.pid()).saturating_sub(before);

    let from: Vec<usize> =
        run.with_checker(|c| sick.iter().map(|s| blocks(c, &s.job, "ratio")).collect());
    let ended = Instant::now();
    for each in sick {
        each.proxy.set(Fault::None);
    }
    wrong.extend(late(&run, sick, ended, BACK_WITHIN + SLACK, |c, each| {
        let number = sick.iter().position(|other| other.job == each.job).unwrap();
        !is_down(c, &each.job) && blocks(c, &each.job, "ratio") > from[number]
    }));
    run.expect(SOON, "some seconds more", |c| {
        sick.iter()
            .zip(&from)
            .all(|(s, from)| blocks(c, &s.job, "ratio") > from + 2)
    });

    let log = run.stderr();
    run.with_checker(|c| {
        for each in sick {
            wrong.extend(values_are_the_server_s(c, each, &servers[each.kind]));
            wrong.extend(one_gap(c, &each.job));
            wrong.extend(told_once(&log, each));
        }
        for job in WELLS {
            let down = c.values(&format!("redis_frag_{job}.status"), "down");
            if down.contains(&1) || gaps(c, job) != 1 {
                wrong.push(format!("{job}: it was well all the time"));
            }
        }
    });
    assert!(wrong.is_empty(), "{}\n{log}", wrong.join("\n"));
    assert!(grown < MOST_GROWN, "{grown} bytes");
    run.with_checker(Checker::assert_clean);
}

/// The instances for which this does not hold in time, with how long it took.
fn late(
    run: &PluginRun,
    sick: &[Sick],
    since: Instant,
    limit: Duration,
    holds: impl Fn(&Checker, &Sick) -> bool,
) -> Vec<String> {
    let mut took: Vec<Option<Duration>> = sick.iter().map(|_| None).collect();
    let end = since + limit * 4;
    while took.contains(&None) && Instant::now() < end {
        run.with_checker(|c| {
            for (each, took) in sick.iter().zip(&mut took) {
                if took.is_none() && holds(c, each) {
                    *took = Some(since.elapsed());
                }
            }
        });
        sleep(Duration::from_millis(10));
    }
    let late = |(each, took): (&Sick, Option<Duration>)| match took {
        Some(took) if took <= limit => None,
        took => Some(format!("{}: {took:?} and not {limit:?}", each.job)),
    };
    sick.iter().zip(took).filter_map(late).collect()
}

/// Blocks of an instance that do not continue from the one before.
fn gaps(checker: &Checker, job: &str) -> usize {
    let begins = checker.begins(&format!("redis_frag_{job}.ratio"));
    begins.iter().filter(|begin| begin.is_none()).count()
}

fn one_gap(checker: &Checker, job: &str) -> Option<String> {
    // The first of all, and the first behind the fault.
    let gaps = gaps(checker, job);
    (gaps != 2).then(|| format!("{job}: {gaps} beginnings"))
}

fn values_are_the_server_s(checker: &Checker, each: &Sick, server: &Server) -> Option<String> {
    let used = server.info_number("used_memory");
    let told = shown(checker, &each.job, "memory", "used");
    let off = told.map(|told| (told - used).abs() / used);
    (!off.is_some_and(|off| off < 0.2)).then(|| format!("{}: {told:?} for {used}", each.job))
}

fn told_once(log: &str, each: &Sick) -> Vec<String> {
    let begins = log_lines(log, &each.job, "WARN");
    let ends = log_lines(log, &each.job, "answers again after");
    let mut wrong = Vec::new();
    if !matches!(begins.as_slice(), [line] if each.row.told.iter().any(|words| line.contains(words)))
    {
        wrong.push(format!("{}: {begins:#?}", each.job));
    }
    let count = |line: &String| -> Option<u64> {
        line.split_once("again after ")?
            .1
            .split(' ')
            .next()?
            .parse()
            .ok()
    };
    let most = WRONG_FOR.as_secs() + 2;
    if !matches!(ends.as_slice(), [line] if count(line).is_some_and(|n| (2..=most).contains(&n))) {
        wrong.push(format!("{}: {ends:#?}", each.job));
    }
    wrong
}
