//! BEGIN, SET, END, FLUSH and DISABLE: how values come.

use std::collections::BTreeMap;

use super::words::{self, Token};
use super::{At, Checker, Verdict, fields};

impl Checker {
    pub(super) fn begin(&mut self, words: &[&str]) -> Verdict {
        if let At::Block { chart, .. } = &self.at {
            let open = self.charts[*chart].id.clone();
            // What follows belongs to the new block; one complaint is enough.
            self.at = At::Nothing;
            let verdict = self.begin(words);
            return verdict.and(Err(format!("the block of '{open}' is still open")));
        }
        self.leave_definition()?;
        let (id, microseconds) = match words {
            [id] => (id, None),
            [id, microseconds] => (id, Some(fields::positive(microseconds, "microseconds")?)),
            _ => return Err(format!("{} fields, a BEGIN has 1 or 2", words.len())),
        };
        let Some(chart) = self.find(id) else {
            return Err(format!("no CHART '{id}' before its BEGIN"));
        };
        let seen = &mut self.charts[chart];
        let first = !std::mem::replace(&mut seen.started, true);
        let obsolete = seen.obsolete;
        self.at = At::Block {
            chart,
            microseconds,
            values: BTreeMap::new(),
        };
        if obsolete {
            return Err(format!("'{id}' is obsolete"));
        }
        if first && microseconds.is_some() {
            return Err("microseconds the first time, when nothing was before".to_string());
        }
        Ok(())
    }

    pub(super) fn set(&mut self, rest: &[Token]) -> Verdict {
        let At::Block { chart, values, .. } = &mut self.at else {
            return Err(format!("SET within {}", self.at.name()));
        };
        let (before, id, value) = words::assignment(rest)?;
        if !before.is_empty() {
            return Err("a SET has one name and one value".to_string());
        }
        let seen = &self.charts[*chart];
        if !seen.dimensions.iter().any(|dimension| dimension.id == id) {
            return Err(format!("'{}' has no dimension '{id}'", seen.id));
        }
        let value = fields::integer(value, "value")?;
        match values.insert(id.to_string(), value) {
            Some(_) => Err(format!("a second SET of '{id}' in one block")),
            None => Ok(()),
        }
    }

    pub(super) fn end(&mut self, words: &[&str]) -> Verdict {
        if !words.is_empty() {
            return Err("END has no fields".to_string());
        }
        match std::mem::replace(&mut self.at, At::Nothing) {
            At::Block {
                chart,
                microseconds,
                values,
            } => {
                self.charts[chart].store(microseconds, values);
                Ok(())
            }
            other => {
                let why = format!("END within {}", other.name());
                self.at = other;
                Err(why)
            }
        }
    }

    pub(super) fn flush(&mut self, words: &[&str]) -> Verdict {
        if !words.is_empty() {
            return Err("FLUSH has no fields".to_string());
        }
        match self.at {
            At::Block { .. } => {
                self.at = At::Nothing;
                Ok(())
            }
            _ => Err(format!("FLUSH within {}", self.at.name())),
        }
    }

    pub(super) fn disable(&mut self, words: &[&str]) -> Verdict {
        self.disabled = true;
        if !words.is_empty() {
            return Err("DISABLE has no fields".to_string());
        }
        match self.at {
            At::Nothing | At::Chart { .. } => Ok(()),
            _ => Err(format!("DISABLE within {}", self.at.name())),
        }
    }
}
