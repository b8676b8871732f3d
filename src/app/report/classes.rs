//! Size classes as a person reads them: the worst with bars, what lands in them,
//! the allocator's totals, what helps.
//!
//! Pure: what was found in, lines out. Must not know how it was asked for.

use std::sync::Arc;

use crate::model::malloc_stats::Build;
use crate::model::size_classes::{SizeClass, SizeClasses, WORST};
use crate::model::text::bytes;
use crate::source::size_classes::Told;

use super::bar;
use super::page::{BOLD, DIM, Page, Style};
use super::words::{clean, length, wrap};

/// Classes of which is told what lands in them.
const EXPLAINED: usize = 5;

/// Bytes that are not worth a remedy.
const LITTLE: u64 = 1 << 20;

/// Narrowest and widest bar.
const BAR: std::ops::RangeInclusive<usize> = 6..=40;

/// What there is to show of one instance.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Name of the job, or the address.
    pub instance: String,
    /// Where it listens, without credentials.
    pub address: String,
    /// How `redis-cli` reaches it.
    pub client: String,
    /// What it told, or why it did not.
    pub found: Result<Arc<Told>, String>,
}

/// A column of the table: its title and width, whether it stays where there is
/// little room, and what it shows.
struct Column {
    title: &'static str,
    width: usize,
    stays: bool,
    shown: fn(&SizeClasses, &SizeClass) -> Option<String>,
}

/// The columns of small classes, in order.
const COLUMNS: [Column; 7] = [
    Column {
        title: "size",
        width: 7,
        stays: true,
        shown: |_, class| Some(class.size.to_string()),
    },
    Column {
        title: "in use",
        width: 10,
        stays: false,
        shown: |_, class| Some(class.in_use.to_string()),
    },
    Column {
        title: "slabs",
        width: 8,
        stays: false,
        shown: |_, class| Some(class.slabs?.count.to_string()),
    },
    Column {
        title: "half-empty",
        width: 12,
        stays: false,
        shown: |_, class| Some(class.slabs?.half_empty?.to_string()),
    },
    Column {
        title: "used",
        width: 6,
        stays: true,
        shown: |_, class| Some(percent(class.utilisation()?)),
    },
    Column {
        title: "wasted",
        width: 11,
        stays: true,
        shown: |_, class| Some(bytes(class.wasted()?.cast_signed())),
    },
    Column {
        title: "share",
        width: 7,
        stays: true,
        shown: |all, class| Some(percent(all.share(class)?)),
    },
];

/// The whole report; of small classes the ten worst, or with `all` every class.
#[must_use]
pub fn report(asked: &Asked, all: bool, style: &Style) -> String {
    let mut page = Page {
        out: String::new(),
        style,
    };
    match &asked.found {
        Ok(told) => {
            page.heading(asked, told);
            page.small(&told.classes, all);
            page.landing(&told.classes);
            if all {
                page.large(&told.classes);
            }
            page.totals(&told.classes);
            page.arenas(&told.classes);
            page.help(asked, &told.classes);
        }
        Err(error) => {
            let text = format!("no size classes: {error}");
            page.paragraph(&text, BOLD);
            page.paragraph(&asked.instance, "");
        }
    }
    page.out
}

