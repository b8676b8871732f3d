//! What went wrong with TLS, in words that tell what to change.
//!
//! Each cause that an operator can mend has a sentence of its own. Names that a
//! certificate bears are the server's words: the trouble cleans them.

use std::io;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use crate::config::tls::Tls;
use crate::model::text;

use super::super::trouble::{Trouble, clean};
use super::verifier::SelfSigned;

/// Most names of a certificate that are repeated.
const NAMES: usize = 4;

/// Why a handshake failed.
pub(super) fn handshake(error: &io::Error, tls: &Tls) -> Trouble {
    match inner(error) {
        Some(error) => Trouble::Tls(told(error, tls)),
        None => Trouble::BrokenHandshake(clean(&error.to_string())),
    }
}

fn inner(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn told(error: &Error, tls: &Tls) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error, tls),
        Error::AlertReceived(alert) => self::alert(*alert, tls.cert.is_some()),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::MessageTooShort
            | InvalidMessage::InvalidEmptyPayload,
        )
        | Error::InappropriateMessage { .. } => {
            "the server speaks no TLS on this port; use its tls-port, or write redis:// and take \
             the tls_ keys away"
                .to_owned()
        }
        Error::PeerIncompatible(_) => format!("{error}; TLS 1.2 or 1.3 is needed (tls-protocols)"),
        other => other.to_string(),
    }
}

fn certificate(error: &CertificateError, tls: &Tls) -> String {
    match error {
        CertificateError::ExpiredContext { not_after, .. } => format!(
            "the server's certificate expired on {}; renew it",
            moment(*not_after)
        ),
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "the server's certificate is not valid before {}; check the clock of this machine, \
             and of the one that made it",
            moment(*not_before)
        ),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let wanted = expected.to_str();
            let fix = "connect by a name that it is for, or set tls_server_name to one";
            match names(presented) {
                None => format!(
                    "the server's certificate is for no name at all (it has no subjectAltName), \
                     so not for {wanted}; make it anew with one"
                ),
                Some(names) => {
                    format!("the server's certificate is for {names}, not for {wanted}; {fix}")
                }
            }
        }
        CertificateError::UnknownIssuer => match &tls.ca {
            Some(path) => format!(
                "the server's certificate was not signed by a CA in {} (tls_ca); put the \
                 server's CA there",
                path.display()
            ),
            None => "the server's certificate was signed by a CA that this machine does not \
                     trust; set tls_ca to a file with that CA"
                .to_owned(),
        },
        CertificateError::Other(error) if error.0.is::<SelfSigned>() => {
            "the server's certificate is self-signed; set tls_ca to a copy of it, or \
             tls_skip_verify: yes to trust whoever answers"
                .to_owned()
        }
        other => format!("the server's certificate is not accepted: {other}"),
    }
}

/// Why a server ended the conversation; `shows` tells whether it was shown a
/// certificate.
#[must_use]
pub fn alert(alert: AlertDescription, shows: bool) -> String {
    use AlertDescription as A;
    match alert {
        A::HandshakeFailure if !shows => {
            "the server broke off the handshake; either it wants a client certificate (set tls_cert \
             and tls_key), or both have no cipher or kind of key in common (P-521 is not known here)"
                .to_owned()
        }
        A::CertificateRequired | A::BadCertificate | A::NoCertificate if !shows => {
            "the server wants a client certificate; set tls_cert and tls_key (or let it ask for \
             none: tls-auth-clients no)"
                .to_owned()
        }
        A::UnknownCA
        | A::BadCertificate
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::CertificateRevoked
        | A::UnsupportedCertificate
        | A::CertificateRequired
        | A::AccessDenied
        | A::DecryptError
            if shows =>
        {
            format!(
                "the server refuses the certificate that it is shown ({alert:?}); set tls_cert \
                 and tls_key to one that is valid and signed by a CA in its tls-ca-cert-file"
            )
        }
        A::UnrecognisedName => {
            "nobody there has the name that is asked for; set tls_server_name to the server's"
                .to_owned()
        }
        A::ProtocolVersion => {
            "the server speaks neither TLS 1.2 nor 1.3; allow one (tls-protocols)".to_owned()
        }
        other => format!("the server breaks off: {other:?}"),
    }
}

/// The alert by which a server ended a connection: under TLS 1.3 what it thinks of a
/// client's certificate comes with its first reply.
#[must_use]
pub fn alert_in(error: &io::Error) -> Option<AlertDescription> {
    match inner(error)? {
        Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

fn moment(time: UnixTime) -> String {
    text::utc(time.as_secs())
}

/// Some of the names, without the words that webpki puts around them.
fn names(presented: &[String]) -> Option<String> {
    let bare = |name: &String| {
        let inside = name.split_once('(').map_or(name.as_str(), |(_, rest)| rest);
        inside.trim_matches(['(', ')', '"']).to_owned()
    };
    let shown: Vec<String> = presented.iter().take(NAMES).map(bare).collect();
    let more = presented.len().saturating_sub(NAMES);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    (!shown.is_empty()).then(|| format!("{}{more}", clean(&shown.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_names_of_a_certificate_are_told() {
        let given = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&[]), None);
        let presented = given(&["DnsName(\"a.example\")", "IpAddress(10.0.0.1)", "b"]);
        assert_eq!(names(&presented).unwrap(), "a.example, 10.0.0.1, b");
        let many = given(&["a", "b", "c", "d", "e", "f"]);
        assert_eq!(names(&many).unwrap(), "a, b, c, d and 2 more");
        let hostile = given(&["DnsName(\"a\u{1b}[2J\n\u{202e}b\")"]);
        assert_eq!(names(&hostile).unwrap(), "a[2J b");
    }

    #[test]
    fn an_alert_tells_which_side_lacks_what() {
        use AlertDescription as A;
        for (given, shows, says) in [
            (A::CertificateRequired, false, "wants a client certificate"),
            (A::HandshakeFailure, false, "P-521"),
            (A::UnknownCA, true, "refuses the certificate"),
            (A::HandshakeFailure, true, "breaks off"),
            (A::InternalError, false, "InternalError"),
            (A::ProtocolVersion, true, "tls-protocols"),
            (A::UnrecognisedName, false, "tls_server_name"),
        ] {
            let told = alert(given, shows);
            assert!(told.contains(says), "{given:?}: {told}");
        }
    }
}
