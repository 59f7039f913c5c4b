//! Numbers, times and addresses as both forms of log files write them, without allocating.

use std::fmt;
use std::io::Write;
use std::net::IpAddr;

use crate::data::{Address, Subnet};

use super::seconds::{self, NANOS_A_SECOND};

const MICROS_A_SECOND: u64 = 1_000_000;

/// From here on, C's `INT_MAX`, Zeek's ASCII writer gives times an exponent, and real numbers all digits.
const LARGE: f64 = 2_147_483_647.0;

/// The same in microseconds.
const LARGE_MICROS: u64 = 2_147_483_647 * MICROS_A_SECOND;

/// Powers of ten of fractions, by how many of nine digits are missing.
const SCALES: [i64; 9] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];

pub(super) fn integer(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends what formats itself. Writing to memory does not fail.
pub(super) fn formatted(item: fmt::Arguments<'_>, out: &mut Vec<u8>) {
    let written = out.write_fmt(item);
    debug_assert!(written.is_ok(), "memory refused to be written");
}

/// Appends seconds with six decimals, from nanoseconds; as from 2^31 - 1 seconds with 17 digits and an
/// exponent: Zeek's `modp_dtoa`.
pub(super) fn fixed(nanos: i64, out: &mut Vec<u8>) {
    let micros = (nanos.unsigned_abs() + 500) / 1_000;
    if micros >= LARGE_MICROS {
        return exponential(seconds::from_nanos(nanos), out);
    }
    // Zeek gives what it rounds to zero its sign, too; a zero that was read has none.
    if nanos < 0 && micros > 0 {
        out.push(b'-');
    }
    integer(micros / MICROS_A_SECOND, out);
    fraction(micros % MICROS_A_SECOND, out);
}

/// Appends a point and six digits.
pub(super) fn fraction(micros: u64, out: &mut Vec<u8>) {
    out.push(b'.');
    // With a seventh digit in front, which keeps the zeros.
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(MICROS_A_SECOND + micros);
    out.extend_from_slice(digits.as_bytes().get(1..).unwrap_or_default());
}

/// Appends a number that is not negative with so many digits at least.
pub(super) fn padded(number: i64, digits: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let written = buffer.format(number).as_bytes();
    out.extend(std::iter::repeat_n(
        b'0',
        digits.saturating_sub(written.len()),
    ));
    out.extend_from_slice(written);
}

/// Appends a number with 17 digits at most and an exponent of two digits at least: `4.294967296e+09`.
/// What has no exponent is `inf`, `-inf` or `nan`.
pub(super) fn exponential(real: f64, out: &mut Vec<u8>) {
    if !real.is_finite() {
        return special(real, out);
    }
    let start = out.len();
    formatted(format_args!("{real:.16e}"), out);
    let written = out.get(start..).unwrap_or_default();
    let Some(at) = written.iter().position(|byte| *byte == b'e') else {
        return;
    };
    let exponent = written.get(at + 1..).and_then(parse::<i32>).unwrap_or(0);
    out.truncate(start + at);
    trim_zeros(out);
    if out.last() == Some(&b'.') {
        out.pop();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    formatted(format_args!("e{sign}{:02}", exponent.unsigned_abs()), out);
}

fn special(real: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(if real.is_nan() {
        b"nan"
    } else if real > 0.0 {
        b"inf"
    } else {
        b"-inf"
    });
}

/// Takes zeros from the end of decimals, but not the first of them.
pub(super) fn trim_decimals(out: &mut Vec<u8>) {
    trim_zeros(out);
    if out.last() == Some(&b'.') {
        out.push(b'0');
    }
}

fn trim_zeros(out: &mut Vec<u8>) {
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

/// Appends a real number with up to six decimals, and one at least: Zeek's `modp_dtoa3`, and the `.0`
/// that `ODesc` adds.
pub(super) fn decimal(real: f64, out: &mut Vec<u8>) {
    if !real.is_finite() {
        return special(real, out);
    }
    let size = real.abs();
    if size >= LARGE {
        formatted(format_args!("{real:.6}"), out);
    } else {
        // Zeek gives what it rounds to zero its sign, and a zero none. What was read is written again.
        if real.is_sign_negative() {
            out.push(b'-');
        }
        let (whole, micros) = rounded(size);
        integer(whole, out);
        fraction(micros, out);
    }
    trim_decimals(out);
}

/// A number below 2^31 as whole and millionths, rounded as Zeek does: a half goes up if the millionths
/// are odd, or none.
fn rounded(size: f64) -> (i64, u64) {
    let whole = size.trunc();
    let scaled = (size - whole) * 1e6;
    let mut micros = seconds::integer(scaled).unsigned_abs();
    let rest = scaled.fract();
    if rest > 0.5 || rest == 0.5 && (micros == 0 || micros % 2 == 1) {
        micros += 1;
    }
    let carry = micros / MICROS_A_SECOND;
    (
        seconds::integer(whole) + i64::from(carry == 1),
        micros % MICROS_A_SECOND,
    )
}

pub(super) fn address(address: Address, out: &mut Vec<u8>) {
    match address.ip() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            for (octet, end) in [(a, "."), (b, "."), (c, "."), (d, "")] {
                integer(octet, out);
                out.extend_from_slice(end.as_bytes());
            }
        }
        IpAddr::V6(ip) => formatted(format_args!("{ip}"), out),
    }
}

pub(super) fn subnet(subnet: Subnet, out: &mut Vec<u8>) {
    address(subnet.address(), out);
    out.push(b'/');
    integer(subnet.length(), out);
}

/// The number that a text is, as Rust writes it.
pub(super) fn parse<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The nanoseconds of seconds with a point and up to nine decimals, exactly; `None` for any other form.
pub(super) fn parse_fixed(text: &[u8]) -> Option<i64> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let point = text.iter().position(|byte| *byte == b'.')?;
    let (whole, decimals) = (text.get(..point)?, text.get(point + 1..)?);
    if !(1..=10).contains(&whole.len()) || decimals.is_empty() {
        return None;
    }
    let scale = SCALES.get(9_usize.checked_sub(decimals.len())?)?;
    let nanos = digits(whole)?
        .checked_mul(NANOS_A_SECOND)?
        .checked_add(digits(decimals)? * scale)?;
    Some(if negative { -nanos } else { nanos })
}

