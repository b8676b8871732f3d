//! Texts made up after the layouts of other versions, and such as no server sends.

use redis_frag::model::malloc_stats::report::{MallocStats, Unread};

use super::view;

/// jemalloc 4.0 of Redis 4.0 (src/stats.c of 4.0.3): runs for slabs, huge classes
/// in a table of their own, dirty pages in a sentence.
const JE40: &str = "\
___ Begin jemalloc statistics ___
Version: 4.0.3-0-ge9192eacf8935e29fc62fddc2701f7942b1cc02c
Assertions disabled
Run-time option settings:
  opt.abort: false
  opt.lg_chunk: 21
  opt.narenas: 8
  opt.lg_dirty_mult: 3 (arenas.lg_dirty_mult: 3)
CPUs: 2
Arenas: 8
Pointer size: 8
Quantum size: 8
Page size: 4096
Min active:dirty page ratio per arena: 8:1
Maximum thread-cached size class: 32768
Chunk size: 2097152 (2^21)
Allocated: 2121728, active: 2146304, metadata: 1300000, resident: 3500000, mapped: 6291456
Current active ceiling: 4194304

arenas[0]:
assigned threads: 1
dss allocation precedence: secondary
min active:dirty page ratio: 8:1
dirty pages: 524:7 active:dirty, 3 sweeps, 4 madvises, 90 purged
                            allocated      nmalloc      ndalloc    nrequests
small:                           8192           20            4           30
large:                          16384            2            1            2
huge:                         2097152            1            0            1
total:                        2121728           23            5           33
active:                       2146304
mapped:                       4194304
metadata: mapped: 1200000, allocated: 60000
bins:           size ind    allocated      nmalloc      ndalloc    nrequests      curregs      curruns regs pgs  util       nfills     nflushes      newruns       reruns
                   8   0           32            4            0            4            4            1  512   1 0.007            1            0            1            0
                     ---
                 320  16         8160           30            5            9           26            2   64   5 0.203            1            0            2            0
large:          size ind    allocated      nmalloc      ndalloc    nrequests      curruns
               16384  39        16384            2            1            2            1
                     ---
huge:           size ind    allocated      nmalloc      ndalloc    nrequests   curhchunks
             2097152  67      2097152            1            0            1            1
                     ---
--- End jemalloc statistics ---
";

