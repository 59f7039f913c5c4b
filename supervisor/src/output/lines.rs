//! Cuts a byte stream into lines, and lines that are too long into pieces.
//!
//! Pure: no descriptor, no clock. Where a line is cut depends on its bytes alone, never on how the
//! reads happened to fall, and never inside a UTF-8 character.

use std::io::BufRead;

/// What a cut line ends with in the file; the rest of it follows as the next line.
pub(super) const MARK: &str = " …[line goes on]\n";

/// No line is cut shorter, whatever the settings say.
pub(super) const LINE_BYTES_MIN: usize = 16;

/// A character has at most so many bytes behind its first.
const CONTINUATION_BYTES_MAX: usize = 3;

/// What follows a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A newline, which is not part of the piece.
    Newline,
    /// The rest of a line that is too long.
    Cut,
    /// Nothing yet: the bytes given end here.
    Open,
}

/// A line, or the part of one that was at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// Its bytes, without the newline.
    pub(super) bytes: &'a [u8],
    /// What follows it.
    pub(super) end: End,
}

/// Remembers between two reads how long the line already is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Splitter {
    column: usize,
}

impl Splitter {
    /// Goes on with `chunk`; lines longer than `line_bytes_max` are cut.
    pub(super) fn split<'s, 'a>(
        &'s mut self,
        chunk: &'a [u8],
        line_bytes_max: usize,
    ) -> Pieces<'s, 'a> {
        Pieces {
            column: &mut self.column,
            rest: chunk,
            max: line_bytes_max.max(LINE_BYTES_MIN),
        }
    }
}

/// The pieces of one chunk.
#[derive(Debug)]
pub(super) struct Pieces<'s, 'a> {
    column: &'s mut usize,
    rest: &'a [u8],
    max: usize,
}

impl<'a> Iterator for Pieces<'_, 'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let newline = newline_in(self.rest);
        let length = newline.unwrap_or(self.rest.len());
        if let Some(cut) = self.cut_before(length) {
            let (bytes, rest) = self.rest.split_at_checked(cut)?;
            (self.rest, *self.column) = (rest, 0);
            return Some(Piece {
                bytes,
                end: End::Cut,
            });
        }
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        match newline {
            Some(_) => {
                *self.column = 0;
                self.rest = rest.get(1..).unwrap_or_default();
            }
            None => {
                *self.column += length;
                self.rest = &[];
            }
        }
        let end = match newline {
            Some(_) => End::Newline,
            None => End::Open,
        };
        Some(Piece { bytes, end })
    }
}

impl Pieces<'_, '_> {
    /// Where the line of which `length` more bytes are at hand must be cut, if it must.
    fn cut_before(&self, length: usize) -> Option<usize> {
        let soft = self.max.saturating_sub(*self.column);
        let hard = (self.max + CONTINUATION_BYTES_MAX).saturating_sub(*self.column);
        let beyond = self.rest.get(soft..length)?;
        let tail_of_character = beyond
            .iter()
            .take(hard - soft)
            .take_while(|byte| **byte & 0xC0 == 0x80)
            .count();
        Some(soft + tail_of_character).filter(|cut| *cut < length)
    }
}

/// Where the first newline stands.
pub(super) fn newline_in(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    // The standard library's own search; on memory it cannot fail.
    let last = rest.skip_until(b'\n').ok()?.checked_sub(1)?;
    (bytes.get(last) == Some(&b'\n')).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file as the pieces would make it, and the bytes of the pieces without marks.
    fn file_of(chunks: &[&[u8]], max: usize) -> Vec<u8> {
        let mut splitter = Splitter::default();
        let mut file = Vec::new();
        for chunk in chunks {
            for piece in splitter.split(chunk, max) {
                file.extend_from_slice(piece.bytes);
                match piece.end {
                    End::Newline => file.push(b'\n'),
                    End::Cut => file.extend_from_slice(MARK.as_bytes()),
                    End::Open => {}
                }
            }
        }
        file
    }

    fn without_marks(file: &[u8]) -> Vec<u8> {
        let (mark, mut rest, mut out) = (MARK.as_bytes(), file, Vec::new());
        while let Some((first, behind)) = rest.split_first() {
            if let Some(behind) = rest.strip_prefix(mark) {
                rest = behind;
            } else {
                out.push(*first);
                rest = behind;
            }
        }
        out
    }

    /// A small generator with a seed, so that a failure can be repeated.
    fn random(seed: &mut u64, below: usize) -> usize {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        usize::try_from(*seed >> 33).unwrap() % below
    }

    fn random_text(seed: &mut u64) -> Vec<u8> {
        let words: [&[u8]; 8] = [
            b"\n",
            b"a",
            "ä".as_bytes(),
            "…".as_bytes(),
            "🦀".as_bytes(),
            b"\x80\xbf\xbf\xbf\xbf",
            b"long long long",
            b"\xff",
        ];
        let mut text = Vec::new();
        for _ in 0..random(seed, 300) {
            text.extend_from_slice(words[random(seed, words.len())]);
        }
        text
    }

    #[test]
    fn however_the_bytes_are_chunked_the_file_is_the_same_and_nothing_is_lost() {
        for start in 1..=400_u64 {
            let mut seed = start.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let text = random_text(&mut seed);
            let max = LINE_BYTES_MIN + random(&mut seed, 40);
            let whole = file_of(&[&text], max);
            assert_eq!(without_marks(&whole), text, "seed {start}");
            let (mut chunks, mut rest) = (Vec::new(), text.as_slice());
            while !rest.is_empty() {
                let (chunk, behind) = rest.split_at(1 + random(&mut seed, rest.len()).min(30));
                chunks.push(chunk);
                rest = behind;
            }
            assert_eq!(file_of(&chunks, max), whole, "seed {start}");
            let longest = whole.split(|byte| *byte == b'\n').map(<[u8]>::len).max();
            assert!(longest.unwrap() <= max + 3 + MARK.len(), "seed {start}");
        }
    }

    #[test]
    fn a_line_of_exactly_the_greatest_length_is_not_cut() {
        let line = [b'x'; 20];
        let chunks: [&[u8]; 2] = [&line, b"\ny"];
        assert_eq!(file_of(&chunks, 20), b"xxxxxxxxxxxxxxxxxxxx\ny");
        assert_eq!(
            file_of(&[&line, b"y\n"], 20),
            "xxxxxxxxxxxxxxxxxxxx …[line goes on]\ny\n".as_bytes()
        );
    }

    #[test]
    fn a_character_of_valid_text_is_never_torn() {
        let text = "äöü🦀…".repeat(50);
        for max in 16..40 {
            assert!(String::from_utf8(file_of(&[text.as_bytes()], max)).is_ok());
        }
    }

    #[test]
    fn empty_lines_are_lines() {
        let mut splitter = Splitter::default();
        let pieces: Vec<_> = splitter.split(b"\n\nx", 100).collect();
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces[1].end, End::Newline);
        assert_eq!(pieces[2].end, End::Open);
    }
}
