//! Clients of object stores.
//!
//! Credentials and endpoints come from the environment, in the names that each cloud's
//! own tools use. A store's client is asynchronous and runs on a few threads of its own, so
//! that whoever computes can wait for it from anywhere.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use hitherto_core::{Error, Result};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::SpawnedReqwestConnector;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{Error as StoreError, ObjectStore, RetryConfig};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};

/// How often a request that failed is made again, and for how long at most.
const RETRIES: usize = 5;
const RETRY_SECONDS: u64 = 30;

/// Threads that talk with object stores, for all who wait.
const THREADS: usize = 2;

/// The object stores that a process talks with.
#[derive(Default)]
pub struct Stores {
    opened: Mutex<Opened>,
}

#[derive(Default)]
struct Opened {
    runtime: Option<Runtime>,
    buckets: HashMap<String, Arc<Bucket>>,
}

/// One bucket or container.
pub struct Bucket {
    url: String,
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
}

impl Stores {
    /// The bucket of a URL such as `s3://features`, which is opened once; `None` if its scheme
    /// is that of no store.
    ///
    /// # Errors
    /// `Invalid` when the environment's settings make no client.
    pub fn open(&self, url: &str) -> Option<Result<Arc<Bucket>>> {
        let mut opened = self.opened.lock();
        if let Some(bucket) = opened.buckets.get(url) {
            return Some(Ok(Arc::clone(bucket)));
        }
        let runtime = match opened.runtime() {
            Ok(runtime) => runtime,
            Err(error) => return Some(Err(error)),
        };
        let store = client(url, &runtime)?.map_err(|cause| {
            Error::invalid(format!(
                "{url} cannot be opened; look for its settings in docs/guides/object-stores.md"
            ))
            .with_source(cause)
        });
        Some(store.map(|store| opened.add(url, store, runtime)))
    }

    /// Puts a store under a URL, where one would be opened otherwise.
    ///
    /// # Errors
    /// `Unavailable` when there are no threads for it.
    pub fn put(&self, url: &str, store: Arc<dyn ObjectStore>) -> Result<Arc<Bucket>> {
        let mut opened = self.opened.lock();
        let runtime = opened.runtime()?;
        Ok(opened.add(url, store, runtime))
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

    fn add(&mut self, url: &str, store: Arc<dyn ObjectStore>, runtime: Handle) -> Arc<Bucket> {
        let bucket = Arc::new(Bucket { url: url.to_owned(), store, runtime });
        self.buckets.insert(url.to_owned(), Arc::clone(&bucket));
        bucket
    }
}

impl Drop for Stores {
    fn drop(&mut self) {
        // Whoever drops it may be asynchronous itself, and must not wait.
        if let Some(runtime) = self.opened.lock().runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A client for a URL's scheme; `None` if there is none. Whoever uses it, its connections
/// belong to `runtime`: on the threads of somebody who waits they would stand still.
fn client(url: &str, runtime: &Handle) -> Option<Result<Arc<dyn ObjectStore>, StoreError>> {
    let retry = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: Duration::from_secs(RETRY_SECONDS),
        ..RetryConfig::default()
    };
    let connector = SpawnedReqwestConnector::new(runtime.clone());
    Some(match url.split_once("://")?.0 {
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

impl Bucket {
    /// Scheme and name, without a slash at the end: `s3://features`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its client, to be asked within [`Bucket::wait`].
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store)
    }

    /// Waits for a request, on a thread that may be anybody's.
    ///
    /// # Errors
    /// `Internal` when the request broke off.
    pub fn wait<T: Send + 'static>(
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
