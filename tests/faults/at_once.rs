//! All faults at once, each on an instance by unix socket and on one by TCP.

use std::time::Duration;

use crate::alone;
use crate::heard::{Heard, Mark, Word, is_value};
use crate::support::certificates::{Authority, Valid};
use crate::support::process::{forget_peak, free_port, peak, short_dir};
use crate::support::{Checker, Fault, Kind, PluginRun, Proxy, Server};
use crate::table::{Row, right_words, rows, rows_of_tls};
use crate::waits::Waits;
use crate::watching::{A_SECOND, SOON, blocks, charts_of, is_down, jobs, log_lines, plugin, shown};

/// An instance is asked at the next second and has 0.9 s to answer: another healthy one
/// has come by twice at most.
const DOWN_IN: usize = 2;
/// The same behind the start of the plugin: the second round may follow the first by half
/// a second.
const DOWN_AT_FIRST_IN: usize = 3;
/// What is promised, two seconds: a server that is dear to ask is tried every other one.
const RIGHT_IN: usize = 3;
/// How long the faults stay at least.
const WRONG_FOR: usize = 6;
/// Rounds after which nothing is on the way that was asked before.
const ASKED_SINCE: usize = 2;

/// Bytes by which eighty sick instances may make the plugin larger at its worst: a reply
/// may have 4 MiB before it is given up, and the allocator keeps what it had.
const MOST_GROWN: u64 = 16 << 20;
/// The most of a plugin that is started amid them, bytes: what it has with as many healthy
/// instances, and the same beyond it.
const MOST_AT_ALL: u64 = MOST_GROWN + (16 << 20);

/// Bytes that each server has at first, and that it gets while the faults last: what was
/// known before is far from what is true behind them.
const FILLED: u64 = 8 << 20;
const FILLED_MEANWHILE: u64 = 8 << 20;

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

/// Enough that connections and their buffers do not show beside it.
fn filled(server: Server) -> Server {
    server.fill(FILLED);
    server
}

#[test]
fn each_fault_costs_its_instance_alone_and_leaves_no_mark() {
    let _alone = alone();
    let servers = Kind::ALL.map(|kind| filled(Server::start(kind)));
    let sick = by_both_ways(&servers);
    let addresses = servers.each_ref().map(Server::tcp_address);
    let all = with_wells(&sick, &addresses);
    assert_faults_pass(&jobs(&all), &sick, &servers);
}

#[test]
fn each_fault_of_a_handshake_costs_its_instance_alone_and_leaves_no_mark() {
    let _alone = alone();
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
    let _alone = alone();
    let servers = Kind::ALL.map(|kind| filled(Server::start(kind)));
    let sick = by_both_ways(&servers);
    for each in &sick {
        each.proxy.set(each.row.fault.clone());
    }
    let addresses = servers.each_ref().map(Server::tcp_address);
    let scene = Scene::start(&jobs(&with_wells(&sick, &addresses)), &sick, &servers);
    let mut wrong = scene.pass((scene.start, scene.start), DOWN_AT_FIRST_IN);
    let most = peak(scene.run.pid());
    let log = scene.run.stderr();
    for each in &sick {
        wrong.extend(begins_once(&log, each));
        let ends = log_lines(&log, &each.job, ": watching ");
        if ends.len() != 1 {
            wrong.push(format!("{}: {ends:#?}", each.job));
        }
    }
    wrong.extend(misnamed(&log, &sick));
    scene.assert_wells();
    assert!(wrong.is_empty(), "{}\n{log}", wrong.join("\n"));
    assert!(most < MOST_AT_ALL, "{most} bytes");
}

