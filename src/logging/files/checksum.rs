//! CRC-32 (IEEE 802.3), eight bytes at a step: finds torn and damaged bytes, and guards against nobody.

const POLYNOMIAL: u32 = 0xedb8_8320;

/// Of each byte, what it makes of the register when so many zero bytes follow it.
const TABLES: [[u32; 256]; 8] = tables();

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated by the compiler, which refuses an index out of range; `byte` is below 256"
)]
const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut register = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            let carry = register & 1;
            register >>= 1;
            if carry == 1 {
                register ^= POLYNOMIAL;
            }
            bit += 1;
        }
        tables[0][byte] = register;
        byte += 1;
    }
    let mut step = 1;
    while step < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[step - 1][byte];
            tables[step][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        step += 1;
    }
    tables
}

/// The checksum of what `before` is the checksum of, followed by `bytes`. Nothing has checksum 0.
#[must_use]
pub fn crc32(before: u32, bytes: &[u8]) -> u32 {
    let [t0, t1, t2, t3, t4, t5, t6, t7] = &TABLES;
    let of = |table: &[u32; 256], byte: u8| table.get(usize::from(byte)).copied().unwrap_or(0);
    let mut register = !before;
    let (steps, rest) = bytes.as_chunks::<8>();
    for &[a, b, c, d, e, f, g, h] in steps {
        let [a, b, c, d] = (register ^ u32::from_le_bytes([a, b, c, d])).to_le_bytes();
        register = of(t7, a) ^ of(t6, b) ^ of(t5, c) ^ of(t4, d);
        register ^= of(t3, e) ^ of(t2, f) ^ of(t1, g) ^ of(t0, h);
    }
    for byte in rest {
        let [low, ..] = register.to_le_bytes();
        register = (register >> 8) ^ of(t0, low ^ byte);
    }
    !register
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32(0, b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(0, b""), 0);
        assert_eq!(
            crc32(0, b"The quick brown fox jumps over the lazy dog"),
            0x414f_a339
        );
    }

    #[test]
    fn a_checksum_goes_on_where_it_was_left() {
        let bytes: Vec<u8> = (0..=255).collect();
        for cut in 0..bytes.len() {
            let (left, right) = bytes.split_at(cut);
            assert_eq!(crc32(crc32(0, left), right), crc32(0, &bytes));
        }
    }
}
