//! The checker's own tests: a good output passes, and each kind of violation
//! is caught, alone and for its own reason.
//!
//! For the test binary to include beside `support`.

use super::support::Checker;

const CHART: &str =
    "CHART 'rf_a.ratio' '' 'Ratio' 'ratio' 'fam' 'rf.ratio' line 70000 1 '' 'rf.plugin' 'redis'";

const GOOD: &str = "\
CHART 'rf_a.ratio' '' 'Ratio' 'ratio' 'fam' 'rf.ratio' line 70000 1 '' 'rf.plugin' 'redis'
CLABEL 'instance' 'a' 1
CLABEL_COMMIT
DIMENSION 'ratio' '' absolute 1 1000
DIMENSION 'limit' 'the_limit' incremental -1 1 'hidden'
VARIABLE CHART used_memory = 100000000
CHART 'rf_a.state' '' 'State' 'state' 'fam' 'rf.state' stacked 70001 1
DIMENSION 'on' 'on' absolute 1 1
BEGIN 'rf_a.ratio'
SET 'ratio' = 1500
SET 'limit' = -9223372036854775808
VARIABLE CHART used_memory = 2.5e8
END
BEGIN 'rf_a.state'
END
BEGIN 'rf_a.ratio' 1000123
SET 'ratio' = 1600
END
";

fn violations_of(version: &str, text: &str) -> Vec<String> {
    let mut checker = Checker::new(version);
    checker.feed_all(text);
    checker.finish();
    checker.violations().to_vec()
}

/// The lines after a chart with the dimension `ratio`.
#[track_caller]
fn caught(lines: &str, why: &str) {
    let prologue = format!("{CHART}\nDIMENSION 'ratio' '' absolute 1 1000\n");
    caught_alone("1.37.1", &format!("{prologue}{lines}\n"), why);
}

#[track_caller]
fn caught_alone(version: &str, text: &str, why: &str) {
    let violations = violations_of(version, text);
    assert!(
        violations.len() == 1 && violations[0].contains(why),
        "wanted '{why}' alone for\n{text}got {violations:#?}"
    );
}

#[track_caller]
fn accepted(version: &str, text: &str) {
    assert_eq!(violations_of(version, text), [""; 0], "for\n{text}");
}

#[test]
fn a_good_output_is_clean_and_understood() {
    let mut checker = Checker::new("1.37.1");
    checker.feed_all(GOOD);
    checker.assert_clean();
    assert_eq!(checker.charts(), ["rf_a.ratio", "rf_a.state"]);

    let chart = checker.chart("rf_a.ratio").expect("it was defined");
    assert_eq!(
        (chart.title.as_str(), chart.units.as_str()),
        ("Ratio", "ratio")
    );
    assert_eq!(
        (chart.family.as_str(), chart.context.as_str()),
        ("fam", "rf.ratio")
    );
    assert_eq!((chart.charttype.as_str(), chart.priority), ("line", 70000));
    assert_eq!(
        (chart.update_every, chart.blocks, chart.definitions),
        (1, 2, 1)
    );
    assert_eq!(chart.labels["instance"], "a");
    assert_eq!(chart.variables["used_memory"], 2.5e8);
    let dimensions: Vec<_> = chart
        .dimensions
        .iter()
        .map(|d| (d.id.as_str(), d.name.as_str(), d.multiplier, d.divisor))
        .collect();
    assert_eq!(
        dimensions,
        [("ratio", "ratio", 1, 1000), ("limit", "the_limit", -1, 1)]
    );

    assert_eq!(checker.values("rf_a.ratio", "ratio"), [1500, 1600]);
    assert_eq!(checker.values("rf_a.ratio", "limit"), [i64::MIN]);
    assert_eq!(checker.last("rf_a.ratio", "ratio"), Some(1600));
    assert_eq!(checker.last("rf_a.ratio", "limit"), None);
    assert_eq!(chart.shown("ratio"), Some(1.6));
    assert_eq!(checker.begins("rf_a.ratio"), [None, Some(1_000_123)]);
    assert_eq!(checker.values("rf_a.none", "ratio"), [0; 0]);
    assert_eq!(checker.count("BEGIN"), 3);
}

