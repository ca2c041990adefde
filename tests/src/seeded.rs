//! Tests that are made from a number, many times: the same number gives the same round.

use std::env;
use std::time::Duration;

/// Time after which a round counts as hanging.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs a hundred rounds, or more by `just concurrency 5000`: the even numbers with
/// a fast reader, the odd ones with a slow one.
pub fn all(slow: bool, round: impl AsyncFn(u64, bool)) {
    let rounds: u64 =
        env::var("PLAKBOX_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for number in 0..rounds {
        let number = number * 2 + u64::from(slow);
        let round = async { tokio::time::timeout(TIMEOUT, round(number, slow)).await };
        runtime.block_on(round).unwrap_or_else(|_| panic!("round {number} hangs"));
    }
}