/// Up to 18 digits as a number.
fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + i64::from(byte - b'0'))
    })
}

/// The network that a text is: an address, and a length that its IP version has.
pub(super) fn parse_subnet(text: &str) -> Option<Subnet> {
    let (address, length) = text.split_once('/')?;
    let address: Address = address.parse().ok()?;
    let length: u8 = length.parse().ok()?;
    let length_max = if address.is_v4() { 32 } else { 128 };
    (length <= length_max).then(|| Subnet::new(address, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_are_written_as_zeek_writes_them() {
        for (nanos, expected) in [
            (0, "0.000000"),
            (1_521_911_780_600_725_000, "1521911780.600725"),
            (-85_938_000, "-0.085938"),
            (999_999_500, "1.000000"),
            (499, "0.000000"),
            (-499, "0.000000"),
            (4_294_967_296_000_000_000, "4.294967296e+09"),
            (-2_150_431_849_689_695_358, "-2.1504318496896954e+09"),
            (4_000_000_000_000_000_000, "4e+09"),
            (i64::MIN, "-9.2233720368547764e+09"),
        ] {
            assert_eq!(written(|out| fixed(nanos, out)), expected);
        }
        let exponent = |real| written(|out| exponential(real, out));
        assert_eq!(
            exponent(253_402_300_799.0),
            "2.5340230079900000e+11".replace("00000e", "e")
        );
        assert_eq!(
            exponent(-1e-300),
            "-1.0000000000000000e-300".replace(".0000000000000000", "")
        );
        assert_eq!(exponent(f64::NAN), "nan");
    }

    #[test]
    fn real_numbers_are_written_as_zeek_writes_them() {
        for (real, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (-0.000_000_1, "-0.0"),
            (0.139_740_874_205_705_16, "0.139741"),
            (-2.5, "-2.5"),
            (42.0, "42.0"),
            (0.999_999_7, "1.0"),
            (0.000_001, "0.000001"),
            (0.000_000_1, "0.0"),
            (3e9, "3000000000.0"),
            (1e20, "100000000000000000000.0"),
            (4_294_967_296.25, "4294967296.25"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(written(|out| decimal(real, out)), expected);
        }
    }

    #[test]
    fn seconds_with_a_point_are_read_to_the_nanosecond() {
        for (text, nanos) in [
            ("1521911780.600725", Some(1_521_911_780_600_725_000)),
            ("-0.5", Some(-500_000_000)),
            ("0.123456789", Some(123_456_789)),
            ("0.1234567890", None),
            ("9999999999.0", None),
            ("1e9", None),
            ("1.", None),
            (".1", None),
            ("1.-1", None),
            ("", None),
        ] {
            assert_eq!(parse_fixed(text.as_bytes()), nanos, "{text}");
        }
    }

    #[test]
    fn networks_have_a_length_of_their_version() {
        let subnet = |text| parse_subnet(text).map(|found| found.to_string());
        assert_eq!(subnet("10.1.2.3/8").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(subnet("2001:db8::/32").as_deref(), Some("2001:db8::/32"));
        for text in [
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0",
            "10.0.0.0/",
            "x/8",
            "10.0.0.0/8x",
        ] {
            assert_eq!(subnet(text), None, "{text}");
        }
        let ip = "::1".parse().unwrap();
        assert_eq!(written(|out| address(ip, out)), "::1");
    }
}
