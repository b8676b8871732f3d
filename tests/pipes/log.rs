//! A log that nobody reads, and one that cannot be written: it costs no collection, little
//! memory and no second at the end, and who reads again is told how much is missing.

use std::time::{Duration, Instant};

use crate::plugin::{SOON, assert_no_gap, blocks, jobs, plugin};
use crate::support::{Checker, Kind, PluginBuilder, PluginRun, Server, eventually, process};

/// How long nobody reads.
const UNREAD: Duration = Duration::from_secs(10);

/// A full pipe: 16 pages (pipe(7)), each less a line that found no room in it.
const FULL: u64 = 16 * (4096 - 500);

const A_SECOND: Duration = Duration::from_secs(1);

/// What tells how many lines are missing.
const LOST: &str = " lines of this log were lost: nobody read it";

/// A configuration that is told in a hundred lines, some 30 KB, whenever it is read.
fn talkative(server: &Server) -> String {
    let keys: String = (0..100).map(|n| format!("  odd{n:03}: 1\n")).collect();
    jobs(&[("one", &server.unix_address())]) + &keys
}

fn started(builder: PluginBuilder) -> PluginRun {
    let run = builder.start();
    run.expect(SOON, "values", |c| blocks(c, "one", "defrag_moves") > 1);
    run
}

/// Has it log until nothing more fits.
fn fill(run: &PluginRun) {
    run.hold_stderr();
    eventually(SOON, "a full pipe", || {
        run.signal("HUP");
        run.stderr_unread() >= FULL
    });
    // The thread that writes has more than there is room for.
    run.signal("HUP");
}

/// Values go on for so long, one a second and without a gap.
#[track_caller]
fn assert_goes_on(run: &PluginRun, seconds: usize) {
    let before = run.with_checker(|c| blocks(c, "one", "ratio"));
    run.expect(SOON, "collections go on", |c| {
        blocks(c, "one", "ratio") >= before + seconds
    });
    run.with_checker(|checker| {
        assert_no_gap(checker, "one", "ratio");
        assert_no_gap(checker, "one", "status");
        checker.assert_clean();
    });
}

/// It ends when told to, and how long that took.
#[track_caller]
fn assert_ends(what: &str, run: &mut PluginRun) -> Duration {
    run.signal("TERM");
    let (status, took) = run.wait_exit(SOON).expect("it did not end");
    assert_eq!(status.code(), Some(0), "{what}: {status}");
    assert!(took <= A_SECOND, "{what}: took {took:?}");
    // Of output that is held nothing is checked.
    run.let_go();
    run.let_go_stderr();
    took
}

/// With all that it can say, and jobs by the dozen that fail.
#[test]
fn a_log_that_is_not_read_costs_no_collection_and_tells_what_is_missing() {
    // What waits, in a queue of 256 KiB (`logging/queue.rs`) of lines that are allocated one
    // by one; and some 300 KiB of each thread that reads the files. All that is said in the
    // meantime is twice as much.
    const MOST: u64 = 3 << 20;
    const AGAIN: Duration = Duration::from_millis(50);
    let server = Server::start(Kind::Redis70);
    let failing = |number| format!("- name: sick{number:03}\n  address: unix:///none/{number}\n");
    let config = talkative(&server) + &(0..30).map(failing).collect::<String>();
    let run = started(plugin(&config).arg("-d"));
    // Once more, so that what reading takes is there already.
    run.signal("HUP");
    let anew = |run: &PluginRun| {
        run.stderr()
            .matches("reading the configuration anew")
            .count()
    };
    eventually(SOON, "the files are read anew", || anew(&run) == 1);
    assert_goes_on(&run, 2);
    let before = process::memory(run.pid(), "VmRSS");
    fill(&run);
    let (start, heard) = (Instant::now(), run.stderr());
    while start.elapsed() < UNREAD {
        run.signal("HUP");
        std::thread::sleep(AGAIN);
    }
    assert_goes_on(&run, 1);
    let grown = process::memory(run.pid(), "VmRSS").saturating_sub(before);
    assert!(grown < MOST, "{grown} bytes more than {before}");
    assert!(run.stderr_unread() >= FULL && run.stderr() == heard);

    run.let_go_stderr();
    eventually(SOON, "what is missing", || run.stderr().contains(LOST));
    let counted = anew(&run);
    run.signal("HUP");
    eventually(SOON, "the log goes on", || anew(&run) > counted);
    let log = run.stderr();
    let whole = |line: &str| line.starts_with("20") && line.contains("] redis_frag::");
    let (whole, torn): (Vec<&str>, Vec<&str>) = log.lines().partition(|line| whole(line));
    assert_eq!(torn, [""; 0], "lines that are not whole");
    let told: Vec<&&str> = whole.iter().filter(|line| line.ends_with(LOST)).collect();
    let count = |line: &str| {
        line.strip_suffix(LOST)?
            .rsplit(' ')
            .next()?
            .parse::<u64>()
            .ok()
    };
    assert_eq!(told.len(), 1, "{told:?}");
    // Of at least a hundred lines each second, some 800 were taken by the pipe and the queue.
    let lost = count(told[0]).expect("a number");
    assert!((100..1_000_000).contains(&lost), "{lost}");
    assert_goes_on(&run, 1);
}

