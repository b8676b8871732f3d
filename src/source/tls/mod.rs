//! TLS to a server: one client configuration for all that have the same settings.
//!
//! The CAs of the system are read once for all; files of a setting are looked at
//! before each handshake, so that one replaced on disk counts from then on. Reading
//! is done off the runtime's thread. Must not know what is said over a connection.

mod files;
mod verifier;
pub mod words;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::tls::Tls;

use super::threads::{self, Begun};
use super::trouble::Trouble;
use files::Stamp;
use verifier::{AnyServer, Verifier};

/// What was made of each setting.
static SETTINGS: Mutex<BTreeMap<Tls, Arc<tokio::sync::Mutex<Kept>>>> = Mutex::new(BTreeMap::new());

/// One setting. A reading that takes longer than a try is kept for the next: a file
/// system that hangs costs one thread.
#[derive(Default)]
struct Kept {
    made: Option<Made>,
    under_way: Option<Begun<Result<Made, String>>>,
}

/// A configuration, and the files it was made of.
#[derive(Clone)]
struct Made {
    stamps: Vec<Stamp>,
    config: Arc<ClientConfig>,
}

/// The configuration for these settings as its files are now.
///
/// # Errors
/// Which key and file are wrong, and what to change.
pub async fn config(tls: &Tls) -> Result<Arc<ClientConfig>, Trouble> {
    // The name is that of a server, not of a setting.
    let setting = Tls {
        server_name: None,
        ..tls.clone()
    };
    let kept = {
        let mut settings = SETTINGS.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(settings.entry(setting.clone()).or_default())
    };
    let mut kept = kept.lock().await;
    let Kept { made, under_way } = &mut *kept;
    if let Some(made) = made.as_ref().filter(|made| made.stamps.is_empty()) {
        return Ok(Arc::clone(&made.config));
    }
    let reading = under_way.get_or_insert_with(|| {
        let before = made.clone();
        threads::all().begin(move || current(&setting, before))
    });
    let read = reading.await;
    *under_way = None;
    let read = read.map_err(|undone| Trouble::undone("reading the files of TLS", &undone))?;
    let read = read.map_err(Trouble::Tls)?;
    let config = Arc::clone(&read.config);
    *made = Some(read);
    Ok(config)
}

/// What was made before, or anew where a file is another one.
fn current(tls: &Tls, before: Option<Made>) -> Result<Made, String> {
    // Before reading: what changes meanwhile is seen the next time.
    let stamps = files::stamps(tls)?;
    match before {
        Some(made) if made.stamps == stamps => Ok(made),
        _ => Ok(Made {
            stamps,
            config: Arc::new(make(tls)?),
        }),
    }
}

fn make(tls: &Tls) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let told = |error: rustls::Error| format!("cannot be set up: {error}");
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(told)?
        .dangerous();
    let own = tls.ca.as_deref().map(files::authorities).transpose()?;
    let builder = if tls.skip_verify {
        let algorithms = provider.signature_verification_algorithms;
        builder.with_custom_certificate_verifier(Arc::new(AnyServer(algorithms)))
    } else {
        let (roots, own) = match own {
            Some((roots, own)) => (Arc::new(roots), own),
            None => (files::system()?, Vec::new()),
        };
        let verifier = Verifier::new(roots, own, provider).map_err(|error| error.to_string())?;
        builder.with_custom_certificate_verifier(Arc::new(verifier))
    };
    let mut config = match (&tls.cert, &tls.key) {
        (Some(cert), Some(key)) => {
            let chain = files::certificates("tls_cert", cert)?;
            let private = files::private_key(key)?;
            let shown = builder.with_client_auth_cert(chain, private);
            shown.map_err(|error| files::unfit(cert, key, &error))?
        }
        _ => builder.with_no_client_auth(),
    };
    // Connections stay open: nothing is gained by resuming, and sessions are memory.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Shakes hands over a stream with the server that is called `host` in the address.
/// The caller bounds the time.
///
/// # Errors
/// What is wrong, and what to change.
pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    config: Arc<ClientConfig>,
    tls: &Tls,
    host: &str,
    stream: S,
) -> Result<TlsStream<S>, Trouble> {
    let host = tls.server_name.as_deref().unwrap_or(host);
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        let told = "the host of its address is no name that a certificate can be for; set \
                    tls_server_name to one";
        Trouble::Tls(told.to_owned())
    })?;
    let shaken = TlsConnector::from(config).connect(name, stream).await;
    shaken.map_err(|error| words::handshake(&error, tls))
}
