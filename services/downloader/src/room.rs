//! Is there room for the archive? Asked before the first byte is kept, because a disk that fills up hurts everybody on it.

use passereau_store::Store;

use crate::error::FetchError;

/// Room that is left for others, in bytes.
const RESERVE_BYTES: u64 = 64 << 20;

/// Refuses an archive of `size_bytes` when it does not fit.
pub(crate) fn check(store: &Store, size_bytes: u64) -> Result<(), FetchError> {
    match store.free_store_bytes()? {
        Some(free_bytes) => fits(size_bytes, free_bytes),
        None => Ok(()),
    }
}

/// An archive takes the store twice while it is published: its parts, which go last, and itself.
fn fits(size_bytes: u64, free_bytes: u64) -> Result<(), FetchError> {
    let needed_bytes = size_bytes.saturating_mul(2);
    if needed_bytes.saturating_add(RESERVE_BYTES) <= free_bytes {
        return Ok(());
    }
    Err(FetchError::NoRoom { needed_bytes, free_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_an_error_that_says_what_to_do() {
        assert!(fits(5, RESERVE_BYTES + 10).is_ok());
        let error = fits(6, RESERVE_BYTES + 10).err().map(|error| error.to_string());
        assert!(error.is_some_and(|text| text.contains("PASSEREAU_STORE_URL") && text.contains("12 bytes")));
        assert!(fits(u64::MAX, u64::MAX - 1).is_err());
    }
}