#[test]
fn an_open_block_is_not_yet_counted() {
    let mut checker = Checker::new("1.37.1");
    checker.feed_all(GOOD);
    checker.feed("BEGIN 'rf_a.ratio' 1000000");
    checker.feed("SET 'ratio' = 7");
    assert_eq!(checker.last("rf_a.ratio", "ratio"), Some(1600));
    checker.feed("END");
    assert_eq!(checker.last("rf_a.ratio", "ratio"), Some(7));
}

#[test]
fn keywords_of_other_versions() {
    caught("WHAT 'x'", "unknown keyword WHAT");
    caught("chart 'x'", "unknown keyword chart");
    caught("'CHART' x", "begins with a keyword");
    let config = "CONFIG rf:redis create accepted template /c internal internal \"add\" 0 0\n\
                  CONFIG rf:redis:a create accepted job /c user \"f=x\" \"get enable\" 0 0\n\
                  CONFIG rf:redis:a status running\nCONFIG rf:redis:a delete\n";
    let host = "HOST_DEFINE '8f3a1c52-5a34-4c0e-9b5e-3c1f2f6d7a10' 'cache-01'\n\
                HOST_LABEL 'role' 'cache'\nHOST_DEFINE_END\n\
                HOST '8f3a1c52-5a34-4c0e-9b5e-3c1f2f6d7a10'\nHOST ''\n";
    let first = config.split_inclusive('\n').next().unwrap();
    caught_alone("1.37.1", first, "1.37 does not know CONFIG");
    caught_alone("1.44.3", first, "1.44 does not know CONFIG");
    accepted("1.45.0", config);
    caught_alone("1.37.1", "HOST ''\n", "1.37 does not know HOST");
    accepted("v2.10.0", config);
    accepted("2.10.0-5-nightly", host);
    caught_alone("2.10.0", "HOST 'x'\n", "no HOST_DEFINE");
    caught_alone(
        "2.10.0",
        "CONFIG rf:redis make\n",
        "no create, status or delete",
    );
    caught_alone(
        "2.10.0",
        "CONFIG rf:redis create running\n",
        "a create has 10",
    );
}

#[test]
fn dynamic_configuration_that_an_agent_refuses() {
    for (line, why) in [
        (
            "CONFIG rf:a create accepted job /c user f \"get\" 0 0",
            "without a template",
        ),
        (
            "CONFIG 'rf a' create accepted template /c user f \"add\" 0 0",
            "invalid",
        ),
        (
            "CONFIG rf:a create running template /c user f \"add get\" 0 0",
            "no data",
        ),
        (
            "CONFIG rf:a create running template /c user f \"get\" 0 0",
            "add is for",
        ),
        (
            "CONFIG rf:a create well template /c user f \"add\" 0 0",
            "no status",
        ),
        (
            "CONFIG rf:a create running template /c me f \"add\" 0 0",
            "no source type",
        ),
        (
            "CONFIG rf:a create running template /c user f \"add dance\" 0 0",
            "no command",
        ),
        ("CONFIG rf:a status running", "no configuration rf:a"),
        ("CONFIG rf:a delete", "no configuration rf:a"),
        ("CONFIG rf:a status", "fields in a status"),
    ] {
        caught_alone("2.10.0", &format!("{line}\n"), why);
    }
}

#[test]
fn charts_of_two_hosts_are_two() {
    let mut checker = Checker::new("2.10.0");
    checker.feed_all(&format!(
        "{CHART}\nHOST_DEFINE '8f3a1c52-5a34-4c0e-9b5e-3c1f2f6d7a10' 'b'\nHOST_DEFINE_END\n\
         HOST '8f3a1c52-5a34-4c0e-9b5e-3c1f2f6d7a10'\n"
    ));
    checker.feed("BEGIN 'rf_a.ratio'");
    assert!(checker.violations()[0].contains("no CHART"));
}

