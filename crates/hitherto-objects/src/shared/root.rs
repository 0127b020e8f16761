//! A folder of objects that several processes write.
//!
//! **The answer of a write can get lost**, and then its writer does not know whether it
//! happened. So nobody ever writes the same bytes twice (each of the records here names its
//! writer and counts), and a write whose answer is bad is looked for: the bytes that are there
//! say whose they are.

use std::sync::Arc;

use bytes::Bytes;
use hitherto_core::{Error, Result};
use object_store::path::Path;
use object_store::{
    Error as StoreError, GetResult, ObjectStoreExt, PutMode, PutOptions, PutResult, UpdateVersion,
};

use crate::{Bucket, Stores};

/// A folder of an object store.
#[derive(Clone, Debug)]
pub struct Root {
    bucket: Arc<Bucket>,
    prefix: String,
}

/// Says whether an object is still the one that was read. It is the store's, which compares by
/// ETag or by generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token(UpdateVersion);

/// An object as it was read.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its bytes.
    pub bytes: Bytes,
    /// To write over this one and no other.
    pub token: Token,
}

/// What became of a conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It happened.
    Done(Token),
    /// It did not: somebody else's object is there.
    Lost,
}

impl Root {
    /// The folder of a URL such as `s3://bucket/features`.
    ///
    /// # Errors
    /// `Invalid` for a URL that is none of an object store's folder.
    pub fn open(stores: &Stores, url: &str) -> Result<Self> {
        let none = || {
            Error::invalid(format!(
                "{url:?} is no folder of an object store; write one such as s3://bucket/folder, \
                 gs://bucket/folder or abfss://container@account.dfs.core.windows.net/folder"
            ))
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(none)?;
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/').to_owned();
        if name.is_empty() || Path::parse(&prefix).is_err() {
            return Err(none());
        }
        let bucket = stores.open(&format!("{scheme}://{name}")).ok_or_else(none)??;
        Ok(Self { bucket, prefix })
    }

    /// A folder in this one.
    pub fn folder(&self, name: &str) -> Self {
        Self { bucket: Arc::clone(&self.bucket), prefix: self.key(name) }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("{}/{}", self.bucket.url(), self.prefix)
    }

    /// Reads an object; `None` if there is none.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub fn read(&self, name: &str) -> Result<Option<Stored>> {
        let (store, path) = (self.bucket.store(), self.path(name)?);
        let read = async move {
            let found = store.get(&path).await?;
            let token = token_of(&found);
            Ok(Stored { bytes: found.bytes().await?, token })
        };
        match self.bucket.wait(read)? {
            Ok(stored) => Ok(Some(stored)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(cause) => Err(self.unanswered(name, cause)),
        }
    }

    /// Writes an object that is not there yet.
    ///
    /// # Errors
    /// `Invalid` when the store knows no such writes; `Unavailable` when it does not answer,
    /// and whether the object is written may show later.
    pub fn create(&self, name: &str, bytes: Bytes) -> Result<Written> {
        self.put(name, bytes, PutMode::Create)
    }

    /// Writes over an object that is still the one of this token.
    ///
    /// # Errors
    /// As [`Root::create`].
    pub fn replace(&self, name: &str, bytes: Bytes, over: &Token) -> Result<Written> {
        self.put(name, bytes, PutMode::Update(over.0.clone()))
    }

    /// Removes an object, if it is there.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub fn remove(&self, name: &str) -> Result<()> {
        let (store, path) = (self.bucket.store(), self.path(name)?);
        match self.bucket.wait(async move { store.delete(&path).await })? {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(cause) => Err(self.unanswered(name, cause)),
        }
    }

    /// Sees that the store keeps what everything here stands on: of two writes of one object
    /// the second is refused. `name` is that of an object that nobody else uses, which is
    /// removed again.
    ///
    /// # Errors
    /// `Invalid` when it does not; `Unavailable` when it does not answer.
    pub fn prove(&self, name: &str) -> Result<()> {
        let proven = self.prove_by(name);
        let removed = self.remove(name);
        proven.and(removed)
    }

