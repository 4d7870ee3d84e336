//! Settings of the client.

use std::time::Duration;

use crate::hosts::USUAL_HOSTS;
use crate::{Hosts, Networks};

/// How Passereau presents itself to other services, and how long it waits for them.
#[derive(clap::Args, Clone, Debug)]
pub struct HttpConfig {
    /// Who calls: `name/version (contact)`. Must hold an e-mail address or a site, or nothing is sent.
    #[arg(long, env = "PASSEREAU_USER_AGENT", default_value = concat!("passereau/", env!("CARGO_PKG_VERSION")))]
    pub user_agent: String,
    /// Longest time to reach a server, in seconds.
    #[arg(long, env = "PASSEREAU_HTTP_CONNECT_TIMEOUT_S", default_value = "10", value_parser = parse_seconds)]
    pub http_connect_timeout: Duration,
    /// Longest time without a single byte from a server, in seconds; a transfer that stands still this long has stalled.
    #[arg(long, env = "PASSEREAU_HTTP_STALL_TIMEOUT_S", default_value = "60", value_parser = parse_seconds)]
    pub http_stall_timeout: Duration,
    /// Longest time for a whole answer that is not a file, in seconds.
    #[arg(long, env = "PASSEREAU_HTTP_TOTAL_TIMEOUT_S", default_value = "120", value_parser = parse_seconds)]
    pub http_total_timeout: Duration,
    /// Hosts that may be called, redirects included: items `[http://]HOST[:PORT]` separated by commas; `*.` stands for every name below, `:*` for
    /// every port, and without `http://` only HTTPS is spoken.
    #[arg(long, env = "PASSEREAU_HTTP_HOSTS", default_value = USUAL_HOSTS, value_name = "HOSTS")]
    pub http_hosts: Hosts,
    /// Networks that may be called although they are not public, such as `10.1.0.0/16` for a mirror of one's own, separated by commas.
    #[arg(
        long,
        env = "PASSEREAU_HTTP_PRIVATE_NETWORKS",
        default_value = "",
        hide_default_value = true,
        value_name = "NETWORKS"
    )]
    pub http_private_networks: Networks,
}

impl HttpConfig {
    /// The defaults with this `User-Agent`.
    pub fn new(user_agent: impl Into<String>) -> Self {
        Self {
            user_agent: user_agent.into(),
            http_connect_timeout: Duration::from_secs(10),
            http_stall_timeout: Duration::from_secs(60),
            http_total_timeout: Duration::from_secs(120),
            http_hosts: USUAL_HOSTS.parse().unwrap_or_else(|_| Hosts::none()),
            http_private_networks: Networks::default(),
        }
    }

    /// The same for stand-in services on this machine ([`SANDBOX_HOSTS`], [`SANDBOX_NETWORKS`]).
    #[must_use]
    pub fn for_sandbox(user_agent: impl Into<String>) -> Self {
        Self {
            http_hosts: SANDBOX_HOSTS.parse().unwrap_or_else(|_| Hosts::none()),
            http_private_networks: SANDBOX_NETWORKS.parse().unwrap_or_default(),
            ..Self::new(user_agent)
        }
    }
}

/// `PASSEREAU_HTTP_HOSTS` for tests and demonstrations against stand-ins on the loopback interface.
pub const SANDBOX_HOSTS: &str = "http://127.0.0.1:*";
/// `PASSEREAU_HTTP_PRIVATE_NETWORKS` for the same.
pub const SANDBOX_NETWORKS: &str = "127.0.0.0/8";

/// Reads a setting that is a positive number of seconds, decimals allowed.
pub fn parse_seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| format!("{text:?} is not a number of seconds"))?;
    match Duration::try_from_secs_f64(number) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(format!("{text:?} is not a positive number of seconds")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_inside_is_called_unless_a_setting_says_so() {
        let config = HttpConfig::new("passereau-test/1 (test@example.org)");
        assert_eq!(config.http_hosts.to_string(), USUAL_HOSTS);
        assert_eq!(config.http_private_networks, Networks::default());
        let sandbox = HttpConfig::for_sandbox("passereau-test/1 (test@example.org)");
        assert_eq!(sandbox.http_hosts.to_string(), SANDBOX_HOSTS);
        assert_eq!(sandbox.http_private_networks.to_string(), SANDBOX_NETWORKS);
    }

    #[test]
    fn a_time_is_a_positive_number_of_seconds() {
        assert_eq!(parse_seconds("1.5"), Ok(Duration::from_millis(1500)));
        for bad in ["0", "-1", "soon", "inf", "NaN"] {
            assert!(parse_seconds(bad).is_err(), "{bad}");
        }
    }
}
