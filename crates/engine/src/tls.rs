//! The certificate of the doors that speak TLS. Where the configuration names none, which it must
//! in a real house, one is made at the first start and kept in the data folder.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hansho_config::TlsFiles;
use hansho_intake::{QuicIdentity, TlsError, TlsIdentity};
use hansho_protocols::vehicle::certificate_name;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

pub use hansho_model::is_terminal_id;

/// The certificate that a demo makes for itself; devices and test clients trust this file.
pub const MADE_CERTIFICATE: &str = "tls.pem";
/// Its private key, for its owner alone.
pub const MADE_KEY: &str = "tls.key";
/// Who vouches for terminals: its certificate, made at the first need.
pub const TERMINALS: &str = "terminals.pem";
/// Its private key, for its owner alone; who has it can make terminals.
pub const TERMINALS_KEY: &str = "terminals.key";
/// Names that a made certificate is good for.
const MADE_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Why the doors have no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// It cannot be used.
    #[error("{} with {} cannot be used", certificate.display(), key.display())]
    Unusable {
        /// The certificate.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
        /// Cause.
        #[source]
        source: TlsError,
    },
    /// None could be made.
    #[error("no certificate could be made")]
    Make(#[from] rcgen::Error),
    /// What was made before could not be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// File.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// What was made could not be kept.
    #[error("{} cannot be written", path.display())]
    Keep {
        /// File.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

/// The certificate of this house; makes one in the folder `data` where no files are named.
///
/// # Errors
///
/// See [`CertificateError`].
pub fn identity(files: Option<&TlsFiles>, data: &Path) -> Result<TlsIdentity, CertificateError> {
    let TlsFiles { certificate, key } = own(files, data)?;
    TlsIdentity::load(&certificate, &key).map_err(|source| CertificateError::Unusable {
        certificate,
        key,
        source,
    })
}

/// The same certificate at the door of terminals. `secret` stays the same from start to start.
///
/// # Errors
///
/// See [`CertificateError`].
pub fn quic_identity(
    files: Option<&TlsFiles>,
    data: &Path,
    secret: &[u8],
) -> Result<QuicIdentity, CertificateError> {
    let TlsFiles { certificate, key } = own(files, data)?;
    QuicIdentity::load(&certificate, &key, &authority(data)?, secret)
        .map_err(|source| CertificateError::Unusable { certificate, key, source })
}

/// The house's own certificate and key; makes them where no files are named.
fn own(files: Option<&TlsFiles>, data: &Path) -> Result<TlsFiles, CertificateError> {
    if let Some(files) = files {
        return Ok(files.clone());
    }
    let (certificate, key) = (data.join(MADE_CERTIFICATE), data.join(MADE_KEY));
    if !certificate.is_file() || !key.is_file() {
        let made = rcgen::generate_simple_self_signed(MADE_NAMES.map(str::to_owned))?;
        // The key first: where the certificate stands, its key does, too.
        keep(&key, made.signing_key.serialize_pem().as_bytes())?;
        keep(&certificate, made.cert.pem().as_bytes())?;
        tracing::info!(path = %certificate.display(), "A certificate for this machine was made.");
    }
    Ok(TlsFiles { certificate, key })
}

/// Makes who vouches for terminals in the folder `data`, if there is none; returns the file of its
/// certificate.
///
/// # Errors
///
/// See [`CertificateError`].
pub fn authority(data: &Path) -> Result<PathBuf, CertificateError> {
    let (certificate, key) = (data.join(TERMINALS), data.join(TERMINALS_KEY));
    if !certificate.is_file() || !key.is_file() {
        let pair = KeyPair::generate()?;
        let made = authority_params().self_signed(&pair)?;
        keep(&key, pair.serialize_pem().as_bytes())?;
        keep(&certificate, made.pem().as_bytes())?;
    }
    Ok(certificate)
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "Hansho terminals");
    params
}

/// Makes a terminal's certificate and key in the folder `out`, as `<id>.pem` and `<id>.key`.
///
/// # Errors
///
/// See [`CertificateError`].
pub fn issue(data: &Path, terminal: &str, out: &Path) -> Result<(), CertificateError> {
    authority(data)?;
    let path = data.join(TERMINALS_KEY);
    let pem = std::fs::read_to_string(&path)
        .map_err(|source| CertificateError::Read { path: path.clone(), source })?;
    let issuer = Issuer::new(authority_params(), KeyPair::from_pem(&pem)?);
    let mut params = CertificateParams::new(vec![certificate_name(terminal)])?;
    params.distinguished_name.push(DnType::CommonName, terminal);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let pair = KeyPair::generate()?;
    let made = params.signed_by(&pair, &issuer)?;
    let file = |end: &str| out.join(format!("{}.{end}", terminal.to_ascii_lowercase()));
    keep(&file("key"), pair.serialize_pem().as_bytes())?;
    keep(&file("pem"), made.pem().as_bytes())
}

fn keep(path: &Path, pem: &[u8]) -> Result<(), CertificateError> {
    let fault = |source| CertificateError::Keep { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut file = opened.map_err(fault)?;
    file.write_all(pem).and_then(|()| file.sync_all()).map_err(fault)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_its_key_is_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        identity(None, folder.path()).unwrap();
        let read = |name| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let first = (read(MADE_CERTIFICATE), read(MADE_KEY));
        let mode = std::fs::metadata(folder.path().join(MADE_KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        identity(None, folder.path()).unwrap();
        assert_eq!((read(MADE_CERTIFICATE), read(MADE_KEY)), first);
        let files = TlsFiles {
            certificate: folder.path().join(MADE_KEY),
            key: folder.path().join(MADE_CERTIFICATE),
        };
        assert!(identity(Some(&files), folder.path()).is_err(), "swapped");
    }
}