    fn prove_by(&self, name: &str) -> Result<()> {
        let text = |number: u8| Bytes::from(format!("{name} {number}"));
        let refuse = |what: &str| {
            Err(Error::invalid(format!(
                "{} cannot be shared: {what}; use a store that shows each write at once, and \
                 refuses one whose condition (If-None-Match, If-Match) does not hold",
                self.url()
            )))
        };
        if self.create(name, text(0))? == Written::Lost {
            return refuse("an object that was not there could not be created");
        }
        if self.create(name, text(1))? != Written::Lost {
            return refuse("an object that was there was created again");
        }
        let Some(first) = self.read(name)? else {
            return refuse("an object was not found right after it was written");
        };
        if self.replace(name, text(2), &first.token)? == Written::Lost {
            return refuse("an object that had not changed could not be replaced");
        }
        if self.replace(name, text(3), &first.token)? != Written::Lost {
            return refuse("an object that had changed was replaced");
        }
        Ok(())
    }

    fn put(&self, name: &str, bytes: Bytes, mode: PutMode) -> Result<Written> {
        let (store, path) = (self.bucket.store(), self.path(name)?);
        let over = match &mode {
            PutMode::Update(over) => Some(Token(over.clone())),
            PutMode::Create | PutMode::Overwrite => None,
        };
        let (payload, options) = (bytes.clone().into(), PutOptions::from(mode));
        let put = async move { store.put_opts(&path, payload, options).await };
        match self.bucket.wait(put)? {
            Ok(put) => Ok(Written::Done(token_put(put))),
            Err(cause) => self.look_for(name, &bytes, over.as_ref(), cause),
        }
    }

    /// Finds out what became of a write whose answer was bad.
    fn look_for(
        &self,
        name: &str,
        bytes: &Bytes,
        over: Option<&Token>,
        cause: StoreError,
    ) -> Result<Written> {
        if let StoreError::NotImplemented { .. } | StoreError::NotSupported { .. } = cause {
            return Err(Error::invalid(format!(
                "{} cannot be shared: its store knows no conditional writes; use one that does, \
                 or keep the state on one machine",
                self.url()
            ))
            .with_source(cause));
        }
        let found = self.read(name)?;
        match found {
            Some(found) if found.bytes == bytes => Ok(Written::Done(found.token)),
            // It will never happen either: what it was to be written over is gone.
            Some(found) if over != Some(&found.token) => Ok(Written::Lost),
            _ if is_refused(&cause) => Ok(Written::Lost),
            _ => Err(self.unanswered(name, cause)),
        }
    }

    fn unanswered(&self, name: &str, cause: StoreError) -> Error {
        Error::unavailable(format!(
            "{} does not answer for {name}; look for the settings of endpoint and credentials in \
             docs/guides/object-stores.md, and try again",
            self.url()
        ))
        .with_source(cause)
    }

    fn key(&self, name: &str) -> String {
        match self.prefix.is_empty() {
            true => name.to_owned(),
            false => format!("{}/{name}", self.prefix),
        }
    }

    fn path(&self, name: &str) -> Result<Path> {
        Path::parse(self.key(name)).map_err(|cause| {
            Error::internal(format!("{name:?} is no name of an object")).with_source(cause)
        })
    }
}

fn is_refused(cause: &StoreError) -> bool {
    matches!(
        cause,
        StoreError::Precondition { .. }
            | StoreError::AlreadyExists { .. }
            | StoreError::NotModified { .. }
    )
}

fn token_of(found: &GetResult) -> Token {
    let (e_tag, version) = (found.meta.e_tag.clone(), found.meta.version.clone());
    Token(UpdateVersion { e_tag, version })
}

fn token_put(put: PutResult) -> Token {
    Token(UpdateVersion { e_tag: put.e_tag, version: put.version })
}
