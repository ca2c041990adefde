//! The end of a store's session: its uploads are awaited, and its locks removed, whether Plakar
//! closes the store or goes away.

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;

use crate::connector::{Failure, Reason};
use crate::plugin::session::PluginSession;

/// Time limit for the rest of the objects that Plakar is sending when it closes the store:
/// where it can't read one, it never ends that stream.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// Time limit for the component's uploads and locks.
const FINISH_TIMEOUT: Duration = Duration::from_secs(30);

/// The objects that Plakar is sending.
#[derive(Default)]
pub struct Uploads {
    /// Held for reading by each object that is being received.
    pub receiving: RwLock<()>,
    /// Cancelled when no more is received.
    pub closing: CancellationToken,
}

/// A plugin's session, and what has to end before it.
pub struct StoreSession {
    plugin: PluginSession,
    uploads: Uploads,
    end: OnceLock<Shared<BoxFuture<'static, Result<(), Failure>>>>,
}

impl StoreSession {
    /// Makes the session of a store.
    pub fn new(plugin: PluginSession) -> Arc<Self> {
        Arc::new(Self { plugin, uploads: Uploads::default(), end: OnceLock::new() })
    }

    /// Returns the plugin's session.
    pub fn plugin(&self) -> &PluginSession {
        &self.plugin
    }

    /// Returns the objects that Plakar is sending.
    pub fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    /// Finishes the session, once, and closes it. Every call waits for the same end.
    ///
    /// # Errors
    ///
    /// Fails if locks may be left.
    pub async fn finish(self: &Arc<Self>) -> Result<(), Failure> {
        let end = self.end.get_or_init(|| {
            let store = self.clone();
            // A task of its own: Plakar may go away while it waits.
            let task = tokio::spawn(async move { store.run_to_end().await });
            task.map(|end| end.unwrap_or_else(|error| Err(Failure::internal(error.to_string()))))
                .boxed()
                .shared()
        });
        end.clone().await
    }

    async fn run_to_end(&self) -> Result<(), Failure> {
        let Ok(session) = self.plugin.session().await else { return Ok(()) };
        let _ = tokio::time::timeout(RECEIVE_TIMEOUT, self.uploads.receiving.write()).await;
        self.uploads.closing.cancel();
        let finished = tokio::time::timeout(FINISH_TIMEOUT, session.finish_store()).await;
        let finished = finished.unwrap_or_else(|_| {
            let seconds = FINISH_TIMEOUT.as_secs();
            let message = format!("uploads or locks of the session are left after {seconds} s");
            Err(Failure::new(Reason::Unavailable, message))
        });
        self.plugin.close().await;
        finished.inspect_err(|failure| {
            session.account().record_failure(failure);
            tracing::warn!("the store was not closed: {failure}");
        })
    }
}