#[test]
fn quotes_and_blanks() {
    caught("SET 'ratio = 1", "a quote is not closed");
    caught("BEGIN rf'a", "a quote within a word");
    caught("BEGIN 'rf_a'x", "a quote within a word");
    caught("BEGIN \"rf_a.ratio\"", "double quotes");
    caught("VARIABLE CHART 'it\"s' = 1", "a quote in");
    caught("BEGIN  'rf_a.ratio'", "a stray blank");
    caught("BEGIN 'rf_a.ratio' ", "a blank at the end");
    caught("BEGIN\t'rf_a.ratio'", "control character '\\t'");
    caught("BEGIN 'rf_a.ratio'\r", "control character '\\r'");
    caught("BEGIN 'rf\\_a.ratio'", "backslash");
    caught("BEGIN 'rf_a\u{fffd}'", "UTF-8");
    caught("BEGIN rf_a.ratio =", "'=' outside quotes");
    caught("", "an empty line");
    caught(
        &format!("CLABEL 'a' '{}' 1", "x".repeat(15_000)),
        "too long",
    );
    caught_alone("1.37.1", "DISABLE", "middle of a line");
}

#[test]
fn charts() {
    let broken = |from: &str, to: &str, why: &str| {
        let chart = CHART.replace(from, to);
        assert_ne!(chart, CHART, "{from} is not in the chart");
        caught_alone("1.37.1", &format!("{chart}\n"), why);
    };
    broken("rf_a.ratio", "rf_a", "is not type.id");
    broken("rf_a.ratio", "rf.a.ratio", "is not type.id");
    broken("rf_a.ratio", ".ratio", "is not type.id");
    broken("rf_a.ratio", "rf a.ratio", "' ' in the chart id");
    broken("rf_a.ratio", "rf_ä.ratio", "'ä' in the chart id");
    broken(
        "'rf_a.ratio'",
        &format!("'a.{}'", "b".repeat(200)),
        "is cut",
    );
    broken("'Ratio'", "''", "an empty title");
    broken("'ratio'", "''", "an empty unit");
    broken("'fam'", "' '", "an empty family");
    broken("rf.ratio", "rf-ratio", "in the context");
    broken("rf.ratio", "ratio", "not the form a.b");
    broken(" line ", " heatmap ", "chart type");
    broken(" line ", " 'Line' ", "chart type");
    broken("70000", "7e4", "not an integer");
    broken(" 1 ''", " 0 ''", "not positive");
    broken(" 1 ''", " 0.5 ''", "not an integer");
    broken(" 1 '' ", " 1 'gone' ", "chart option");
    broken("'redis'", "'redis' 'more'", "at most 12");
    caught_alone(
        "1.37.1",
        "CHART 'a.b' '' 'T' 'u' 'f' 'c.d' line 1\n",
        "at least 9",
    );
}

#[test]
fn a_chart_redefined() {
    accepted("1.37.1", &format!("{CHART}\n{CHART}\n"));
    let other = CHART.replace("rf.ratio", "rf.other");
    caught_alone(
        "1.37.1",
        &format!("{CHART}\n{other}\n"),
        "the context was 'rf.ratio'",
    );
    let other = CHART.replace(" line ", " area ");
    caught_alone(
        "1.37.1",
        &format!("{CHART}\n{other}\n"),
        "the chart type was 'line'",
    );
    let gone = CHART.replace(" 1 ''", " 1 'obsolete'");
    caught_alone(
        "1.37.1",
        &format!("{gone}\nBEGIN 'rf_a.ratio'\nEND\n"),
        "is obsolete",
    );
    caught_alone(
        "1.37.1",
        &format!("{CHART}\nBEGIN 'rf_a.ratio'\nEND\n{gone}\n{CHART}\nBEGIN 'rf_a.ratio' 5\nEND\n"),
        "microseconds the first time",
    );
}

#[test]
fn dimensions() {
    caught_alone(
        "1.37.1",
        "DIMENSION 'a' '' absolute 1 1\n",
        "DIMENSION within no chart",
    );
    caught("DIMENSION 'ratio' '' absolute 1 1", "is there already");
    caught(
        "DIMENSION 'b' 'ratio' absolute 1 1",
        "a dimension named 'ratio'",
    );
    caught("DIMENSION 'b' '' average 1 1", "algorithm");
    caught(
        "DIMENSION 'b' '' absolute 1.5 1",
        "the multiplier '1.5' is not an integer",
    );
    caught("DIMENSION 'b' '' absolute 1 0", "divisor of 0");
    caught("DIMENSION 'b' '' absolute 1", "at least 5");
    caught("DIMENSION 'b' '' absolute 1 1 'x'", "dimension option");
    caught("DIMENSION 'b c' '' absolute 1 1", "' ' in the dimension id");
    caught("DIMENSION '' '' absolute 1 1", "an empty dimension id");
}

