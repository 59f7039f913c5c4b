//! Networks: an address and how many of its bits count.

use std::fmt;
use std::str::FromStr;

use super::Address;

/// How far an IPv4 length is moved on the scale of 128 bits.
const V4_BITS_BEFORE: u8 = 96;

/// A network. The bits of the address behind the length are zero, always. The length counts on the
/// scale of 128 bits, 96 and more for IPv4. Format v1, subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet {
    address: Address,
    length: u8,
}

/// A text that is no network. The writer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no network; write it as address/length")]
pub struct NotASubnet {
    /// What was given.
    pub text: String,
}

impl Subnet {
    /// The empty network, `::/0`: what Broker makes of a length out of range.
    pub const EMPTY: Self = Self {
        address: Address::from_bytes([0; 16]),
        length: 0,
    };

    /// The network of an address and its length: 0 to 32 for IPv4, else 0 to 128. Another length
    /// gives [`Subnet::EMPTY`], as in Broker.
    #[must_use]
    pub fn new(address: Address, length: u8) -> Self {
        let (length_max, before) = if address.is_v4() {
            (32, V4_BITS_BEFORE)
        } else {
            (128, 0)
        };
        if length > length_max {
            return Self::EMPTY;
        }
        Self::from_stored(address, length.saturating_add(before)).unwrap_or(Self::EMPTY)
    }

    /// The network of an address and its length on the scale of 128 bits; `None` above 128. Bits that
    /// do not count are cleared.
    #[must_use]
    pub fn from_stored(address: Address, length: u8) -> Option<Self> {
        (length <= 128).then(|| Self {
            address: address.masked(length),
            length,
        })
    }

    /// Its first address.
    #[must_use]
    pub const fn address(self) -> Address {
        self.address
    }

    /// How many bits count, on the scale of its own IP version: 0 to 32 or 0 to 128.
    #[must_use]
    pub fn length(self) -> u8 {
        // An address that still looks like IPv4 after the mask has its first 96 bits.
        match self.length.checked_sub(V4_BITS_BEFORE) {
            Some(length) if self.address.is_v4() => length,
            _ => self.length,
        }
    }

    /// How many bits count, on the scale of 128 bits, as it travels.
    #[must_use]
    pub const fn stored_length(self) -> u8 {
        self.length
    }

    /// Does the address lie in it?
    #[must_use]
    pub fn contains(self, address: Address) -> bool {
        address.masked(self.length) == self.address
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length())
    }
}

impl FromStr for Subnet {
    type Err = NotASubnet;

    /// As Broker reads it: a length out of range gives [`Subnet::EMPTY`], and what follows the number
    /// is not looked at.
    fn from_str(text: &str) -> Result<Self, NotASubnet> {
        let refused = || NotASubnet {
            text: text.to_owned(),
        };
        let (address, length) = text.split_once('/').ok_or_else(refused)?;
        let address: Address = address.parse().map_err(|_| refused())?;
        let end = length.find(|c: char| !c.is_ascii_digit());
        let digits = end.and_then(|end| length.get(..end)).unwrap_or(length);
        if digits.is_empty() {
            return Err(refused());
        }
        // Too many digits for a number are out of range, too.
        let length = digits.parse().unwrap_or(u8::MAX);
        Ok(Self::new(address, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn bits_that_do_not_count_are_cleared() {
        assert_eq!(subnet("192.168.9.8/24").to_string(), "192.168.9.0/24");
        assert_eq!(subnet("2001:db8::1/32").to_string(), "2001:db8::/32");
        assert_eq!(subnet("10.1.2.3/8").stored_length(), 104);
        assert_eq!(subnet("0.0.0.0/0").to_string(), "0.0.0.0/0");
    }

    #[test]
    fn a_length_out_of_range_gives_the_empty_network() {
        for text in ["10.0.0.0/33", "2001:db8::/129", "10.0.0.0/4294967297"] {
            assert_eq!(subnet(text), Subnet::EMPTY, "{text}");
        }
        assert_eq!(subnet("::/0"), Subnet::EMPTY);
        assert_eq!(Subnet::from_stored(Subnet::EMPTY.address(), 129), None);
    }

    #[test]
    fn what_follows_the_number_is_not_looked_at_but_the_number_must_be_there() {
        assert_eq!(subnet("10.0.0.0/8x"), subnet("10.0.0.0/8"));
        for text in ["10.0.0.0", "10.0.0.0/", "/8", "10.0.0.0/x"] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_mapped_address_with_a_short_length_is_a_network_of_version_6() {
        let address: Address = "1.2.3.4".parse().unwrap();
        let network = Subnet::from_stored(address, 40).unwrap();
        assert_eq!(network.to_string(), "::/40");
        assert!(network.contains(address));
        assert!(!subnet("1.2.4.0/24").contains(address));
    }
}
