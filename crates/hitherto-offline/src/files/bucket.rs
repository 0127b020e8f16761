//! Objects in S3, Google Cloud Storage and Azure.
//!
//! Credentials and endpoints come from the environment, in the names that each cloud's
//! own tools use. Facts are read by threads that compute; the store's client is
//! asynchronous and runs on a few threads of its own, so that whoever reads can wait
//! for it from anywhere.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use glob::{MatchOptions, Pattern};
use hitherto_core::{Error, Result};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::SpawnedReqwestConnector;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{
    Error as StoreError, GetOptions, GetRange, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta,
    ObjectStore, ObjectStoreExt, RetryConfig, coalesce_ranges,
};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};

use super::kept::KeptFooter;
use super::names::{is_hidden, is_matched_hidden, is_parquet, lies_in, refuse_tables};
use super::{Place, SourceFile, no_glob};

#[cfg(test)]
mod tests;

/// How often a request that failed is made again, and for how long at most.
const RETRIES: usize = 5;
const RETRY_SECONDS: u64 = 30;

/// Threads that talk with object stores, for all readers.
const THREADS: usize = 2;

/// As in globs on disk.
const GLOB: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// The object stores that a process has looked into.
#[derive(Default)]
pub struct Buckets {
    opened: Mutex<Opened>,
}

#[derive(Default)]
struct Opened {
    runtime: Option<Runtime>,
    buckets: HashMap<String, Arc<Bucket>>,
}

/// One bucket or container.
pub struct Bucket {
    /// Scheme and name, without a slash at the end: `s3://features`.
    url: String,
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
}

/// One object, as it was when it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    bucket: Arc<Bucket>,
    key: Path,
    etag: Option<String>,
}

impl Buckets {
    /// The objects of a source; none if there is none.
    pub fn list(&self, parquet: &str) -> Result<Vec<SourceFile>> {
        let (scheme, rest) = parquet.split_once("://").unwrap_or_default();
        let (name, key) = rest.split_once('/').unwrap_or((rest, ""));
        let bucket = self.open(parquet, scheme, &format!("{scheme}://{name}"))?;
        let first_special = key.find(['*', '?', '[']);
        let Some(first_special) = first_special else {
            return bucket.list_below(parquet, key);
        };
        let pattern = Pattern::new(key).map_err(|cause| no_glob(parquet, cause))?;
        let folder = key[..first_special].rsplit_once('/').map_or("", |(folder, _)| folder);
        let objects = bucket.list_folder(parquet, folder)?;
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

    fn open(&self, parquet: &str, scheme: &str, url: &str) -> Result<Arc<Bucket>> {
        let mut opened = self.opened.lock();
        if let Some(bucket) = opened.buckets.get(url) {
            return Ok(Arc::clone(bucket));
        }
        let runtime = opened.runtime()?;
        let store = open_store(scheme, url, &runtime).ok_or_else(|| {
            Error::invalid(format!(
                "source {parquet:?} is at {scheme}://, which is not read here; name local files, \
                 s3://, gs:// or abfss://"
            ))
        })?;
        let store = store.map_err(|cause| {
            Error::invalid(format!(
                "source {parquet:?} cannot be opened; look for its settings in \
                 docs/object-stores.md"
            ))
            .with_source(cause)
        })?;
        let bucket = Arc::new(Bucket { url: url.to_owned(), store, runtime });
        opened.buckets.insert(url.to_owned(), Arc::clone(&bucket));
        Ok(bucket)
    }
}

impl Opened {
    fn runtime(&mut self) -> Result<Handle> {
        if let Some(runtime) = &self.runtime {
            return Ok(runtime.handle().clone());
        }
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(THREADS).thread_name("hitherto-objects").enable_all();
        let runtime = builder.build().map_err(Error::no_threads)?;
        Ok(self.runtime.insert(runtime).handle().clone())
    }
}

impl Drop for Buckets {
    fn drop(&mut self) {
        // Whoever drops it may be asynchronous itself, and must not wait.
        if let Some(runtime) = self.opened.lock().runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A client for a URL's scheme; `None` if there is none. Whoever uses it, its connections
/// belong to `runtime`: on the threads of somebody who waits they would stand still.
fn open_store(
    scheme: &str,
    url: &str,
    runtime: &Handle,
) -> Option<Result<Arc<dyn ObjectStore>, StoreError>> {
    let retry = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: Duration::from_secs(RETRY_SECONDS),
        ..RetryConfig::default()
    };
    let connector = SpawnedReqwestConnector::new(runtime.clone());
    Some(match scheme {
        "s3" | "s3a" => {
            let builder = AmazonS3Builder::from_env().with_url(url).with_retry(retry);
            builder.with_http_connector(connector).build().map(|store| Arc::new(store) as _)
        }
        "gs" => {
            let builder = GoogleCloudStorageBuilder::from_env().with_url(url).with_retry(retry);
            builder.with_http_connector(connector).build().map(|store| Arc::new(store) as _)
        }
        "az" | "abfs" | "abfss" => {
            let builder = MicrosoftAzureBuilder::from_env().with_url(url).with_retry(retry);
            builder.with_http_connector(connector).build().map(|store| Arc::new(store) as _)
        }
        _ => return None,
    })
}

/// An object's key below a folder.
fn below<'o>(object: &'o ObjectMeta, folder: &str) -> &'o str {
    object.location.as_ref().get(folder.len()..).unwrap_or_default()
}

