//! README and docs against the tables: every chart, verdict, alert, function, risk, family
//! and permission is listed, in order, and every link leads somewhere.
//!
//! The guide has tests of its own: `tests/guide.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use redis_frag::model::charts::CHARTS;
use redis_frag::model::families::{ALWAYS, FAMILIES};
use redis_frag::model::risks;
use redis_frag::model::verdict::Verdict;
use redis_frag::netdata::functions::{DIAGNOSIS, FUNCTIONS};
use redis_frag::source::permissions::{FOLLOWING, LINES, RULES, WITHOUT_ACL};

use super::{chart_of, project_file, rows};
use crate::support::health::templates;

/// The lines of a table, from the one behind its head on.
fn table(text: &str, head: &str) -> Vec<Vec<String>> {
    let (_, rest) = text
        .split_once(head)
        .unwrap_or_else(|| panic!("no table {head:?}"));
    let lines: Vec<&str> = rest
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .collect();
    let listed = rows(&lines.join("\n"), "");
    assert!(listed[0][0].starts_with("---"), "{head}");
    listed[1..].to_vec()
}

/// A cell that is a link: its text, and where it leads.
fn link(cell: &str) -> (&str, &str) {
    let inner = cell
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(')'));
    let pair = inner.and_then(|inner| inner.split_once("]("));
    pair.unwrap_or_else(|| panic!("{cell} is no link"))
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

#[test]
fn the_readme_lists_every_family_with_its_charts() {
    let listed: Vec<(String, String)> = table(
        &project_file("README.md"),
        "| family | what it answers | charts |",
    )
    .into_iter()
    .map(|row| (row[0].clone(), row[2].clone()))
    .collect();
    let wanted = FAMILIES.map(|family| {
        let charts = CHARTS.iter().filter(|chart| chart.family == family);
        let ids: Vec<&str> = charts.map(|chart| chart.id).collect();
        (family.to_owned(), ids.join(", "))
    });
    assert_eq!(listed, wanted);
}

/// Which charts and alerts a family of `charts:` stands for.
#[test]
fn the_configuration_tells_what_goes_with_each_family() {
    let told = table(
        &project_file("docs/configuration.md"),
        "| family | charts | alerts |",
    );
    let templates = templates(&project_file("health.d/redis_frag.conf"));
    let wanted = FAMILIES.map(|family| {
        let charts = CHARTS.iter().filter(|chart| chart.family == family);
        let alerts = templates.iter().filter(|t| chart_of(t).family == family);
        let charts: Vec<&str> = charts.map(|chart| chart.id).collect();
        let alerts: Vec<&str> = alerts.map(|t| t["template"].as_str()).collect();
        vec![family.to_owned(), listed(&charts), listed(&alerts)]
    });
    assert_eq!(told, wanted);
    let unreachable = templates
        .iter()
        .find(|t| t["template"] == "redis_frag_unreachable");
    assert_eq!(chart_of(unreachable.unwrap()).family, ALWAYS);
}

#[test]
fn the_readme_lists_every_function() {
    let listed: Vec<String> = rows(&project_file("README.md"), "redis-frag:")
        .into_iter()
        .map(|row| row[0].split(' ').next().unwrap().to_owned())
        .collect();
    let mut offered: Vec<&str> = FUNCTIONS.iter().map(|f| f.offer.name).collect();
    // One has a row for the whole table and one for a single instance.
    offered.insert(0, DIAGNOSIS.offer.name);
    assert_eq!(listed, offered);
}

#[test]
fn every_risk_is_listed() {
    let told = table(
        &project_file("docs/machine.md"),
        "| risk | when | how bad |",
    );
    let told: Vec<&str> = told.iter().map(|row| link(&row[0]).0).collect();
    assert_eq!(told, risks::names().collect::<Vec<_>>());
}

#[test]
fn the_readme_lists_every_alert_with_its_page() {
    let told = table(
        &project_file("README.md"),
        "| alert | raised when | not for | first of all |",
    );
    let names: Vec<&str> = told.iter().map(|row| link(&row[0]).0).collect();
    let templates = templates(&project_file("health.d/redis_frag.conf"));
    let alerts: Vec<&str> = templates.iter().map(|t| t["template"].as_str()).collect();
    assert_eq!(names, alerts);
    for row in &told {
        let (name, page) = link(&row[0]);
        assert_eq!(page, format!("docs/guide/alerts/{name}.md"));
        assert!(!row[3].is_empty(), "{name}: what is to be done first?");
    }
}

