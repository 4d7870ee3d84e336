//! Who is calling: the peer, or whom a trusted proxy names.

use std::{
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use axum::http::HeaderMap;

/// Addresses with a common beginning, in the notation of RFC 4632 and RFC 4291.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: u128,
    bits: u32,
}

/// A text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address nor a network; write for instance 10.0.0.0/8, 192.0.2.1 or 2001:db8::/32")]
pub struct NoNetwork(String);

/// An address of either kind as 128 bits: RFC 4291, 2.5.5.2 maps the older into the newer.
fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl Network {
    fn holds(&self, address: IpAddr) -> bool {
        let shift = 128 - self.bits;
        let cut = |bits: u128| bits.checked_shr(shift).unwrap_or(0);
        cut(bits_of(address)) == cut(self.base)
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let none = || NoNetwork(text.chars().take(60).collect());
        let (address, length) = text.trim().split_once('/').map_or((text.trim(), None), |(a, l)| (a, Some(l)));
        let address: IpAddr = address.parse().map_err(|_| none())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(most), str::parse).map_err(|_| none())?;
        if length > most {
            return Err(none());
        }
        Ok(Self { base: bits_of(address), bits: length + 128 - most })
    }
}

/// The address that called: the last one in `X-Forwarded-For` that no trusted proxy has, if the peer is a trusted proxy.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.holds(address));
    if !is_trusted(peer) {
        return peer;
    }
    let mut client = peer;
    let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok()).collect();
    for named in lines.iter().flat_map(|line| line.split(',')).rev() {
        // What is no address was not written by a proxy that can be trusted.
        let Ok(named) = named.trim().parse() else { break };
        client = named;
        if !is_trusted(named) {
            break;
        }
    }
    client
}

/// What failures are counted by. Who has one IPv6 address has the 64 bits below it, too (RFC 6177).
pub(crate) fn counted_as(address: IpAddr) -> u128 {
    let bits = bits_of(address);
    let is_v4 = Ipv6Addr::from_bits(bits).to_ipv4_mapped().is_some();
    if is_v4 { bits } else { bits >> 64 << 64 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn client_of(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_names_the_client() {
        assert_eq!(client_of("192.0.2.1", &["198.51.100.9"], &[]), "192.0.2.1");
        assert_eq!(client_of("10.1.2.3", &["198.51.100.9"], &["10.0.0.0/8"]), "198.51.100.9");
        assert_eq!(client_of("11.1.2.3", &["198.51.100.9"], &["10.0.0.0/8"]), "11.1.2.3");
        assert_eq!(client_of("::1", &[], &["::1"]), "::1");
    }

    #[test]
    fn what_a_client_wrote_itself_is_not_believed() {
        assert_eq!(client_of("10.0.0.1", &["203.0.113.7, 198.51.100.9", "10.0.0.2"], &["10.0.0.0/8"]), "198.51.100.9");
        assert_eq!(client_of("10.0.0.1", &["198.51.100.9, nonsense"], &["10.0.0.0/8"]), "10.0.0.1");
    }

    #[test]
    fn a_network_is_not_guessed() {
        for text in ["", "10.0.0.0/33", "10.0.0", "::/129", "host"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        assert_eq!(client_of("2001:db8::1", &["192.0.2.9"], &["0.0.0.0/0"]), "2001:db8::1");
        assert_eq!(client_of("2001:db8::1", &["192.0.2.9"], &["::/0"]), "192.0.2.9");
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_together() {
        let counted = |text: &str| counted_as(text.parse().unwrap());
        assert_eq!(counted("2001:db8::1"), counted("2001:db8::2"));
        assert_ne!(counted("2001:db8:0:1::1"), counted("2001:db8::1"));
        assert_ne!(counted("192.0.2.1"), counted("192.0.2.2"));
        assert_eq!(counted("192.0.2.1"), counted("::ffff:192.0.2.1"));
    }
}
