//! Addresses that a name may lead to: those of the public internet, and networks that are named.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Networks that may be called although they are not public, as one setting writes them: `10.1.0.0/16,127.0.0.0/8`. Empty by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

impl Networks {
    /// Whether `address` may be called: it is public, or in one of the networks.
    pub(crate) fn allow(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.0.iter().any(|network| network.holds(address))
    }
}

impl Network {
    fn holds(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                u32::from(self.bits)
                    == shared_bits(u128::from(network.to_bits()), u128::from(address.to_bits()), 32)
                        .min(u32::from(self.bits))
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                u32::from(self.bits) == shared_bits(network.to_bits(), address.to_bits(), 128).min(u32::from(self.bits))
            }
            _ => false,
        }
    }
}

/// How many leading bits two addresses of `width` bits have in common.
fn shared_bits(one: u128, other: u128, width: u32) -> u32 {
    (one ^ other).leading_zeros() - (128 - width)
}

/// Whether an address belongs to the public internet, by the registries of special-purpose addresses of IANA
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry>, <https://www.iana.org/assignments/iana-ipv6-special-registry>). Addresses
/// that carry an IPv4 address are judged by it.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    const SPECIAL: [([u8; 4], u8); 14] = [
        ([0, 0, 0, 0], 8),       // this network
        ([10, 0, 0, 0], 8),      // private
        ([100, 64, 0, 0], 10),   // carriers
        ([127, 0, 0, 0], 8),     // loopback
        ([169, 254, 0, 0], 16),  // link-local, and the metadata of clouds
        ([172, 16, 0, 0], 12),   // private
        ([192, 0, 0, 0], 24),    // protocols
        ([192, 0, 2, 0], 24),    // documentation
        ([192, 88, 99, 0], 24),  // 6to4 relays
        ([192, 168, 0, 0], 16),  // private
        ([198, 18, 0, 0], 15),   // benchmarks
        ([198, 51, 100, 0], 24), // documentation
        ([203, 0, 113, 0], 24),  // documentation
        ([224, 0, 0, 0], 3),     // multicast, reserved, broadcast
    ];
    let special =
        |(network, bits): ([u8; 4], u8)| Network { address: IpAddr::from(network), bits }.holds(address.into());
    !SPECIAL.into_iter().any(special)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b) {
        // NAT64: what a network without IPv4 calls IPv4 hosts by.
        (0x64, 0xff9b) if [c, d, e, f] == [0; 4] => embedded(g, h),
        // 6to4.
        (0x2002, _) => embedded(b, c),
        // Protocols of IETF (Teredo, benchmarks, ORCHID …), documentation.
        (0x2001, 0..=0x01ff | 0xdb8) | (0x3fff, 0..=0x0fff) => false,
        // Global unicast; everything else is loopback, local, multicast or not assigned.
        _ => a & 0xe000 == 0x2000,
    }
}

impl FromStr for Networks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(network).collect::<Result<_, _>>().map(Self)
    }
}

fn network(text: &str) -> Result<Network, String> {
    let wrong = || format!("{text:?} is no network such as 10.1.0.0/16, 127.0.0.1 or fd00::/8");
    let (address, bits) = match text.split_once('/') {
        None => (text, None),
        Some((address, bits)) => (address, Some(bits.parse().map_err(|_| wrong())?)),
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(width);
    if bits > width { Err(wrong()) } else { Ok(Network { address, bits }) }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, network) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{}/{}", network.address, network.bits)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(networks: &str, address: &str) -> bool {
        networks.parse::<Networks>().expect("networks").allow(address.parse().expect(address))
    }

    #[test]
    fn addresses_inside_are_refused_in_every_notation() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.2.3",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:53aa::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "3fff:1::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
        ] {
            assert!(!allow("", address), "{address}");
        }
    }

    #[test]
    fn public_addresses_are_called() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "128.0.0.1",
            "130.225.43.2",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.255.255",
            "192.169.0.1",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:130.225.43.2",
            "64:ff9b::82e1:2b02",
            "2001:200::1",
            "2001:878:346::2",
            "2002:82e1:2b02::1",
            "2a00:1450:4007::1",
            "3fff:1000::1",
        ] {
            assert!(allow("", address), "{address}");
        }
    }

    #[test]
    fn a_network_that_is_named_is_called_and_its_neighbour_is_not() {
        assert!(allow("127.0.0.0/8", "127.0.0.1") && allow("127.0.0.0/8", "::ffff:127.0.0.1"));
        assert!(!allow("127.0.0.0/8", "10.0.0.1") && !allow("127.0.0.0/8", "::1"));
        assert!(allow("10.1.0.0/16, fd00::/8", "10.1.255.1") && allow("10.1.0.0/16,fd00::/8", "fd12::1"));
        assert!(!allow("10.1.0.0/16", "10.2.0.1") && !allow("192.168.1.10", "192.168.1.11"));
        assert!(allow("192.168.1.10", "192.168.1.10") && allow("0.0.0.0/0", "127.0.0.1"));
    }

    #[test]
    fn what_is_no_network_is_refused_with_an_example() {
        for text in ["localhost", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/x", "10.0.0.0/8/8"] {
            assert!(text.parse::<Networks>().expect_err(text).contains("such as"), "{text}");
        }
        let networks = "127.0.0.0/8,fd00::/8";
        assert_eq!(networks.parse::<Networks>().map(|networks| networks.to_string()), Ok(networks.to_owned()));
    }
}
