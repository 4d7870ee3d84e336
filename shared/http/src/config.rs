//! Settings of the client.

use std::time::Duration;

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
}

impl HttpConfig {
    /// The default times with this `User-Agent`.
    pub fn new(user_agent: impl Into<String>) -> Self {
        Self {
            user_agent: user_agent.into(),
            http_connect_timeout: Duration::from_secs(10),
            http_stall_timeout: Duration::from_secs(60),
            http_total_timeout: Duration::from_secs(120),
        }
    }
}

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
    fn a_time_is_a_positive_number_of_seconds() {
        assert_eq!(parse_seconds("1.5"), Ok(Duration::from_millis(1500)));
        for bad in ["0", "-1", "soon", "inf", "NaN"] {
            assert!(parse_seconds(bad).is_err(), "{bad}");
        }
    }
}
