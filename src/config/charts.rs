//! `charts:`, of the file and of a job: the families of charts that are wanted.
//!
//! Pure. What is told names the families there are, and never what was written.

use crate::model::families::{FAMILIES, Families};

use super::file::Reader;
use super::raw::Text;

impl Reader<'_> {
    /// The families of a list; `None` where nothing is said, or something is wrong: what
    /// was meant to be seen is seen then.
    pub(super) fn charts(&mut self, raw: Option<&Vec<Text>>) -> Option<Families> {
        let mut families = Some(Families::least());
        for text in raw? {
            let read = |name: &str| Families::least().and(name.trim()).ok_or_else(unknown);
            let one = self.value(Some(text), read);
            families = families.zip(one).map(|(all, one)| all.or(one));
        }
        families
    }
}

fn unknown() -> String {
    format!(
        "no family of charts; write of these: {}",
        FAMILIES.join(", ")
    )
}
