//! What was measured, and how it stands beside what is to be reached.
//!
//! Pure but for the machine's description. Must not measure anything.

use std::path::Path;
use std::time::Duration;

use crate::lateness::Lateness;
use crate::machine;
use crate::measure::{Cost, Ours};
use crate::peer::Peer;
use crate::plugin::Start;
use crate::table::{Row, markdown};

/// Resident memory with so many instances, bytes.
const RSS: [(usize, u64); 4] = [
    (1, 6_000_000),
    (100, 10_000_000),
    (500, 20_000_000),
    (1000, 35_000_000),
];

/// The main thread's time of the server for a collection.
const SERVER: Duration = Duration::from_micros(20);

/// Scrapes of the usual peer take so many times as long at least.
const PEER: u32 = 30;

/// Lateness of 99 in a hundred collections.
const LATE: Duration = Duration::from_millis(50);

/// From the start to the values of one instance, and of a thousand.
const START: [(usize, Duration); 2] = [
    (1, Duration::from_millis(300)),
    (1000, Duration::from_secs(3)),
];

/// Bytes of the binary.
const BINARY: u64 = 5_000_000;

/// Where the loop and the plugin are compared.
pub const COMPARED: usize = 500;

/// A run with so many instances.
pub struct Run {
    /// How many.
    pub instances: usize,
    /// The bare loop's, one by one.
    pub floor: Cost,
    /// How it began.
    pub start: Start,
    /// The plugin's.
    pub ours: Ours,
}

/// All that was measured.
pub struct Figures {
    /// One for each number of instances.
    pub runs: Vec<Run>,
    /// The bare loop, fifty at a time.
    pub together: Option<Cost>,
    /// Starts with one instance.
    pub starts: Vec<Start>,
    /// The healthy among sick instances.
    pub sick: Option<Lateness>,
    /// Another collector.
    pub peer: Option<Peer>,
    /// Bytes of the binary.
    binary: u64,
}

impl Figures {
    /// None yet, of this binary.
    pub fn new(plugin: &Path) -> Self {
        Self {
            runs: Vec::new(),
            together: None,
            starts: Vec::new(),
            sick: None,
            peer: None,
            binary: std::fs::metadata(plugin).unwrap().len(),
        }
    }

    /// What the targets say that are missed.
    pub fn missed(&self) -> Vec<String> {
        let missed = self.rows().into_iter().filter(|row| row.missed);
        missed
            .map(|row| format!("{}: {}, not {}", row.figure, row.ours, row.target))
            .collect()
    }

    /// All of it in Markdown, with the machine and the command.
    pub fn table(&self) -> String {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let words = words.iter().filter(|word| *word != "--bench");
        let command = words.fold("cargo bench --bench whole --".to_owned(), |line, word| {
            let quote = if word.contains(' ') { "'" } else { "" };
            format!("{line} {quote}{word}{quote}")
        });
        let peer = self.peer.as_ref().map_or("peer", |peer| &peer.name);
        format!(
            "`{}` on {}:\n\n{}",
            command.trim_end_matches(" --"),
            machine::describe(),
            markdown(&self.rows(), peer)
        )
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.runs.iter().map(|run| self.cpu(run)).collect();
        rows.extend(self.together.map(|cost| Row {
            figure: format!("the same, {}, fifty at a time", instances(COMPARED)),
            floor: microseconds(cost.cpu()),
            ..Row::default()
        }));
        rows.extend(self.runs.iter().map(|run| self.rss(run)));
        rows.extend(self.largest().map(|run| self.server(run)));
        rows.extend(self.largest().map(|run| {
            late(
                format!("lateness, {} instances", run.instances),
                &run.ours.lateness,
            )
        }));
        rows.extend(self.sick.as_ref().map(|lateness| {
            let figure = "lateness of 452, beside 16 hung, 16 refusing, 16 that come and go";
            late(figure.into(), lateness)
        }));
        rows.extend(self.largest().into_iter().flat_map(output));
        rows.extend(self.first_values());
        rows.push(Row {
            figure: "binary, stripped".into(),
            target: "under 5 MB".into(),
            ours: megabytes(self.binary),
            missed: self.binary >= BINARY,
            ..Row::default()
        });
        rows
    }

    fn largest(&self) -> Option<&Run> {
        self.runs.iter().max_by_key(|run| run.instances)
    }

