//! Objects in S3, Google Cloud Storage and Azure as source files.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use glob::{MatchOptions, Pattern};
use hitherto_core::{Error, Result};
use hitherto_objects::{Bucket, Stores};
use object_store::path::Path;
use object_store::{
    Error as StoreError, GetOptions, GetRange, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta,
    ObjectStoreExt, coalesce_ranges,
};

use super::kept::KeptFooter;
use super::names::{is_hidden, is_matched_hidden, is_parquet, lies_in, refuse_tables};
use super::{Place, SourceFile, no_glob};

#[cfg(test)]
mod tests;

/// As in globs on disk.
const GLOB: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// One object, as it was when it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    bucket: Arc<Bucket>,
    key: Path,
    etag: Option<String>,
}

/// The objects of a source; none if there is none.
pub fn list(stores: &Stores, parquet: &str) -> Result<Vec<SourceFile>> {
    let (scheme, rest) = parquet.split_once("://").unwrap_or_default();
    let (name, key) = rest.split_once('/').unwrap_or((rest, ""));
    let bucket = open(stores, parquet, scheme, &format!("{scheme}://{name}"))?;
    let first_special = key.find(['*', '?', '[']);
    let Some(first_special) = first_special else {
        return list_below(&bucket, parquet, key);
    };
    let pattern = Pattern::new(key).map_err(|cause| no_glob(parquet, cause))?;
    let folder = key[..first_special].rsplit_once('/').map_or("", |(folder, _)| folder);
    let objects = list_folder(&bucket, parquet, folder)?;
    let is_matched = |object: &ObjectMeta| {
        pattern.matches_with(object.location.as_ref(), GLOB)
            && !is_matched_hidden(key, below(object, folder))
    };
    let (objects, others): (Vec<_>, Vec<_>) = objects.into_iter().partition(is_matched);
    let others = others.iter().map(|object| below(object, folder));
    refuse_tables(parquet, folder, others, |root| {
        objects.iter().any(|object| lies_in(below(object, folder), root))
    })?;
    Ok(objects.into_iter().map(|object| describe(&bucket, object)).collect())
}

fn open(stores: &Stores, parquet: &str, scheme: &str, url: &str) -> Result<Arc<Bucket>> {
    let opened = stores.open(url).ok_or_else(|| {
        Error::invalid(format!(
            "source {parquet:?} is at {scheme}://, which is not read here; name local files, \
             s3://, gs:// or abfss://"
        ))
    })?;
    opened.map_err(|cause| {
        let context = format!("source {parquet:?} cannot be opened");
        Error::new(cause.kind(), context).with_source(cause)
    })
}

/// An object's key below a folder.
fn below<'o>(object: &'o ObjectMeta, folder: &str) -> &'o str {
    object.location.as_ref().get(folder.len()..).unwrap_or_default()
}

fn describe(bucket: &Arc<Bucket>, object: ObjectMeta) -> SourceFile {
    SourceFile {
        name: format!("{}/{}", bucket.url(), object.location),
        bytes: object.size,
        modified: object.last_modified.timestamp_micros(),
        sums: None,
        footer: KeptFooter::default(),
        place: Place::Object(Object {
            bucket: Arc::clone(bucket),
            key: object.location,
            etag: object.e_tag,
        }),
    }
}

/// The object of this key, or every Parquet file below it.
fn list_below(bucket: &Arc<Bucket>, parquet: &str, key: &str) -> Result<Vec<SourceFile>> {
    if !key.is_empty() && !key.ends_with('/') {
        let (store, path) = (bucket.store(), path(parquet, key)?);
        match bucket.wait(async move { store.head(&path).await })? {
            Ok(object) => return Ok(vec![describe(bucket, object)]),
            Err(StoreError::NotFound { .. }) => {}
            Err(cause) => return Err(unreadable(parquet, cause)),
        }
    }
    let key = key.trim_end_matches('/');
    let mut objects = list_folder(bucket, parquet, key)?;
    let all = objects.iter().map(|object| below(object, key));
    refuse_tables(parquet, key, all, |root| !root.split('/').any(is_hidden))?;
    objects.retain(|object| {
        let below = below(object, key);
        !below.split('/').any(is_hidden) && is_parquet(below)
    });
    Ok(objects.into_iter().map(|object| describe(bucket, object)).collect())
}

fn list_folder(bucket: &Bucket, parquet: &str, folder: &str) -> Result<Vec<ObjectMeta>> {
    let (store, prefix) = (bucket.store(), path(parquet, folder)?);
    let listed = async move { store.list(Some(&prefix)).try_collect().await };
    bucket.wait(listed)?.map_err(|cause| unreadable(parquet, cause))
}

impl Object {
    pub fn describe_again(&self) -> Result<SourceFile> {
        let (store, key) = (self.bucket.store(), self.key.clone());
        let found = self.bucket.wait(async move { store.head(&key).await })?;
        let found = found.map_err(|cause| unreadable(&self.url(), cause))?;
        Ok(describe(&self.bucket, found))
    }

    /// Its ETag; of a store that has none, size and time.
    pub fn fingerprint(&self, file: &SourceFile) -> String {
        match &self.etag {
            Some(etag) => format!("etag:{}", etag.trim_matches('"')),
            None => format!("modified:{}:{}", file.bytes, file.modified),
        }
    }

    /// Reads ranges of its bytes, several at a time and near ones together.
    ///
    /// # Errors
    /// `Conflict` when it is another object by now; `Unavailable`.
    pub fn read(&self, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        let Object { bucket, key, etag } = self.clone();
        let store = bucket.store();
        let fetched = async move {
            let fetch = |range| {
                let options = GetOptions {
                    if_match: etag.clone(),
                    range: Some(GetRange::Bounded(range)),
                    ..GetOptions::default()
                };
                let (store, key) = (Arc::clone(&store), key.clone());
                async move { store.get_opts(&key, options).await?.bytes().await }
            };
            coalesce_ranges(&ranges, fetch, OBJECT_STORE_COALESCE_DEFAULT).await
        };
        bucket.wait(fetched)?.map_err(|cause| unreadable(&self.url(), cause))
    }

    /// Reads one range of its bytes.
    ///
    /// # Errors
    /// Those of [`Object::read`].
    pub fn read_range(&self, range: Range<u64>) -> Result<Bytes> {
        Ok(self.read(vec![range])?.pop().unwrap_or_default())
    }

    fn url(&self) -> String {
        format!("{}/{}", self.bucket.url(), self.key)
    }
}

fn path(parquet: &str, key: &str) -> Result<Path> {
    Path::parse(key).map_err(|cause| {
        Error::invalid(format!(
            "source {parquet:?} is no name of objects; write one such as \
             s3://bucket/folder/*.parquet"
        ))
        .with_source(cause)
    })
}

fn unreadable(url: &str, cause: StoreError) -> Error {
    let error = match &cause {
        StoreError::Precondition { .. } => {
            Error::conflict(format!("source file {url} changed while it was read; run it again"))
        }
        _ => Error::unavailable(format!(
            "{url} cannot be read; look for the settings of endpoint and credentials in \
             docs/guides/object-stores.md"
        )),
    };
    error.with_source(cause)
}
