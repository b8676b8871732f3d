//! Texts that refer to secrets kept elsewhere: `${env:NAME}`, `${file:/path}` and
//! `${cmd:/program arguments}`, with Netdata's grammar (its `SECRETS.md` and
//! `src/go/plugin/agent/secrets/resolver`, 2026).
//!
//! Pure: says what is meant, and puts in what somebody else has read. What is told
//! never repeats a literal part, which may be a secret.

use std::fmt;
use std::ops::Range;

use super::address;
use super::job::Secret;

/// Begins a reference; the next `}` ends it.
const OPENS: &str = "${";

/// Asks for percent-encoding; stands behind the scheme.
const ENCODED: &str = "urienc";

/// What every mistake in a reference is told with.
const FORMS: &str = "write ${env:NAME}, ${file:/path} or ${cmd:/program arguments}; a password \
                     that itself holds ${ can stand in a file";

/// Where a secret is kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// A variable of the environment.
    Env(String),
    /// A file, by its absolute path.
    File(String),
    /// What a program prints: its absolute path, then its arguments.
    Cmd(Vec<String>),
}

/// A secret by reference. Shown without the arguments of a command.
#[derive(Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where it is kept.
    pub source: Source,
    /// Whether it is percent-encoded, to be fit for an address.
    pub encoded: bool,
}

impl Reference {
    /// Reads what stands between the braces. `None`: it is no reference, and stands
    /// for itself.
    fn parse(inner: &str) -> Result<Option<Self>, String> {
        let Some((token, operand)) = inner.split_once(':') else {
            return Ok(None);
        };
        let (scheme, modifier) = token.split_once('+').unwrap_or((token, ""));
        if scheme == "store" {
            return Err(
                "secret stores are Netdata's go.d alone; keep the secret where ${file:/path} or \
                 ${env:NAME} finds it, or let ${cmd:/program arguments} ask the store"
                    .to_owned(),
            );
        }
        let source = match scheme {
            "env" if operand.is_empty() => return Err("no name in ${env:}; name a variable".into()),
            "env" => Source::Env(operand.to_owned()),
            "file" if !operand.starts_with('/') => {
                return Err("the path in ${file:…} is not absolute; begin it with /".into());
            }
            "file" => Source::File(operand.to_owned()),
            "cmd" => {
                let words: Vec<String> = operand.split_whitespace().map(str::to_owned).collect();
                if !words
                    .first()
                    .is_some_and(|program| program.starts_with('/'))
                {
                    return Err(
                        "the program in ${cmd:…} is not absolute; write its whole path, from /"
                            .into(),
                    );
                }
                Source::Cmd(words)
            }
            _ => return Err(format!("no scheme of a reference in ${{…:…}}; {FORMS}")),
        };
        if !["", ENCODED].contains(&modifier) {
            return Err(format!(
                "an unknown word behind the + of a reference; only +{ENCODED} is one, as in \
                 ${{file+{ENCODED}:/path}}"
            ));
        }
        let encoded = modifier == ENCODED;
        Ok(Some(Self { source, encoded }))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plus = if self.encoded { "+urienc" } else { "" };
        match &self.source {
            Source::Env(name) => write!(f, "${{env{plus}:{name}}}"),
            Source::File(path) => write!(f, "${{file{plus}:{path}}}"),
            Source::Cmd(words) => {
                // An argument may be what a vault is opened with.
                let more = if words.len() > 1 { " …" } else { "" };
                let program = words.first().map_or("", String::as_str);
                write!(f, "${{cmd{plus}:{program}{more}}}")
            }
        }
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Secret),
    Reference(Reference),
}

/// A text with any number of references in it. Its literal parts are never shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
    /// Whether it stood in an address, so that it is percent-encoded as a whole.
    in_address: bool,
}

