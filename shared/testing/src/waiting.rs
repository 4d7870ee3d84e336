//! Waiting for a condition: polled, with a deadline, never a bare sleep.

use std::time::{Duration, Instant};

/// Time between two looks at a condition.
const INTERVAL: Duration = Duration::from_millis(20);

/// Polls `condition` until it gives a value, and returns it.
///
/// # Panics
/// When `deadline` has passed first; the message names `what` was waited for.
#[expect(clippy::panic, reason = "a test helper: the failure is the test's")]
pub async fn wait_until<T>(what: &str, deadline: Duration, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        if start.elapsed() >= deadline {
            panic!("{what}: not seen within {deadline:?}");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
