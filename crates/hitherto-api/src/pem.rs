//! Certificates and keys in PEM files, as both ends of TLS read them, and what is said of files
//! that have none.

use std::path::PathBuf;

use hitherto_core::{Error, Result};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A file that was read.
#[derive(PartialEq, Eq)]
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// All of it.
    pub content: Vec<u8>,
}

impl File {
    /// Reads all of it.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be read.
    pub fn read(path: PathBuf) -> Result<Self> {
        match std::fs::read(&path) {
            Ok(content) => Ok(Self { path, content }),
            Err(cause) => Err(Error::unreadable(path.display(), cause)),
        }
    }
}

/// The certificates of a file, of which there is one at least.
///
/// # Errors
/// `Invalid` when there is none, or the file is no PEM.
pub fn certificates(file: &File) -> Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&file.content).collect();
    let path = file.path.display();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(Error::invalid(format!(
            "{path} has no certificate; name a PEM file, which has BEGIN CERTIFICATE"
        ))),
        Err(cause) => {
            Err(Error::invalid(format!("{path} is no PEM; name a file that has BEGIN CERTIFICATE"))
                .with_source(cause))
        }
    }
}

/// The first key of a file.
///
/// # Errors
/// `Invalid` when there is none.
pub fn private_key(file: &File) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(&file.content).map_err(|cause| {
        let path = file.path.display();
        Error::invalid(format!(
            "{path} has no key; name a PEM file without a passphrase, which has BEGIN PRIVATE \
             KEY"
        ))
        .with_source(cause)
    })
}
