//! Whether each second that is missing is explained by what was done to the instance,
//! and whether anything was shown that could not be known.

use std::time::Duration;

use crate::course::Spell;

/// A value that is due may be this late; a fault that comes until then may keep it away.
const LATE: Duration = Duration::from_millis(700);
/// Values are right again within two seconds, and what is due then may be late too.
const BACK_WITHIN: Duration = Duration::from_millis(2700);
/// What was on its way when a fault began has come by then.
const ON_ITS_WAY: Duration = Duration::from_millis(700);

/// Missing seconds of one instance, by whether they are explained.
#[derive(Debug, Default)]
pub struct Missing {
    pub explained: usize,
    pub unexplained: Vec<String>,
    /// Values that came while none could be had.
    pub stale: Vec<String>,
}

/// Goes through the times at which values came, up to `end`.
pub fn missing(came: &[Duration], spells: &[&Spell], end: Duration) -> Missing {
    let mut missing = Missing::default();
    let second = Duration::from_secs(1);
    for (number, last) in came.iter().enumerate() {
        let next = came.get(number + 1).copied().unwrap_or(end);
        let mut due = *last + second;
        while due + LATE < next {
            let why = spells.iter().find(|spell| {
                spell.from <= due + LATE && due <= spell.to.saturating_add(BACK_WITHIN)
            });
            match why {
                Some(_) => missing.explained += 1,
                None => missing.unexplained.push(format!(
                    "nothing from {last:.1?} to {next:.1?}, faults {:?}",
                    near(spells, *last, next)
                )),
            }
            due += second;
        }
        let stale = |spell: &&&Spell| spell.from + ON_ITS_WAY < *last && *last < spell.held;
        if let Some(spell) = spells.iter().find(stale) {
            missing
                .stale
                .push(format!("a value at {last:.1?} in {}", told(spell)));
        }
    }
    missing
}

/// Faults of about that time.
fn near(spells: &[&Spell], from: Duration, to: Duration) -> Vec<String> {
    let span = Duration::from_secs(20);
    let near = |spell: &&&Spell| spell.to.saturating_add(span) > from && spell.from < to + span;
    spells
        .iter()
        .filter(near)
        .map(|spell| told(spell))
        .collect()
}

fn told(spell: &Spell) -> String {
    format!("{} {:.1?} to {:.1?}", spell.what, spell.from, spell.to)
}

#[test]
fn what_is_missing_without_a_reason_is_found() {
    let seconds = |list: &[u64]| {
        list.iter()
            .map(|s| Duration::from_secs(*s))
            .collect::<Vec<_>>()
    };
    let spell = |from, to| Spell {
        job: 0,
        what: "refused",
        from: Duration::from_secs(from),
        held: Duration::from_secs(to),
        to: Duration::from_secs(to),
    };
    let end = Duration::from_secs(12);
    let found = |came: &[u64], spell: &Spell| {
        let missing = missing(&seconds(came), &[spell], end);
        (
            missing.explained,
            missing.unexplained.len(),
            missing.stale.len(),
        )
    };
    let all: Vec<u64> = (0..12).collect();
    assert_eq!(found(&all, &spell(20, 30)), (0, 0, 0));
    assert_eq!(
        found(&[0, 1, 2, 6, 7, 8, 9, 10, 11], &spell(3, 5)),
        (3, 0, 0)
    );
    assert_eq!(
        found(&[0, 1, 2, 6, 7, 8, 9, 10, 11], &spell(8, 9)),
        (0, 3, 0)
    );
    assert_eq!(found(&[0, 1, 2, 8, 9, 10, 11], &spell(3, 4)), (4, 1, 0));
    assert_eq!(found(&all, &spell(3, 6)), (0, 0, 2));
    assert_eq!(found(&[0, 1, 2, 3, 4, 5, 6], &spell(2, 2)), (0, 5, 0));
}