impl Template {
    /// A text that is what it is, whatever is in it.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        Self {
            parts: vec![Part::Literal(Secret::new(text.to_owned()))],
            in_address: false,
        }
    }

    /// Reads a text. A lone `$`, a `${` without its `}` and a `${…}` without a colon
    /// stand for themselves.
    ///
    /// # Errors
    /// A sentence that says what to write instead, without a word of the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut end = 0;
        let literal = |range: Range<usize>, parts: &mut Vec<Part>| {
            if let Some(text) = text.get(range).filter(|text| !text.is_empty()) {
                parts.push(Part::Literal(Secret::new(text.to_owned())));
            }
        };
        for (range, reference) in references(text)? {
            literal(end..range.start, &mut parts);
            end = range.end;
            parts.push(Part::Reference(reference));
        }
        literal(end..text.len(), &mut parts);
        Ok(Self {
            parts,
            in_address: false,
        })
    }

    /// Reads a piece of the user info of an address, where `%` and two hex digits
    /// stand for a character.
    ///
    /// # Errors
    /// As [`Self::parse`], and for a `%` that is none.
    pub(super) fn parse_in_address(text: &str) -> Result<Self, String> {
        let template = Self::parse(text)?;
        for part in &template.parts {
            if let Part::Literal(literal) = part {
                address::decoded(literal.reveal())?;
            }
        }
        Ok(Self {
            in_address: true,
            ..template
        })
    }

    /// Whether it stood in an address.
    pub(super) fn in_address(&self) -> bool {
        self.in_address
    }

    /// Whether anything must be read from elsewhere.
    #[must_use]
    pub fn refers(&self) -> bool {
        self.references().next().is_some()
    }

    /// What must be read from elsewhere, in order.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Reference(reference) => Some(reference),
            Part::Literal(_) => None,
        })
    }

    /// The text of one without references: a secret, perhaps.
    #[must_use]
    pub fn reveal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text.reveal()),
            _ => None,
        }
    }

    /// Whether some of it is written out.
    #[must_use]
    pub fn has_literal(&self) -> bool {
        let literal =
            |part: &Part| matches!(part, Part::Literal(text) if !text.reveal().is_empty());
        self.parts.iter().any(literal)
    }

    /// For a person: references as they are, everything else as `***`, or in full
    /// where it is no secret.
    #[must_use]
    pub fn shown(&self, in_full: bool) -> String {
        let shown = |part: &Part| match part {
            Part::Literal(text) if in_full => text.reveal().to_owned(),
            Part::Literal(_) => "***".to_owned(),
            Part::Reference(reference) => reference.to_string(),
        };
        self.parts.iter().map(shown).collect()
    }

    /// The text with every reference's value in its place. What stood in an address
    /// is still percent-encoded.
    ///
    /// # Errors
    /// What `read` says.
    pub fn filled(
        &self,
        mut read: impl FnMut(&Reference) -> Result<Secret, String>,
    ) -> Result<Secret, String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal.reveal()),
                Part::Reference(reference) => {
                    let value = read(reference)?;
                    if reference.encoded {
                        encode(value.reveal(), &mut text);
                    } else {
                        text.push_str(value.reveal());
                    }
                }
            }
        }
        Ok(Secret::new(text))
    }
}

/// The references of a text, and where each stands.
fn references(text: &str) -> Result<Vec<(Range<usize>, Reference)>, String> {
    let mut found = Vec::new();
    let mut from = 0;
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(OPENS) {
        let Some((inner, left)) = behind.split_once('}') else {
            break;
        };
        let opens = from + before.len();
        from = text.len() - left.len();
        rest = left;
        if let Some(reference) = Reference::parse(inner)? {
            found.push((opens..from, reference));
        }
    }
    Ok(found)
}

/// The same text with an `x` for every byte of its references: what is in them does
/// not count where an address is taken apart.
pub(super) fn masked(text: &str) -> Result<String, String> {
    let mut masked = text.to_owned();
    for (range, _) in references(text)? {
        masked.replace_range(range.clone(), &"x".repeat(range.len()));
    }
    Ok(masked)
}

