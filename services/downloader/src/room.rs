//! Is there room for the archive? Asked before the first byte is kept and again when a fetch goes on, because a disk that fills up
//! hurts everybody on it.
//!
//! What is asked is the file system of the store. How much room PostgreSQL has for the generation cannot be asked through SQL, and the
//! database often stands on another machine: that disk is watched by whoever runs it.

use std::fmt;
use std::sync::Arc;

use passereau_store::{Store, StoreError};

use crate::error::FetchError;

type Measure = Arc<dyn Fn() -> Result<Option<u64>, StoreError> + Send + Sync>;

/// How much room there is, and how much of it is left for others.
#[derive(Clone)]
pub struct Room {
    reserve_bytes: u64,
    free: Measure,
}

impl Room {
    /// The room of a store.
    #[must_use]
    pub fn of(store: &Store, reserve_bytes: u64) -> Self {
        let store = store.clone();
        Self::measured(reserve_bytes, move || store.free_store_bytes())
    }

    /// The room that `free` tells in bytes; none where no limit is known.
    pub fn measured(
        reserve_bytes: u64,
        free: impl Fn() -> Result<Option<u64>, StoreError> + Send + Sync + 'static,
    ) -> Self {
        Self { reserve_bytes, free: Arc::new(free) }
    }

    /// Refuses an archive of `size_bytes` of which `present_bytes` are there when the rest does not fit. An archive takes the store
    /// twice while it is published: its parts, which go last, and itself.
    ///
    /// # Errors
    /// [`FetchError::NoRoom`]; the store cannot be asked.
    pub(crate) fn check(&self, size_bytes: u64, present_bytes: u64) -> Result<(), FetchError> {
        let Some(free_bytes) = (self.free)()? else { return Ok(()) };
        let needed_bytes = size_bytes.saturating_mul(2).saturating_sub(present_bytes);
        if needed_bytes.saturating_add(self.reserve_bytes) <= free_bytes {
            return Ok(());
        }
        Err(FetchError::NoRoom { needed_bytes, free_bytes, reserve_bytes: self.reserve_bytes })
    }

    /// How much may be stored of an archive whose size nobody has told, in bytes: what [`Room::check`] would still let pass. None where no limit is known.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub(crate) fn most(&self) -> Result<Option<u64>, FetchError> {
        Ok((self.free)()?.map(|free_bytes| free_bytes.saturating_sub(self.reserve_bytes) / 2))
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("reserve_bytes", &self.reserve_bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_an_error_that_says_what_to_do() {
        let room = Room::measured(100, || Ok(Some(110)));
        assert!(room.check(5, 0).is_ok());
        let error = room.check(6, 0).err().map(|error| error.to_string());
        assert!(error.is_some_and(|text| text.contains("PASSEREAU_STORE_URL") && text.contains("12 bytes")));
        assert!(room.check(6, 2).is_ok(), "what is there already needs no room");
        assert!(room.check(u64::MAX, 0).is_err());
        assert_eq!(room.most().ok().flatten(), Some(5));
        assert!(Room::measured(100, || Ok(None)).check(u64::MAX, 0).is_ok(), "a store without a limit");
    }
}