/// Brings the faults and takes them away again: what a user sees of either.
#[track_caller]
fn assert_faults_pass(config: &str, sick: &[Sick], servers: &[Server]) {
    let scene = Scene::start(config, sick, servers);
    let run = &scene.run;
    run.expect(SOON, "some seconds of all", |c| {
        let mut all = sick.iter().map(|each| each.job.as_str()).chain(WELLS);
        all.all(|job| blocks(c, job, "ratio") > 3)
    });
    let before = forget_peak(run.pid());
    let from = scene.heard.mark();
    for each in sick {
        each.proxy.set(each.row.fault.clone());
    }
    let mut wrong = scene.pass((from, scene.heard.mark()), DOWN_IN);
    let grown = peak(run.pid()).saturating_sub(before);
    let log = run.stderr();
    run.with_checker(|c| {
        for each in sick {
            wrong.extend(one_gap(c, &each.job));
            wrong.extend(begins_once(&log, each));
            let tries = scene.heard.since(&each.job, from);
            let down = tries.iter().filter(|told| told.word == Word::Down).count();
            wrong.extend(ends_once(&log, each, down));
        }
    });
    wrong.extend(misnamed(&log, sick));
    scene.assert_wells();
    assert!(wrong.is_empty(), "{}\n{log}", wrong.join("\n"));
    assert!(grown < MOST_GROWN, "{grown} bytes");
}

/// Between a question and its answer.
const A_WHILE: Duration = Duration::from_millis(900);

/// A plugin that watches sick instances and wells.
struct Scene<'a> {
    sick: &'a [Sick],
    servers: &'a [Server],
    run: PluginRun,
    heard: Heard,
    waits: Waits,
    start: Mark,
}

impl<'a> Scene<'a> {
    fn start(config: &str, sick: &'a [Sick], servers: &'a [Server]) -> Self {
        let heard = Heard::by(WELLS[0]);
        let start = heard.mark();
        let run = plugin(config).listener(heard.listener()).start();
        let servers_too = servers.iter().map(Server::pid);
        let waits = Waits::of(servers_too.chain([run.pid()]).collect());
        Self {
            sick,
            servers,
            run,
            heard,
            waits,
            start,
        }
    }

    /// Waits until the healthy instance has come by so often since then.
    #[track_caller]
    fn rounds_since(&self, mark: Mark, rounds: usize) {
        self.run.expect(2 * SOON, "some seconds", |_| {
            self.heard.round() >= mark.round + rounds
        });
    }

    /// The faults began between these two: from then on all are down, and soon after they
    /// are taken away again values are right from the first one on. Gives what is not so.
    #[track_caller]
    fn pass(&self, (from, begun): (Mark, Mark), down_in: usize) -> Vec<String> {
        let mut wrong = Vec::new();
        self.rounds_since(begun, down_in + 1);
        for server in self.servers {
            server.fill(FILLED_MEANWHILE);
        }
        let filled = self.heard.mark();
        self.rounds_since(filled, ASKED_SINCE);
        self.rounds_since(begun, WRONG_FOR);
        let ending = self.heard.mark();
        for each in self.sick {
            each.proxy.set(Fault::None);
        }
        let ended = self.heard.mark();
        self.rounds_since(ended, RIGHT_IN + 3);
        for each in self.sick {
            let job = &each.job;
            let down = self.heard.first(job, from, |word| word == Word::Down);
            match down.map(|down| down.round.saturating_sub(begun.round)) {
                Some(rounds) if rounds <= down_in => {}
                rounds => wrong.push(format!("{job}: down in {rounds:?} rounds")),
            }
            let meanwhile = self.heard.since(job, from).into_iter();
            let mut stays = meanwhile
                .take_while(|told| told.is_before(ending))
                .skip_while(|told| told.word != Word::Down);
            if let Some(other) = stays.find(|told| told.word != Word::Down) {
                wrong.push(format!("{job}: not down all the time: {other:?}"));
            }
            let value = self.heard.first(job, ending, is_value);
            match value.map(|value| value.round.saturating_sub(ended.round)) {
                Some(rounds) if rounds <= RIGHT_IN => {}
                rounds => wrong.push(format!("{job}: a value in {rounds:?} rounds")),
            }
            let used = self.servers[each.kind].info_number("used_memory");
            let first = value.map(|value| value.word);
            if !matches!(first, Some(Word::Used(told)) if (told - used).abs() < used / 5.0) {
                wrong.push(format!("{job}: {first:?} first for {used}"));
            }
        }
        self.run.with_checker(|c| {
            for each in self.sick {
                let last = shown(c, &each.job, "memory", "used");
                if is_down(c, &each.job) || last.is_none() {
                    wrong.push(format!("{}: not back: {last:?}", each.job));
                }
            }
        });
        wrong
    }

