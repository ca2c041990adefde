//! Property tests with random inputs. They run for the number of seconds in `PLAKBOX_FUZZ`
//! (`just fuzz`), or for 200 ms.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestRunner};
use std::time::{Duration, Instant};

/// Checks `property` with random inputs until the time is over. Panics with the smallest input
/// that fails.
pub fn check_property<S: Strategy>(inputs: S, property: impl Fn(S::Value)) {
    let seconds = std::env::var("PLAKBOX_FUZZ").ok().and_then(|text| text.parse().ok());
    let time = seconds.map_or(Duration::from_millis(200), Duration::from_secs);
    let (start, mut tried) = (Instant::now(), 0_u64);
    let config = Config { cases: 256, failure_persistence: None, ..Config::default() };
    while start.elapsed() < time {
        let result = TestRunner::new(config.clone()).run(&inputs, |input| {
            property(input);
            Ok(())
        });
        if let Err(failure) = result {
            panic!("{failure}");
        }
        tried += u64::from(config.cases);
    }
    if let Some(seconds) = seconds {
        let target = std::thread::current().name().unwrap_or_default().to_owned();
        println!("{target}: {tried} inputs in {seconds} s");
    }
}
