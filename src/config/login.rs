//! From credentials, which may refer to secrets, to what a server is shown.
//!
//! Pure: whoever calls reads the references. Must not know where they are kept.

use super::address::{self, Address, Options};
use super::job::{Credentials, Secret};
use super::reference::{self, Reference, Template};

/// What a server is shown to be let in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// ACL user; `None` is the default user.
    pub username: Option<Secret>,
    /// Password; without one nothing is sent.
    pub password: Option<Secret>,
}

impl Credentials {
    /// Whether any of them is a reference.
    #[must_use]
    pub fn refers(&self) -> bool {
        self.references().next().is_some()
    }

    /// All references, of the username first.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        let templates = self.username.iter().chain(&self.password);
        templates.flat_map(Template::references)
    }

    /// The credentials with the values of their references. One that is empty is
    /// none.
    ///
    /// # Errors
    /// What `read` says, and for a value that does not fit into an address.
    pub fn login(
        &self,
        mut read: impl FnMut(&Reference) -> Result<Secret, String>,
    ) -> Result<Login, String> {
        let mut text = |template: &Option<Template>| {
            let filled = template.as_ref().map(|template| template.filled(&mut read));
            Ok::<_, String>(filled.transpose()?.map(|text| text.reveal().to_owned()))
        };
        let (mut username, mut password) = (text(&self.username)?, text(&self.password)?);
        let whole = self.username.as_ref().is_some_and(Template::in_address);
        // Of an address, one reference may hold both.
        let pair = username.as_deref().filter(|_| whole);
        if let Some((name, behind)) = pair.and_then(|text| text.split_once(':')) {
            let encoded = decoded(behind, self.username.as_ref())?;
            if self.password.is_none() {
                password = Some(encoded);
            }
            username = Some(name.to_owned());
        }
        let username = username.map(|text| decoded(&text, self.username.as_ref()));
        let password = password.map(|text| decoded(&text, self.password.as_ref()));
        let some = |text: Option<String>| text.filter(|text| !text.is_empty()).map(Secret::new);
        Ok(Login {
            username: some(username.transpose()?),
            password: some(password.transpose()?),
        })
    }
}

/// Undoes the encoding of what stood in an address.
fn decoded(text: &str, template: Option<&Template>) -> Result<String, String> {
    let Some(template) = template.filter(|template| template.in_address()) else {
        return Ok(text.to_owned());
    };
    address::decoded(text).map_err(|_| {
        format!(
            "{}: its value has a % that no two hex digits follow, and stands in an address; \
             write it as ${{file+urienc:…}}, ${{env+urienc:…}} or ${{cmd+urienc:…}}",
            template.shown(false)
        )
    })
}