    /// Nothing has happened to the others: no second is missing, and none came later than
    /// the plugin and its servers had to wait for a processor of a busy machine.
    #[track_caller]
    fn assert_wells(&self) {
        for job in WELLS {
            let all = self.heard.since(job, self.start).into_iter();
            let came: Vec<Duration> = all
                .filter(|told| told.word == Word::Up)
                .map(|told| told.at)
                .collect();
            for two in came.windows(2) {
                let apart = two[1] - two[0];
                // What was late may have been so since it was asked.
                let waited = self.waits.between(two[0].saturating_sub(A_WHILE), two[1]);
                assert!(
                    apart < Duration::from_micros(A_SECOND.end) + waited,
                    "{job}: {apart:?} between two values, {waited:?} waited: {came:?}"
                );
            }
        }
        self.run.with_checker(|c| {
            for job in WELLS {
                let down = c.values(&format!("redis_frag_{job}.status"), "down");
                assert!(down.iter().all(|down| *down == 0), "{job}: {down:?}");
                for (chart, id) in charts_of(c, job) {
                    let begins = c.begins(&id);
                    assert!(begins.len() > WRONG_FOR, "{job}.{chart}: {begins:?}");
                    let goes_on = begins[1..].iter().all(Option::is_some);
                    assert!(goes_on, "{job}.{chart} has a gap: {begins:?}");
                }
            }
            c.assert_clean();
        });
    }
}

/// Each instance by name and address, the wells behind the sick.
fn with_wells<'a>(sick: &'a [Sick], addresses: &'a [String]) -> Vec<(&'a str, &'a str)> {
    let sick = sick
        .iter()
        .map(|each| (each.job.as_str(), each.proxy.address()));
    sick.chain(WELLS.into_iter().zip(addresses.iter().map(String::as_str)))
        .collect()
}

/// Blocks of an instance that do not continue from the one before.
fn one_gap(checker: &Checker, job: &str) -> Option<String> {
    let begins = checker.begins(&format!("redis_frag_{job}.ratio"));
    let gaps = begins.iter().filter(|begin| begin.is_none()).count();
    // The first of all, and the first behind the fault.
    (gaps != 2).then(|| format!("{job}: {gaps} beginnings"))
}

/// One line tells what is wrong.
fn begins_once(log: &str, each: &Sick) -> Option<String> {
    let begins = log_lines(log, &each.job, "WARN");
    let is_told = |line: &String| each.row.told.iter().any(|words| line.contains(words));
    let is_one = matches!(begins.as_slice(), [line] if is_told(line));
    (!is_one).then(|| format!("{}: {begins:#?}", each.job))
}

/// Faults that no way of several tells for what they are.
fn misnamed(log: &str, sick: &[Sick]) -> Vec<String> {
    let mut wrong = Vec::new();
    for each in sick {
        let ways = sick.iter().filter(|other| other.row.name == each.row.name);
        let told: Vec<String> = ways
            .flat_map(|way| log_lines(log, &way.job, "WARN"))
            .collect();
        let words = right_words(&each.row.fault).filter(|_| told.len() > 1);
        if words.is_some_and(|words| !told.iter().any(|line| line.contains(words))) {
            wrong.push(format!("{}: {told:#?}", each.row.name));
        }
    }
    wrong
}

/// One line tells that it is over, and how many tries failed: each was told down, and some
/// rounds of an outage have no try.
fn ends_once(log: &str, each: &Sick, down: usize) -> Option<String> {
    let ends = log_lines(log, &each.job, "answers again after");
    let count = |line: &String| -> Option<usize> {
        let (_, rest) = line.split_once("again after ")?;
        rest.split(' ').next()?.parse().ok()
    };
    let tries = 2..=down;
    let is_one =
        matches!(ends.as_slice(), [line] if count(line).is_some_and(|n| tries.contains(&n)));
    (!is_one).then(|| format!("{}: {ends:#?}", each.job))
}