#[test]
fn labels() {
    caught("CLABEL 'a' 'b'", "a CLABEL has 3");
    caught("CLABEL 'a' 'b' 7", "label source");
    caught("CLABEL 'a' 'b c' 1", "' ' in the label value");
    caught("CLABEL 'a' '' 1", "an empty label value");
    caught("CLABEL 'ä' 'b' 1", "in the label name");
    caught("CLABEL_COMMIT", "without a CLABEL");
    caught("CLABEL 'a' 'b' 1\nCLABEL 'a' 'c' 1", "is there already");
    caught(
        "CLABEL 'a' 'b' 1\nBEGIN 'rf_a.ratio'",
        "lack their CLABEL_COMMIT",
    );
    caught_alone("1.37.1", "CLABEL 'a' 'b' 1\n", "CLABEL within no chart");
}

#[test]
fn variables() {
    caught("VARIABLE CHART a = nan", "not a finite number");
    caught("VARIABLE CHART a = inf", "not a finite number");
    caught("VARIABLE CHART a =", "no value");
    caught("VARIABLE CHART a 1", "name = value");
    caught("VARIABLE CHART = 1", "scope");
    caught("VARIABLE a = 1", "scope");
    caught("VARIABLE EVERY a = 1", "scope");
    caught("VARIABLE CHART a-b = 1", "'-' in the variable name");
    caught("VARIABLE CHART a = '1'", "no quotes");
    caught("VARIABLE CHART a=1", "no blank between");
    caught_alone(
        "1.37.1",
        "VARIABLE CHART a = 1\n",
        "a chart's VARIABLE within no chart",
    );
    accepted("1.37.1", "VARIABLE HOST a = 1\n");
}

#[test]
fn blocks() {
    let block = |lines: &str, why: &str| caught(&format!("BEGIN 'rf_a.ratio'\n{lines}\nEND"), why);
    caught("BEGIN 'rf_a.none'", "no CHART 'rf_a.none'");
    caught(
        "BEGIN 'rf_a.ratio' 1000000\nEND",
        "microseconds the first time",
    );
    caught(
        "BEGIN 'rf_a.ratio'\nEND\nBEGIN 'rf_a.ratio' 0",
        "not positive",
    );
    caught(
        "BEGIN 'rf_a.ratio'\nEND\nBEGIN 'rf_a.ratio' -5",
        "not positive",
    );
    caught(
        "BEGIN 'rf_a.ratio'\nEND\nBEGIN 'rf_a.ratio' 1.5",
        "not an integer",
    );
    caught(
        "BEGIN 'rf_a.ratio'\nEND\nBEGIN 'rf_a.ratio' 1 2",
        "has 1 or 2",
    );
    caught("BEGIN 'rf_a.ratio'", "ends within a BEGIN…END block");
    block("BEGIN 'rf_a.ratio'", "is still open");
    block("SET 'none' = 1", "has no dimension 'none'");
    block("SET 'ratio' = 1\nSET 'ratio' = 2", "a second SET");
    block("SET 'ratio' = 1.5", "not an integer");
    block("SET 'ratio' = nan", "not an integer");
    block("SET 'ratio' = +1", "not an integer");
    block("SET 'ratio' =", "no value");
    block("SET 'ratio' 1", "name = value");
    block("SET 'ratio' = 9223372036854775808", "does not fit");
    block(CHART, "not allowed within a BEGIN");
    block("DIMENSION 'b' '' absolute 1 1", "DIMENSION within a BEGIN");
    block("CLABEL 'a' 'b' 1", "CLABEL within a BEGIN");
    caught("SET 'ratio' = 1", "SET within a chart's definition");
    caught("END", "END within");
    caught("BEGIN 'rf_a.ratio'\nEND 1\nEND", "END has no fields");
    caught(
        "BEGIN 'rf_a.ratio'\nEND\nDIMENSION 'b' '' absolute 1 1",
        "DIMENSION within no chart",
    );
    caught("FLUSH", "FLUSH within");
    caught("DISABLE\nDISABLE", "after DISABLE");
    accepted(
        "1.37.1",
        &format!("{CHART}\nBEGIN 'rf_a.ratio'\nFLUSH\nDISABLE\n"),
    );
}

