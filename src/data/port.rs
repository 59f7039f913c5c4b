//! Transport ports.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// The protocol of a [`Port`]. The order is that of the numbers on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// Not known; written as `?`.
    Unknown = 0,
    /// TCP.
    Tcp = 1,
    /// UDP.
    Udp = 2,
    /// ICMP; the number is the message's type.
    Icmp = 3,
}

impl Protocol {
    /// Its number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The protocol with this number on the wire.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Unknown),
            1 => Some(Self::Tcp),
            2 => Some(Self::Udp),
            3 => Some(Self::Icmp),
            _ => None,
        }
    }

    /// Its name in text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "?",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        }
    }
}

/// A transport port. Ordered by number, then by protocol. Format v1, port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// The port's number.
    pub number: u16,
    /// What it is a port of.
    pub protocol: Protocol,
}

impl Port {
    /// A port.
    #[must_use]
    pub const fn new(number: u16, protocol: Protocol) -> Self {
        Self { number, protocol }
    }

    /// A TCP port.
    #[must_use]
    pub const fn tcp(number: u16) -> Self {
        Self::new(number, Protocol::Tcp)
    }

    /// A UDP port.
    #[must_use]
    pub const fn udp(number: u16) -> Self {
        Self::new(number, Protocol::Udp)
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol.name())
    }
}

impl FromStr for Port {
    type Err = Infallible;

    /// As Broker reads it, which refuses nothing: the number as C's `strtoul` has it and cut to 16
    /// bits, TCP when there is no slash, [`Protocol::Unknown`] for a name that is not known.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (number, protocol) = match text.split_once('/') {
            None => (text, Protocol::Tcp),
            Some((number, "tcp")) => (number, Protocol::Tcp),
            Some((number, "udp")) => (number, Protocol::Udp),
            Some((number, "icmp")) => (number, Protocol::Icmp),
            Some((number, _)) => (number, Protocol::Unknown),
        };
        Ok(Self::new(strtoul_16(number), protocol))
    }
}

/// The lowest 16 bits of what C's `strtoul` makes of a text, to base 10.
fn strtoul_16(text: &str) -> u16 {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit());
    let digits = end.and_then(|end| digits.get(..end)).unwrap_or(digits);
    let number = match digits.parse::<u64>() {
        Ok(number) if negative => number.wrapping_neg(),
        Ok(number) => number,
        Err(_) if digits.is_empty() => 0,
        Err(_) => u64::MAX,
    };
    let [.., high, low] = number.to_be_bytes();
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(text: &str) -> Port {
        let Ok(port) = text.parse();
        port
    }

    #[test]
    fn a_port_survives_its_text() {
        for number in 0..=3 {
            let port_of = Port::new(8080, Protocol::from_number(number).unwrap());
            assert_eq!(port(&port_of.to_string()), port_of);
        }
        assert_eq!(Protocol::from_number(4), None);
    }

    #[test]
    fn odd_texts_are_read_as_broker_reads_them() {
        assert_eq!(port("80"), Port::tcp(80));
        assert_eq!(port("99999/tcp"), Port::tcp(34463));
        assert_eq!(port("abc/tcp"), Port::tcp(0));
        assert_eq!(port("80/xyz"), Port::new(80, Protocol::Unknown));
        assert_eq!(port("7/unknown").to_string(), "7/?");
        assert_eq!(port("-1/udp"), Port::udp(65535));
        assert_eq!(port("99999999999999999999999/udp"), Port::udp(65535));
        assert_eq!(port("12x/icmp"), Port::new(12, Protocol::Icmp));
        assert_eq!(port(""), Port::tcp(0));
    }
}
