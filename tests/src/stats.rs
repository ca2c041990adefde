//! Figures: the largest of what changes meanwhile, such as memory, and medians of times.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::processes;

/// Watches figures while something else happens, and keeps the largest of each.
pub struct Peaks<const N: usize> {
    stop: Arc<AtomicBool>,
    peaks: Arc<[AtomicU64; N]>,
    thread: thread::JoinHandle<()>,
}

impl<const N: usize> Peaks<N> {
    /// Looks at them `every` so often.
    pub fn watch(every: Duration, now: impl Fn() -> [u64; N] + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let peaks = Arc::new([const { AtomicU64::new(0) }; N]);
        let (stopped, seen) = (stop.clone(), peaks.clone());
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for (peak, figure) in seen.iter().zip(now()) {
                    peak.fetch_max(figure, Ordering::Relaxed);
                }
                thread::sleep(every);
            }
        });
        Self { stop, peaks, thread }
    }

    /// The largest of each.
    pub fn stop(self) -> [u64; N] {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.peaks.each_ref().map(|peak| peak.load(Ordering::Relaxed))
    }
}

impl Peaks<2> {
    /// The memory, in bytes, of all plakboxes, and of these with their rclones. What processes share,
    /// such as the code of rclone, is divided among them.
    pub fn of_memory() -> Self {
        Self::watch(Duration::from_millis(100), || {
            let own = ["importer", "exporter", "storage"];
            let own = own.into_iter().flat_map(|role| processes::find("bin/plakbox ", role));
            let own: Vec<_> = own.collect();
            let rclones = processes::find("rclone", "--use-json-log");
            let [own, rclones] = [own, rclones]
                .map(|all| all.into_iter().map(processes::share_of_memory).sum::<u64>());
            [own, own + rclones]
        })
    }
}

/// The median, in seconds.
pub fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}
