//! Reals as Broker packs them: IEEE's bits, but for infinities, NaN and subnormals.

/// What Broker writes for +inf, and what IEEE has for -inf.
const INFINITY: u64 = 0xfff0_0000_0000_0000;

/// What Broker writes for -inf, and what IEEE has for +inf.
const NEG_INFINITY: u64 = 0x7ff0_0000_0000_0000;

/// The only bits that Broker reads as NaN.
const NAN: u64 = u64::MAX;

/// The bits that Broker reads as this number.
pub(super) fn pack(real: f64) -> u64 {
    if real.is_nan() {
        NAN
    } else if real == f64::INFINITY {
        INFINITY
    } else if real == f64::NEG_INFINITY {
        NEG_INFINITY
    } else {
        flush(real).to_bits()
    }
}

/// The number that Broker means by these bits. IEEE's other NaN patterns, which Broker takes for an
/// infinity and never writes, are NaN: that is what whoever wrote them means.
pub(super) fn unpack(bits: u64) -> f64 {
    match bits {
        INFINITY => f64::INFINITY,
        NEG_INFINITY => f64::NEG_INFINITY,
        bits => flush(f64::from_bits(bits)),
    }
}

/// Zero, of the same sign, for a number that Broker would garble.
fn flush(real: f64) -> f64 {
    if real.is_subnormal() {
        0.0_f64.copysign(real)
    } else {
        real
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_numbers_are_brokers_and_survive() {
        assert_eq!(pack(f64::INFINITY), 0xfff0_0000_0000_0000);
        assert_eq!(pack(f64::NEG_INFINITY), 0x7ff0_0000_0000_0000);
        assert_eq!(pack(-f64::NAN), 0xffff_ffff_ffff_ffff);
        assert_eq!(pack(5e-324), 0);
        assert_eq!(pack(-5e-324), 0x8000_0000_0000_0000);
        assert_eq!(unpack(1).to_bits(), 0);
        assert!(unpack(0x7ff8_0000_0000_0000).is_nan());
        for real in [0.0, -0.0, 1.5, f64::MIN_POSITIVE, f64::MAX, f64::INFINITY] {
            assert_eq!(unpack(pack(real)).to_bits(), real.to_bits());
            assert_eq!(unpack(pack(-real)).to_bits(), (-real).to_bits());
        }
        assert!(unpack(pack(f64::NAN)).is_nan());
    }
}
