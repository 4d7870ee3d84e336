//! Settings of the requester. Those it shares with other workers are structs of their own, so that one process can run
//! all workers from one set of settings.

use passereau_gbif::GbifConfig;
use passereau_harvest::pace::Limits;
use passereau_http::{HttpConfig, parse_seconds};
use std::time::Duration;

/// Everything the requester is configured by.
#[derive(clap::Args, Clone, Debug)]
pub struct RequesterConfig {
    /// How others are called.
    #[command(flatten)]
    pub http: HttpConfig,
    /// Where GBIF is, and the account.
    #[command(flatten)]
    pub gbif: GbifConfig,
    /// How requests are handled.
    #[command(flatten)]
    pub request: RequestConfig,
    /// How the registry is asked about datasets.
    #[command(flatten)]
    pub registry: RegistryConfig,
}

/// Settings of the requester alone.
#[derive(clap::Args, Clone, Debug)]
pub struct RequestConfig {
    /// Unfinished downloads that the account may have at the same time. GBIF allows three; give less when another
    /// program or environment uses the same account.
    #[arg(long, env = "PASSEREAU_GBIF_PLACES", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub gbif_places: u32,
    /// How soon a harvest that found every place taken looks again, in seconds.
    #[arg(long, env = "PASSEREAU_GBIF_PLACE_WAIT_S", default_value = "30", value_parser = parse_seconds)]
    pub gbif_place_wait: Duration,
    /// How soon a request looks again whose subscription has another harvest on its way, in seconds.
    #[arg(long, env = "PASSEREAU_BUSY_WAIT_S", default_value = "30", value_parser = parse_seconds)]
    pub busy_wait: Duration,
}

/// How long the registry is left alone once it has failed too often in a row.
const REST: Duration = Duration::from_secs(15 * 60);

/// How GBIF's registry is asked about datasets and their publishers.
#[derive(clap::Args, Clone, Debug)]
pub struct RegistryConfig {
    /// Least time between two calls of the whole fleet, in seconds. GBIF names no number and asks for moderation.
    #[arg(long, env = "PASSEREAU_GBIF_REGISTRY_INTERVAL_S", default_value = "0.1", value_parser = parse_seconds)]
    pub gbif_registry_interval: Duration,
    /// Attempts that a harvest has before it goes on without the registry; also the failures in a row after which nobody asks
    /// it for a quarter of an hour, and all harvests go on without. The datasets are asked about again by the next harvest.
    #[arg(long, env = "PASSEREAU_GBIF_REGISTRY_ATTEMPTS", default_value_t = 8, value_parser = clap::value_parser!(i32).range(1..=24))]
    pub gbif_registry_attempts: i32,
}

impl RegistryConfig {
    /// The fleet's budget.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            interval: self.gbif_registry_interval,
            per_day: u32::MAX,
            horizon: Duration::from_secs(15),
            most_failures: self.gbif_registry_attempts,
            rest: REST,
        }
    }
}
