//! How much an archive may ask of us before it is refused.
//!
//! The defaults leave room for the largest downloads GBIF makes and stop files that were built to exhaust a reader.

/// Limits on an archive; every one is a setting.
#[derive(clap::Args, Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most entries in the zip. A download of every dataset has one EML document for each of some 100,000.
    #[arg(long = "archive-max-entries", env = "PASSEREAU_ARCHIVE_MAX_ENTRIES", default_value_t = 1_000_000)]
    pub max_entries: usize,

    /// Most bytes all entries may inflate to.
    #[arg(
        long = "archive-max-inflated-bytes",
        env = "PASSEREAU_ARCHIVE_MAX_INFLATED_BYTES",
        default_value_t = 1 << 40
    )]
    pub max_inflated_bytes: u64,

    /// Most inflated bytes for one compressed byte, for entries above 16 MiB. Real tables stay under 60; deflate ends at 1032.
    #[arg(long = "archive-max-ratio", env = "PASSEREAU_ARCHIVE_MAX_RATIO", default_value_t = 500)]
    pub max_ratio: u64,

    /// Longest line in bytes; a longer one is a malformed row.
    #[arg(
        long = "archive-max-line-bytes",
        env = "PASSEREAU_ARCHIVE_MAX_LINE_BYTES",
        default_value_t = 16 << 20
    )]
    pub max_line_bytes: usize,

    /// Largest `meta.xml` in bytes.
    #[arg(
        long = "archive-max-descriptor-bytes",
        env = "PASSEREAU_ARCHIVE_MAX_DESCRIPTOR_BYTES",
        default_value_t = 8 << 20
    )]
    pub max_descriptor_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_entries: 1_000_000,
            max_inflated_bytes: 1 << 40,
            max_ratio: 500,
            max_line_bytes: 16 << 20,
            max_descriptor_bytes: 8 << 20,
        }
    }
}
