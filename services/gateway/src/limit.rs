//! How often somebody may ask: a bucket of tokens for each key, as the generic cell rate algorithm keeps it (ITU-T I.371, annex A): one
//! moment a key, when its bucket will be full again.
//!
//! It lives in the process: two gateways allow twice as much. It forgets everybody rather than grow.

use std::{
    collections::HashMap,
    hash::Hash,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Keys that are remembered.
const MOST_KEYS: usize = 10_000;

/// Buckets of one size.
#[derive(Debug)]
pub(crate) struct Limiter<K> {
    /// Time in which one request comes back.
    interval: Duration,
    /// How far ahead of now a bucket may be full again, for one more to be allowed.
    tolerance: Duration,
    full_at: Mutex<HashMap<K, Instant>>,
}

impl<K: Eq + Hash> Limiter<K> {
    /// So many in a minute, all of them at once if need be.
    pub(crate) fn per_minute(count: NonZeroU32) -> Self {
        let interval = Duration::from_secs(60) / count.get();
        Self { interval, tolerance: interval * (count.get() - 1), full_at: Mutex::default() }
    }

    /// Whether there is none to take.
    pub(crate) fn is_empty(&self, key: &K, now: Instant) -> bool {
        let full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        full_at.get(key).is_some_and(|full| full.saturating_duration_since(now) > self.tolerance)
    }

    /// Takes one. Otherwise the time after which there is one again.
    pub(crate) fn take(&self, key: K, now: Instant) -> Result<(), Duration> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if full_at.len() >= MOST_KEYS && !full_at.contains_key(&key) {
            full_at.retain(|_, full| *full > now);
            if full_at.len() >= MOST_KEYS {
                full_at.clear();
            }
        }
        let full = full_at.entry(key).or_insert(now);
        let ahead = full.saturating_duration_since(now);
        if ahead > self.tolerance {
            return Err(ahead - self.tolerance);
        }
        *full = now + ahead + self.interval;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn limiter() -> Limiter<u32> {
        Limiter::per_minute(NonZeroU32::new(3).unwrap())
    }

    #[test]
    fn a_bucket_empties_at_once_and_fills_with_time() {
        let (limiter, now) = (limiter(), Instant::now());
        for _ in 0..3 {
            assert_eq!(limiter.take(1, now), Ok(()));
        }
        assert_eq!(limiter.take(1, now), Err(Duration::from_secs(20)));
        assert!(limiter.is_empty(&1, now) && !limiter.is_empty(&2, now));
        assert_eq!(limiter.take(2, now), Ok(()), "another key has a bucket of its own");
        let later = now + Duration::from_secs(20);
        assert_eq!(limiter.take(1, later), Ok(()));
        assert_eq!(limiter.take(1, later), Err(Duration::from_secs(20)));
        let full = now + Duration::from_secs(600);
        for _ in 0..3 {
            assert_eq!(limiter.take(1, full), Ok(()), "no more than full");
        }
        assert!(limiter.take(1, full).is_err());
    }

    #[test]
    fn memory_is_bounded() {
        let (limiter, now) = (limiter(), Instant::now());
        for key in 0..50_000 {
            assert_eq!(limiter.take(key, now), Ok(()));
        }
        assert!(limiter.full_at.lock().unwrap().len() <= MOST_KEYS);
    }
}
