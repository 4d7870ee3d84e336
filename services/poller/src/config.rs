//! Settings of the poller.

use passereau_gbif::GbifConfig;
use passereau_http::{HttpConfig, parse_seconds};
use std::time::Duration;

/// Everything the poller is configured by.
#[derive(clap::Args, Clone, Debug)]
pub struct PollerConfig {
    /// How others are called.
    #[command(flatten)]
    pub http: HttpConfig,
    /// Where GBIF is, and the account (needed only to cancel what took too long).
    #[command(flatten)]
    pub gbif: GbifConfig,
    /// How often it looks.
    #[command(flatten)]
    pub poll: PollConfig,
}

/// Settings of the poller alone.
#[derive(clap::Args, Clone, Debug)]
pub struct PollConfig {
    /// Time between the first two looks at a download, in seconds.
    #[arg(long, env = "PASSEREAU_POLL_FIRST_S", default_value = "10", value_parser = parse_seconds)]
    pub poll_first: Duration,
    /// Longest time between two looks, in seconds.
    #[arg(long, env = "PASSEREAU_POLL_LONGEST_S", default_value = "300", value_parser = parse_seconds)]
    pub poll_longest: Duration,
    /// How long a download may be PREPARING, RUNNING or SUSPENDED, in seconds, counted from the first look (the default is
    /// three days). Then it is cancelled at GBIF and asked for once more, in other words; when that one takes too long as
    /// well, the harvest fails. GBIF needs a minute for small downloads and may need a day or two for large ones. A pause
    /// of the harvest does not count.
    #[arg(long, env = "PASSEREAU_POLL_DEADLINE_S", default_value = "259200", value_parser = parse_seconds)]
    pub poll_deadline: Duration,
}
