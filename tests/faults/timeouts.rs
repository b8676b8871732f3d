//! A server that says nothing: down once the job's own timeout is over and not before, and
//! back at the next question.

use crate::beside_few;
use crate::heard::{Heard, Mark, Told, Word, is_value};
use crate::support::{Fault, Kind, Proxy, Server};
use crate::watching::{SOON, assert_no_gap, log_lines, plugin};

/// A job and its settings, seconds.
struct Paced {
    job: &'static str,
    every: f64,
    timeout: f64,
}

const ALL: [Paced; 4] = [
    paced("quick", 1.0, 0.3),
    // A little less than the second, so that each has its question.
    paced("usual", 1.0, 0.9),
    // Longer than an interval: some are left out.
    paced("patient", 1.0, 3.0),
    paced("seldom", 5.0, 2.0),
];

const WELL: &str = "well";

/// How late what is due may be heard, seconds: for a busy machine, and less than what two of
/// these timeouts differ by.
const LATE: f64 = 0.55;
/// Clocks are read a moment apart, seconds.
const EARLY: f64 = 0.02;

const fn paced(job: &'static str, every: f64, timeout: f64) -> Paced {
    Paced {
        job,
        every,
        timeout,
    }
}

impl Paced {
    /// Instances are asked at whole intervals of the clock on the wall: the first behind
    /// this moment, seconds since 1970.
    fn asked_after(&self, moment: f64) -> f64 {
        ((moment / self.every).floor() + 1.0) * self.every
    }

    /// By how many seconds the first word that it is down came too late; below zero: too
    /// early.
    fn down_off(&self, heard: &Heard, (start, from): (Mark, Mark)) -> Option<f64> {
        let down = heard.first(self.job, from, |word| word == Word::Down)?;
        let values = heard.since(self.job, start).into_iter();
        let mut values = values.filter(|told| is_value(told.word) && told.at < down.at);
        let asked = self.asked_after(values.next_back()?.at.as_secs_f64());
        Some(down.at.as_secs_f64() - asked - self.timeout)
    }
}

#[test]
fn a_silent_server_is_down_when_the_timeout_is_over_and_not_before() {
    let _beside = beside_few();
    let server = Server::start(Kind::Redis70);
    server.fill(4 << 20);
    let ways = ALL.each_ref().map(|_| Proxy::unix(&server));
    let entries = ALL.iter().zip(&ways).map(|(paced, way)| {
        let timeout = if paced.job == "usual" {
            1.0
        } else {
            paced.timeout
        };
        format!(
            "- {{name: {}, address: '{}', update_every: {}, timeout: {timeout}}}\n",
            paced.job,
            way.address(),
            paced.every
        )
    });
    let well = format!("- {{name: {WELL}, address: '{}'}}\n", server.unix_address());
    let config = format!("jobs:\n{}{well}", entries.collect::<String>());
    let heard = Heard::by(WELL);
    let start = heard.mark();
    let run = plugin(&config).listener(heard.listener()).start();
    let came = |job: &str, from, is: fn(Word) -> bool, count| {
        let all = heard.since(job, from).into_iter();
        all.filter(|told| is(told.word)).count() >= count
    };
    run.expect(SOON, "a value at a whole interval", |_| {
        ALL.iter().all(|paced| came(paced.job, start, is_value, 2))
    });
    let from = heard.mark();
    ways.iter().for_each(|way| way.set(Fault::Silent));
    run.expect(SOON, "all are down", |_| {
        ALL.iter()
            .all(|paced| came(paced.job, from, |word| word == Word::Down, 1))
    });
    server.fill(8 << 20);
    let ending = heard.mark();
    ways.iter().for_each(|way| way.set(Fault::None));
    let ended = heard.mark();
    run.expect(SOON, "all are back", |_| {
        ALL.iter().all(|paced| came(paced.job, ending, is_value, 1))
    });
    let used = server.info_number("used_memory");
    let log = run.stderr();
    for paced in &ALL {
        let job = paced.job;
        let off = paced.down_off(&heard, (start, from));
        let all: Vec<Told> = heard.since(job, start);
        assert!(
            off.is_some_and(|off| (-EARLY..LATE).contains(&off)),
            "{job}: down {off:?} s after its timeout: {all:#?}"
        );
        let back = heard.first(job, ending, is_value).unwrap();
        let late = back.at.as_secs_f64() - paced.asked_after(ended.at.as_secs_f64());
        assert!(late < LATE, "{job}: back {late} s after it was due");
        assert!(
            matches!(back.word, Word::Used(told) if (told - used).abs() < used / 5.0),
            "{job}: {:?} for {used}",
            back.word
        );
        let told = log_lines(&log, job, "no answer in time");
        assert_eq!(told.len(), 1, "{job}: {log}");
    }
    run.with_checker(|c| {
        assert_no_gap(c, WELL, "ratio");
        c.assert_clean();
    });
}
