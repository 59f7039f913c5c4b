//! The marks of a file: what separates its fields, and what stands for nothing.

use serde::{Deserialize, Serialize};

/// Stands in front of lines that are no records.
pub(super) const META_PREFIX: u8 = b'#';

/// Bytes that are escaped in any text: control characters, the backslash, the separator.
pub(super) const ALWAYS: u8 = 1;

/// Bytes that are escaped within sets and vectors: what separates elements.
pub(super) const WITHIN: u8 = 2;

/// Bytes from beyond ASCII, which are escaped unless they are characters.
pub(super) const BEYOND_ASCII: u8 = 4;

/// The longest marker, in bytes.
const MARKER_BYTES_MAX: usize = 64;

/// What stands at the beginning of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Header {
    /// Separators, path, time, columns and types: Zeek's default.
    #[default]
    Full,
    /// The names of the columns in one line: Zeek's `tsv`.
    Names,
    /// Nothing: Zeek's `include_meta=F`.
    Nothing,
}

/// How files are to be written. The default is Zeek's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Stands between fields: Zeek's `separator`.
    pub separator: u8,
    /// Stands between elements of sets and vectors: Zeek's `set_separator`.
    pub set_separator: u8,
    /// Stands for an empty text, set or vector: Zeek's `empty_field`.
    pub empty_field: String,
    /// Stands for a field that is not set: Zeek's `unset_field`.
    pub unset_field: String,
    /// What stands at the beginning.
    pub header: Header,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            separator: b'\t',
            set_separator: b',',
            empty_field: "(empty)".to_owned(),
            unset_field: "-".to_owned(),
            header: Header::Full,
        }
    }
}

/// Settings with which something else would be read than was written. The fault of who configured them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A separator that numbers, names or escapes could hold, or that is not in ASCII.
    #[error("{name} \"{}\" could be mistaken; take a tab, a space or any of ,;|!%&'*<=>?^`{{}}~", separator.escape_ascii())]
    Separator {
        /// Which of the two.
        name: &'static str,
        /// What it was to be.
        separator: u8,
    },
    /// Fields and elements that are separated by the same byte.
    #[error("separator and set_separator are the same")]
    OneSeparator,
    /// A marker that could be a number, an address or a truth value, or that would have to be escaped.
    #[error(
        "{name} \"{marker}\" could be mistaken; take a few printable characters, no digits or separators, the first no letter, as in \"-\" and \"(empty)\""
    )]
    Marker {
        /// Which of the two.
        name: &'static str,
        /// What it was to be.
        marker: String,
    },
    /// One marker for nothing and for emptiness.
    #[error("unset_field and empty_field are the same")]
    OneMarker,
}

/// Writes and reads records as lines; checked [`Settings`].
#[derive(Clone, Debug)]
pub struct Format {
    pub(super) settings: Settings,
    /// Why each byte has to be escaped, if it has.
    classes: [u8; 256],
}

impl Format {
    /// The format of these settings.
    ///
    /// # Errors
    /// [`FormatError`]: what is written could not be told apart when it is read.
    pub fn new(settings: Settings) -> Result<Self, FormatError> {
        let separators = [
            ("separator", settings.separator),
            ("set_separator", settings.set_separator),
        ];
        for (name, separator) in separators {
            if !may_separate(separator) {
                return Err(FormatError::Separator { name, separator });
            }
        }
        if settings.separator == settings.set_separator {
            return Err(FormatError::OneSeparator);
        }
        let markers = [
            ("empty_field", &settings.empty_field),
            ("unset_field", &settings.unset_field),
        ];
        for (name, marker) in markers {
            let separated = separators
                .iter()
                .any(|(_, separator)| marker.as_bytes().contains(separator));
            if separated || !may_mark(marker) {
                let marker = marker.chars().take(64).collect();
                return Err(FormatError::Marker { name, marker });
            }
        }
        if settings.empty_field == settings.unset_field {
            return Err(FormatError::OneMarker);
        }
        Ok(Self::of(settings))
    }

    fn of(settings: Settings) -> Self {
        let mut classes = [0; 256];
        for (byte, class) in (0..=u8::MAX).zip(&mut classes) {
            *class = if byte.is_ascii_control() || byte == b'\\' || byte == settings.separator {
                ALWAYS
            } else if byte == settings.set_separator {
                WITHIN
            } else if byte.is_ascii() {
                0
            } else {
                BEYOND_ASCII
            };
        }
        Self { settings, classes }
    }

    /// The settings that it was made of.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn class(&self, byte: u8) -> u8 {
        self.classes.get(usize::from(byte)).copied().unwrap_or(0)
    }
}

impl Default for Format {
    /// Zeek's defaults.
    fn default() -> Self {
        Self::of(Settings::default())
    }
}

/// Is it a byte that neither numbers and addresses nor names of columns and types nor escapes hold?
fn may_separate(byte: u8) -> bool {
    match byte {
        b'\n' | b'\r' => false,
        byte => {
            byte.is_ascii()
                && !byte.is_ascii_alphanumeric()
                && !b"_.:$-@/[]+()\\#\"".contains(&byte)
        }
    }
}

/// Is it a text that neither a number nor an address nor a truth value is, and that needs no escape?
fn may_mark(marker: &str) -> bool {
    let graphic = |byte: u8| byte.is_ascii_graphic() && byte != b'\\' && !byte.is_ascii_digit();
    let looks_like_number = marker.starts_with('-') && marker.contains(|c: char| c != '-');
    let first = marker.bytes().next();
    marker.len() <= MARKER_BYTES_MAX
        && marker.bytes().all(graphic)
        && !looks_like_number
        && first.is_some_and(|byte| !byte.is_ascii_alphabetic() && !b":+.#".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl Fn(&mut Settings)) -> Result<(), FormatError> {
        let mut settings = Settings::default();
        change(&mut settings);
        Format::new(settings).map(drop)
    }

    #[test]
    fn settings_that_cannot_be_mistaken_are_taken() {
        for separator in *b"\t ;|\x01\x7f" {
            assert_eq!(with(|settings| settings.separator = separator), Ok(()));
        }
        for marker in ["-", "--", "(none)", "*", "<unset>"] {
            assert_eq!(
                with(|settings| settings.unset_field = marker.into()),
                Ok(())
            );
        }
    }

    #[test]
    fn settings_that_could_be_mistaken_are_refused() {
        for separator in *b"\n\r1a.:-/\\#_[\xe9" {
            let refused = with(|settings| settings.separator = separator).unwrap_err();
            assert!(
                matches!(refused, FormatError::Separator { .. }),
                "{refused}"
            );
        }
        for marker in [
            "", "T", "-1", "-inf", "::", "a", "(a,b)", "x\\", "nan", "(é)", "#",
        ] {
            let refused = with(|settings| settings.empty_field = marker.into()).unwrap_err();
            assert!(matches!(refused, FormatError::Marker { .. }), "{refused}");
        }
        let one = with(|settings| settings.separator = b',');
        assert_eq!(one, Err(FormatError::OneSeparator));
        let one = with(|settings| settings.empty_field = "-".to_owned());
        assert_eq!(one, Err(FormatError::OneMarker));
    }
}
