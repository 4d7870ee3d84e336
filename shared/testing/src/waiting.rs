//! Waiting for a condition: polled, with a deadline, never a bare sleep.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

/// Longest run of a test whose figures are those of one day.
const WITHIN_A_DAY: Duration = Duration::from_secs(180);

/// Waits for the next day (UTC) if this one has less than three minutes left: for tests of what is counted by the day, where the midnight between two
/// counts would begin anew.
pub async fn wait_past_midnight() {
    const DAY_S: u64 = 86_400;
    let since_epoch = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = Duration::from_secs(DAY_S - since_epoch().as_secs() % DAY_S);
    if left <= WITHIN_A_DAY {
        let day = since_epoch().as_secs() / DAY_S;
        let next = async || (since_epoch().as_secs() / DAY_S > day).then_some(());
        wait_until("the next day", 2 * WITHIN_A_DAY, next).await;
    }
}
