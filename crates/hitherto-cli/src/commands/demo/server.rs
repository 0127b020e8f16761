//! The real server, in this process, on a free port.

use std::sync::Arc;

use hitherto_core::{Error, Result};
use hitherto_engine::Engine;
use hitherto_server::{Security, ServeOptions, bind, serve};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::session::Session;

/// A running server. Dropping it tells it to stop.
pub struct Server {
    url: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<()>>,
}

impl Server {
    /// Starts serving an engine.
    ///
    /// # Errors
    /// Those of [`bind`].
    pub async fn start(engine: Arc<Engine>, session: &Session) -> Result<Self> {
        let config = session.config()?.server;
        let listener = bind("127.0.0.1:0").await?;
        let address = listener.local_addr().map_err(|cause| {
            Error::unavailable("the port that was opened cannot be read; start again")
                .with_source(cause)
        })?;
        let (stop, stopped) = oneshot::channel();
        let clock = {
            let session = session.clone();
            Arc::new(move || session.now())
        };
        let shutdown = async {
            // A dropped sender says the same.
            let _ = stopped.await;
        };
        let security = Security::default();
        let options = ServeOptions { listener, security, config, clock, audit: None, shutdown };
        let task = tokio::spawn(serve(engine, options));
        Ok(Self { url: format!("http://{address}"), stop, task })
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops it and waits until it has.
    ///
    /// # Errors
    /// Those of [`serve`].
    pub async fn stop(self) -> Result<()> {
        // A server that is gone already has said why in its result.
        let _ = self.stop.send(());
        self.task
            .await
            .map_err(|cause| Error::internal("the server was lost").with_source(cause))?
    }
}
