//! Which addresses are public, which are somebody's inside, and which are never to be called. Special
//! ranges after the IANA special-purpose registries (RFC 6890), with the metadata services of clouds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of address it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Anywhere on the internet.
    Public,
    /// This machine or a private network: only where an entry says so.
    Private,
    /// Metadata services, link-local, multicast, reserved: only where an entry names the very address.
    Never,
}

/// The metadata services that do not lie in a link-local range.
const METADATA_V4: [Ipv4Addr; 2] = [
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
];
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Classifies an address.
#[must_use]
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address),
    }
}

fn v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, _] = address.octets();
    if METADATA_V4.contains(&address) {
        return Reach::Never;
    }
    match (a, b, c) {
        (10 | 127, _, _) | (192, 168, _) | (172, 16..=31, _) | (100, 64..=127, _) => Reach::Private,
        (0 | 224..=255, _, _)
        | (169, 254, _)
        | (192, 0, 0 | 2)
        | (192, 88, 99)
        | (198, 18 | 19, _)
        | (198, 51, 100)
        | (203, 0, 113) => Reach::Never,
        _ => Reach::Public,
    }
}

fn v6(address: Ipv6Addr) -> Reach {
    if let Some(inner) = embedded(address) {
        return v4(inner);
    }
    if address == METADATA_V6 {
        return Reach::Never;
    }
    if address.is_loopback() {
        return Reach::Private;
    }
    let [a, b, ..] = address.segments();
    match a {
        0xfc00..=0xfdff => Reach::Private,
        // Documentation, and the IETF's own assignments with Teredo among them.
        0x2001 if b == 0xdb8 || b < 0x200 => Reach::Never,
        // The one block that is given out as global unicast.
        0x2000..=0x3fff => Reach::Public,
        _ => Reach::Never,
    }
}

// The IPv4 address inside a mapped, compatible, NAT64 or 6to4 address: it is where packets end up.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| {
        let bits = (u32::from(high) << 16) | u32::from(low);
        Ipv4Addr::from_bits(bits)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(join(high, low))
        }
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(join(high, low)),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_told_apart() {
        let rows = [
            ("8.8.8.8", Reach::Public),
            ("9.255.255.255", Reach::Public),
            ("10.0.0.1", Reach::Private),
            ("100.63.255.255", Reach::Public),
            ("100.64.0.1", Reach::Private),
            ("100.100.100.200", Reach::Never),
            ("127.0.0.1", Reach::Private),
            ("127.255.255.254", Reach::Private),
            ("169.254.169.254", Reach::Never),
            ("172.15.255.255", Reach::Public),
            ("172.16.0.1", Reach::Private),
            ("172.31.255.255", Reach::Private),
            ("172.32.0.1", Reach::Public),
            ("192.0.0.1", Reach::Never),
            ("192.168.1.1", Reach::Private),
            ("198.18.0.1", Reach::Never),
            ("203.0.113.9", Reach::Never),
            ("168.63.129.16", Reach::Never),
            ("0.0.0.0", Reach::Never),
            ("224.0.0.1", Reach::Never),
            ("255.255.255.255", Reach::Never),
            ("::", Reach::Never),
            ("::1", Reach::Private),
            ("::ffff:127.0.0.1", Reach::Private),
            ("::ffff:8.8.8.8", Reach::Public),
            ("::ffff:169.254.169.254", Reach::Never),
            ("::127.0.0.1", Reach::Private),
            ("64:ff9b::a9fe:a9fe", Reach::Never),
            ("64:ff9b::808:808", Reach::Public),
            ("2002:7f00:1::", Reach::Private),
            ("2001:0:53aa:64c::", Reach::Never),
            ("2001:db8::1", Reach::Never),
            ("2606:4700::1111", Reach::Public),
            ("fd00:ec2::254", Reach::Never),
            ("fd12::1", Reach::Private),
            ("fe80::1", Reach::Never),
            ("fec0::1", Reach::Never),
            ("ff02::1", Reach::Never),
        ];
        for (text, expected) in rows {
            assert_eq!(reach(text.parse().unwrap()), expected, "{text}");
        }
    }
}
