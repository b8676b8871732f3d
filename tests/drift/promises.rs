//! The table of promises in docs: each row names tests that are there and run, and the
//! figures it tells are the code's.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use redis_frag::netdata::queue::{MOST_ANSWERS, MOST_DEFINITIONS, MOST_LATE, MOST_WAITING};

use super::{project_file, rows};

/// What is promised, and the names in backticks behind it.
fn promises() -> Vec<(String, Vec<String>)> {
    let section = project_file("docs/promises.md");
    let [title, line, table @ ..] = &rows(&section, "")[..] else {
        panic!("no table of promises");
    };
    assert_eq!(title[1], "held by");
    assert!(line[1].starts_with("---"));
    let promise = |row: &Vec<String>| {
        let [promise, held_by] = &row[..] else {
            panic!("a row of two: {row:?}");
        };
        let names = held_by.split('`').skip(1).step_by(2).map(str::to_owned);
        (promise.clone(), names.collect())
    };
    table.iter().map(promise).collect()
}

/// The tests that a file has and runs: functions with `#[test]` on one of the lines right
/// before, among other attributes and comments, and without `#[ignore]`.
///
/// Those whose names a macro makes are none of these, nor are properties (`proptest!`),
/// whose functions take arguments: a promise must name one that stands there.
fn tests(code: &str) -> BTreeSet<&str> {
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    let mut found = BTreeSet::new();
    for (number, line) in lines.iter().enumerate() {
        let name = line
            .strip_prefix("fn ")
            .and_then(|rest| rest.split_once('('))
            .filter(|(_, arguments)| arguments.starts_with(')'));
        let Some((name, _)) = name else {
            continue;
        };
        let before = lines[..number].iter().rev();
        let belongs = |line: &&&str| !line.is_empty() && !line.ends_with(['}', '{', ';']);
        let before: Vec<&str> = before.take_while(belongs).copied().collect();
        let ignored = before.iter().any(|line| line.starts_with("#[ignore"));
        if before.contains(&"#[test]") && !ignored {
            found.insert(name);
        }
    }
    found
}

#[test]
fn what_is_a_test_and_runs_is_told_from_what_does_not() {
    let code = "\
#[test]
fn plain() {}

/// Words.
#[test]
// Why.
#[should_panic(
    expected = \"x\"
)]
fn among_attributes() {}

#[ignore = \"slow\"]
#[test]
fn ignored() {}
#[test]
#[ignore]
fn ignored_too() {}
fn helper() {}

mod tests {
    #[test]
    fn within() {
        inner();
    }
}
#[test] fn $name() { replay(); }
#[test]
fn property(x in any()) {}
#[test]
fn of_another() {}
fn behind_a_test() {}
";
    let wanted = ["among_attributes", "of_another", "plain", "within"];
    assert_eq!(tests(code).into_iter().collect::<Vec<_>>(), wanted);
}

/// Every test of the project that runs.
fn all_tests() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = BTreeSet::new();
    let mut folders = vec![root.join("src"), root.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let code = fs::read_to_string(&path).unwrap();
                all.extend(tests(&code).into_iter().map(str::to_owned));
            }
        }
    }
    all
}

/// The tests by which a newcomer is told what is missing.
#[test]
fn contributing_names_tests_that_are_there() {
    let all = all_tests();
    let text = project_file("CONTRIBUTING.md");
    let named = text.split('`').skip(1).step_by(2);
    let named: Vec<&str> = named.filter(|name| name.matches('_').count() > 4).collect();
    assert!(named.len() > 5, "{named:?}");
    for name in named {
        assert!(all.contains(name), "no test {name} that runs");
    }
}

#[test]
fn every_promise_names_the_tests_that_hold_it() {
    let all = all_tests();
    let promises = promises();
    assert!(promises.len() > 15, "{promises:?}");
    for (promise, names) in promises {
        assert!(!names.is_empty(), "nothing holds {promise:?}");
        for name in names {
            assert!(all.contains(&name), "no test {name} that runs: {promise:?}");
        }
    }
}

/// How much waits for an agent that does not read, and for how long.
#[test]
fn the_promises_have_the_bounds_of_what_waits() {
    let of = |bytes: usize| {
        assert_eq!(bytes % (1 << 20), 0, "{bytes} are no whole MiB");
        format!("{} MiB of", bytes >> 20)
    };
    let bytes = format!(
        "At most {} values, {} definitions and {} answers wait",
        of(MOST_WAITING),
        of(MOST_DEFINITIONS),
        of(MOST_ANSWERS.0)
    );
    let numbers = ["no", "one", "two", "three", "four", "five", "six", "seven"];
    let late = numbers[usize::try_from(MOST_LATE).unwrap()];
    let age = format!("no older than {late} of their intervals");
    let tells = |promise: &str| promise.contains(&bytes) && promise.contains(&age);
    let told = promises().iter().filter(|(row, _)| tells(row)).count();
    assert_eq!(told, 1, "{bytes:?} and {age:?}");
}
