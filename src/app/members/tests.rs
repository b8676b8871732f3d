//! Courses of views, each with what follows from it.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

/// `a:1` a primary, `a:1<p` a replica of p, `!` failed, `@` without a place; slots
/// behind a space.
/// No name is taken.
fn nobody() -> Taken {
    Box::new(|_| false)
}

fn member(word: &str) -> Member {
    let (who, slots) = word.split_once(' ').unwrap_or((word, ""));
    let (who, primary) = who
        .split_once('<')
        .map_or((who, None), |(w, p)| (w, Some(p)));
    let healthy = !who.ends_with('!');
    let (id, port) = who.trim_end_matches('!').split_once(':').unwrap();
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap();
        (first.parse().unwrap(), last.parse().unwrap())
    };
    Member {
        id: id.to_owned(),
        node_id: Some(id.to_owned()),
        place: port.parse().ok().and_then(|port| Place::new("h", port)),
        role: primary.map_or(Role::Primary, |_| Role::Replica),
        primary: primary.map(str::to_owned),
        shard: None,
        slots: slots.split_whitespace().map(range).collect(),
        healthy,
    }
}

fn view(words: &[&str]) -> Vec<Member> {
    words.iter().map(|word| member(word)).collect()
}

fn told(steps: Vec<Step>) -> Vec<String> {
    let labels = |labels: &Labels| format!("{} {}", labels["role"], labels["shard"]);
    let step = |step| match step {
        Step::End(id) => format!("end {id}"),
        Step::Relabel(id, to) => format!("{id} is {}", labels(&to)),
        Step::Start(start) => {
            let quiet = if start.quiet { " quietly" } else { "" };
            format!(
                "start {} as {}, {}{quiet}",
                start.id,
                start.name,
                labels(&start.labels)
            )
        }
    };
    steps.into_iter().map(step).collect()
}

fn members() -> Members {
    Members::new(
        "c",
        &Labels::from([("team".to_owned(), "x".to_owned())]),
        nobody(),
    )
}

const WHOLE: &[&str] = &["a:1 0-99", "b:2 100-199 300-399", "r:3<a", "s:4<b"];

/// Each view with what follows from it.
#[track_caller]
fn follows(course: &[(&[&str], &[&str])]) {
    let mut members = members();
    for (number, (words, want)) in course.iter().enumerate() {
        assert_eq!(
            told(members.see(&view(words))),
            *want,
            "view {number}: {words:?}"
        );
    }
}

const STARTS: &[&str] = &[
    "start a as c_h_1, primary 0-99",
    "start b as c_h_2, primary 100-199+",
    "start r as c_h_3, replica 0-99",
    "start s as c_h_4, replica 100-199+",
];

#[test]
fn a_failover_and_the_way_back_change_labels_alone() {
    follows(&[
        (WHOLE, STARTS),
        (WHOLE, &[]),
        (&["a:1! 0-99", "b:2 100-399", "r:3<a", "s:4<b"], &[]),
        (
            &["a:1!", "b:2 100-399", "r:3 0-99", "s:4<b"],
            &["r is primary 0-99"],
        ),
        (
            &["a:1<r", "b:2 100-399", "r:3 0-99", "s:4<b"],
            &["a is replica 0-99"],
        ),
    ]);
}

#[test]
fn slots_that_move_change_nothing_and_a_replica_goes_with_its_primary() {
    follows(&[
        (WHOLE, STARTS),
        (&["a:1", "b:2 0-399", "r:3<a", "s:4<b"], &[]),
        (
            &["a:1 0-1", "b:2 2-399", "r:3<b", "s:4<b"],
            &["r is replica 100-199+"],
        ),
    ]);
}

#[test]
fn one_that_joins_gets_its_shard_when_it_has_one() {
    follows(&[
        (&["a:1 0-99"], &["start a as c_h_1, primary 0-99"]),
        (&["a:1 0-99", "n:5"], &["start n as c_h_5, primary none"]),
        (&["a:1 0-99", "n:5<a"], &["n is replica 0-99"]),
        (
            &["a:1 0-99", "n:5<a", "m:6"],
            &["start m as c_h_6, primary none"],
        ),
        (&["a:1 0-49", "n:5<a", "m:6 50-99"], &["m is primary 50-99"]),
    ]);
}

#[test]
fn three_views_without_it_end_a_member() {
    let rest: &[&str] = &["a:1 0-99", "b:2 100-199 300-399", "r:3<a"];
    follows(&[
        (WHOLE, STARTS),
        (rest, &[]),
        (rest, &[]),
        (WHOLE, &[]),
        (rest, &[]),
        (rest, &[]),
        (rest, &["end s"]),
        (rest, &[]),
        (WHOLE, &["start s as c_h_4, replica 100-199+"]),
    ]);
}

#[test]
fn who_moves_is_ended_and_begun_anew_and_who_has_no_address_stays() {
    follows(&[
        (
            &["a:1 0-99", "b:2!", "x:@"],
            &[
                "start a as c_h_1, primary 0-99",
                "start b as c_h_2, primary none quietly",
            ],
        ),
        (
            &["a:9 0-99", "b:@!", "x:3"],
            &[
                "end a",
                "start a as c_h_9, primary 0-99",
                "start x as c_h_3, primary none",
            ],
        ),
    ]);
}

#[test]
fn a_node_that_lost_its_id_is_watched_once() {
    follows(&[
        (
            &["a:1 0-99", "old:2<a"],
            &[
                "start a as c_h_1, primary 0-99",
                "start old as c_h_2, replica 0-99",
            ],
        ),
        (&["a:1 0-99", "old:2!<a"], &[]),
        (
            &["a:1 0-99", "new:2<a", "old:2!<a"],
            &["end old", "start new as c_h_2, replica 0-99"],
        ),
        (&["a:1 0-99", "old:2!<a", "new:2!<a"], &[]),
        (&["a:1 0-99", "new:2<a"], &[]),
    ]);
}

