//! Where GBIF is, and who we are there.

use std::path::PathBuf;

use passereau_secret::SecretString;
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
    #[arg(long, env = "PASSEREAU_GBIF_PASSWORD", hide_env_values = true)]
    pub gbif_password: Option<SecretString>,
    /// File that holds the password, instead of the password itself.
    #[arg(long, env = "PASSEREAU_GBIF_PASSWORD_FILE", value_name = "FILE")]
    pub gbif_password_file: Option<PathBuf>,
}

impl GbifConfig {
    /// An account at the API of this address.
    #[must_use]
    pub fn new(url: Url, user: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self { gbif_url: url, gbif_user: user.into(), gbif_password: Some(password.into()), gbif_password_file: None }
    }

    /// Whether an account is set; reading a status or a file needs none.
    pub fn has_account(&self) -> bool {
        use passereau_secret::ExposeSecret;
        let password = self.gbif_password.as_ref().is_some_and(|password| !password.expose_secret().is_empty());
        let file = self.gbif_password_file.as_ref().is_some_and(|file| !file.as_os_str().is_empty());
        !self.gbif_user.is_empty() && (password || file)
    }
}
