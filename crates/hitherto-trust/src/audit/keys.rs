//! The key that signs checkpoints, and the one that checks them: Ed25519, in the files that
//! `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hitherto_core::{Error, Result};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::chain::sha256;
use super::file;

const PRIVATE: &str = "PRIVATE KEY";
const PUBLIC: &str = "PUBLIC KEY";
/// PKCS #8 of an Ed25519 key, before its 32 bytes.
const PRIVATE_BEGINS: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// SubjectPublicKeyInfo of one, before its 32 bytes.
const PUBLIC_BEGINS: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
/// The number of Ed25519 among the algorithms of signed notes.
const NOTE_ALGORITHM: u8 = 1;

/// Bytes that nobody can guess.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| {
        Error::unavailable("the system gives no random bytes; see that /dev/urandom is there")
    })?;
    Ok(bytes)
}

/// Signs checkpoints.
pub struct Signer(Ed25519KeyPair);

impl Signer {
    /// Reads the key of a file, which is made, with a new key and its owner's alone, if it is
    /// not there.
    ///
    /// # Errors
    /// `Invalid` when the file holds no such key, `Unavailable` when it cannot be read or
    /// written.
    pub fn read_or_make(path: &Path) -> Result<Self> {
        if let Some(pem) = file::read_if_any(path)? {
            return Self::parse(path, &pem);
        }
        let key = [&PRIVATE_BEGINS[..], &random::<32>()?].concat();
        let pem = to_pem(PRIVATE, &key);
        file::write_new(path, pem.as_bytes())?;
        Self::parse(path, &pem)
    }

    fn parse(path: &Path, pem: &str) -> Result<Self> {
        let pair = from_pem(PRIVATE, pem)
            .and_then(|der| Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).ok());
        pair.map(Self).ok_or_else(|| {
            Error::invalid(format!(
                "{} is no Ed25519 key in PEM; name another file, or make it with `openssl genpkey \
                 -algorithm ed25519 -out FILE`",
                path.display()
            ))
        })
    }

    /// The key that checks what this one signs.
    pub fn public(&self) -> PublicKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(key)
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.0.sign(message).as_ref());
        signature
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public())
    }
}

/// Checks signatures. Shown as its fingerprint, to be compared by people.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads the key of a PEM file.
    ///
    /// # Errors
    /// `Invalid` when it holds none, `Unavailable` when it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let pem = std::fs::read_to_string(path)
            .map_err(|cause| Error::unreadable(path.display(), cause))?;
        let key = from_pem(PUBLIC, &pem).and_then(|der| {
            let key = der.strip_prefix(&PUBLIC_BEGINS)?;
            key.try_into().ok()
        });
        key.map(Self).ok_or_else(|| {
            Error::invalid(format!(
                "{} is no public Ed25519 key in PEM; name the key.pem that lies beside a log, or \
                 make it of the private key with `openssl pkey -pubout`",
                path.display()
            ))
        })
    }

    /// The key as a PEM file holds it.
    pub fn to_pem(self) -> String {
        to_pem(PUBLIC, &[&PUBLIC_BEGINS[..], &self.0].concat())
    }

    /// By what signed notes name the key, beside its owner's name.
    pub(super) fn note_id(self, name: &str) -> [u8; 4] {
        let hash = sha256(&[name.as_bytes(), b"\n", &[NOTE_ALGORITHM], &self.0]);
        [hash[0], hash[1], hash[2], hash[3]]
    }

    pub(super) fn has_signed(self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = sha256(&[&PUBLIC_BEGINS, &self.0]);
        f.write_str("SHA256:")?;
        hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A PEM file of one short key: its base64 fits a line.
fn to_pem(what: &str, der: &[u8]) -> String {
    let base64 = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = (0..base64.len())
        .step_by(64)
        .map(|begin| &base64[begin..base64.len().min(begin + 64)])
        .collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}

fn from_pem(what: &str, pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once(&format!("-----BEGIN {what}-----"))?;
    let (base64, _) = rest.split_once(&format!("-----END {what}-----"))?;
    let base64: String = base64.chars().filter(|character| !character.is_whitespace()).collect();
    BASE64_STANDARD.decode(base64).ok()
}
