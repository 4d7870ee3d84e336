//! Places for downloads: so many in all, and of these so many for one token.
//!
//! A slow client holds its place for as long as it takes. Without a part of its own for each token, one partner could keep all others out.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// One token has one of so many places, at least one.
const SHARE: usize = 4;

/// The places of one process.
#[derive(Debug)]
pub(crate) struct Places {
    all: Arc<Semaphore>,
    each: usize,
    held: Arc<Mutex<HashMap<Uuid, usize>>>,
}

/// A place that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _one: OwnedSemaphorePermit,
    token: Uuid,
    held: Arc<Mutex<HashMap<Uuid, usize>>>,
}

impl Places {
    pub(crate) fn new(all: NonZeroUsize) -> Self {
        let all = all.get().min(Semaphore::MAX_PERMITS);
        Self { all: Arc::new(Semaphore::new(all)), each: all.div_ceil(SHARE), held: Arc::default() }
    }

    /// A place for a token; none when all are held, or its part is.
    pub(crate) fn take(&self, token: Uuid) -> Option<Place> {
        let one = self.all.clone().try_acquire_owned().ok()?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(token).or_default();
        if *count >= self.each {
            return None;
        }
        *count += 1;
        Some(Place { _one: one, token, held: Arc::clone(&self.held) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.token) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.token);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn one_token_holds_a_quarter_of_the_places_at_most() {
        let places = Places::new(NonZeroUsize::new(8).unwrap());
        let (greedy, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = places.take(greedy).unwrap();
        let _second = places.take(greedy).unwrap();
        assert!(places.take(greedy).is_none());
        assert!(places.take(other).is_some(), "another partner has places left");
        drop(first);
        assert!(places.take(greedy).is_some());
    }

    #[test]
    fn all_tokens_together_hold_no_more_than_all_places() {
        let places = Places::new(NonZeroUsize::new(2).unwrap());
        let _held: Vec<Place> = (1..=2).map(|token| places.take(Uuid::from_u128(token)).unwrap()).collect();
        assert!(places.take(Uuid::from_u128(3)).is_none());
    }
}