    fn cpu(&self, run: &Run) -> Row {
        let (ours, floor) = (run.ours.cost.cpu(), run.floor.cpu());
        let peer = self.peer.as_ref();
        let mut row = Row {
            figure: format!("CPU of one collection, {}", instances(run.instances)),
            ours: microseconds(ours),
            floor: microseconds(floor),
            ..Row::default()
        };
        if run.instances == COMPARED {
            row.target = "at most the loop's".into();
            row.missed = ours > floor;
            row.peer = peer.map_or_else(String::new, |peer| microseconds(peer.cost.cpu()));
            if let Some(peer) = peer.filter(|peer| peer.is_usual) {
                row.target += &format!(", a {PEER}th of redis_exporter's");
                row.missed |= ours * PEER > peer.cost.cpu();
            }
        }
        row
    }

    fn rss(&self, run: &Run) -> Row {
        let target = RSS
            .iter()
            .find(|(instances, _)| *instances == run.instances);
        let (first, last) = run.ours.cost.rss;
        let peer = self.peer.as_ref().filter(|_| run.instances == 1);
        Row {
            figure: format!("RSS, {}", instances(run.instances)),
            target: target.map_or_else(String::new, |(_, most)| format!("{} MB", most / 1_000_000)),
            ours: format!("{}, {} at the end", megabytes(first), megabytes(last)),
            floor: megabytes(run.floor.rss.1),
            peer: peer.map_or_else(String::new, |peer| megabytes(peer.rss)),
            missed: target.is_some_and(|(_, most)| first.max(last) > *most),
        }
    }

    fn server(&self, run: &Run) -> Row {
        let say = |cost: &Cost| {
            format!(
                "{}, INFO itself {}",
                microseconds(cost.server()),
                microseconds(cost.info())
            )
        };
        Row {
            figure: "main thread of the server, one collection".into(),
            target: format!("{} µs", SERVER.as_micros()),
            ours: say(&run.ours.cost),
            floor: say(&run.floor),
            peer: self
                .peer
                .as_ref()
                .map_or_else(String::new, |peer| say(&peer.cost)),
            missed: run.ours.cost.server() > SERVER,
        }
    }

    fn first_values(&self) -> Vec<Row> {
        let worst = self.starts.iter().map(|start| start.last).max();
        let many = self.largest().filter(|run| run.instances > 1);
        let one = worst.map(|worst| (1, worst, "1 instance, the slowest of five".into()));
        let many = many.map(|run| (run.instances, run.start.last, instances(run.instances)));
        one.into_iter()
            .chain(many)
            .map(|(count, took, figure): (usize, Duration, String)| {
                let target = START.iter().find(|(instances, _)| *instances == count);
                Row {
                    figure: format!("start to the last first values, {figure}"),
                    target: target.map_or_else(String::new, |(_, most)| {
                        format!("under {} ms", most.as_millis())
                    }),
                    ours: format!("{} ms", took.as_millis()),
                    missed: target.is_some_and(|(_, most)| took >= *most),
                    ..Row::default()
                }
            })
            .collect()
    }
}

fn late(figure: String, lateness: &Lateness) -> Row {
    let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
    Row {
        figure,
        target: "p99 under 50 ms, no missed second".into(),
        ours: format!(
            "p50 {} ms, p99 {} ms, max {} ms; {} of {} seconds missed",
            ms(lateness.p50),
            ms(lateness.p99),
            ms(lateness.max),
            lateness.missed,
            lateness.due
        ),
        missed: lateness.p99 >= LATE || lateness.missed > 0,
        ..Row::default()
    }
}

fn output(run: &Run) -> [Row; 2] {
    let count = run.instances as f64;
    let each = run.ours.output / count;
    [
        Row {
            figure: format!("output, {}", instances(run.instances)),
            target: "only what changed is defined again".into(),
            ours: format!(
                "{:.2} MB/s, {each:.0} bytes a collection; {} of definitions in all the time",
                run.ours.output / 1e6,
                run.ours.definitions
            ),
            missed: run.ours.definitions > run.start.definitions / run.instances as u64,
            ..Row::default()
        },
        Row {
            figure: "definitions of one instance at the start".into(),
            ours: format!("{:.0} bytes", run.start.definitions as f64 / count),
            ..Row::default()
        },
    ]
}

fn instances(count: usize) -> String {
    match count {
        1 => "1 instance".into(),
        count => format!("{count} instances"),
    }
}

fn microseconds(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1e6)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
