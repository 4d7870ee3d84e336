//! How long a failed message waits. The only file that knows the crate `backoff` (decision record 0002).

use std::time::Duration;

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff};

/// Settings of the delays between attempts.
#[derive(clap::Args, Clone, Debug)]
pub struct RetryConfig {
    /// Delay after the first failed attempt, milliseconds. It doubles with each further one.
    #[arg(long = "retry-initial-ms", env = "PASSEREAU_RETRY_INITIAL_MS", default_value_t = 5_000)]
    pub initial_ms: u64,
    /// Longest delay between two attempts, milliseconds.
    #[arg(long = "retry-max-ms", env = "PASSEREAU_RETRY_MAX_MS", default_value_t = 600_000)]
    pub max_ms: u64,
}

impl RetryConfig {
    /// The delay after `attempt` failed attempts (from 1): exponential, with up to 20 % of jitter either way, so that
    /// messages that failed together do not come back together. A longer wish of the other side wins.
    pub(crate) fn delay(&self, attempt: i32, asked: Option<Duration>) -> Duration {
        let mut backoff: ExponentialBackoff = ExponentialBackoffBuilder::new()
            .with_initial_interval(Duration::from_millis(self.initial_ms))
            .with_max_interval(Duration::from_millis(self.max_ms))
            .with_multiplier(2.0)
            .with_randomization_factor(0.2)
            // The default gives up after 15 minutes; attempts are counted by the runner.
            .with_max_elapsed_time(None)
            .build();
        let mut delay = Duration::from_millis(self.initial_ms);
        for _ in 0..attempt.clamp(1, 32) {
            delay = backoff.next_backoff().unwrap_or(delay);
        }
        delay.max(asked.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: RetryConfig = RetryConfig { initial_ms: 1_000, max_ms: 60_000 };

    #[test]
    fn delays_double_up_to_the_longest() {
        for (attempt, nominal_ms) in [(1, 1_000.0), (2, 2_000.0), (4, 8_000.0), (30, 60_000.0)] {
            let delay_ms = CONFIG.delay(attempt, None).as_secs_f64() * 1_000.0;
            assert!((nominal_ms * 0.79..=nominal_ms * 1.21).contains(&delay_ms), "attempt {attempt}: {delay_ms} ms");
        }
    }

    #[test]
    fn what_the_other_side_asks_for_is_kept() {
        assert_eq!(CONFIG.delay(1, Some(Duration::from_secs(77))), Duration::from_secs(77));
    }
}