impl Page<'_> {
    fn heading(&mut self, asked: &Asked, told: &Told) {
        let text = match told.classes.wasted {
            Some(wasted) => format!(
                "{} wasted: free places in slabs that hold live data",
                bytes(wasted.cast_signed())
            ),
            None => "the tables of size classes do not fit together, so nothing is told of them"
                .to_owned(),
        };
        self.paragraph(&text, BOLD);
        let mut parts = vec![asked.instance.clone()];
        if asked.address != asked.instance {
            parts.push(asked.address.clone());
        }
        let version = told.server.version.map(|version| version.to_string());
        let version = version.unwrap_or_else(|| "of unknown version".to_owned());
        parts.push(format!("{} {version}", told.server.flavour.name()));
        parts.extend(told.server.allocator.as_deref().map(clean));
        self.paragraph(&parts.join(", "), "");
    }

    /// A text from the margin on.
    fn paragraph(&mut self, text: &str, codes: &str) {
        for line in wrap(text, self.style.width) {
            let painted = match codes {
                "" => line,
                codes => self.style.paint(codes, &line),
            };
            self.line(&painted);
        }
    }

    /// The table of small classes.
    fn small(&mut self, classes: &SizeClasses, all: bool) {
        let known = classes.classes.iter();
        let known: Vec<&SizeClass> = known.filter(|class| class.slabs.is_some()).collect();
        let shown: Vec<&SizeClass> = if all {
            known.clone()
        } else {
            classes.worst(WORST).iter().collect()
        };
        if shown.is_empty() {
            return;
        }
        self.title("Size classes, the worst first");
        let wide = COLUMNS.iter().map(|column| column.width).sum::<usize>() <= self.style.width;
        let columns: Vec<&Column> = COLUMNS.iter().filter(|c| wide || c.stays).collect();
        let line = |text: &dyn Fn(&Column) -> String| -> String {
            let cells = columns.iter();
            cells.map(|c| format!("{:>1$}", text(c), c.width)).collect()
        };
        let head = line(&|column| column.title.to_owned());
        self.line(&self.style.paint(DIM, &head));
        let room = self.style.width.saturating_sub(length(&head) + 2);
        let bar = Some(room.min(*BAR.end())).filter(|room| room >= BAR.start());
        let worst = shown.iter().filter_map(|class| class.wasted()).max();
        for class in &shown {
            let absent = || "-".to_owned();
            let row = line(&|column| (column.shown)(classes, class).unwrap_or_else(absent));
            let drawn = self.waste_bar(class, worst.unwrap_or(0), bar.unwrap_or(0));
            self.line(&format!("{row}  {drawn}"));
        }
        let others = known
            .iter()
            .filter(|class| class.wasted() > Some(0) && !shown.contains(class));
        let rest = others.clone().filter_map(|class| class.wasted());
        let rest = rest.fold(0, u64::saturating_add).cast_signed();
        match others.count() {
            0 => {}
            count => {
                let text = format!("and {} in {count} more: --all", bytes(rest));
                self.hang("", 2, &text, DIM);
            }
        }
    }

    /// The waste of a class beside the worst.
    fn waste_bar(&self, class: &SizeClass, worst: u64, room: usize) -> String {
        let wasted = class.wasted().unwrap_or(0).cast_signed();
        let sizes = [wasted, worst.cast_signed().saturating_sub(wasted)];
        let cells = bar::cells(&sizes, room).into_iter().next();
        self.style.paint("30;41", &"x".repeat(cells.unwrap_or(0)))
    }

    /// Which values are in the worst classes.
    fn landing(&mut self, classes: &SizeClasses) {
        let worst = classes.worst(EXPLAINED).iter();
        let told: Vec<(u64, String)> = worst
            .filter_map(|class| Some((class.size, class.values.as_ref()?.to_string())))
            .collect();
        if told.is_empty() {
            return;
        }
        self.title("What lands in them");
        for (size, text) in &told {
            self.hang(&format!("{size:>7}"), 9, text, "");
        }
        let more = "And other parts of such sizes: hash tables, lists and hashes in one piece, \
                    buffers. Values of other lengths fall into other classes.";
        self.hang("", 2, more, DIM);
    }

    /// Large classes, of which no holes are known.
    fn large(&mut self, classes: &SizeClasses) {
        let large = classes.classes.iter();
        let large: Vec<&SizeClass> = large.filter(|class| class.slabs.is_none()).collect();
        if large.is_empty() {
            return;
        }
        self.title("Large size classes");
        let text = "Each allocation has pages of its own, so that there are no holes.";
        self.hang("", 2, text, DIM);
        let head = format!("{:>12}{:>10}{:>12}", "size", "in use", "allocated");
        self.line(&self.style.paint(DIM, &head));
        for class in large {
            let allocated = bytes(class.allocated.cast_signed());
            self.line(&format!(
                "{:>12}{:>10}{allocated:>12}",
                class.size, class.in_use
            ));
        }
    }

    fn totals(&mut self, classes: &SizeClasses) {
        let rows = classes.totals.explained();
        let known = rows.iter().filter_map(|(_, size, _)| *size);
        let largest = known.max().unwrap_or(0).cast_signed();
        self.title("The allocator");
        for (name, size, meaning) in rows {
            let Some(size) = size else { continue };
            let size = bar::in_unit_of(size.cast_signed(), largest);
            let label = format!("  {name:<9}{size:>12}");
            let fits = length(&label) + 3 + length(meaning) <= self.style.width;
            let meaning = if fits { meaning } else { "" };
            let meaning = self.style.paint(DIM, meaning);
            self.line(&format!("{label}   {meaning}"));
        }
    }

    fn arenas(&mut self, classes: &SizeClasses) {
        if classes.arenas.len() < 2 {
            return;
        }
        self.title("Arenas");
        let columns = if self.style.width < 60 { 2 } else { 3 };
        let head = ["allocated", "wasted", "dirty"].into_iter().take(columns);
        let head: String = head.map(|title| format!("{title:>12}")).collect();
        let head = format!("{:9}{head}", "");
        self.line(&self.style.paint(DIM, &head));
        for arena in &classes.arenas {
            let figures = [arena.totals.allocated, arena.wasted, arena.totals.dirty];
            let figures = figures.into_iter().take(columns).map(|figure| {
                let shown = figure.map_or("-".to_owned(), |figure| bytes(figure.cast_signed()));
                format!("{shown:>12}")
            });
            let figures: String = figures.collect();
            let whose = if arena.of_lua { "  Lua's" } else { "" };
            self.line(&format!("{:>7}  {figures}{whose}", arena.index));
        }
        if classes.arenas.iter().any(|arena| arena.of_lua) {
            let text = "Lua's waste is not in the sum: active defrag does not reach it.";
            self.hang("", 2, text, DIM);
        }
    }

    fn help(&mut self, asked: &Asked, classes: &SizeClasses) {
        self.title("What helps");
        if let Some(wasted) = classes.wasted {
            let own = classes.build.is_some_and(Build::is_the_servers_own);
            self.hang("  holes", 15, &against_holes(wasted, own), "");
        }
        let Some(free) = classes.purgeable() else {
            return;
        };
        let size = bytes(free.cast_signed());
        if free < LITTLE {
            let text = format!("there is little to purge, {size}");
            self.hang("  free pages", 15, &text, "");
            return;
        }
        let text =
            format!("MEMORY PURGE returns up to {size}; jemalloc returns them by itself in time");
        self.hang("  free pages", 15, &text, "");
        let command = format!("{} MEMORY PURGE", asked.client);
        let command = self.style.paint("36", &command);
        self.line(&format!("{:15}$ {command}", ""));
    }
}

/// What closes holes of so many bytes; `own` is the server's own jemalloc.
fn against_holes(wasted: u64, own: bool) -> String {
    let size = bytes(wasted.cast_signed());
    if wasted < LITTLE {
        format!("there is little to gain, {size}")
    } else if own {
        format!(
            "active defrag moves live data together: up to {size}. MEMORY PURGE does not. Whether \
             it would start and what it costs is told by redis-frag diagnose"
        )
    } else {
        format!(
            "up to {size}, by a restart: active defrag needs the jemalloc that comes with the \
             server, and this looks like a distribution's. MEMORY PURGE does not help"
        )
    }
}

/// A share without decimals.
fn percent(share: f64) -> String {
    match share {
        ..=0.0 => "0%".to_owned(),
        ..0.01 => "<1%".to_owned(),
        _ => format!("{:.0}%", 100.0 * share),
    }
}