/// Everything but letters, digits and `-._~` (RFC 3986) as `%` and two hex digits.
fn encode(value: &str, into: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            into.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is put in for a reference: its kind in capitals, with a sign that only
    /// encoding changes.
    fn read(reference: &Reference) -> Result<Secret, String> {
        let value = match &reference.source {
            Source::Env(name) => format!("E/{name}"),
            Source::File(path) => format!("F@{path}"),
            Source::Cmd(words) => format!("C {}", words.join("|")),
        };
        Ok(Secret::new(value))
    }

    #[test]
    fn references_are_read_as_netdata_reads_them() {
        for (text, filled, shown) in [
            ("", "", ""),
            ("plain", "plain", "***"),
            ("${env:A}", "E/A", "${env:A}"),
            ("${env: A }", "E/ A ", "${env: A }"),
            ("${file:/a b}", "F@/a b", "${file:/a b}"),
            ("${file:/p+urienc}", "F@/p+urienc", "${file:/p+urienc}"),
            ("${file+urienc:/p}", "F%40%2Fp", "${file+urienc:/p}"),
            ("${env+:A}", "E/A", "${env:A}"),
            (
                "${cmd:/bin/x  -k\ty:z }",
                "C /bin/x|-k|y:z",
                "${cmd:/bin/x …}",
            ),
            ("${cmd: /bin/x}", "C /bin/x", "${cmd:/bin/x}"),
            ("a${env:A}b${env:B}", "aE/AbE/B", "***${env:A}***${env:B}"),
            ("${env:A}${env:B}", "E/AE/B", "${env:A}${env:B}"),
            ("$${env:A}", "$E/A", "***${env:A}"),
            ("${file:/a:b}", "F@/a:b", "${file:/a:b}"),
            ("${env:A${x}}", "E/A${x}", "${env:A${x}***"),
            // No references: they stand for themselves.
            ("$", "$", "***"),
            ("pa$$word", "pa$$word", "***"),
            ("${}", "${}", "***"),
            ("${NAME}", "${NAME}", "***"),
            ("${env:A", "${env:A", "***"),
            ("$env:A}", "$env:A}", "***"),
            ("$ {env:A}", "$ {env:A}", "***"),
            ("${A}${env:B}", "${A}E/B", "***${env:B}"),
        ] {
            let template = Template::parse(text).unwrap();
            assert_eq!(template.filled(read).unwrap().reveal(), filled, "{text:?}");
            assert_eq!(template.shown(false), shown, "{text:?}");
        }
    }

    #[test]
    fn a_mistake_says_what_to_write_and_repeats_nothing() {
        for (text, says) in [
            ("${store:vault:v:hunter2#x}", "${cmd:/program arguments}"),
            ("${store:hunter2}", "secret stores"),
            ("${store+urienc:hunter2}", "secret stores"),
            ("${hunter2:x}", "${env:NAME}"),
            ("${Env:hunter2}", "${env:NAME}"),
            ("${:hunter2}", "${env:NAME}"),
            ("${ env:hunter2}", "${env:NAME}"),
            ("x${a ${env:hunter2}", "${env:NAME}"),
            ("${env+hunter2:x}", "+urienc"),
            ("${env+urienc+urienc:hunter2}", "+urienc"),
            ("${env:}", "name a variable"),
            ("${file:hunter2}", "begin it with /"),
            ("${file: /hunter2}", "begin it with /"),
            ("${file:}", "begin it with /"),
            ("${cmd:echo hunter2}", "from /"),
            ("${cmd:  }", "from /"),
            ("${env:A} ${cmd:}", "from /"),
        ] {
            let told = Template::parse(text).unwrap_err();
            assert!(told.contains(says), "{text:?}: {told}");
            assert!(!told.contains("hunter2"), "{text:?}: {told}");
        }
    }

    #[test]
    fn debug_shows_no_literal() {
        let template = Template::parse("hunter2${file:/p}${cmd:/x -p hunter2}hunter2").unwrap();
        let shown = format!("{template:?}{}", template.shown(false));
        assert!(
            !shown.contains("hunter2") && shown.contains("/p"),
            "{shown}"
        );
        assert_eq!(template.reveal(), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            if let Ok(template) = Template::parse(&text) {
                let _ = (template.shown(true), template.filled(read));
                prop_assert_eq!(masked(&text).unwrap().len(), text.len());
            }
        }

        #[test]
        fn what_looks_like_references_is_read_or_refused(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "${", "}", "$", "env", "file", "cmd", "store", ":", "+", "urienc", "/", " ", "é", "%",
            ]), 0..14)
        ) {
            let text = pieces.concat();
            match Template::parse(&text) {
                // Without a reference nothing of it can fail.
                Ok(template) => prop_assert!(template.refers() || template.filled(read).is_ok()),
                Err(told) => prop_assert!(!told.is_empty()),
            }
            let in_address = Template::parse_in_address(&text);
            prop_assert!(in_address.err().is_none_or(|told| !told.is_empty()));
        }

        #[test]
        fn a_text_that_opens_no_reference_stays_as_it_is(text in "[^{]{0,40}") {
            let template = Template::parse(&text).unwrap();
            prop_assert_eq!(template.reveal(), Some(text.as_str()));
        }

        #[test]
        fn what_is_encoded_comes_back(text in "\\PC{0,40}") {
            let mut encoded = String::new();
            encode(&text, &mut encoded);
            prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"%-._~".contains(&b)));
            prop_assert_eq!(address::decoded(&encoded).unwrap(), text);
        }
    }
}
