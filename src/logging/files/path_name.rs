//! The name of a path, as a sender may choose it.

use std::fmt;

/// The longest name, in bytes: what the longest name of a rotated file and its index leave of the 255
/// that file systems take.
pub const PATH_BYTES_MAX: usize = 96;

/// A path of records (Zeek's `Log::Filter$path`) that can be the beginning of a file's name: of 1 to
/// [`PATH_BYTES_MAX`] bytes, none of them a slash or a control character, and no full stop in front.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathName(String);

/// Why a text is not the name of a path. Whoever sent it misbehaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPath {
    /// It has no bytes.
    #[error("a log path is empty")]
    Empty,
    /// It is longer than [`PATH_BYTES_MAX`].
    #[error("a log path has {bytes} bytes, at most {PATH_BYTES_MAX} are possible")]
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// It begins with a full stop.
    #[error("a log path begins with a full stop")]
    Hidden,
    /// It has a slash or a control character.
    #[error("a log path has {character:?} at byte {at}")]
    Character {
        /// What it is.
        character: char,
        /// Where it is.
        at: usize,
    },
}

impl PathName {
    /// Takes a sender's text.
    ///
    /// # Errors
    /// [`NotAPath`]: no file may be named after it.
    pub fn parse(text: &str) -> Result<Self, NotAPath> {
        if text.is_empty() {
            return Err(NotAPath::Empty);
        }
        if text.len() > PATH_BYTES_MAX {
            return Err(NotAPath::TooLong { bytes: text.len() });
        }
        if text.starts_with('.') {
            return Err(NotAPath::Hidden);
        }
        let bad = |c: &(usize, char)| c.1 == '/' || c.1.is_control();
        match text.char_indices().find(bad) {
            Some((at, character)) => Err(NotAPath::Character { character, at }),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PathName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_in_its_directory() {
        for good in ["conn", "http-2", "größe", "a.b"] {
            assert_eq!(PathName::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(PathName::parse(""), Err(NotAPath::Empty));
        assert_eq!(PathName::parse("../x"), Err(NotAPath::Hidden));
        for (bad, character) in [("a/../../x", '/'), ("a\0", '\0'), ("a\n", '\n')] {
            assert_eq!(
                PathName::parse(bad),
                Err(NotAPath::Character { character, at: 1 })
            );
        }
        let long = "x".repeat(PATH_BYTES_MAX + 1);
        assert_eq!(
            PathName::parse(&long),
            Err(NotAPath::TooLong {
                bytes: PATH_BYTES_MAX + 1
            })
        );
    }
}
