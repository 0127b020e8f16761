//! Entities as keyed hashes: who has the key can ask who looked at whom; who has the log alone
//! cannot tell of whom it is.
//!
//! ```text
//! HMAC-SHA-256 under the key of the year, its first 8 bytes, of
//!     "hitherto audit entity 1\n" | the entity's name | for each join key by name: name | value
//! each of them behind its length u32, little endian; a value as it is written: 42, true, text
//! ```
//!
//! A value is hashed as people write it, so that whoever asks needs no definition: a join key has
//! one type, and two values of it are written differently. Names are those of the entity's join
//! keys, whatever a request calls them.
//!
//! Each year has a key of its own, in a file. Who removes it cuts what was recorded in that year
//! from whom it was about, for ever.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hitherto_core::key::Part;
use hitherto_core::time::format_timestamp;
use hitherto_core::{Error, Result};
use parking_lot::RwLock;
use ring::hmac::{Context, HMAC_SHA256, Key};

use super::{file, keys};

const DAY_MICROS: i64 = 86_400_000_000;
const BEGINS: &[u8] = b"hitherto audit entity 1\n";

/// The keys of all years, in a folder.
pub struct EntityKeys {
    folder: PathBuf,
    years: RwLock<BTreeMap<String, EntityKey>>,
    /// The key that was asked for last to write with, and of which day.
    today: RwLock<Option<(i64, EntityKey)>>,
}

/// The key of a year.
#[derive(Clone)]
pub struct EntityKey(Arc<Key>);

/// A value of a join key as people write it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyText(Vec<u8>);

impl KeyText {
    /// Writes a value.
    pub fn set(&mut self, part: Part<'_>) {
        self.0.clear();
        match part {
            Part::Bool(value) => self.0.extend_from_slice(value.to_string().as_bytes()),
            Part::Int(value) => self.0.extend_from_slice(value.to_string().as_bytes()),
            Part::UInt(value) => self.0.extend_from_slice(value.to_string().as_bytes()),
            Part::Bytes(value) => self.0.extend_from_slice(value),
        }
    }

    /// A value that somebody wrote.
    pub fn typed(text: &str) -> Self {
        Self::typed_bytes(text.as_bytes())
    }

    /// A value of bytes.
    pub fn typed_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl EntityKeys {
    /// The keys in this folder. Touches nothing.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), years: RwLock::default(), today: RwLock::default() }
    }

    /// The key of the year of a moment, in microseconds UTC, which is made if it is not there.
    ///
    /// # Errors
    /// As [`EntityKeys::find`]; `Unavailable` when the file cannot be written.
    pub fn of(&self, time: i64) -> Result<EntityKey> {
        let day = time.div_euclid(DAY_MICROS);
        if let Some((_, key)) = self.today.read().as_ref().filter(|(of, _)| *of == day) {
            return Ok(key.clone());
        }
        let key = self.find_or_make(&year(time))?;
        *self.today.write() = Some((day, key.clone()));
        Ok(key)
    }

    fn find_or_make(&self, year: &str) -> Result<EntityKey> {
        if let Some(key) = self.find(year)? {
            return Ok(key);
        }
        let secret: String =
            keys::random::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        file::make_folder(&self.folder)?;
        file::write_new(&self.path(year), format!("{secret}\n").as_bytes())?;
        self.find(year)?.ok_or_else(|| {
            Error::internal("a key that was written is not there; see what removes files")
        })
    }

    /// The key of the year of a moment, if there is one.
    ///
    /// # Errors
    /// As [`EntityKeys::find`].
    pub fn kept(&self, time: i64) -> Result<Option<EntityKey>> {
        self.find(&year(time))
    }

    /// The key of a year, if there is one.
    ///
    /// # Errors
    /// `Invalid` for a file that holds no key, `Unavailable` when it cannot be read.
    fn find(&self, year: &str) -> Result<Option<EntityKey>> {
        if let Some(key) = self.years.read().get(year) {
            return Ok(Some(key.clone()));
        }
        let path = self.path(year);
        let Some(secret) = file::read_if_any(&path)? else { return Ok(None) };
        let secret = secret.trim();
        if secret.len() != 64 || !secret.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::invalid(format!(
                "{} is no key of 64 hex digits; restore it from a copy, or remove it if nobody is \
                 to ask any more who was looked up in that year",
                path.display()
            )));
        }
        let key = EntityKey(Arc::new(Key::new(HMAC_SHA256, secret.as_bytes())));
        self.years.write().insert(year.to_owned(), key.clone());
        Ok(Some(key))
    }

    fn path(&self, year: &str) -> PathBuf {
        self.folder.join(format!("entities-{year}.key"))
    }
}

impl EntityKey {
    /// The hash of one entity: its name, and its join keys, sorted by name.
    pub fn hash<'k>(
        &self,
        entity: &str,
        keys: impl Iterator<Item = (&'k str, &'k KeyText)>,
    ) -> u64 {
        let mut context = Context::with_key(&self.0);
        context.update(BEGINS);
        let mut update = |bytes: &[u8]| {
            context.update(&(bytes.len() as u32).to_le_bytes());
            context.update(bytes);
        };
        update(entity.as_bytes());
        for (name, value) in keys {
            update(name.as_bytes());
            update(&value.0);
        }
        let tag = context.sign();
        let (first, _) = tag.as_ref().split_first_chunk().unwrap_or((&[0; 8], &[]));
        u64::from_be_bytes(*first)
    }
}

/// The year of a moment, UTC.
fn year(time: i64) -> String {
    let written = format_timestamp(time);
    written.split_once('-').map_or(written.clone(), |(year, _)| year.to_owned())
}

impl fmt::Debug for EntityKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntityKeys").field("folder", &self.folder).finish_non_exhaustive()
    }
}
