//! Settings of the requester. Those it shares with other workers are structs of their own, so that one process can run
//! all workers from one set of settings.

use passereau_gbif::GbifConfig;
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
