//! A thread of a tenant's own, so that what one tenant's sessions compute delays no other's:
//! the kernel shares the processors fairly between threads.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread that sessions run on.
#[derive(Debug)]
pub struct Worker {
    runtime: Handle,
    thread: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl Worker {
    pub fn start(tenant: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let work = move || {
            // An error is the word, too: nobody can give it any more.
            let _ = runtime.block_on(stopped);
        };
        // Linux shows fifteen letters.
        let thread = thread::Builder::new().name(format!("of {tenant}")).spawn(work)?;
        Ok(Self { runtime: handle, thread: Mutex::new(Some((stop, thread))) })
    }

    /// Runs something on it.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    /// Ends it, and with it all that it runs; returns when nothing of that is left.
    pub fn end(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, thread)) = thread {
            let _ = stop.send(());
            // What it panicked at was told by then.
            let _ = thread.join();
        }
    }
}
