//! The seal of a backup: who has the key took it, and nobody changed it since.
//!
//! ```text
//! <backup>/backup.hmac   hitherto-backup-1 hmac-sha-256 <hex>
//!
//!     HMAC-SHA-256 under the key of the SHA-256 of backup.json and then of each file that
//!     it lists, in its order
//! ```
//!
//! The record says of each file how long it is, so that bytes cannot move from one to the
//! next. Its own fingerprints find accidents, and whoever may write to the backup can make
//! them anew; for the seal they need the key, which is not in it. It hides nothing: whoever
//! can read a backup reads all of it.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use hitherto_core::{Error, Result};
use ring::digest::{Context, Digest, SHA256};
use ring::hmac;

use crate::disk::{check_secret, unreadable, write_whole};

const SEAL_FILE: &str = "backup.hmac";
/// What stands before the hex digits. The number in it is that of the form.
const FORM: &str = "hitherto-backup-1 hmac-sha-256 ";
/// Characters of a key: fewer could be guessed.
const KEY_BYTES_MIN: usize = 32;
const PIECE_BYTES: usize = 256 << 10;

/// What backups are sealed with.
pub struct Key(hmac::Key);

impl Key {
    /// Reads the key of a file, without white space around it.
    ///
    /// # Errors
    /// `Invalid` when others can read the file or it has less than a key, `Unavailable` when
    /// it cannot be read.
    pub fn read(file: &Path) -> Result<Self> {
        check_secret(file)?;
        let content = fs::read(file).map_err(|cause| {
            Error::unavailable(format!(
                "the key of backups, {}, cannot be read; see that it is there, and that this user \
                 may read it",
                file.display()
            ))
            .with_source(cause)
        })?;
        let key = content.trim_ascii();
        if key.len() < KEY_BYTES_MIN {
            return Err(Error::invalid(format!(
                "{} has {} characters, and a key at least {KEY_BYTES_MIN}; make one with \
                 `openssl rand -hex 32`",
                file.display(),
                key.len()
            )));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }

    /// Seals the backup in `folder` with this record and files.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub fn seal(&self, folder: &Path, record: &[u8], files: &[PathBuf]) -> Result<()> {
        let tag = hmac::sign(&self.0, digest_of(record, files)?.as_ref());
        let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        write_whole(&folder.join(SEAL_FILE), format!("{FORM}{digits}\n").as_bytes())
    }

    /// Compares the seal of the backup in `folder` with this record and these files, which
    /// may be copies of its own.
    ///
    /// # Errors
    /// `Corrupt` when there is none, or it is not this key's of these bytes.
    pub fn check(&self, folder: &Path, record: &[u8], files: &[PathBuf]) -> Result<()> {
        let path = folder.join(SEAL_FILE);
        let said = fs::read_to_string(&path).map_err(|cause| {
            Error::corrupt(format!(
                "the backup {} has no seal, so that anybody may have made it; use another, or \
                 take backupKey out of hitherto.yaml to restore one without",
                folder.display()
            ))
            .with_source(cause)
        })?;
        let tag = said.trim_end().strip_prefix(FORM).and_then(bytes_of).unwrap_or_default();
        let digest = digest_of(record, files)?;
        hmac::verify(&self.0, digest.as_ref(), &tag).map_err(|_| {
            Error::corrupt(format!(
                "{} is no seal of this backup under the key that hitherto.yaml names: the backup \
                 was changed, or sealed with another key; nothing was restored, use another",
                path.display()
            ))
        })
    }
}

/// The digest of a record and of the files that it lists.
fn digest_of(record: &[u8], files: &[PathBuf]) -> Result<Digest> {
    let mut context = Context::new(&SHA256);
    context.update(record);
    let mut piece = vec![0; PIECE_BYTES];
    for path in files {
        let mut read = || {
            let mut file = File::open(path)?;
            loop {
                match file.read(&mut piece)? {
                    0 => return Ok(()),
                    count => context.update(&piece[..count]),
                }
            }
        };
        read().map_err(|cause: std::io::Error| unreadable(path, cause))?;
    }
    Ok(context.finish())
}

/// The bytes of hex digits.
fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let bytes = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some((digit(*high)? << 4 | digit(*low)?) as u8),
        _ => None,
    });
    bytes.collect()
}