fn describe(bucket: &Arc<Bucket>, object: ObjectMeta) -> SourceFile {
    SourceFile {
        name: format!("{}/{}", bucket.url, object.location),
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

impl Bucket {
    /// The object of this key, or every Parquet file below it.
    fn list_below(self: &Arc<Self>, parquet: &str, key: &str) -> Result<Vec<SourceFile>> {
        if !key.is_empty() && !key.ends_with('/') {
            let (store, path) = (Arc::clone(&self.store), path(parquet, key)?);
            match self.wait(async move { store.head(&path).await })? {
                Ok(object) => return Ok(vec![describe(self, object)]),
                Err(StoreError::NotFound { .. }) => {}
                Err(cause) => return Err(unreadable(parquet, cause)),
            }
        }
        let key = key.trim_end_matches('/');
        let mut objects = self.list_folder(parquet, key)?;
        let all = objects.iter().map(|object| below(object, key));
        refuse_tables(parquet, key, all, |root| !root.split('/').any(is_hidden))?;
        objects.retain(|object| {
            let below = below(object, key);
            !below.split('/').any(is_hidden) && is_parquet(below)
        });
        Ok(objects.into_iter().map(|object| describe(self, object)).collect())
    }

    fn list_folder(&self, parquet: &str, folder: &str) -> Result<Vec<ObjectMeta>> {
        let (store, prefix) = (Arc::clone(&self.store), path(parquet, folder)?);
        let listed = async move { store.list(Some(&prefix)).try_collect().await };
        self.wait(listed)?.map_err(|cause| unreadable(parquet, cause))
    }

    /// Waits for a request, on a thread that may be anybody's.
    fn wait<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let (tell, told) = sync_channel(1);
        self.runtime.spawn(async move { tell.send(request.await) });
        told.recv().map_err(|cause| {
            Error::internal(format!("a request to {} broke off", self.url)).with_source(cause)
        })
    }
}

impl Object {
    pub fn describe_again(&self) -> Result<SourceFile> {
        let (store, key) = (Arc::clone(&self.bucket.store), self.key.clone());
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
        let store = Arc::clone(&bucket.store);
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
        format!("{}/{}", self.bucket.url, self.key)
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
             docs/object-stores.md"
        )),
    };
    error.with_source(cause)
}

impl PartialEq for Bucket {
    fn eq(&self, other: &Self) -> bool {
        self.url == other.url
    }
}

impl Eq for Bucket {}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.url).finish()
    }
}