#[test]
fn it_ends_within_a_second_while_nobody_reads_its_log() {
    let server = Server::start(Kind::Redis82);
    let config = talkative(&server);
    let mut read = started(plugin(&config));
    let mut log = started(plugin(&config));
    let mut both = started(plugin(&config).version("v2.10.0"));
    fill(&log);
    fill(&both);
    both.hold();
    // Its answers fill the other pipe too.
    for number in 0..300 {
        let call = format!("FUNCTION call{number} 100 \"redis-frag:diagnosis\" 0x8 me");
        both.send_line(&call).unwrap();
    }
    assert_goes_on(&log, 2);
    assert_ends("a log", &mut log);
    let took = assert_ends("both", &mut both);
    // Each gets its time (`app/plugin.rs`, `app/logging.rs`).
    assert!(took > Duration::from_millis(400), "not full: {took:?}");
    // Where somebody reads, the last words are there too.
    assert_ends("none", &mut read);
    let told = read.stderr();
    assert!(told.ends_with("SIGTERM: ending\n"), "{told}");
}

/// From the start, in the middle, and a disk that is full.
#[test]
fn a_log_that_cannot_be_written_costs_nothing() {
    let server = Server::start(Kind::Valkey91);
    let config = talkative(&server);
    let by_shell = |to: &str| {
        let words = [
            "sh".to_owned(),
            "-c".to_owned(),
            format!("exec \"$0\" \"$@\" 2>{to}"),
        ];
        started(plugin(&config).under(&words))
    };
    let closed = started(plugin(&config));
    closed.close_stderr();
    let runs = [
        ("closed from the start", by_shell("&-")),
        ("full", by_shell("/dev/full")),
        ("closed in the middle", closed),
    ];
    let times = |runs: &[(&str, PluginRun)]| -> Vec<Duration> {
        let taken = runs.iter().map(|(_, run)| process::cpu_time(run.pid()));
        taken.collect()
    };
    let (start, before) = (Instant::now(), times(&runs));
    for _ in 0..3 {
        for (_, run) in &runs {
            run.signal("HUP");
        }
        runs.iter().for_each(|(_, run)| assert_goes_on(run, 1));
    }
    let (took, after) = (start.elapsed(), times(&runs));
    for ((what, mut run), (after, before)) in runs.into_iter().zip(after.iter().zip(&before)) {
        let busy = *after - *before;
        // Trying over and over would take all that there is to have.
        assert!(busy < took / 5, "{what}: {busy:?} of {took:?}");
        // Nothing that it opens takes the place of what is closed: the log would go there.
        let open = process::descriptors(run.pid());
        let second = open.iter().find(|(number, _)| *number == 2);
        let to = second.map_or("nothing", |(_, to)| to.as_str());
        assert!(
            !to.contains("socket") && !to.contains("anon"),
            "{what}: {to}"
        );
        assert_ends(what, &mut run);
        run.with_checker(Checker::assert_clean);
    }
}
