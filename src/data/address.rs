//! IP addresses, of both versions in one form.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Where an IPv4 address begins: the first 12 bytes of `::ffff:0.0.0.0`.
const V4_PREFIX: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// An IP address: 16 bytes in network order, IPv4 as `::ffff:a.b.c.d`. Ordered byte by byte, so that
/// IPv4 addresses stand together. Format v1, address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 16]);

/// A text that is no IP address. The writer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no IP address")]
pub struct NotAnAddress {
    /// What was given.
    pub text: String,
}

impl Address {
    /// An address from its 16 bytes in network order.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes in network order.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// Is it of IP version 4?
    #[must_use]
    pub fn is_v4(self) -> bool {
        self.0.starts_with(&V4_PREFIX)
    }

    /// The same address as the standard library has it. `::ffff:a.b.c.d` is IPv4.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        match self.0 {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => {
                IpAddr::V4(Ipv4Addr::new(a, b, c, d))
            }
            bytes => IpAddr::V6(Ipv6Addr::from(bytes)),
        }
    }

    /// The address with all bits after the first `bits` of 128 cleared. More than 128 clears none.
    #[must_use]
    pub(super) fn masked(self, bits: u8) -> Self {
        let kept = 128_u32.saturating_sub(u32::from(bits));
        let mask = u128::MAX.checked_shl(kept).unwrap_or(0);
        Self((u128::from_be_bytes(self.0) & mask).to_be_bytes())
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => ip.into(),
            IpAddr::V6(ip) => ip.into(),
        }
    }
}

impl From<Ipv4Addr> for Address {
    fn from(ip: Ipv4Addr) -> Self {
        Self(ip.to_ipv6_mapped().octets())
    }
}

impl From<Ipv6Addr> for Address {
    fn from(ip: Ipv6Addr) -> Self {
        Self(ip.octets())
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        address.ip()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let ip: Result<IpAddr, _> = text.parse();
        ip.map(Self::from).map_err(|_| NotAnAddress {
            text: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_is_one_and_the_same_in_either_notation() {
        let plain: Address = "1.2.3.4".parse().unwrap();
        assert_eq!("::ffff:1.2.3.4".parse(), Ok(plain));
        assert!(plain.is_v4());
        assert_eq!(plain.to_string(), "1.2.3.4");
        assert_eq!(Address::from(plain.ip()), plain);
    }

    #[test]
    fn a_mask_keeps_as_many_bits_as_it_says() {
        let address = Address::from_bytes([0xff; 16]);
        assert_eq!(address.masked(0).bytes(), [0; 16]);
        assert_eq!(address.masked(9).bytes()[..3], [0xff, 0x80, 0]);
        assert_eq!(address.masked(128), address);
        assert_eq!(address.masked(200), address);
    }

    #[test]
    fn a_text_that_is_no_address_is_refused_and_quoted() {
        for text in ["1.2.3", "", "fe80::1%eth0", "[::1]"] {
            let refused = text.parse::<Address>().unwrap_err();
            assert_eq!(refused.text, text);
        }
    }
}
