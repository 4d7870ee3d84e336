//! Whom a process may call: the one place that every call passes, and every hop of a redirect.
//!
//! A message names downloads and objects, never addresses; but a server that is called can redirect, and a name can lead anywhere. So the
//! host of an address must be on a closed list ([`Hosts`]), and what its name leads to must be public ([`Networks`]): the check is made on the
//! very addresses that are then connected to, so that a name which leads elsewhere at the second look gains nothing.
//!
//! A proxy of this machine's settings (`HTTPS_PROXY` …) may stand anywhere: its administrator has named it. Behind one, names are looked up by
//! the proxy, and the list alone decides.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::error::{HttpError, SafeUrl};
use crate::{Hosts, HttpConfig, Networks};

/// The rules of one client.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    hosts: Hosts,
    networks: Networks,
    proxies: Vec<String>,
}

/// A name that leads inside only.
#[derive(Debug)]
pub(crate) struct LeadsInside {
    address: IpAddr,
}

impl Reach {
    pub(crate) fn of(config: &HttpConfig) -> Self {
        let named = |variable: &str| std::env::var(variable).ok().and_then(|value| proxy_host(&value));
        let variables = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
        Self {
            hosts: config.http_hosts.clone(),
            networks: config.http_private_networks.clone(),
            proxies: variables.into_iter().filter_map(named).collect(),
        }
    }

    /// Whether an address may be called, as far as it tells by itself.
    pub(crate) fn check(&self, url: &Url) -> Result<(), HttpError> {
        let refuse = |reason| Err(HttpError::BadUrl { url: SafeUrl::from(url), reason });
        if !matches!(url.scheme(), "http" | "https") {
            return refuse("only http and https are spoken");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("user and password belong into their own settings, not into the address");
        }
        if let Some(reason) = self.hosts.refuse(url) {
            return refuse(reason);
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::from(address),
            Some(Host::Ipv6(address)) => IpAddr::from(address),
            _ => return Ok(()),
        };
        if self.networks.allow(address) {
            return Ok(());
        }
        refuse("its address is not public, and not in PASSEREAU_HTTP_PRIVATE_NETWORKS")
    }

    /// Of what a name leads to, what may be called.
    fn outside(&self, name: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, LeadsInside> {
        if self.proxies.iter().any(|proxy| proxy.eq_ignore_ascii_case(name)) {
            return Ok(found);
        }
        let first = found.first().map(SocketAddr::ip);
        let allowed: Vec<SocketAddr> = found.into_iter().filter(|found| self.networks.allow(found.ip())).collect();
        match first {
            Some(address) if allowed.is_empty() => Err(LeadsInside { address }),
            _ => Ok(allowed),
        }
    }
}

impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed = reach.outside(name.as_str(), found)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

impl fmt::Display for LeadsInside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its name leads to {}, which is not public", self.address)
    }
}

impl std::error::Error for LeadsInside {}

/// The host of a proxy setting, with or without a scheme.
fn proxy_host(setting: &str) -> Option<String> {
    let url = if setting.contains("://") { setting.to_owned() } else { format!("http://{setting}") };
    Some(Url::parse(&url).ok()?.host_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(hosts: &str, networks: &str) -> Reach {
        Reach {
            hosts: hosts.parse().expect("hosts"),
            networks: networks.parse().expect("networks"),
            proxies: vec!["proxy.example.org".to_owned()],
        }
    }

    fn sockets(addresses: &[&str]) -> Vec<SocketAddr> {
        addresses.iter().map(|address| SocketAddr::new(address.parse().expect("an address"), 0)).collect()
    }

    #[test]
    fn an_address_that_is_listed_is_called_only_where_it_may_be() {
        let url = |text: &str| Url::parse(text).expect("an address");
        let listed = "http://169.254.169.254,http://127.0.0.1:*,https://130.225.43.2,ftp.gbif.org";
        assert!(reach(listed, "").check(&url("https://130.225.43.2/")).is_ok());
        for (text, reason) in [
            ("http://169.254.169.254/latest/meta-data", "not public"),
            ("http://127.0.0.1:15672/api", "not public"),
            ("http://0177.0.0.1:15672/api", "not public"),
            ("ftp://ftp.gbif.org/x", "only http and https"),
            ("https://user@ftp.gbif.org/x", "user and password"),
            ("https://:secret@ftp.gbif.org/x", "user and password"),
            ("file:///etc/passwd", "only http and https"),
            ("gopher://127.0.0.1:6379/_x", "only http and https"),
            ("unix:/var/run/docker.sock", "only http and https"),
        ] {
            let error = reach(listed, "").check(&url(text)).expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("secret@"), "{error}");
        }
        assert!(reach(listed, "127.0.0.0/8").check(&url("http://127.0.0.1:15672/api")).is_ok());
        assert!(reach(listed, "127.0.0.0/8").check(&url("http://169.254.169.254/")).is_err());
    }

    #[test]
    fn a_name_is_called_at_its_public_addresses_only() {
        let rules = reach("", "");
        let mixed = rules.outside("api.gbif.org", sockets(&["127.0.0.1", "130.225.43.2", "fe80::1"])).expect("allowed");
        assert_eq!(mixed, sockets(&["130.225.43.2"]));
        let error = rules.outside("api.gbif.org", sockets(&["169.254.169.254", "::1"])).expect_err("refused");
        assert_eq!(error.to_string(), "its name leads to 169.254.169.254, which is not public");
        // That a name leads nowhere is not for us to say.
        assert_eq!(rules.outside("api.gbif.org", vec![]).expect("nothing"), vec![]);
        assert_eq!(rules.outside("Proxy.example.org", sockets(&["10.0.0.1"])).expect("the proxy").len(), 1);
        assert_eq!(reach("", "10.0.0.0/8").outside("mirror", sockets(&["10.0.0.1"])).expect("named").len(), 1);
    }

    #[test]
    fn a_proxy_is_known_by_its_host() {
        for setting in
            ["http://user:secret@proxy.example.org:3128", "proxy.example.org:3128", "socks5://proxy.example.org"]
        {
            assert_eq!(proxy_host(setting).as_deref(), Some("proxy.example.org"), "{setting}");
        }
    }
}
