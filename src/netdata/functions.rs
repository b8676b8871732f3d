//! The functions that are offered, and how a call of one is read.
//!
//! Pure: one table, and from a call's words to a [`Question`]. Must not know how
//! a question is answered.

use serde_json::{Value, json};

use super::reply::Offer;
use super::request::{Call, Quotes, words};

/// Parameters of the dashboard's that change nothing here; it sends those that it
/// knows whether a function accepts them or not.
const PASSED_OVER: &[&str] = &[
    "after",
    "before",
    "anchor",
    "direction",
    "last",
    "query",
    "facets",
    "histogram",
    "timeout",
    "slice",
    "data_only",
    "delta",
    "tail",
    "sampling",
    "if_modified_since",
    "group",
];

/// The choice of all instances. No instance can have this name.
const ALL: &str = "*";

/// Most instances that are offered to choose from.
const MOST_OPTIONS: usize = 1000;

/// A function.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// How it is offered.
    pub offer: Offer,
    /// Whether it is about one instance, which must be named.
    pub needs_instance: bool,
}

/// Where memory went, for all instances or one.
pub const DIAGNOSIS: &Function = &Function {
    offer: Offer {
        name: "redis-frag:diagnosis",
        timeout: 10,
        help: "Where the memory of each Redis went, what is wrong and what to do. \
               Choose an instance for the whole reasoning about it.",
        tags: "top",
        access: "any",
        priority: 100,
        version: 3,
    },
    needs_instance: false,
};

/// The allocator's own view of one instance.
pub const SIZE_CLASSES: &Function = &Function {
    offer: Offer {
        name: "redis-frag:size-classes",
        timeout: 10,
        help: "Where the holes of the allocator are: size classes of jemalloc, the worst \
               first. Asks the server at most once in 10 seconds, which blocks it for a \
               millisecond.",
        tags: "top",
        access: "any",
        priority: 101,
        version: 3,
    },
    needs_instance: true,
};

/// All functions there are. Those without an answerer are not offered.
pub const FUNCTIONS: &[&Function] = &[DIAGNOSIS, SIZE_CLASSES];

/// What a call asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Of which function.
    pub function: &'static Function,
    /// What about it.
    pub about: About,
}

/// What is asked of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// Its description.
    Info,
    /// All instances.
    All,
    /// The instance of this name.
    One(String),
}

/// Why a question has no answer: what the caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Code, as of HTTP.
    pub code: u16,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl Refused {
    /// A refusal.
    #[must_use]
    pub fn new(code: u16, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }

    /// No instance of this name is watched.
    #[must_use]
    pub fn no_instance(name: &str) -> Self {
        Self::new(
            404,
            format!("no instance {name:?} is watched: call the function with info for their names"),
        )
    }
}

/// Reads a call: `NAME [info] [instance:NAME]`, and `selections` of its payload.
///
/// # Errors
/// What is wrong with it.
pub fn read(call: &Call, offered: &[&'static Function]) -> Result<Question, Refused> {
    let words = words(&call.function, Quotes::AtValues);
    let (name, arguments) = words
        .split_first()
        .ok_or_else(|| Refused::new(400, "the request names no function"))?;
    let Some(function) = offered.iter().find(|f| f.offer.name == name) else {
        let known: Vec<&str> = offered.iter().map(|f| f.offer.name).collect();
        let known = known.join(", ");
        return Err(Refused::new(
            404,
            format!("no function {name:?}; there are: {known}"),
        ));
    };
    let (mut info, mut instance) = (false, None);
    for argument in arguments {
        match argument.split_once(':') {
            None if argument == "info" => info = true,
            Some(("instance", name)) if !name.is_empty() => instance = Some(name.to_owned()),
            Some((name, _)) if PASSED_OVER.contains(&name) => {}
            _ => {
                return Err(Refused::new(
                    400,
                    format!("unknown argument {argument:?}: use info or instance:NAME"),
                ));
            }
        }
    }
    if let Some(payload) = &call.payload {
        let chosen = selection(&payload.text)?;
        instance = chosen.or(instance);
    }
    let about = match instance.filter(|name| name != ALL) {
        _ if info => About::Info,
        Some(name) => About::One(name),
        None if function.needs_instance => {
            return Err(Refused::new(
                400,
                "this function is about one instance: add instance:NAME",
            ));
        }
        None => About::All,
    };
    Ok(Question { function, about })
}

/// The instance that a payload names, if any:
/// `{"selections": {"instance": ["NAME"]}}`.
fn selection(payload: &str) -> Result<Option<String>, Refused> {
    if payload.trim().is_empty() {
        return Ok(None);
    }
    let wrong = |what: &str| Refused::new(400, format!("the payload {what}"));
    let payload: Value =
        serde_json::from_str(payload).map_err(|error| wrong(&format!("is no JSON: {error}")))?;
    if !payload.is_object() {
        return Err(wrong("must be a JSON object"));
    }
    let selections = payload.get("selections");
    let chosen = match selections.and_then(|selections| selections.get("instance")) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(names)) => match names.as_slice() {
            [] => return Ok(None),
            [name] => name.as_str(),
            _ => None,
        },
        Some(other) => other.as_str(),
    };
    chosen.map_or_else(
        || Err(wrong("selects no single instance: give one name")),
        |name| Ok(Some(name.to_owned())),
    )
}