/// Reads an address whose user info may hold references, which stay references;
/// those elsewhere in it are filled in by `fill`.
///
/// # Errors
/// A sentence that says what to write instead, and never repeats what was given.
pub fn address(
    text: &str,
    fill: impl Fn(&str) -> Result<String, String>,
) -> Result<(Address, Credentials, Options), String> {
    let masked = reference::masked(text)?;
    let rest = masked.split_once("://").map_or(&*masked, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let masked_login = authority.rsplit_once('@').map(|(login, _)| login);
    // Every byte of the text has one in its mask.
    let start = masked.len() - rest.len();
    let (head, behind) = text.split_at_checked(start).unwrap_or(("", text));
    let login = masked_login.and_then(|masked| {
        let (login, behind) = behind.split_at_checked(masked.len())?;
        (login != masked).then_some((login, masked, behind.strip_prefix('@')?))
    });
    let Some((login, masked_login, behind)) = login else {
        return Address::parse(&fill(text)?);
    };
    let (address, _, options) = Address::parse(&fill(&format!("{head}{behind}"))?)?;
    let username = masked_login.split(':').next().unwrap_or_default();
    let (username, password) = login
        .split_at_checked(username.len())
        .unwrap_or((login, ""));
    let password = password.strip_prefix(':').unwrap_or(password);
    let template = |text: &str| {
        let template = Template::parse_in_address(text)?;
        Ok::<_, String>(Some(template).filter(|_| !text.is_empty()))
    };
    let credentials = Credentials {
        username: template(username)?,
        password: template(password)?,
    };
    Ok((address, credentials, options))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reference::Source;

    /// A file's value is its path without the `/`, a variable's its name, a command's
    /// its second word.
    fn read(reference: &Reference) -> Result<Secret, String> {
        let value = match &reference.source {
            Source::Env(name) => name.clone(),
            Source::File(path) => path[1..].to_owned(),
            Source::Cmd(words) => words.get(1).cloned().unwrap_or_default(),
        };
        Ok(Secret::new(value))
    }

    fn fill(text: &str) -> Result<String, String> {
        let filled = Template::parse(text)?.filled(read)?;
        Ok(filled.reveal().to_owned())
    }

    #[test]
    fn user_info_by_reference_gives_what_it_would_as_text() {
        for (text, where_to, username, password) in [
            ("redis://h", "redis://h:6379", None, None),
            ("redis://u:p@h", "redis://h:6379", Some("u"), Some("p")),
            (
                "redis://${env:u}:${file:/p@/w}@h:1/0",
                "redis://h:1",
                Some("u"),
                Some("p@/w"),
            ),
            (
                "redis://${env:u}:${file+urienc:/p@/w%41}@h",
                "redis://h:6379",
                Some("u"),
                Some("p@/w%41"),
            ),
            // Without +urienc a value is taken as a part of the address.
            (
                "redis://:${file:/a%41}@h",
                "redis://h:6379",
                None,
                Some("aA"),
            ),
            (
                "redis://me:%40${env:x}@h",
                "redis://h:6379",
                Some("me"),
                Some("@x"),
            ),
            (
                "unix://:${env:p}@/run/${env:r}.sock",
                "unix:///run/r.sock",
                None,
                Some("p"),
            ),
            // Both in one.
            (
                "redis://${file:/me:p%3aw}@h",
                "redis://h:6379",
                Some("me"),
                Some("p:w"),
            ),
            ("redis://${env:me}@h", "redis://h:6379", Some("me"), None),
            ("redis://:${cmd:/bin/x}@h", "redis://h:6379", None, None),
            // Elsewhere.
            ("${env:h}", "redis://h:6379", None, None),
            (
                "redis://u:p@${env:h}:${file:/7}",
                "redis://h:7",
                Some("u"),
                Some("p"),
            ),
            (
                "${env:redis}://${env:u}:${env:p}@${env:h}:7",
                "redis://h:7",
                Some("u"),
                Some("p"),
            ),
            (
                "${file:/redis://u:p@h}",
                "redis://h:6379",
                Some("u"),
                Some("p"),
            ),
        ] {
            let (address, credentials, _) = address(text, fill).unwrap();
            assert_eq!(address.to_string(), where_to, "{text}");
            let login = credentials.login(read).unwrap();
            let reveal = |secret: &Option<Secret>| secret.clone().map(|s| s.reveal().to_owned());
            assert_eq!(reveal(&login.username).as_deref(), username, "{text}");
            assert_eq!(reveal(&login.password).as_deref(), password, "{text}");
        }
    }

    #[test]
    fn a_value_that_breaks_an_address_is_told_without_it() {
        let (_, credentials, _) = address("redis://:${file:/hunter2%}@h", |_| {
            Ok("redis://h".to_owned())
        })
        .unwrap();
        let told = credentials.login(|_| Ok(Secret::new("hunter3%".into())));
        let told = told.unwrap_err();
        assert!(
            told.contains("+urienc") && !told.contains("hunter3"),
            "{told}"
        );
        for text in ["redis://hunter2%:${env:X}@h", "redis://:${nope:hunter2}@h"] {
            let told = address(text, fill).unwrap_err();
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn what_is_no_reference_is_shown_as_it_is() {
        let plain = Credentials {
            username: Some(Template::literal("${env:X}")),
            password: Some(Template::literal("a%41:b")),
        };
        assert!(!plain.refers());
        let login = plain.login(read).unwrap();
        assert_eq!(login.username.unwrap().reveal(), "${env:X}");
        assert_eq!(login.password.unwrap().reveal(), "a%41:b");
    }
}
