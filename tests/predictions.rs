//! What `reclaimable` promises against what a real server gives back when the
//! remedy is applied: a purge, active defrag and then a purge, a restart.
//!
//! The test applies the remedies; the plugin never does. What it finds is
//! printed as a table (`cargo test predictions -- --nocapture`).

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use redis_frag::model::info::Info;
use redis_frag::model::sample::Sample;
use redis_frag::model::waste::{Reclaim, Waste};

use crate::support::{Kind, Server, eventually};

/// Figures in INFO are up to 100 ms old, more on a busy machine.
const CRON: Duration = Duration::from_millis(250);
const DEFRAG_LIMIT: Duration = Duration::from_secs(60);

/// 6.2 looks once a second whether there is something to do.
const BETWEEN_SCANS: Duration = Duration::from_millis(1500);

/// Without a hit for so long, it only looks at what it will not move.
const STAGNANT: Duration = Duration::from_secs(5);

const MEGABYTE: i64 = 1_000_000;

/// An error below this passes whatever its percentage: where little comes back,
/// jemalloc's own metadata decides that.
const LITTLE: i64 = 3 * MEGABYTE;

/// What is filled, in megabytes of values, and the share of keys deleted then.
const FRAGMENTED: &[(u64, u32)] = &[(100, 70), (300, 90), (1000, 50)];
const RESTARTED: &[(u64, u32)] = &[(100, 70), (300, 90)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedy {
    Purge,
    Defrag,
    Restart,
}

/// One promise and its outcome, bytes.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    kind: Kind,
    megabytes: u64,
    deleted: u32,
    remedy: Remedy,
    rss: i64,
    predicted: i64,
    returned: i64,
}

impl Outcome {
    fn error_percent(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "sizes of tests are small")]
        let error = (self.predicted - self.returned) as f64 / self.returned as f64;
        100.0 * error
    }

    /// Within so many percent, or within [`LITTLE`].
    fn is_within(&self, percent: f64) -> bool {
        (self.predicted - self.returned).abs() <= LITTLE || self.error_percent().abs() <= percent
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remedy = match self.remedy {
            Remedy::Purge => "purge",
            Remedy::Defrag => "defrag, then purge",
            Remedy::Restart => "restart",
        };
        write!(
            f,
            "| {} | {} MB, {}% deleted | {} | {remedy} | {} | {} | {:+.1}% |",
            self.kind.version(),
            self.megabytes,
            self.deleted,
            tenths(self.rss),
            tenths(self.predicted),
            tenths(self.returned),
            self.error_percent()
        )
    }
}