#[test]
fn functions() {
    let register = "FUNCTION GLOBAL \"redis-frag:x\" 10 \"what's up\" \"top\" \"any\" 100 3\n";
    let answer = "FUNCTION_RESULT_BEGIN 12ab 200 application/json 1795444131\n\
                  {\"a\": \"it's = \\n\"}\n\nFUNCTION_RESULT_END\n";
    accepted("2.10.0", &format!("{register}{answer}"));
    accepted("1.37.1", &format!("{register}{answer}"));
    let body = format!("{}\n", "x".repeat(20_000));
    let long = answer.replace("{\"a\"", &format!("{body}{{\"a\""));
    accepted("2.10.0", &long);
    caught_alone("1.37.1", &long, "too long");
    caught_alone(
        "2.10.0",
        "FUNCTION GLOBAL \"x\" soon \"h\"\n",
        "not an integer",
    );
    caught_alone(
        "2.10.0",
        "FUNCTION_RESULT_END\n",
        "no function's answer is open",
    );
    caught_alone(
        "2.10.0",
        "FUNCTION_RESULT_BEGIN 1 2 a/b 3\nFUNCTION_RESULT_END\n",
        "no status code",
    );
    caught_alone(
        "2.10.0",
        "FUNCTION_RESULT_BEGIN 1 200 a/b 3\n",
        "ends within a function's answer",
    );
    for (line, what) in [
        ("BEGIN 'rf_a.ratio'", "a BEGIN within an answer"),
        ("\"SET\" x", "a SET within an answer"),
        ("  FUNCTION_RESULT_END 1", "a FUNCTION_RESULT_END within"),
    ] {
        let torn = answer.replace("{\"a\"", &format!("{line}\n{{\"a\""));
        caught_alone("2.10.0", &torn, what);
    }
    let progress = "FUNCTION_PROGRESS 12ab 0 1\n";
    accepted("1.45.0", progress);
    caught_alone("1.44.0", progress, "does not know");
    caught(
        &format!("BEGIN 'rf_a.ratio'\n{}", answer.trim_end()),
        "not allowed within a BEGIN",
    );
}

#[test]
#[should_panic(expected = "a log tells secrets")]
fn a_secret_that_is_told_is_noticed() {
    crate::support::secrets::note_command(&["ACL", "SETUSER", "x", ">told-to-all"]);
    crate::support::secrets::assert_none("password told-to-all", "a log");
}

#[test]
fn a_secret_is_noted_however_a_configuration_writes_it() {
    use crate::support::secrets;

    for (config, secret) in [
        ("  password: noted-alone\n", "noted-alone"),
        ("  password: 'noted-quoted'\n", "noted-quoted"),
        ("- {name: a, password: noted-last}\n", "noted-last"),
        ("- {password: noted-first, name: a}\n", "noted-first"),
        ("- {password: \"noted-both\", name: a}\n", "noted-both"),
        (
            "- {sentinel: {password: noted-in}, password: x}\n",
            "noted-in",
        ),
        (
            "- {password: x, sentinel: {password: noted-on}}\n",
            "noted-on",
        ),
        ("  address: redis://me:noted-of-url@host\n", "noted-of-url"),
    ] {
        let line = format!("it says {secret}, which is none of its business");
        assert_eq!(secrets::told(&line), [""; 0], "{config}");
        secrets::note_config(config);
        assert_eq!(secrets::told(&line), [secret], "{config}");
    }
    secrets::note_config("- {password: '${file:/run/secret}'}\n- {password: ${env:NOTED_NOT}}\n");
    assert_eq!(
        secrets::told("${file:/run/secret} ${env:NOTED_NOT}"),
        [""; 0]
    );
}

/// Of a run whose lines are not kept, too.
#[test]
#[should_panic(expected = "the plugin's output tells secrets: [\"told-to-listener\"]")]
fn a_secret_is_noticed_where_nobody_keeps_the_lines() {
    use crate::support::{PluginRun, secrets};

    secrets::note("told-to-listener");
    let mut run = PluginRun::builder(std::path::Path::new("/bin/echo"))
        .arg("# told-to-listener")
        .listener(|_| {})
        .start();
    run.wait_exit(std::time::Duration::from_secs(20)).unwrap();
    assert_eq!(run.lines().len(), 0);
}
