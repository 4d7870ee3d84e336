//! Where GBIF is, and who we are there.

use secrecy::SecretString;
use url::Url;

/// The GBIF API and one account of it.
#[derive(clap::Args, Clone, Debug)]
pub struct GbifConfig {
    /// Base address of the GBIF API, without `/v1`.
    #[arg(long, env = "PASSEREAU_GBIF_URL", default_value = "https://api.gbif.org")]
    pub gbif_url: Url,
    /// Name of the GBIF account (not its e-mail address). Every environment that uses the account shares its limits.
    #[arg(long, env = "PASSEREAU_GBIF_USER", default_value = "")]
    pub gbif_user: String,
    /// Password of the GBIF account.
    #[arg(
        long,
        env = "PASSEREAU_GBIF_PASSWORD",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    pub gbif_password: SecretString,
}

impl GbifConfig {
    /// Whether an account is set; reading a status or a file needs none.
    pub fn has_account(&self) -> bool {
        use secrecy::ExposeSecret;
        !self.gbif_user.is_empty() && !self.gbif_password.expose_secret().is_empty()
    }
}
