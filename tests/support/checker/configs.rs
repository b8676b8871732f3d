//! Dynamic configuration, as an agent takes it (netdata/netdata v2.9.0, dyncfg.c).

use std::collections::BTreeSet;

use super::{Checker, Verdict, fields};

const STATUSES: &[&str] = &["accepted", "running", "failed", "disabled", "incomplete"];
const SOURCES: &[&str] = &["internal", "stock", "user", "dyncfg", "discovered"];
const COMMANDS: &[&str] = &[
    "get",
    "schema",
    "update",
    "add",
    "test",
    "remove",
    "enable",
    "disable",
    "restart",
    "userconfig",
];

/// A template or job, as it was told last.
#[derive(Clone, Debug, Default)]
pub struct ConfigSeen {
    /// `template` or `job`.
    pub kind: String,
    /// `accepted` and the like.
    pub status: String,
    /// Every status in the order they came, without repetitions.
    pub statuses: Vec<String>,
    /// `user` and the like.
    pub source_type: String,
    /// The source's own words.
    pub source: String,
    /// What can be asked of it.
    pub commands: BTreeSet<String>,
    /// How often it was named.
    pub creates: usize,
    /// Whether it was taken back.
    pub deleted: bool,
}

impl ConfigSeen {
    fn told(&mut self, status: &str) {
        if self.statuses.last().is_none_or(|last| last != status) {
            self.statuses.push(status.to_string());
        }
        self.status = status.to_string();
    }
}

impl Checker {
    /// A template or job by its id, deleted ones too.
    pub fn config(&self, id: &str) -> Option<&ConfigSeen> {
        self.configs.get(id)
    }

    /// The ids of templates and jobs that are there.
    pub fn configs(&self) -> Vec<&str> {
        let there = self.configs.iter().filter(|(_, config)| !config.deleted);
        there.map(|(id, _)| id.as_str()).collect()
    }

    pub(super) fn config_line(&mut self, words: &[&str]) -> Verdict {
        self.leave_definition()?;
        if !self.host.is_empty() {
            return Err("CONFIG is about the agent's own host: HOST '' first".to_string());
        }
        let [id, action, rest @ ..] = words else {
            return Err(format!("{} fields, a CONFIG has at least 2", words.len()));
        };
        fields::text(id, "configuration id")?;
        if id.contains([' ', '\'', '"']) {
            return Err(format!(
                "the id {id:?} is invalid: the agent kills the plugin"
            ));
        }
        match (*action, rest) {
            ("create", rest) => self.create(id, rest),
            ("status", [status]) => {
                known("status", status, STATUSES)?;
                self.there(id)?.told(status);
                Ok(())
            }
            ("delete", []) => {
                self.there(id)?.deleted = true;
                Ok(())
            }
            ("status" | "delete", _) => Err(format!("{} fields in a {action}", words.len())),
            (other, _) => Err(format!("'{other}' is no create, status or delete")),
        }
    }

    fn there(&mut self, id: &str) -> Result<&mut ConfigSeen, String> {
        let config = self.configs.get_mut(id).filter(|config| !config.deleted);
        config.ok_or_else(|| format!("no configuration {id} was created"))
    }

    fn create(&mut self, id: &str, rest: &[&str]) -> Verdict {
        let [
            status,
            kind,
            path,
            source_type,
            source,
            commands,
            view,
            edit,
        ] = rest
        else {
            return Err(format!("{} fields, a create has 10", rest.len() + 2));
        };
        known("status", status, STATUSES)?;
        known("kind", kind, &["template", "job", "single"])?;
        known("source type", source_type, SOURCES)?;
        fields::text(source, "source")?;
        if !path.starts_with('/') {
            return Err(format!("the path {path} does not begin with /"));
        }
        if *view != "0" || *edit != "0" {
            return Err("not the agent's own permissions".to_string());
        }
        let commands: BTreeSet<String> = commands.split(' ').map(str::to_string).collect();
        for command in &commands {
            known("command", command, COMMANDS)?;
        }
        let has = |command: &str| commands.contains(command);
        let template = *kind == "template";
        if has("add") != template {
            return Err("add is for templates, and all of them".to_string());
        }
        if has("remove") != (!template && *source_type == "dyncfg") {
            return Err("remove is for jobs of dyncfg, and all of them".to_string());
        }
        if template && (has("get") || has("update")) {
            return Err("a template has no data to get or update".to_string());
        }
        if *kind == "job" {
            let template = id.rsplit_once(':').map(|(template, _)| template);
            let template = template.and_then(|template| self.configs.get(template));
            if template.is_none_or(|template| template.kind != "template") {
                return Err("a job without a template: the agent kills the plugin".to_string());
            }
        }
        let config = self.configs.entry(id.to_string()).or_default();
        config.told(status);
        config.kind = kind.to_string();
        config.source_type = source_type.to_string();
        config.source = source.to_string();
        config.commands = commands;
        config.creates += 1;
        config.deleted = false;
        Ok(())
    }
}

fn known(what: &str, word: &str, known: &[&str]) -> Verdict {
    if known.contains(&word) {
        return Ok(());
    }
    Err(format!("'{word}' is no {what}"))
}
