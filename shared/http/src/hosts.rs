//! The hosts that may be called: a closed list, whoever asks.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

/// The hosts of GBIF (its API, and the file servers to which it redirects) and of iNaturalist.
pub(crate) const USUAL_HOSTS: &str = "gbif.org,*.gbif.org,inaturalist.org,*.inaturalist.org";

/// The list, as one setting writes it: items separated by commas.
///
/// An item is `[http://]HOST[:PORT]`. `HOST` is a name, `*.` and a name for everything below that name, or an IP address (IPv6 in brackets).
/// Without `http://` only HTTPS is spoken; without a port only the usual one; `:*` stands for every port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts(Vec<Item>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    /// Also without TLS.
    plain: bool,
    host: Known,
    port: Port,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Known {
    Exactly(Host),
    Below(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    Usual,
    Only(u16),
    Any,
}

impl Hosts {
    /// Nobody.
    pub(crate) const fn none() -> Self {
        Self(Vec::new())
    }

    /// What is wrong with calling `url`, if anything: the closest item decides the words.
    pub(crate) fn refuse(&self, url: &Url) -> Option<&'static str> {
        let host = match url.host() {
            // One dot at the end names the same host.
            Some(Host::Domain(name)) => Host::Domain(name.strip_suffix('.').unwrap_or(name).to_owned()),
            Some(Host::Ipv4(address)) => Host::Ipv4(address),
            Some(Host::Ipv6(address)) => Host::Ipv6(address),
            None => return Some("it names no host"),
        };
        let mut closest = "its host is not among those of PASSEREAU_HTTP_HOSTS";
        for item in self.0.iter().filter(|item| item.host.is(&host)) {
            if url.scheme() != "https" && !item.plain {
                closest = "PASSEREAU_HTTP_HOSTS allows this host over HTTPS only";
            } else if !item.port.is(url) {
                closest = "PASSEREAU_HTTP_HOSTS allows this host on another port only";
            } else {
                return None;
            }
        }
        Some(closest)
    }
}

impl Known {
    fn is(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exactly(known), host) => known == host,
            (Self::Below(parent), Host::Domain(name)) => {
                name.strip_suffix(parent.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (Self::Below(_), _) => false,
        }
    }
}

impl Port {
    fn is(self, url: &Url) -> bool {
        match self {
            // The parser of addresses leaves the scheme's own port out.
            Self::Usual => url.port().is_none(),
            Self::Only(port) => url.port_or_known_default() == Some(port),
            Self::Any => true,
        }
    }
}

impl FromStr for Hosts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(item).collect::<Result<_, _>>().map(Self)
    }
}

fn item(text: &str) -> Result<Item, String> {
    let wrong =
        || format!("{text:?} is not [http://]HOST[:PORT], such as api.gbif.org, *.gbif.org or http://127.0.0.1:*");
    let (plain, rest) = match text.split_once("://") {
        None => (false, text),
        Some(("https", rest)) => (false, rest),
        Some(("http", rest)) => (true, rest),
        Some(_) => return Err(wrong()),
    };
    // The colons of an IPv6 address stand in brackets.
    let (name, port) = match rest.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        None => (rest, Port::Usual),
        Some((name, "*")) => (name, Port::Any),
        Some((name, port)) => (name, Port::Only(port.parse().map_err(|_| wrong())?)),
    };
    let parse = |name: &str| match Host::parse(name.strip_suffix('.').unwrap_or(name)) {
        Ok(host) if !name.contains('*') => Ok(host),
        _ => Err(wrong()),
    };
    let host = match name.strip_prefix("*.") {
        None => Known::Exactly(parse(name)?),
        Some(parent) => match parse(parent)? {
            Host::Domain(parent) => Known::Below(parent),
            _ => return Err(wrong()),
        },
    };
    Ok(Item { plain, host, port })
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, item) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            let scheme = if item.plain { "http://" } else { "" };
            let (below, host): (_, &dyn fmt::Display) = match &item.host {
                Known::Exactly(host) => ("", host),
                Known::Below(parent) => ("*.", parent),
            };
            write!(f, "{comma}{scheme}{below}{host}")?;
            match item.port {
                Port::Usual => {}
                Port::Only(port) => write!(f, ":{port}")?,
                Port::Any => f.write_str(":*")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(hosts: &str, url: &str) -> Option<&'static str> {
        let hosts: Hosts = hosts.parse().expect("hosts");
        assert_eq!(hosts.to_string().parse(), Ok(hosts.clone()), "{hosts}");
        hosts.refuse(&Url::parse(url).expect("an address"))
    }

    #[test]
    fn only_listed_hosts_are_called_over_https_on_the_usual_port() {
        for url in [
            "https://api.gbif.org/v1/x",
            "https://gbif.org/",
            "https://occurrence-download.gbif.org/occurrence/download/request/0000001-260108000000665.zip",
            "https://API.GBIF.ORG./v1",
            "https://api.gbif.org:443/v1",
            "https://api.inaturalist.org/v2/observations",
        ] {
            assert_eq!(refuse(USUAL_HOSTS, url), None, "{url}");
        }
        for (url, reason) in [
            ("https://example.org/", "not among"),
            ("https://gbif.org.example.org/", "not among"),
            ("https://evilgbif.org/", "not among"),
            ("https://.gbif.org/", "not among"),
            ("https://api.gbif.org.../v1", "not among"),
            ("https://127.0.0.1/", "not among"),
            ("https://2130706433/", "not among"),
            ("https://0x7f.1/", "not among"),
            ("https://[::1]/", "not among"),
            ("https://[::ffff:127.0.0.1]/", "not among"),
            ("https://localhost/", "not among"),
            ("https://\u{43a}.gbif.org.example/", "not among"),
            ("http://api.gbif.org/", "HTTPS only"),
            ("https://api.gbif.org:8443/", "another port"),
            ("https://api.gbif.org:22/", "another port"),
            ("http://api.gbif.org:6379/", "HTTPS only"),
        ] {
            let refused = refuse(USUAL_HOSTS, url);
            assert!(refused.is_some_and(|words| words.contains(reason)), "{url}: {refused:?}");
        }
    }

    #[test]
    fn an_item_may_allow_more() {
        let hosts = "http://127.0.0.1:*, mirror.example.org:8443, http://[::1]:8080";
        for url in
            ["http://127.0.0.1:34567/x", "https://127.0.0.1/", "https://mirror.example.org:8443/", "http://[::1]:8080/"]
        {
            assert_eq!(refuse(hosts, url), None, "{url}");
        }
        for url in [
            "http://127.0.0.2:34567/x",
            "https://mirror.example.org/",
            "http://mirror.example.org:8443/",
            "http://[::1]/",
        ] {
            assert!(refuse(hosts, url).is_some(), "{url}");
        }
        assert!(refuse("", "https://api.gbif.org/").is_some(), "an empty list allows nobody");
    }

    #[test]
    fn what_is_no_list_is_refused_with_an_example() {
        for text in ["*", "ftp://gbif.org", "gbif.org:many", "*.127.0.0.1", "gbif.org/v1", "a b", "gbif.org:70000"] {
            let error = text.parse::<Hosts>().expect_err(text);
            assert!(error.contains("such as api.gbif.org"), "{error}");
        }
    }
}
