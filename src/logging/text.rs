//! Which characters stand in a log as they are, and `\xHH` for the bytes of all others.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Does the character, from beyond ASCII, stand in a log as it is? Control characters, private ones and
/// those that mark or replace others do not: Zeek's `check_ok_utf8`.
pub(super) const fn is_plain(c: char) -> bool {
    !matches!(c, '\u{80}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}')
}

/// Appends two digits for each of the bytes, with `mark` in front.
pub(super) fn hex(mark: &[u8], bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.extend_from_slice(mark);
        for digit in [byte >> 4, byte & 0x0f] {
            out.extend(DIGITS.get(usize::from(digit)));
        }
    }
}

/// Appends bytes from beyond ASCII: characters as they are, all else as [`hex`].
///
/// Zeek escapes every such byte of a text as soon as one has to be; a reader gets the same.
pub(super) fn beyond_ascii(mark: &[u8], bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid();
        if valid.chars().all(is_plain) {
            out.extend_from_slice(valid.as_bytes());
        } else {
            for c in valid.chars() {
                let mut buffer = [0; 4];
                let encoded = c.encode_utf8(&mut buffer).as_bytes();
                if is_plain(c) {
                    out.extend_from_slice(encoded);
                } else {
                    hex(mark, encoded, out);
                }
            }
        }
        hex(mark, chunk.invalid(), out);
    }
}

/// The byte that two digits are.
pub(super) fn unhex(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_character_or_shows_nothing_becomes_digits() {
        let written = |bytes: &[u8]| {
            let mut out = Vec::new();
            beyond_ascii(b"\\x", bytes, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written("é€😀".as_bytes()), "é€😀");
        assert_eq!(written(b"\xc3\xa9\xff"), "é\\xff");
        assert_eq!(written("\u{85}é".as_bytes()), "\\xc2\\x85é");
        assert_eq!(
            written("\u{e000}\u{fffd}".as_bytes()),
            "\\xee\\x80\\x80\\xef\\xbf\\xbd"
        );
        assert_eq!(written(b"\xe2\x82"), "\\xe2\\x82");
    }

    #[test]
    fn digits_of_either_case_are_a_byte() {
        assert_eq!(unhex(*b"0a"), Some(10));
        assert_eq!(unhex(*b"Ff"), Some(255));
        assert_eq!(unhex(*b"+1"), None);
        assert_eq!(unhex(*b"g0"), None);
    }
}
