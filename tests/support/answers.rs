//! The rules of answers of functions, as the dashboard reads them: descriptions,
//! tables and errors.
//!
//! Written from Netdata's reference, not from the plugin: it shares no code with it.

use super::checker::Checker;
use serde_json::{Map, Value};

const TYPES: &[&str] = &[
    "none",
    "integer",
    "float",
    "boolean",
    "string",
    "detail-string",
    "bar-with-integer",
    "duration",
    "timestamp",
    "array",
    "feedTemplate",
];
const LOOKS: &[&str] = &[
    "value",
    "bar",
    "pill",
    "richValue",
    "rowOptions",
    "feedTemplate",
];
const TRANSFORMS: &[&str] = &[
    "none",
    "number",
    "duration",
    "datetime",
    "datetime_usec",
    "xml",
    "text",
];
const SORTS: &[&str] = &["ascending", "descending"];
const SUMMARIES: &[&str] = &[
    "count",
    "uniqueCount",
    "sum",
    "min",
    "max",
    "mean",
    "median",
];
const FILTERS: &[&str] = &["none", "range", "multiselect", "facet"];
const SEVERITIES: &[&str] = &["error", "warning", "notice", "normal"];

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A function's description.
    Info,
    /// A table.
    Table,
    /// A code and a reason.
    Error,
}

/// What form an answer's body has, and everything that is wrong with it.
pub fn check(code: &str, body: &str) -> (Option<Form>, Vec<String>) {
    let mut wrong = Wrong(Vec::new());
    let Ok(Value::Object(answer)) = serde_json::from_str(body) else {
        return (None, vec![format!("no JSON object: {body:.200}")]);
    };
    let status = answer.get("status").and_then(Value::as_i64);
    wrong.unless(
        status.is_some_and(|status| status.to_string() == code),
        format!("status {status:?} in an answer of code {code}"),
    );
    let form = if answer.contains_key("v") {
        wrong.info(&answer);
        Form::Info
    } else if answer.contains_key("columns") {
        wrong.table(&answer);
        Form::Table
    } else {
        wrong.unless(status >= Some(400), "an error's status is 400 or more");
        wrong.text(&answer, "errorMessage");
        Form::Error
    };
    (Some(form), wrong.0)
}

/// Panics with everything that is wrong with an answer that should have this form.
#[track_caller]
pub fn assert_form(form: Form, code: &str, body: &str) {
    assert_eq!(check(code, body), (Some(form), Vec::new()), "{body:.2000}");
}

struct Wrong(Vec<String>);

impl Wrong {
    fn unless(&mut self, holds: bool, what: impl Into<String>) {
        if !holds {
            self.0.push(what.into());
        }
    }

    fn text(&mut self, of: &Map<String, Value>, name: &str) {
        let text = of.get(name).and_then(Value::as_str);
        self.unless(
            text.is_some_and(|text| !text.is_empty()),
            format!("{name} is no text"),
        );
    }

    fn one_of(&mut self, of: &Value, name: &str, words: &[&str], must: bool) {
        let word = of[name].as_str();
        let known = word.is_some_and(|word| words.contains(&word));
        let absent = of[name].is_null() && !must;
        self.unless(known || absent, format!("{name} {}", of[name]));
    }

    fn number(&mut self, of: &Map<String, Value>, name: &str) {
        let number = of.get(name);
        let whole = number.is_none_or(|number| number.as_u64().is_some());
        self.unless(whole, format!("{name} is no count"));
    }

    fn bools(&mut self, of: &Value, names: &[&str]) {
        for name in names {
            let fits = of[name].is_null() || of[name].is_boolean();
            self.unless(fits, format!("{name} {}", of[name]));
        }
    }

    fn info(&mut self, answer: &Map<String, Value>) {
        let is = |name: &str, kind: fn(&Value) -> bool| answer.get(name).is_some_and(kind);
        self.unless(is("v", Value::is_i64), "v is no integer");
        self.unless(is("has_history", Value::is_boolean), "has_history");
        self.text(answer, "type");
        self.text(answer, "help");
        self.unless(!answer.contains_key("data"), "a description has no data");
        self.unless(!answer.contains_key("columns"), "nor columns");
        self.params(answer, true);
        self.number(answer, "update_every");
    }

    fn params(&mut self, answer: &Map<String, Value>, must: bool) {
        let of = |name: &str| answer.get(name).and_then(Value::as_array);
        let (accepted, required) = (of("accepted_params"), of("required_params"));
        if must {
            self.unless(accepted.is_some(), "accepted_params");
            self.unless(required.is_some(), "required_params");
        }
        let accepted = accepted.into_iter().flatten();
        self.unless(accepted.clone().all(Value::is_string), "accepted_params");
        for param in required.into_iter().flatten() {
            for name in ["id", "name"] {
                self.unless(param[name].is_string(), format!("a parameter's {name}"));
            }
            self.one_of(param, "type", &["select", "multiselect"], true);
            let known = accepted.clone().any(|name| *name == param["id"]);
            self.unless(known, format!("{} is required, not accepted", param["id"]));
            let options = param["options"].as_array();
            self.unless(options.is_some(), "a parameter's options");
            for option in options.into_iter().flatten() {
                let named = option["id"].is_string() && option["name"].is_string();
                self.unless(named, format!("an option {option}"));
                self.one_of(option, "sort", SORTS, false);
                self.bools(option, &["defaultSelected", "disabled"]);
            }
        }
    }

