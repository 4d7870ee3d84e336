//! Settings of the landing.

use passereau_dwca::Limits;

/// How archives are landed.
#[derive(clap::Args, Clone, Debug)]
pub struct LandingConfig {
    /// Records that are committed at once, with the place where a stopped landing goes on.
    #[arg(long = "landing-part-records", env = "PASSEREAU_LANDING_PART_RECORDS", default_value_t = 500_000)]
    pub part_records: u64,

    /// Limits on archives.
    #[command(flatten)]
    pub limits: Limits,
}

impl Default for LandingConfig {
    fn default() -> Self {
        Self { part_records: 500_000, limits: Limits::default() }
    }
}
