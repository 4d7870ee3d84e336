//! Settings of the downloader alone.

use std::time::Duration;

/// How archives are fetched.
#[derive(clap::Args, Clone, Debug)]
pub struct FetchConfig {
    /// Size of the parts that an archive is fetched in, in bytes. What a stop or a broken connection costs at most.
    #[arg(long, env = "PASSEREAU_FETCH_PART_BYTES", default_value_t = 8 << 20, value_parser = clap::value_parser!(u64).range(64 * 1024..=4 << 30))]
    pub fetch_part_bytes: u64,
    /// Longest time to wait for the file of a finished download to appear, in seconds.
    #[arg(long, env = "PASSEREAU_FETCH_PATIENCE_S", default_value_t = 24 * 3600)]
    pub fetch_patience_s: u64,
    /// Bytes that a fetch leaves free in the file system of the store; an archive needs twice its size beside them, or waits.
    #[arg(long, env = "PASSEREAU_FETCH_RESERVE_BYTES", default_value_t = 1 << 30)]
    pub fetch_reserve_bytes: u64,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self { fetch_part_bytes: 8 << 20, fetch_patience_s: 24 * 3600, fetch_reserve_bytes: 1 << 30 }
    }
}

impl FetchConfig {
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.fetch_patience_s)
    }
}

/// When to ask again for a file that is not there yet: a quarter of the time waited so far, from half a minute to ten.
pub(crate) fn next_look(waited: Duration) -> Duration {
    (waited / 4).clamp(Duration::from_secs(30), Duration::from_secs(600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_rarer() {
        assert_eq!(next_look(Duration::ZERO), Duration::from_secs(30));
        assert_eq!(next_look(Duration::from_secs(400)), Duration::from_secs(100));
        assert_eq!(next_look(Duration::from_secs(80_000)), Duration::from_secs(600));
    }
}