/// jemalloc 5.2.1, which Redis 6.2.6 to 7.2 come with: rates, shards and slabs that
/// are not full; no stashes of thread caches yet. Two arenas.
fn je52(second: &str) -> String {
    let arena = |head: &str, dirty: u64, rows: &str| {
        format!(
            "{head}
assigned threads: 1
uptime: 24488001130
dss allocation precedence: \"N/A\"
decaying:  time       npages       sweeps     madvises       purged
   dirty:   N/A       {dirty:>6}            5          232          892
   muzzy: 10000            2            0            0            0
                            allocated         nmalloc   (#/sec)         ndalloc   (#/sec)
small:                          12800           50         2           10         0
large:                              0            0         0            0         0
total:                          12800           50         2           10         0

active:                         61440
mapped:                        131072
retained:                       65536
base:                           40960
internal:                        4096
metadata_thp:                       0
tcache_bytes:                     640
resident:                      102400
abandoned_vm:                       0
                           n_lock_ops (#/sec)       n_waiting (#/sec)
large                             493      20               0       0
bins:           size ind    allocated      nmalloc (#/sec)      ndalloc (#/sec)    nrequests   (#/sec)  nshards      curregs     curslabs  nonfull_slabs regs pgs   util       nfills (#/sec)
{rows}
                     ---
large:          size ind    allocated      nmalloc (#/sec)      ndalloc (#/sec)    nrequests (#/sec)  curlextents
                     ---
extents:        size ind       ndirty        dirty       nmuzzy        muzzy    nretained     retained       ntotal        total
                4096   0            3        12288            0            0            1         4096            4        16384
                     ---
"
        )
    };
    let row = |regs: u64, slabs: u64, nonfull: u64| {
        let bytes = 320 * regs;
        format!(
            "                 320  16 {bytes:>12}           50       2           10       0           60       3        1 {regs:>12} {slabs:>12} {nonfull:>14}   64   5  0.208            1       0"
        )
    };
    let head = "___ Begin jemalloc statistics ___
Version: \"5.2.1-0-g0\"
Run-time option settings
  opt.narenas: 8
  opt.oversize_threshold: 8388608
Arenas: 9
Quantum size: 8
Page size: 4096
Allocated: 12800, active: 61440, metadata: 45056 (n_thp 0), resident: 102400, mapped: 131072, retained: 65536
";
    [
        head,
        &arena("Merged arenas stats:", 9, &row(40, 3, 2)),
        &arena("arenas[0]:", 7, &row(30, 2, 1)),
        &arena(second, 2, &row(10, 1, 1)),
        "--- End jemalloc statistics ---\n",
    ]
    .concat()
}

#[test]
fn jemalloc_4_0_is_read() {
    let stats = MallocStats::parse(JE40).unwrap();
    let totals = stats.totals;
    assert_eq!(totals.allocated, Some(2_121_728));
    assert_eq!(totals.metadata, Some(1_300_000));
    assert_eq!(totals.dirty, Some(7 * 4096));
    assert_eq!((totals.retained, totals.muzzy), (None, None));
    let arena = &stats.arenas[0];
    assert_eq!(arena.totals.metadata, Some(1_260_000));
    // 26 × 320 are 8320, not 8160: this line cannot be, so there is no table.
    assert_eq!(arena.bins, None);
    let mended = JE40.replace("         8160 ", "         8320 ");
    let view = view(&mended);
    assert_eq!(
        view.wasted,
        Some((512 - 4) * 8 + (2 * 64 - 26) * 320),
        "{view:?}"
    );
    let sizes: Vec<u64> = view.classes.iter().map(|class| class.size).collect();
    assert_eq!(sizes, [320, 8, 2_097_152, 16_384]);
    let worst = &view.classes[0];
    assert_eq!((worst.name().as_str(), worst.in_use), ("class_320", 26));
    assert_eq!(worst.slabs.unwrap().half_empty, None);
}

#[test]
fn jemalloc_5_2_is_read_and_the_merged_arenas_are_taken() {
    let text = je52("arenas[1]:");
    let stats = MallocStats::parse(&text).unwrap();
    assert_eq!(stats.of_lua(), None, "one of jemalloc's own");
    assert_eq!(stats.totals.dirty, Some(9 * 4096));
    assert_eq!(stats.totals.muzzy, Some(2 * 4096));
    assert_eq!(stats.arenas[1].totals.metadata, Some(45_056));
    let view = view(&text);
    assert_eq!(view.wasted, Some((3 * 64 - 40) * 320));
    assert_eq!(view.purgeable(), Some(11 * 4096));
    assert_eq!(view.arenas[1].wasted, Some(54 * 320));
}

#[test]
fn an_arena_that_was_created_is_luas_and_left_out() {
    let view = view(&je52("arenas[9]:"));
    assert!(view.arenas[1].of_lua);
    assert_eq!(view.wasted, Some((2 * 64 - 30) * 320));
    let slabs = view.classes[0].slabs.unwrap();
    assert_eq!((slabs.count, slabs.half_empty), (2, Some(1)));
    assert_eq!(view.share(&view.classes[0]), Some(1.0));
}

#[test]
fn what_contradicts_itself_is_missing() {
    let sound = je52("arenas[9]:");
    let (head, rest) = sound.split_once("Merged arenas stats:").unwrap();
    let (_, unmerged) = rest.split_once("arenas[0]:").unwrap();
    let lua = sound.split_once("arenas[9]:").unwrap().1;
    let mut lines = sound.lines();
    let row = lines
        .find(|line| line.starts_with("                 320"))
        .unwrap();
    // Figures of one row, as `words` has them; the width does not matter.
    let with = |text: &str, allocated: u64, in_use: u64, slabs: u64| {
        let row = text
            .lines()
            .find(|line| line.contains(" 320  16 "))
            .unwrap();
        let mut words: Vec<String> = row.split_whitespace().map(str::to_owned).collect();
        for (place, figure) in [(2, allocated), (10, in_use), (11, slabs)] {
            words[place] = figure.to_string();
        }
        text.replacen(row, &words.join(" "), 1)
    };
    for (what, text) in [
        (
            "several, and none merged",
            format!("{head}arenas[0]:{unmerged}"),
        ),
        ("disorder", sound.replace("arenas[0]:", "arenas[9]:")),
        ("no room", with(&sound, 40 * 320, 40, 0)),
        ("bytes of others", with(&sound, 40 * 321, 40, 3)),
        (
            "a size twice",
            sound.replacen(row, &format!("{row}\n{row}"), 1),
        ),
        (
            "Lua above all",
            sound.replace(lua, &with(lua, 50 * 320, 50, 1)),
        ),
        (
            "no figure",
            sound.replacen(row, &row.replace(" 64 ", " 6x "), 1),
        ),
    ] {
        assert_ne!(text, sound, "{what}");
        assert_eq!(view(&text).wasted, None, "{what}");
    }
    assert_eq!(view(&with(&sound, 12_800, 40, 3)), view(&sound));
}

#[test]
fn what_is_no_report_says_why() {
    for (text, want) in [
        (
            "Stats not supported for the current allocator",
            Unread::NotSupported,
        ),
        ("", Unread::NoReport),
        ("redis_version:7.0.15\r\n", Unread::NoReport),
        ("--- End jemalloc statistics ---\n", Unread::NoReport),
        (&JE40[..JE40.len() - 20], Unread::CutOff),
        ("___ Begin jemalloc statistics ___\n", Unread::CutOff),
    ] {
        assert_eq!(MallocStats::parse(text), Err(want), "{text:?}");
    }
}
