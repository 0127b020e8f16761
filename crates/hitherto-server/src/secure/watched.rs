//! Files that are read again while a server runs.
//!
//! Certificates are renewed under the same names, in Kubernetes by swapping a link to
//! their folder. Content is compared and not times, and files of one use together: a new
//! certificate whose old key is still there fails to parse, and the next look finds both.

use std::path::PathBuf;
use std::time::Duration;

use hitherto_api::pem::File;
use hitherto_core::Result;
use tokio::sync::watch;

use crate::lifecycle::Stopping;

/// How often files are looked at. Whoever renews one waits so long, and a token that is taken
/// back counts so long.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Makes a value of files for the first time.
type Parse<T> = fn(&[File]) -> Result<T>;

/// Makes the value that follows another.
type Renew<T> = fn(&[File], &T) -> Result<T>;

/// What files say, and how to know when they say something else.
pub struct Watched<T> {
    files: Vec<File>,
    renew: Renew<T>,
    value: watch::Sender<T>,
}

impl<T: Clone + Send + Sync + 'static> Watched<T> {
    /// Reads files for the first time.
    ///
    /// # Errors
    /// `Unavailable` when one cannot be read; those of `parse`.
    pub fn read(paths: Vec<PathBuf>, parse: Parse<T>, renew: Renew<T>) -> Result<Self> {
        let files = read(paths)?;
        let value = watch::channel(parse(&files)?).0;
        Ok(Self { files, renew, value })
    }

    /// What they say, from now on.
    pub fn current(&self) -> watch::Receiver<T> {
        self.value.subscribe()
    }

    /// Reads them again every now and then, until the server stops. What cannot be used
    /// is logged once, and what was there before holds.
    pub async fn follow(mut self, mut stopping: Stopping) {
        loop {
            tokio::select! {
                () = stopping.begun() => return,
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
            let paths = self.files.iter().map(|file| file.path.clone()).collect();
            let Ok(Ok(files)) = tokio::task::spawn_blocking(move || read(paths)).await else {
                // One is about to be replaced: the next look finds it.
                continue;
            };
            if files == self.files {
                continue;
            }
            self.files = files;
            let file = self.files[0].path.display();
            let renewed = (self.renew)(&self.files, &self.value.borrow());
            match renewed {
                Ok(value) => {
                    self.value.send_replace(value);
                    tracing::info!(%file, "took what was renewed");
                }
                Err(error) => {
                    let error = error.chain();
                    tracing::error!(%file, error, "kept what was there before");
                }
            }
        }
    }
}

fn read(paths: Vec<PathBuf>) -> Result<Vec<File>> {
    paths.into_iter().map(File::read).collect()
}
