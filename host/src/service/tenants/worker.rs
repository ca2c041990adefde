//! The thread of a tenant. The kernel shares the processors fairly between threads, so that one
//! tenant's computations don't delay the sessions of others.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread with an async runtime, on which a tenant's sessions run.
#[derive(Debug)]
pub struct Worker {
    runtime: Handle,
    thread: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The runtime or the thread can't be created.
    pub fn start(tenant: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let work = move || {
            // An error means that the sender is dropped, which stops the thread as well.
            let _ = runtime.block_on(stopped);
        };
        // Linux limits names of threads to 15 bytes.
        let thread = thread::Builder::new().name(format!("of {tenant}")).spawn(work)?;
        Ok(Self { runtime: handle, thread: Mutex::new(Some((stop, thread))) })
    }

    /// Runs a future on the thread.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    /// Ends the thread and all that it runs, and waits for its end.
    pub fn end(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, thread)) = thread {
            let _ = stop.send(());
            // A panic was reported already.
            let _ = thread.join();
        }
    }
}