/// The answer to `info`: what the dashboard needs to know before it asks.
/// `instances` are the names to choose from.
#[must_use]
pub fn info(function: &Function, instances: &[String]) -> Value {
    let all = json!({ "id": ALL, "name": "All instances", "defaultSelected": true });
    let one = |name: &String| json!({ "id": name, "name": name });
    let named = instances.iter().take(MOST_OPTIONS).map(one);
    let first = (!function.needs_instance).then_some(all);
    let help = if function.needs_instance {
        "One instance"
    } else {
        "One instance, or all of them"
    };
    let options: Vec<Value> = first.into_iter().chain(named).collect();
    let required = json!([{
        "id": "instance",
        "name": "Instance",
        "help": help,
        "type": "select",
        "unique_view": true,
        "options": options,
    }]);
    json!({
        "v": function.offer.version,
        "status": 200,
        "type": "table",
        "has_history": false,
        "help": function.offer.help,
        "accepted_params": ["info", "instance"],
        "required_params": required,
    })
}

#[cfg(test)]
mod tests {
    use super::super::request::Payload;
    use super::*;

    static ONE: Function = Function {
        offer: Offer {
            name: "one",
            ..DIAGNOSIS.offer
        },
        needs_instance: true,
    };

    fn about(function: &str, payload: Option<&str>) -> Result<About, u16> {
        let call = Call {
            function: function.to_owned(),
            payload: payload.map(|text| Payload {
                text: text.to_owned(),
                ..Payload::default()
            }),
            ..Call::default()
        };
        let read = read(&call, &[DIAGNOSIS, &ONE]);
        read.map(|question| question.about)
            .map_err(|refused| refused.code)
    }

    #[test]
    fn calls_are_read_in_every_form() {
        let one = |name: &str| Ok(About::One(name.to_owned()));
        for (function, payload, want) in [
            ("redis-frag:diagnosis", None, Ok(About::All)),
            ("redis-frag:diagnosis info", None, Ok(About::Info)),
            (
                "redis-frag:diagnosis info after:-600 before:0",
                None,
                Ok(About::Info),
            ),
            ("redis-frag:diagnosis instance:cache", None, one("cache")),
            ("redis-frag:diagnosis instance:'a b'", None, one("a b")),
            ("redis-frag:diagnosis instance:*", None, Ok(About::All)),
            ("redis-frag:diagnosis", Some("{}"), Ok(About::All)),
            (
                "redis-frag:diagnosis",
                Some("{\"selections\":{}}"),
                Ok(About::All),
            ),
            (
                "redis-frag:diagnosis",
                Some("{\"selections\":{\"instance\":[\"a\"]}}"),
                one("a"),
            ),
            (
                "redis-frag:diagnosis",
                Some("{\"selections\":{\"instance\":\"a\"}}"),
                one("a"),
            ),
            (
                "redis-frag:diagnosis",
                Some("{\"selections\":{\"instance\":[]}}"),
                Ok(About::All),
            ),
            (
                "redis-frag:diagnosis",
                Some("{\"selections\":{\"instance\":[\"*\"]}}"),
                Ok(About::All),
            ),
            (
                "redis-frag:diagnosis",
                Some("{\"selections\":{\"instance\":[\"a\",\"b\"]}}"),
                Err(400),
            ),
            (
                "redis-frag:diagnosis",
                Some("{\"selections\":{\"instance\":7}}"),
                Err(400),
            ),
            ("redis-frag:diagnosis", Some("[1]"), Err(400)),
            ("redis-frag:diagnosis", Some("{"), Err(400)),
            ("redis-frag:diagnosis sockets", None, Err(400)),
            ("redis-frag:diagnosis instance:", None, Err(400)),
            ("redis-frag:diagnosis colour:red", None, Err(400)),
            ("redis-frag", None, Err(404)),
            ("config redis-frag:redis:local enable", None, Err(404)),
            ("", None, Err(400)),
            ("one", None, Err(400)),
            ("one instance:*", None, Err(400)),
            ("one instance:a", None, one("a")),
            ("one info", None, Ok(About::Info)),
        ] {
            assert_eq!(about(function, payload), want, "{function} {payload:?}");
        }
    }

    /// They are written between quotes, and agents take both kinds.
    #[test]
    fn what_is_offered_has_no_quotes() {
        for function in FUNCTIONS {
            let offer = &function.offer;
            let text = [offer.name, offer.help, offer.tags, offer.access].concat();
            assert!(!text.contains(['"', '\'', '\\', '\n']), "{text}");
        }
    }

    #[test]
    fn a_function_says_what_can_be_chosen() {
        let names = ["a".to_owned(), "b".to_owned()];
        let options = |function| {
            let info = info(function, &names);
            info["required_params"][0]["options"]
                .as_array()
                .unwrap()
                .len()
        };
        assert_eq!((options(DIAGNOSIS), options(&ONE)), (3, 2));
    }

    #[test]
    fn all_instances_are_offered_where_they_may_be_chosen() {
        let names = ["cache".to_owned()];
        for (function, all) in [(DIAGNOSIS, true), (&ONE, false)] {
            let said = &info(function, &names)["required_params"][0];
            let options = said["options"].as_array().unwrap();
            assert_eq!(options.iter().any(|option| option["id"] == ALL), all);
            let help = said["help"].as_str().unwrap();
            assert_eq!(help.contains("all"), all, "{help}");
        }
    }
}
