//! CHART, DIMENSION, CLABEL, CLABEL_COMMIT and VARIABLE: what a chart is.

use std::collections::{BTreeMap, BTreeSet};

use super::words::{self, Token};
use super::{At, ChartSeen, Checker, DimensionSeen, Verdict, fields};

const CHART_TYPES: &[&str] = &["line", "area", "stacked"];
const CHART_OPTIONS: &[&str] = &["detail", "hidden", "obsolete", "store_first"];
const ALGORITHMS: &[&str] = &[
    "absolute",
    "incremental",
    "percentage-of-absolute-row",
    "percentage-of-incremental-row",
];
const DIMENSION_OPTIONS: &[&str] = &["hidden", "noreset", "nooverflow", "obsolete"];

fn known(text: &str, table: &[&str], what: &str) -> Verdict {
    if table.contains(&text) {
        Ok(())
    } else {
        Err(format!(
            "the {what} '{text}' is none of {}",
            table.join(", ")
        ))
    }
}

impl Checker {
    pub(super) fn chart_line(&mut self, words: &[&str]) -> Verdict {
        self.leave_definition()?;
        let [
            id,
            _name,
            title,
            units,
            family,
            context,
            kind,
            priority,
            every,
            rest @ ..,
        ] = words
        else {
            return Err(format!("{} fields, a CHART has at least 9", words.len()));
        };
        if rest.len() > 3 {
            return Err(format!("{} fields, a CHART has at most 12", words.len()));
        }
        fields::chart_id(id)?;
        fields::text(title, "title")?;
        fields::text(units, "unit")?;
        fields::text(family, "family")?;
        fields::context(context)?;
        known(kind, CHART_TYPES, "chart type")?;
        let priority = fields::positive(priority, "priority")?;
        let every = fields::positive(every, "update interval")?;
        let options = rest.first().copied().unwrap_or_default();
        for option in options.split_whitespace() {
            known(option, CHART_OPTIONS, "chart option")?;
        }

        let chart = match self.find(id) {
            Some(chart) => {
                self.same_chart(chart, context, kind)?;
                chart
            }
            None => {
                self.charts.push(ChartSeen::new(&self.host, id));
                self.charts.len() - 1
            }
        };
        let seen = &mut self.charts[chart];
        seen.title = title.to_string();
        seen.units = units.to_string();
        seen.family = family.to_string();
        seen.context = context.to_string();
        seen.charttype = kind.to_string();
        seen.priority = priority;
        seen.update_every = every;
        seen.definitions += 1;
        seen.obsolete = options
            .split_whitespace()
            .any(|option| option == "obsolete");
        // What comes after an obsolete chart's return is a first time again.
        seen.started &= !seen.obsolete;
        self.at = At::Chart {
            chart,
            dimensions: BTreeSet::new(),
            names: BTreeSet::new(),
            labels: BTreeMap::new(),
        };
        Ok(())
    }

    fn same_chart(&self, chart: usize, context: &str, kind: &str) -> Verdict {
        let before = &self.charts[chart];
        if before.context != context {
            return Err(format!("the context was '{}' before", before.context));
        }
        if before.charttype != kind {
            return Err(format!("the chart type was '{}' before", before.charttype));
        }
        Ok(())
    }

    pub(super) fn dimension(&mut self, words: &[&str]) -> Verdict {
        let At::Chart {
            chart,
            dimensions,
            names,
            ..
        } = &mut self.at
        else {
            return Err(format!("DIMENSION within {}", self.at.name()));
        };
        let [id, name, algorithm, multiplier, divisor, rest @ ..] = words else {
            return Err(format!(
                "{} fields, a DIMENSION has at least 5",
                words.len()
            ));
        };
        if rest.len() > 1 {
            return Err(format!("{} fields, a DIMENSION has at most 6", words.len()));
        }
        fields::dimension_id(id)?;
        known(algorithm, ALGORITHMS, "algorithm")?;
        let multiplier = fields::integer(multiplier, "multiplier")?;
        let divisor = fields::integer(divisor, "divisor")?;
        if multiplier == 0 || divisor == 0 {
            return Err("a multiplier or divisor of 0".to_string());
        }
        let options = rest.first().copied().unwrap_or_default();
        for option in options.split_whitespace() {
            known(option, DIMENSION_OPTIONS, "dimension option")?;
        }
        if !dimensions.insert(id.to_string()) {
            return Err(format!("the dimension '{id}' is there already"));
        }
        let name = if name.is_empty() { id } else { name };
        if !names.insert(name.to_string()) {
            return Err(format!("a dimension named '{name}' is there already"));
        }
        let seen = DimensionSeen {
            id: id.to_string(),
            name: name.to_string(),
            algorithm: algorithm.to_string(),
            multiplier,
            divisor,
            options: options.to_string(),
        };
        let all = &mut self.charts[*chart].dimensions;
        match all.iter_mut().find(|dimension| dimension.id == *id) {
            Some(before) => *before = seen,
            None => all.push(seen),
        }
        Ok(())
    }

    pub(super) fn label(&mut self, words: &[&str]) -> Verdict {
        let At::Chart { labels, .. } = &mut self.at else {
            return Err(format!("CLABEL within {}", self.at.name()));
        };
        let [name, value, source] = words else {
            return Err(format!("{} fields, a CLABEL has 3", words.len()));
        };
        fields::label_name(name)?;
        fields::label_value(value)?;
        if !["1", "2"].contains(source) {
            return Err(format!("the label source '{source}' is neither 1 nor 2"));
        }
        match labels.insert(name.to_string(), value.to_string()) {
            Some(_) => Err(format!("the label '{name}' is there already")),
            None => Ok(()),
        }
    }

    pub(super) fn commit_labels(&mut self, words: &[&str]) -> Verdict {
        let At::Chart { chart, labels, .. } = &mut self.at else {
            return Err(format!("CLABEL_COMMIT within {}", self.at.name()));
        };
        if !words.is_empty() {
            return Err("CLABEL_COMMIT has no fields".to_string());
        }
        if labels.is_empty() {
            return Err("CLABEL_COMMIT without a CLABEL before it".to_string());
        }
        self.charts[*chart].labels = std::mem::take(labels);
        Ok(())
    }

    pub(super) fn variable(&mut self, rest: &[Token]) -> Verdict {
        let (scope, name, value) = words::assignment(rest)?;
        fields::variable_name(name)?;
        let value = fields::finite(value, "value")?;
        match (scope.as_slice(), &self.at) {
            (["CHART" | "LOCAL"], At::Chart { chart, .. } | At::Block { chart, .. }) => {
                self.charts[*chart]
                    .variables
                    .insert(name.to_string(), value);
                Ok(())
            }
            (["CHART" | "LOCAL"], at) => Err(format!("a chart's VARIABLE within {}", at.name())),
            (["GLOBAL" | "HOST"], At::Host) => {
                Err("VARIABLE within a host's definition".to_string())
            }
            (["GLOBAL" | "HOST"], _) => Ok(()),
            _ => Err("a VARIABLE's scope is CHART, LOCAL, GLOBAL or HOST".to_string()),
        }
    }
}