#[test]
fn whose_place_another_has_is_watched_no_more_though_its_own_is_not_told() {
    follows(&[
        (&["a:1 0-99"], &["start a as c_h_1, primary 0-99"]),
        (
            &["a:@!", "new:1"],
            &["end a", "start new as c_h_1, primary none"],
        ),
        (&["new:1"], &[]),
    ]);
    follows(&[
        (&["a:1 0-99"], &["start a as c_h_1, primary 0-99"]),
        (&["new:1"], &["end a", "start new as c_h_1, primary none"]),
        (&["a:2 0-99", "new:1"], &["start a as c_h_2, primary 0-99"]),
    ]);
}

#[test]
fn names_fit_for_charts_stay_apart_however_long() {
    let mut members = Members::new(&"j".repeat(100), &Labels::new(), nobody());
    let hosts = ["a.b", "a_b", "x"];
    let view: Vec<Member> = (hosts.iter().zip(10..))
        .map(|(host, port)| Member {
            id: (*host).to_owned(),
            place: Place::new(host, port.min(11)),
            ..member("a:1")
        })
        .collect();
    let names: BTreeSet<String> = (members.see(&view).into_iter())
        .map(|step| match step {
            Step::Start(start) => start.name,
            other => panic!("{other:?}"),
        })
        .collect();
    let head = "j".repeat(97);
    let want = [
        format!("{head}_10"),
        format!("{head}_11"),
        format!("{}_11_2", "j".repeat(95)),
    ];
    assert_eq!(names, BTreeSet::from(want));
}

#[test]
fn a_name_that_somebody_else_has_is_left_to_him() {
    let taken: Taken = Box::new(|name| name == "c_h_1");
    let mut members = Members::new("c", &Labels::new(), taken);
    let steps = members.see(&view(&["a:1 7-7"]));
    assert!(matches!(&steps[..], [Step::Start(start)] if start.name == "c_h_1_2"));
}

#[test]
fn our_labels_go_before_the_operator_s() {
    let own = [("team", "x"), ("role", "cache")];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut members = Members::new("c", &Labels::from(own), nobody());
    let steps = members.see(&view(&["a:1 7-7"]));
    let [Step::Start(start)] = &steps[..] else {
        panic!("{steps:?}");
    };
    let want = [
        ("node_id", "a"),
        ("role", "primary"),
        ("shard", "7-7"),
        ("team", "x"),
    ];
    let want = want.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(start.labels, Labels::from(want));
}

#[test]
fn the_view_of_one_that_is_cut_off_counts_less() {
    let mut members = members();
    let whole = view(WHOLE);
    assert!(!members.has_left(&view(&["a:1"])) && !members.doubts(&whole));
    let _ = members.see(&whole);
    assert!(!members.doubts(&whole));
    for words in [
        &["a:1 0-99", "b:2 100-199", "r:3<a"][..],
        &["a:1 0-99", "b:2!", "r:3!<a", "s:4!<b"],
    ] {
        let less = view(words);
        assert!(members.doubts(&less), "{words:?}");
        assert!(members.weight(&less) < members.weight(&whole), "{words:?}");
    }
    assert!(members.has_left(&view(&["s:4"])), "it was reset");
    assert!(
        !members.has_left(&view(&["a:1 0-399"])),
        "the last one of its cluster"
    );
}

/// Any member of a small world, where ids meet again at other places.
fn anybody() -> impl Strategy<Value = Member> {
    let primary = prop::option::of(0..6u8);
    let place = prop::option::of(1..6u16);
    let slots = prop::option::of(0..4u16);
    (0..6u8, place, primary, slots, any::<bool>()).prop_map(
        |(id, port, primary, slots, healthy)| Member {
            id: format!("n{id}"),
            place: port.and_then(|port| Place::new("h", port)),
            role: primary.map_or(Role::Primary, |_| Role::Replica),
            primary: primary.map(|id| format!("n{id}")),
            slots: slots.map(|first| (first, first + 9)).into_iter().collect(),
            healthy,
            ..member("a:1")
        },
    )
}

/// A view names everybody once.
fn any_view() -> impl Strategy<Value = Vec<Member>> {
    prop::collection::vec(anybody(), 0..8).prop_map(|mut view| {
        let mut seen = HashSet::new();
        view.retain(|member| seen.insert(member.id.clone()));
        view
    })
}

proptest! {
    /// Whatever is told: nobody is begun twice or ended without a watch, and no two
    /// watches share a name or lead to one place.
    #[test]
    fn nobody_is_ever_watched_twice(course in prop::collection::vec(any_view(), 1..12)) {
        let mut members = members();
        let mut running: BTreeMap<String, (String, Place)> = BTreeMap::new();
        for view in course {
            for step in members.see(&view) {
                match step {
                    Step::End(id) => prop_assert!(running.remove(&id).is_some()),
                    Step::Relabel(id, _) => prop_assert!(running.contains_key(&id)),
                    Step::Start(start) => {
                        let watch = (start.name, start.place);
                        prop_assert!(running.values().all(|(name, _)| *name != watch.0));
                        prop_assert!(running.insert(start.id, watch).is_none());
                    }
                }
            }
            let places: Vec<&Place> = running.values().map(|(_, place)| place).collect();
            prop_assert_eq!(places.iter().collect::<HashSet<_>>().len(), places.len());
        }
    }
}
