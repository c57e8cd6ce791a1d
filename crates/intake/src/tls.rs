//! TLS: the same conversations, enciphered. rustls on aws-lc-rs, TLS 1.2 and 1.3.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::Entrance;
use crate::tcp::{Place, TcpLimits, accept, converse};

/// From the opening of a connection to the end of its handshake.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file.
    #[error("{} holds no {what} in PEM form", path.display())]
    File {
        /// File.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The two do not go together, or are too weak.
    #[error("the certificate and its key cannot be used")]
    Unusable(#[source] tokio_rustls::rustls::Error),
}

/// A certificate with its key, as the doors use it.
#[derive(Clone)]
pub struct TlsIdentity(TlsAcceptor);

impl std::fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsIdentity")
    }
}

impl TlsIdentity {
    /// From PEM files: the certificate with those that vouch for it, and its key.
    ///
    /// # Errors
    ///
    /// See [`TlsError`].
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_single_cert(certificates(certificate)?, private_key(key)?)
            .map_err(TlsError::Unusable)?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

/// All certificates of a PEM file.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = |source| TlsError::File { path: path.to_owned(), what: "certificate", source };
    let pem = fs::read(path).map_err(fault)?;
    let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    found.map_err(|error| fault(io::Error::other(error)))
}

/// The private key of a PEM file.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let fault = |source| TlsError::File { path: path.to_owned(), what: "private key", source };
    let pem = fs::read(path).map_err(fault)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| fault(io::Error::other(error)))
}

/// Accepts connections and their handshakes until `stop` turns true.
pub async fn serve_tls(
    listener: TcpListener,
    identity: TlsIdentity,
    entrance: Entrance,
    limits: TcpLimits,
    stop: watch::Receiver<bool>,
) {
    let (door, ending) = (entrance.door, stop.clone());
    let begin = move |stream, peer, place: Place| {
        let (identity, entrance, stop) = (identity.clone(), entrance.clone(), stop.clone());
        async move {
            let handshake = identity.0.accept(stream);
            match tokio::time::timeout(HANDSHAKE_TIME_MAX, handshake).await {
                Ok(Ok(stream)) => converse(stream, peer, entrance, limits, place, stop).await,
                Ok(Err(error)) => tracing::debug!(%door, %error, "A handshake failed."),
                Err(_late) => tracing::debug!(%door, "A handshake took too long."),
            }
        }
    };
    accept(&listener, door, limits, ending, begin).await;
}
