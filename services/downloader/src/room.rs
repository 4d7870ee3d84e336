//! Is there room for the archive? Asked before the first byte is kept, because a disk that fills up hurts everybody on it.

use passereau_store::Store;

use crate::error::FetchError;

/// Room that is left for others, in bytes.
const RESERVE_BYTES: u64 = 64 << 20;

/// What an archive takes while it is fetched, in bytes: its parts and then the archive itself in the store, and a copy to verify in scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Needs {
    store: u64,
    scratch: u64,
}

fn needs(size_bytes: u64, missing_bytes: u64) -> Needs {
    Needs { store: missing_bytes.saturating_add(size_bytes), scratch: size_bytes }
}

/// Refuses an archive of `size_bytes`, of which `missing_bytes` are still to come, when it does not fit.
pub(crate) fn check(store: &Store, size_bytes: u64, missing_bytes: u64) -> Result<(), FetchError> {
    let needs = needs(size_bytes, missing_bytes);
    let scratch_free = store.free_scratch_bytes()?;
    match store.free_store_bytes()? {
        Some(free) if store.scratch_shares_disk() => {
            fits("the store with the scratch folder", needs.store.saturating_add(needs.scratch), free)
        }
        Some(free) => {
            fits("the store", needs.store, free).and_then(|()| fits("the scratch folder", needs.scratch, scratch_free))
        }
        None => fits("the scratch folder", needs.scratch, scratch_free),
    }
}

fn fits(place: &'static str, needed_bytes: u64, free_bytes: u64) -> Result<(), FetchError> {
    if needed_bytes.saturating_add(RESERVE_BYTES) <= free_bytes {
        return Ok(());
    }
    Err(FetchError::NoRoom { place, needed_bytes, free_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_archive_and_copy_are_counted() {
        assert_eq!(needs(100, 40), Needs { store: 140, scratch: 100 });
        assert_eq!(needs(u64::MAX, u64::MAX).store, u64::MAX);
    }

    #[test]
    fn a_full_disk_is_an_error_that_says_what_to_do() {
        assert!(fits("the store", 10, RESERVE_BYTES + 10).is_ok());
        let error = fits("the store", 11, RESERVE_BYTES + 10).err().map(|error| error.to_string());
        assert!(error.is_some_and(|text| text.contains("PASSEREAU_STORE_URL")));
    }
}
