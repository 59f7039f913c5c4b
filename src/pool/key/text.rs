//! The parts of keys that Zeek hashes as it prints them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Appends a text and a zero.
pub(super) fn terminated(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

/// The units of an interval, largest first.
const UNITS: [(f64, &str); 6] = [
    (86_400.0, "day"),
    (3_600.0, "hr"),
    (60.0, "min"),
    (1.0, "sec"),
    (1e-3, "msec"),
    (1e-6, "usec"),
];

/// Appends an interval: for each unit of which there are some, their number and its name, in the plural
/// unless the number is 1 or -1. The last unit takes what is left, with its fraction.
pub(super) fn interval(seconds: f64, out: &mut Vec<u8>) {
    let before = out.len();
    let mut rest = seconds;
    for (at, (unit, word)) in UNITS.iter().enumerate() {
        let is_last = at + 1 == UNITS.len();
        let mut number = rest / unit;
        if !is_last {
            number = number.trunc();
            rest -= number * unit;
        }
        let is_none = if is_last {
            is_near(number, 0.0)
        } else {
            number == 0.0
        };
        if is_none {
            continue;
        }
        out.extend_from_slice(&number.to_le_bytes());
        terminated(word, out);
        if !is_near(number.abs(), 1.0) {
            terminated("s", out);
        }
    }
    if out.len() == before {
        terminated("0 secs", out);
    }
}

fn is_near(number: f64, other: f64) -> bool {
    (number - other).abs() < 1e-6
}

/// An address as `inet_ntop` writes it, one that is mapped from IPv4 as that.
pub(super) fn address(addr: IpAddr) -> String {
    match addr.to_canonical() {
        IpAddr::V4(addr) => addr.to_string(),
        IpAddr::V6(addr) => address6(addr),
    }
}

fn address6(addr: Ipv6Addr) -> String {
    // The one case in which Rust writes it otherwise: six groups of zeros, and the seventh is none.
    match addr.segments() {
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => {
            let [.., a, b, c, d] = addr.octets();
            format!("::{}", Ipv4Addr::new(a, b, c, d))
        }
        _ => addr.to_string(),
    }
}

/// A subnet: its first address and the length of its prefix.
pub(super) fn subnet(addr: IpAddr, prefix_bits: u8) -> String {
    match addr {
        IpAddr::V4(addr) => subnet4(addr, prefix_bits),
        IpAddr::V6(addr) => {
            let prefix_bits = prefix_bits.min(128);
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix_bits));
            let first = Ipv6Addr::from_bits(addr.to_bits() & mask.unwrap_or(0));
            match first.to_ipv4_mapped() {
                Some(addr) if prefix_bits >= 96 => subnet4(addr, prefix_bits - 96),
                Some(_) | None => format!("{}/{prefix_bits}", address6(first)),
            }
        }
    }
}

fn subnet4(addr: Ipv4Addr, prefix_bits: u8) -> String {
    let prefix_bits = prefix_bits.min(32);
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix_bits));
    let first = Ipv4Addr::from_bits(addr.to_bits() & mask.unwrap_or(0));
    format!("{first}/{prefix_bits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The interval's description in words, numbers written out.
    fn words(seconds: f64) -> String {
        let mut out = Vec::new();
        interval(seconds, &mut out);
        if out == b"0 secs\0" {
            return "0 secs".to_owned();
        }
        let mut rest = out.as_slice();
        let mut words = Vec::new();
        while let Some((number, behind)) = rest.split_first_chunk::<8>() {
            let end = behind.iter().position(|byte| *byte == 0).unwrap();
            let (word, behind) = (&behind[..end], &behind[end + 1..]);
            let plural = behind.strip_prefix(b"s\0");
            let number = f64::from_le_bytes(*number);
            let word = str::from_utf8(word).unwrap();
            let suffix = if plural.is_some() { "s" } else { "" };
            words.push(format!("{number:.3} {word}{suffix}"));
            rest = plural.unwrap_or(behind);
        }
        words.join(" ")
    }

    #[test]
    fn an_interval_names_its_units_from_the_largest_on() {
        assert_eq!(words(0.0), "0 secs");
        assert_eq!(words(1e-13), "0 secs");
        assert_eq!(words(1.5), "1.000 sec 500.000 msecs");
        assert_eq!(words(-86_400.0 - 7_200.0), "-1.000 day -2.000 hrs");
        assert_eq!(words(61.0), "1.000 min 1.000 sec");
        assert_eq!(words(2.5e-6), "2.500 usecs");
    }

    #[test]
    fn addresses_are_written_as_the_system_writes_them() {
        for (addr, text) in [
            ("::1", "::1"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("::1.2.3.4", "::1.2.3.4"),
            ("1:0:0:2::3", "1:0:0:2::3"),
        ] {
            assert_eq!(address(addr.parse().unwrap()), text);
        }
    }

    #[test]
    fn bits_behind_the_prefix_are_not_written() {
        for (addr, bits, text) in [
            ("10.1.2.3", 8, "10.0.0.0/8"),
            ("10.1.2.3", 0, "0.0.0.0/0"),
            ("10.1.2.3", 40, "10.1.2.3/32"),
            ("2001:db8::1", 32, "2001:db8::/32"),
            ("2001:db8::1", 0, "::/0"),
            ("::ffff:10.1.2.3", 104, "10.0.0.0/8"),
        ] {
            assert_eq!(subnet(addr.parse().unwrap(), bits), text);
        }
    }
}
