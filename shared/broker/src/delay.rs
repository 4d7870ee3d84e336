//! How long to wait before the next attempt to connect, subscribe or declare.
//!
//! Exponential with full jitter between half and the whole of the step, so that a fleet does not come back in one wave after a broker
//! restart. There is no last attempt: a worker without its broker waits, and [`Health`](crate::Health) says since when. This is not the
//! retry of messages, which are rows with a date.

use std::time::Duration;

/// The bounds of the delay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

impl Backoff {
    /// The delay before attempt `attempt` (the first repeat is 0). `unit` is a random number in `0.0..1.0`.
    pub(crate) fn delay(self, attempt: u32, unit: f64) -> Duration {
        let min = self.min.min(self.max);
        let step = min.saturating_mul(2_u32.saturating_pow(attempt.min(30))).min(self.max);
        step.mul_f64(0.5 + 0.5 * unit.clamp(0.0, 1.0))
    }

    /// The same, with the process's randomness.
    pub(crate) fn random_delay(self, attempt: u32) -> Duration {
        self.delay(attempt, rand::random())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { min: Duration::from_millis(200), max: Duration::from_secs(10) };

    #[test]
    fn grows_to_the_maximum_and_never_gives_up() {
        assert_eq!(BACKOFF.delay(0, 1.0), Duration::from_millis(200));
        assert_eq!(BACKOFF.delay(3, 1.0), Duration::from_millis(1_600));
        assert_eq!(BACKOFF.delay(6, 1.0), Duration::from_secs(10));
        assert_eq!(BACKOFF.delay(u32::MAX, 1.0), Duration::from_secs(10));
    }

    #[test]
    fn jitter_takes_at_most_half() {
        assert_eq!(BACKOFF.delay(u32::MAX, 0.0), Duration::from_secs(5));
    }
}
