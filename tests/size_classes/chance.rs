//! What holds of any text: no panic, no figure that cannot be, and sums that are
//! those of their parts.

use std::sync::OnceLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use redis_frag::model::malloc_stats::report::MallocStats;
use redis_frag::model::size_classes::SizeClasses;
use redis_frag::model::value_sizes::Layout;

use super::captures::captures;

/// No figure is above this, and none of a machine either.
const MOST: u64 = 1 << 52;

fn known() -> &'static [String] {
    static KNOWN: OnceLock<Vec<String>> = OnceLock::new();
    KNOWN.get_or_init(|| captures().into_iter().map(|(_, text)| text).collect())
}

/// One thing done to a line.
#[derive(Debug, Clone)]
enum Blow {
    Drop,
    Twice,
    Word(usize, String),
    Instead(String),
}

fn word() -> impl Strategy<Value = String> {
    let odd = select(vec![
        "0",
        "1",
        "N/A",
        "---",
        "-1",
        "1e9",
        "nan",
        "18446744073709551615",
        "18446744073709551616",
        "4503599627370497",
        "",
        "arenas[0]:",
        "bins:",
        "size",
        "Merged arenas stats:",
        "\u{1b}[2J",
        "ß\0",
    ]);
    prop_oneof![
        odd.prop_map(str::to_owned),
        any::<u64>().prop_map(|number| number.to_string()),
        (0u64..2000).prop_map(|number| number.to_string()),
        "\\PC{0,12}",
    ]
}

fn blow() -> impl Strategy<Value = Blow> {
    prop_oneof![
        Just(Blow::Drop),
        Just(Blow::Twice),
        (0usize..40, word()).prop_map(|(place, word)| Blow::Word(place, word)),
        word().prop_map(Blow::Instead),
    ]
}

fn struck(text: &str, blows: &[(prop::sample::Index, Blow)]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (place, blow) in blows {
        let at = place.index(lines.len());
        match blow {
            Blow::Drop => {
                lines.remove(at);
                lines.push(String::new());
            }
            Blow::Twice => lines.insert(at, lines[at].clone()),
            Blow::Instead(line) => lines[at] = line.clone(),
            Blow::Word(place, word) => {
                let mut words: Vec<&str> = lines[at].split_whitespace().collect();
                if words.is_empty() {
                    continue;
                }
                let place = place % words.len();
                words[place] = word;
                lines[at] = words.join(" ");
            }
        }
    }
    lines.join("\n")
}

fn holds(text: &str) -> Result<(), TestCaseError> {
    let Ok(stats) = MallocStats::parse(text) else {
        return Ok(());
    };
    for layout in [Layout::WithObject, Layout::WithKey, Layout::Unknown] {
        let view = SizeClasses::of(&stats, layout);
        let small = view.classes.iter().filter_map(|class| class.slabs);
        let sum: u64 = small.map(|slabs| slabs.wasted).sum();
        match view.wasted {
            Some(wasted) => prop_assert_eq!(sum, wasted),
            None => prop_assert_eq!(sum, 0),
        }
        prop_assert!(view.classes.len() <= 512 && view.arenas.len() <= 1024);
        prop_assert!(view.worst(10).len() <= 10);
        let in_order = |pair: &[_]| -> bool {
            let [one, other]: &[redis_frag::model::size_classes::SizeClass; 2] =
                pair.try_into().unwrap();
            one.wasted() >= other.wasted()
        };
        prop_assert!(view.classes.windows(2).all(in_order));
        for class in &view.classes {
            prop_assert!(class.allocated <= MOST && class.size > 0);
            prop_assert!(class.wasted().is_none_or(|wasted| wasted <= MOST));
            let used = class.utilisation();
            prop_assert!(used.is_none_or(|used| (0.0..=1.0).contains(&used)));
            let share = view.share(class);
            prop_assert!(share.is_none_or(|share| (0.0..=1.0).contains(&share)));
        }
        let totals = view.totals;
        for figure in [
            totals.allocated,
            totals.active,
            totals.metadata,
            totals.resident,
            totals.mapped,
            totals.retained,
            totals.dirty,
            totals.muzzy,
        ] {
            prop_assert!(figure.is_none_or(|figure| figure <= MOST));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_may_come(text in "\\PC{0,400}", lines in vec(word(), 0..60)) {
        let begun = "___ Begin jemalloc statistics ___\n";
        let end = "\n--- End jemalloc statistics ---\n";
        holds(&text)?;
        holds(&[begun, &text, end].concat())?;
        holds(&[begun, &lines.join("\n"), end].concat())?;
        holds(&[begun, &lines.join(" "), end].concat())?;
    }

    #[test]
    fn a_report_may_be_struck_anywhere(
        nth in any::<prop::sample::Index>(),
        blows in vec((any::<prop::sample::Index>(), blow()), 1..12),
    ) {
        holds(&struck(nth.get::<String>(known()), &blows))?;
    }

    /// What is cut tells nothing rather than a part of the sum.
    #[test]
    fn a_cut_report_has_no_sum(nth in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>()) {
        let text = nth.get::<String>(known());
        let end = text.rfind("--- End").unwrap() + "--- End jemalloc statistics".len();
        let cut = &text[..cut.index(end)];
        prop_assert!(MallocStats::parse(cut).is_err());
    }

    #[test]
    fn large_texts_need_no_large_memory(rows in 1usize..3000) {
        let head = "___ Begin jemalloc statistics ___\nPage size: 4096\narenas[0]:\n\
            bins:  size ind allocated curregs curslabs regs pgs\n";
        let mut text = String::from(head);
        for row in 1..=rows {
            text += &format!("{row} 0 0 0 0 1 1\n");
        }
        text += "--- End jemalloc statistics ---\n";
        let stats = MallocStats::parse(&text).unwrap();
        let bins = stats.arenas[0].bins.as_ref().map(Vec::len);
        prop_assert_eq!(bins, (rows <= 256).then_some(rows));
    }
}
