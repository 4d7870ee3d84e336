//! Where iNaturalist is.

use url::Url;

/// The iNaturalist API.
#[derive(clap::Args, Clone, Debug)]
pub struct InaturalistConfig {
    /// Base address of the iNaturalist API, without `/v2`.
    #[arg(long, env = "PASSEREAU_INATURALIST_URL", default_value = "https://api.inaturalist.org")]
    pub inaturalist_url: Url,
}
