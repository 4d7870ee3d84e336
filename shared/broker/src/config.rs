//! How to reach RabbitMQ.

use std::path::PathBuf;
use std::time::Duration;

use passereau_secret::SecretString;

use crate::delay::Backoff;

const PREFIX: &str = "";
const CONNECT_TIMEOUT_MS: u64 = 10_000;
const STARTUP_TIMEOUT_MS: u64 = 60_000;
const RECONNECT_MIN_DELAY_MS: u64 = 200;
const RECONNECT_MAX_DELAY_MS: u64 = 10_000;
const CONFIRM_TIMEOUT_MS: u64 = 10_000;

/// Settings of the broker. `Debug` shows no credentials.
#[derive(clap::Args, Clone, Debug)]
pub struct BrokerConfig {
    /// Where RabbitMQ is: `amqp://user:password@host:5672/%2f`, or `amqps://` for TLS (the authorities that the system
    /// trusts are trusted, and that of `--amqp-ca-file`).
    #[arg(
        id = "amqp_url",
        long = "amqp-url",
        env = "PASSEREAU_AMQP_URL",
        hide_env_values = true,
        required_unless_present = "amqp_url_file"
    )]
    pub url: Option<SecretString>,

    /// File that holds the URL, instead of the URL itself.
    #[arg(id = "amqp_url_file", long = "amqp-url-file", env = "PASSEREAU_AMQP_URL_FILE", value_name = "FILE")]
    pub url_file: Option<PathBuf>,

    /// File with the certificates (PEM) of the authority that signed the broker's. The URL must then be `amqps://`.
    #[arg(id = "amqp_ca_file", long = "amqp-ca-file", env = "PASSEREAU_AMQP_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Stands before the name of every exchange and queue, so that several fleets can share a broker.
    #[arg(id = "amqp_prefix", long = "amqp-prefix", env = "PASSEREAU_AMQP_PREFIX", default_value = PREFIX)]
    pub prefix: String,

    /// How long one attempt to connect may take, in milliseconds.
    #[arg(id = "amqp_connect_timeout_ms", long = "amqp-connect-timeout-ms", env = "PASSEREAU_AMQP_CONNECT_TIMEOUT_MS", default_value_t = CONNECT_TIMEOUT_MS)]
    pub connect_timeout_ms: u64,

    /// How long a starting process waits for the broker before it gives up, in milliseconds. A running one never gives up.
    #[arg(id = "amqp_startup_timeout_ms", long = "amqp-startup-timeout-ms", env = "PASSEREAU_AMQP_STARTUP_TIMEOUT_MS", default_value_t = STARTUP_TIMEOUT_MS)]
    pub startup_timeout_ms: u64,

    /// The first delay before connecting again, in milliseconds. It doubles with each attempt.
    #[arg(id = "amqp_reconnect_min_delay_ms", long = "amqp-reconnect-min-delay-ms", env = "PASSEREAU_AMQP_RECONNECT_MIN_DELAY_MS", default_value_t = RECONNECT_MIN_DELAY_MS)]
    pub reconnect_min_delay_ms: u64,

    /// The longest delay before connecting again, in milliseconds.
    #[arg(id = "amqp_reconnect_max_delay_ms", long = "amqp-reconnect-max-delay-ms", env = "PASSEREAU_AMQP_RECONNECT_MAX_DELAY_MS", default_value_t = RECONNECT_MAX_DELAY_MS)]
    pub reconnect_max_delay_ms: u64,

    /// How long a batch of messages waits for the broker's confirmation before its outcome counts as unknown, in milliseconds.
    #[arg(id = "amqp_confirm_timeout_ms", long = "amqp-confirm-timeout-ms", env = "PASSEREAU_AMQP_CONFIRM_TIMEOUT_MS", default_value_t = CONFIRM_TIMEOUT_MS)]
    pub confirm_timeout_ms: u64,
}

impl BrokerConfig {
    /// The defaults, for a broker at `url`.
    #[must_use]
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self {
            url: Some(url.into()),
            url_file: None,
            ca_file: None,
            prefix: PREFIX.to_owned(),
            connect_timeout_ms: CONNECT_TIMEOUT_MS,
            startup_timeout_ms: STARTUP_TIMEOUT_MS,
            reconnect_min_delay_ms: RECONNECT_MIN_DELAY_MS,
            reconnect_max_delay_ms: RECONNECT_MAX_DELAY_MS,
            confirm_timeout_ms: CONFIRM_TIMEOUT_MS,
        }
    }

    /// The same with another prefix.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn startup_timeout(&self) -> Duration {
        Duration::from_millis(self.startup_timeout_ms)
    }

    pub(crate) fn confirm_timeout(&self) -> Duration {
        Duration::from_millis(self.confirm_timeout_ms)
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff {
            // A delay of zero would turn an absent broker into a busy loop.
            min: Duration::from_millis(self.reconnect_min_delay_ms.max(10)),
            max: Duration::from_millis(self.reconnect_max_delay_ms.max(10)),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    #[test]
    fn the_password_is_not_printed() {
        let config = BrokerConfig::new("amqp://hermine:opensesame@127.0.0.1:5672/%2f");
        assert!(!format!("{config:?}").contains("opensesame"));
    }

    #[test]
    fn the_command_line_has_the_defaults_of_new() -> Result<(), clap::Error> {
        let command = BrokerConfig::augment_args(Command::new("worker"));
        let matches =
            command.try_get_matches_from(["worker", "--amqp-url", "amqp://localhost", "--amqp-prefix", "t."])?;
        let config = BrokerConfig::from_arg_matches(&matches)?;
        let expected = BrokerConfig::new("amqp://localhost").with_prefix("t.");
        assert_eq!(format!("{config:?}"), format!("{expected:?}"));
        Ok(())
    }
}
