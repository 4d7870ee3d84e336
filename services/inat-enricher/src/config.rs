//! Settings of the enricher.

use passereau_harvest::pace::Limits;
use passereau_http::{HttpConfig, parse_seconds};
use passereau_inaturalist::InaturalistConfig;
use std::time::Duration;

/// How long iNaturalist is left alone once it has failed too often in a row. Longer than the remaining batches of a
/// harvest need to go on without it, and short enough for the next harvest to try.
const REST: Duration = Duration::from_secs(15 * 60);

/// Everything the enricher is configured by.
#[derive(clap::Args, Clone, Debug)]
pub struct EnricherConfig {
    /// How others are called.
    #[command(flatten)]
    pub http: HttpConfig,
    /// Where iNaturalist is.
    #[command(flatten)]
    pub inaturalist: InaturalistConfig,
    /// How ids are looked up.
    #[command(flatten)]
    pub lookup: LookupConfig,
}

/// Settings of the enricher alone.
#[derive(clap::Args, Clone, Debug)]
pub struct LookupConfig {
    /// Least time between two calls of the whole fleet, in seconds. iNaturalist asks for at most one a second.
    #[arg(long, env = "PASSEREAU_INATURALIST_INTERVAL_S", default_value = "1.1", value_parser = parse_seconds)]
    pub inaturalist_interval: Duration,
    /// Most calls of the whole fleet in a day (UTC). iNaturalist asks for at most 10,000.
    #[arg(long, env = "PASSEREAU_INATURALIST_PER_DAY", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub inaturalist_per_day: u32,
    /// Attempts that a batch has before the harvest goes on without its UUIDs; also the failures in a row after which nobody
    /// asks iNaturalist for a quarter of an hour, and all batches go on without. The pauses between eight failures in a row are five
    /// minutes together.
    #[arg(long, env = "PASSEREAU_INATURALIST_ATTEMPTS", default_value_t = 8, value_parser = clap::value_parser!(i32).range(1..))]
    pub inaturalist_attempts: i32,
    /// How long an absent observation is not asked for again, in seconds; 7 days. GBIF may keep a deleted one for
    /// weeks.
    #[arg(long = "inaturalist-absent-again", env = "PASSEREAU_INATURALIST_ABSENT_AGAIN_S", default_value = "604800", value_parser = parse_seconds)]
    pub absent_again: Duration,
}

impl LookupConfig {
    /// The fleet's budget.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            interval: self.inaturalist_interval,
            per_day: self.inaturalist_per_day,
            horizon: Duration::from_secs(15),
            most_failures: self.inaturalist_attempts,
            rest: REST,
        }
    }
}