/// Megabytes with one decimal.
fn tenths(bytes: i64) -> String {
    let tenths = (bytes + MEGABYTE / 20) / (MEGABYTE / 10);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// The sample of a moment in which RSS stands still.
fn settled(server: &Server) -> Sample {
    let mut sample = take(server);
    for _ in 0..20 {
        let next = take(server);
        let stands = next.fields.used_memory_rss == sample.fields.used_memory_rss;
        sample = next;
        if stands {
            break;
        }
    }
    sample
}

fn take(server: &Server) -> Sample {
    thread::sleep(CRON);
    Sample::new(Duration::ZERO, &Info::parse(server.info().as_bytes()), None)
}

fn rss(sample: &Sample) -> i64 {
    sample.fields.used_memory_rss.unwrap().cast_signed()
}

/// Purges until it gives nothing more: while jemalloc's background thread returns
/// pages, a purge leaves them to it and is over at once.
fn purge(server: &Server) -> Sample {
    let mut before = i64::MAX;
    for _ in 0..20 {
        server.ok(&["MEMORY", "PURGE"]);
        let sample = settled(server);
        if before - rss(&sample) < MEGABYTE {
            return sample;
        }
        before = rss(&sample);
    }
    panic!("{}: purges do not end", server.kind().name());
}

/// A full run at the server's own thresholds, but for the 100 MB below which it
/// would not start, and as fast as it can.
fn defragment(server: &Server) {
    for (setting, value) in [
        ("active-defrag-ignore-bytes", "1mb"),
        ("active-defrag-cycle-max", "90"),
        ("active-defrag-cycle-min", "90"),
        ("activedefrag", "yes"),
    ] {
        server.ok(&["CONFIG", "SET", setting, value]);
    }
    let name = server.kind().name();
    let hits = || server.info_number("active_defrag_hits");
    eventually(DEFRAG_LIMIT, &format!("{name}: defrag starts"), || {
        hits() > 0.0
    });
    let mut busy = Instant::now();
    let mut moved = (Instant::now(), hits());
    eventually(DEFRAG_LIMIT, &format!("{name}: defrag ends"), || {
        if server.info_number("active_defrag_running") > 0.0 {
            busy = Instant::now();
        }
        let hits = hits();
        if hits > moved.1 {
            moved = (Instant::now(), hits);
        }
        busy.elapsed() > BETWEEN_SCANS || moved.0.elapsed() > STAGNANT
    });
    server.ok(&["CONFIG", "SET", "activedefrag", "no"]);
}

/// Applies one remedy after the other to one fragmented server.
fn outcomes_of(kind: Kind, megabytes: u64, deleted: u32) -> Vec<Outcome> {
    let mut server = Server::builder(kind).socket_only().start();
    server.fill(megabytes * MEGABYTE.cast_unsigned());
    server.delete_random(deleted);

    let before = take(&server);
    let promised = Reclaim::of(&before);
    let waste = Waste::of(&before).unwrap();
    let mut found = Vec::new();
    let mut note = |remedy, predicted: Option<i64>, returned| {
        let predicted = predicted.unwrap();
        assert!(
            predicted <= waste.total,
            "{remedy:?}: {predicted} of {waste:?}"
        );
        found.push(Outcome {
            kind,
            megabytes,
            deleted,
            remedy,
            rss: rss(&before),
            predicted,
            returned,
        });
    };

    if kind.has_jemalloc() {
        let purged = purge(&server);
        note(
            Remedy::Purge,
            promised.memory_purge,
            rss(&before) - rss(&purged),
        );
        if kind.can_defrag() {
            defragment(&server);
            let returned = rss(&purged) - rss(&purge(&server));
            note(Remedy::Defrag, promised.active_defrag, returned);
        }
    } else {
        assert_eq!(
            (promised.memory_purge, promised.active_defrag),
            (None, None)
        );
    }
    server.ok(&["SAVE"]);
    server.restart();
    let returned = rss(&before) - rss(&settled(&server));
    note(Remedy::Restart, promised.restart, returned);
    found
}

fn median(mut errors: Vec<f64>) -> f64 {
    errors.sort_by(f64::total_cmp);
    errors[errors.len() / 2]
}

#[test]
fn what_is_promised_comes_back() {
    let cases = |kind: Kind| match kind {
        Kind::Redis62 | Kind::Redis82 => FRAGMENTED,
        Kind::Redis70 | Kind::Valkey91 => RESTARTED,
    };
    // No more than two at once: other tests wait for their servers meanwhile.
    let pairs = [
        [Kind::Redis62, Kind::Valkey91],
        [Kind::Redis82, Kind::Redis70],
    ];
    let found: Vec<Outcome> = thread::scope(|scope| {
        let workers = pairs.map(|kinds| {
            scope.spawn(move || -> Vec<Outcome> {
                kinds
                    .iter()
                    .flat_map(|kind| cases(*kind).iter().map(|case| (*kind, *case)))
                    .flat_map(|(kind, (megabytes, deleted))| outcomes_of(kind, megabytes, deleted))
                    .collect()
            })
        });
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });

    let mut table = String::from(
        "| server | dataset | RSS | remedy | predicted, MB | returned, MB | error |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for outcome in &found {
        table += &format!("{outcome}\n");
    }
    let of = |remedies: &[Remedy], defraggable: bool| -> Vec<f64> {
        found
            .iter()
            .filter(|o| remedies.contains(&o.remedy) && (o.kind.can_defrag() || !defraggable))
            .map(|o| o.error_percent().abs())
            .collect()
    };
    let remedies = of(&[Remedy::Purge, Remedy::Defrag], true);
    assert_eq!(remedies.len(), 12);
    let middle = median(remedies);
    eprintln!("{table}median of purge and defrag on 6.2.5 and 8.2.3: {middle:.1}%");

    for outcome in &found {
        let worst = match outcome.remedy {
            Remedy::Purge | Remedy::Defrag => 10.0,
            Remedy::Restart => 5.0,
        };
        assert!(outcome.is_within(worst), "{outcome}\nof\n{table}");
    }
    assert!(middle <= 5.0, "the median is {middle}%:\n{table}");
}