    fn table(&mut self, answer: &Map<String, Value>) {
        let empty = Map::new();
        self.unless(answer["type"] == "table", "type is not table");
        self.text(answer, "help");
        self.number(answer, "update_every");
        self.number(answer, "expires");
        self.params(answer, false);
        let columns = answer["columns"].as_object().unwrap_or(&empty);
        let mut types = vec![None; columns.len()];
        for (id, column) in columns {
            self.column(id, column);
            let index = column["index"].as_u64().unwrap_or(u64::MAX);
            match types.get_mut(usize::try_from(index).unwrap_or(usize::MAX)) {
                Some(kind @ None) => *kind = column["type"].as_str(),
                _ => self.0.push(format!("{id}: index {index}")),
            }
        }
        let keys = columns.values().filter(|c| c["unique_key"] == true);
        self.unless(keys.count() == 1, "not exactly one unique key");
        let rows = answer.get("data").and_then(Value::as_array);
        self.unless(rows.is_some(), "data is no list");
        for row in rows.into_iter().flatten() {
            self.row(row, &types);
        }
        let sorted = answer.get("default_sort_column").and_then(Value::as_str);
        self.unless(
            sorted.is_none_or(|name| columns.contains_key(name)),
            format!("sorted by {sorted:?}"),
        );
        for name in ["group_by", "charts"] {
            let of = answer.get(name).and_then(Value::as_object);
            for (id, entry) in of.unwrap_or(&empty) {
                self.unless(entry["name"].is_string(), format!("{name} {id}: name"));
                if name == "charts" {
                    self.one_of(
                        entry,
                        "type",
                        &["bar", "stacked-bar", "doughnut", "value"],
                        true,
                    );
                }
                let named = entry["columns"].as_array();
                let known = |id: &Value| id.as_str().is_some_and(|id| columns.contains_key(id));
                let fits = named.is_some_and(|named| !named.is_empty() && named.iter().all(known));
                self.unless(fits, format!("{name} {id}: columns {:?}", entry["columns"]));
            }
        }
        let charts = answer.get("charts").and_then(Value::as_object);
        for pair in answer
            .get("default_charts")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let chart = pair[0].as_str().unwrap_or_default();
            let column = pair[1].as_str().unwrap_or_default();
            let fits = charts.is_some_and(|charts| charts.contains_key(chart));
            self.unless(
                fits && columns.contains_key(column),
                format!("shown first: {pair}"),
            );
        }
    }

    fn column(&mut self, id: &str, column: &Value) {
        let before = self.0.len();
        self.unless(column["name"].is_string(), "name");
        self.one_of(column, "type", TYPES, true);
        self.one_of(column, "visualization", LOOKS, false);
        self.one_of(column, "sort", SORTS, false);
        self.one_of(column, "summary", SUMMARIES, false);
        self.one_of(column, "filter", FILTERS, false);
        self.one_of(&column["value_options"], "transform", TRANSFORMS, false);
        self.bools(
            column,
            &[
                "unique_key",
                "visible",
                "sortable",
                "sticky",
                "full_width",
                "wrap",
                "dummy",
                "default_expanded_filter",
            ],
        );
        let units = &column["units"];
        self.unless(units.is_null() || units.is_string(), "units");
        let bar = column["type"] != "bar-with-integer" || column["max"].is_number();
        self.unless(bar, "a bar needs its max");
        for wrong in &mut self.0[before..] {
            wrong.insert_str(0, &format!("column {id}: "));
        }
    }

    fn row(&mut self, row: &Value, types: &[Option<&str>]) {
        let cells = row.as_array().map_or(&[][..], Vec::as_slice);
        self.unless(
            cells.len() == types.len(),
            format!("{} cells in {} columns", cells.len(), types.len()),
        );
        for (cell, kind) in cells.iter().zip(types) {
            let fits = match kind.unwrap_or_default() {
                "string" | "detail-string" => cell.is_string() || cell.is_null(),
                "integer" | "float" | "bar-with-integer" => cell.is_number() || cell.is_null(),
                "duration" | "timestamp" => cell.as_u64().is_some() || cell.is_null(),
                "boolean" => cell.is_boolean() || cell.is_null(),
                "none" => {
                    let severity = cell["rowOptions"]["severity"].as_str();
                    severity.is_some_and(|severity| SEVERITIES.contains(&severity))
                }
                _ => true,
            };
            self.unless(fits, format!("{cell} in a column of {kind:?}"));
        }
    }
}

/// Each of these calls was answered, and none twice.
#[track_caller]
pub fn assert_answered_once(checker: &Checker, ids: &[String]) {
    let mut answered: Vec<&str> = checker.answers().iter().map(|a| a.id.as_str()).collect();
    answered.sort_unstable();
    let mut ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    ids.sort_unstable();
    assert_eq!(answered, ids);
}
