//! A position in bytes that somebody else wrote: what is asked for is there whole, or nothing is taken.

/// A position in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were taken.
    pub(crate) const fn offset(&self) -> usize {
        self.at
    }

    /// The bytes that are not taken yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next so many bytes. `None`: there are fewer.
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, _) = self.rest().split_at_checked(length)?;
        self.at = self.at.saturating_add(length);
        Some(taken)
    }

    /// As [`Cursor::take`].
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = self.rest().first_chunk()?;
        self.at = self.at.saturating_add(N);
        Some(*taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_whole_is_not_taken() {
        let mut cursor = Cursor::new(&[1, 2, 3]);
        assert_eq!(cursor.take(4), None);
        assert_eq!(cursor.take(usize::MAX), None);
        assert_eq!(cursor.array::<2>(), Some([1, 2]));
        assert_eq!(cursor.array::<2>(), None);
        assert_eq!((cursor.offset(), cursor.rest()), (2, &[3][..]));
        assert_eq!(cursor.take(1), Some(&[3][..]));
        assert_eq!(cursor.take(0), Some(&[][..]));
        assert_eq!((cursor.offset(), cursor.rest()), (3, &[][..]));
    }
}