/// What wakes nobody is told, and the numbers are those of the expressions.
#[test]
fn the_readme_tells_how_loud_each_alert_is() {
    let told = table(
        &project_file("README.md"),
        "| alert | raised when | not for | first of all |",
    );
    for (row, template) in told
        .iter()
        .zip(templates(&project_file("health.d/redis_frag.conf")))
    {
        let name = &template["template"];
        let says = |word: &str| row[1].contains(word);
        assert_eq!(says("silent"), template["to"] == "silent", "{name}");
        assert_eq!(says("critical"), template.contains_key("crit"), "{name}");
        assert_eq!(says("warning"), template.contains_key("warn"), "{name}");
    }
}

#[test]
fn the_readme_explains_every_verdict_in_the_order_of_the_rules() {
    let told = table(
        &project_file("README.md"),
        "| verdict | when | what to do |",
    );
    let names: Vec<&str> = told.iter().map(|row| link(&row[0]).0).collect();
    let verdicts: Vec<&str> = Verdict::ALL.iter().map(|verdict| verdict.name()).collect();
    assert_eq!(names, verdicts);
    for row in &told {
        let (name, page) = link(&row[0]);
        assert_eq!(page, format!("docs/guide/verdicts/{name}.md"));
        assert!(!row[2].is_empty(), "{name}: what is to be done?");
    }
}

/// A text without its line breaks, comment signs and indents.
fn in_one_line(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| *word != "#");
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_readme_has_the_permissions_of_every_kind_of_server() {
    let readme = project_file("README.md");
    for line in LINES {
        let told = match line.user() {
            Some(user) => format!("# {}\n{user}\n", line.servers),
            None => format!("{}: {WITHOUT_ACL}", line.servers),
        };
        let flat = in_one_line(&readme);
        assert!(
            readme.contains(&told) || flat.contains(&told),
            "README misses {told:?}"
        );
    }
    for rule in RULES.iter().chain(FOLLOWING) {
        let row = format!(
            "| {} | {} | {} |",
            rule.name,
            rule.allows.replace('|', "\\|"),
            rule.without
        );
        assert!(readme.contains(&row), "README misses {row:?}");
    }
    let first = LINES.iter().find_map(|line| line.user()).unwrap();
    let stock = in_one_line(&project_file("conf.d/redis-frag.conf"));
    assert!(stock.contains(&first), "the stock file misses {first:?}");
}

/// Every Markdown file that people read: README and its like, and docs.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join("docs")];
    let markdown = |path: &Path| path.extension().is_some_and(|extension| extension == "md");
    let listed = |folder: &Path| {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
    };
    found.extend(listed(root).filter(|path| markdown(path)));
    while let Some(folder) = folders.pop() {
        for path in listed(&folder).collect::<Vec<_>>() {
            if path.is_dir() {
                folders.push(path);
            } else if markdown(&path) {
                found.push(path);
            }
        }
    }
    found
}

/// The name by which a title is linked to.
fn anchor(title: &str) -> String {
    let kept = title.trim_start_matches('#').trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_of_the_documents_leads_to_something() {
    let mut followed = 0;
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        let prose: String = text.split("```").step_by(2).collect();
        for target in prose.split("](").skip(1) {
            let target = target.split(')').next().unwrap();
            if target.starts_with("https://") {
                continue;
            }
            let (file, title) = target.split_once('#').unwrap_or((target, ""));
            let there = if file.is_empty() {
                path.clone()
            } else {
                path.parent().unwrap().join(file)
            };
            assert!(there.exists(), "{}: no {target}", path.display());
            if !title.is_empty() {
                let led_to = fs::read_to_string(&there).unwrap();
                let titles = led_to.lines().filter(|line| line.starts_with('#'));
                let found = titles.map(anchor).any(|known| known == title);
                assert!(found, "{}: no title {target}", path.display());
            }
            followed += 1;
        }
    }
    assert!(followed > 30, "only {followed} links were found");
}

/// A page that nothing leads to is read by nobody.
#[test]
fn every_document_is_reached_from_the_readme() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut reached = vec![root.join("README.md")];
    let mut next = 0;
    while let Some(path) = reached.get(next).cloned() {
        next += 1;
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for target in text.split("](").skip(1) {
            let target = target.split([')', '#']).next().unwrap();
            let Ok(there) = path.parent().unwrap().join(target).canonicalize() else {
                continue;
            };
            let is_new = !reached
                .iter()
                .any(|known| known.canonicalize().is_ok_and(|known| known == there));
            if is_new && there.extension().is_some_and(|extension| extension == "md") {
                reached.push(there);
            }
        }
    }
    for document in documents() {
        let document = document.canonicalize().unwrap();
        let found = reached
            .iter()
            .any(|known| known.canonicalize().is_ok_and(|known| known == document));
        assert!(found, "nothing leads to {}", document.display());
    }
}
