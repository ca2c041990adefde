//! Watches how much memory all plakboxes and their rclones have.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::processes;

/// The most memory that plakbox, and plakbox with its rclone processes, had.
pub struct Memory {
    stop: Arc<AtomicBool>,
    peaks: Arc<[AtomicU64; 2]>,
    thread: thread::JoinHandle<()>,
}

impl Memory {
    pub fn watch() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let peaks = Arc::new([const { AtomicU64::new(0) }; 2]);
        let (stopped, seen) = (stop.clone(), peaks.clone());
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let own = processes::find("bin/plakbox ", "porter");
                let rclones = processes::find("rclone", "--use-json-log");
                let own: u64 = own.into_iter().map(processes::memory).sum();
                let all: u64 = own + rclones.into_iter().map(processes::memory).sum::<u64>();
                seen[0].fetch_max(own, Ordering::Relaxed);
                seen[1].fetch_max(all, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(100));
            }
        });
        Self { stop, peaks, thread }
    }

    /// Both peaks, in bytes.
    pub fn stop(self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        (self.peaks[0].load(Ordering::Relaxed), self.peaks[1].load(Ordering::Relaxed))
    }
}
