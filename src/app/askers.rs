//! The functions that ask a server: one row each.
//!
//! Must not know how calls are dispatched.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use crate::netdata::classes;
use crate::netdata::functions::{Refused, SIZE_CLASSES};
use crate::source::size_classes::Untold;
use crate::source::trouble::Trouble;

use super::registry::Registry;
use super::report::words::clean;

/// A call that takes its time.
pub(super) type Work = Pin<Box<dyn Future<Output = Result<Value, Refused>> + Send>>;

/// Answers the questions of one function about one instance by asking it. Must be
/// cheap itself: what takes time belongs into the future it gives.
pub(super) type Asker = Arc<dyn Fn(&Registry, &str) -> Work + Send + Sync>;

/// Functions that ask a server, by name; `redis-frag:diagnosis` does not.
pub(super) type Askers = HashMap<&'static str, Asker>;

/// All of them.
pub(super) fn all() -> Askers {
    let size_classes: Asker = Arc::new(size_classes);
    Askers::from([(SIZE_CLASSES.offer.name, size_classes)])
}

fn size_classes(registry: &Registry, instance: &str) -> Work {
    let Some((desk, patience)) = registry.desk(instance) else {
        let refused = Refused::no_instance(instance);
        return Box::pin(async { Err(refused) });
    };
    Box::pin(async move {
        // A question that was put is awaited by others too: it goes on when this call
        // is cancelled.
        let asked = tokio::spawn(async move { desk.ask(patience).await }).await;
        let answer = asked.map_err(|_| Refused::new(500, "the question broke down"))?;
        let answer = answer.map_err(|untold| refused(&untold))?;
        let help = SIZE_CLASSES.offer.help;
        Ok(classes::answer(&answer.told.classes, answer.age, help))
    })
}

/// Why there are none, with the code of HTTP that fits.
fn refused(untold: &Untold) -> Refused {
    let code = match untold {
        Untold::Off | Untold::NotAllowed(_) => 403,
        Untold::WithoutJemalloc(_) | Untold::Withheld(_) => 422,
        Untold::Loading => 503,
        Untold::Trouble(Trouble::Silent | Trouble::NoHandshake) => 504,
        Untold::Unread(_) | Untold::Trouble(_) => 502,
    };
    Refused::new(code, clean(&untold.to_string()))
}
