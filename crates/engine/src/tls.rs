//! The certificate of the doors that speak TLS. Where the configuration names none, which it must
//! in a real house, one is made at the first start and kept in the data folder.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hansho_config::TlsFiles;
use hansho_intake::{TlsError, TlsIdentity};

/// The certificate that a demo makes for itself; devices and test clients trust this file.
pub const MADE_CERTIFICATE: &str = "tls.pem";
/// Its private key, for its owner alone.
pub const MADE_KEY: &str = "tls.key";
/// Names that a made certificate is good for.
const MADE_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Why the doors have no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// It cannot be used.
    #[error(transparent)]
    Unusable(#[from] TlsError),
    /// None could be made.
    #[error("no certificate could be made")]
    Make(#[from] rcgen::Error),
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
    if let Some(TlsFiles { certificate, key }) = files {
        return Ok(TlsIdentity::load(certificate, key)?);
    }
    let (certificate, key) = (data.join(MADE_CERTIFICATE), data.join(MADE_KEY));
    if !certificate.is_file() || !key.is_file() {
        let made = rcgen::generate_simple_self_signed(MADE_NAMES.map(str::to_owned))?;
        // The key first: where the certificate stands, its key does, too.
        keep(&key, made.signing_key.serialize_pem().as_bytes())?;
        keep(&certificate, made.cert.pem().as_bytes())?;
        tracing::info!(path = %certificate.display(), "A certificate for this machine was made.");
    }
    Ok(TlsIdentity::load(&certificate, &key)?)
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
