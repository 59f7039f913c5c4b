//! How a log is named: its stream, and the path of its file.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest path of a log, in bytes: what the longest name of a rotated file and its index leave of
/// the 255 that file systems take.
pub const LOG_PATH_BYTES_MAX: usize = 96;

/// The longest id of a stream, in bytes.
const STREAM_ID_BYTES_MAX: usize = 255;

/// Which stream a record belongs to: the label of a value of Zeek's enum `Log::ID`, such as `Conn::LOG`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamId(String);

/// A text that is no stream's id. Its writer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no id of a log stream; expected a label like Conn::LOG")]
pub struct StreamIdError {
    /// The text; of a long one the beginning.
    pub text: String,
}

/// Which file a record goes to (Zeek's `Log::Filter$path`): its name without ending, `conn` for
/// `conn.log`. It names a file in the directory of logs and in no other, since a peer says it: Zeek
/// writes wherever it is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogPath(String);

/// A text that is no path of a log. The fault of the script, or of the peer, that chose it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogPathError {
    /// Nothing.
    #[error("the path of a log is empty")]
    Empty,
    /// Longer than [`LOG_PATH_BYTES_MAX`].
    #[error("the path of a log has {bytes} bytes, at most {LOG_PATH_BYTES_MAX} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A slash, with which one leaves the directory.
    #[error("the path \"{path}\" of a log has a slash: logs lie in one directory")]
    Slash {
        /// The path.
        path: String,
    },
    /// A dot in front, as `..` has it, and what is hidden.
    #[error(
        "the path \"{path}\" of a log begins with a dot: such files are hidden, or a directory"
    )]
    Dot {
        /// The path.
        path: String,
    },
    /// A control character, NUL among them.
    #[error("the path \"{}\" of a log has the control character U+{:04X}", path.escape_debug(), u32::from(*character))]
    Control {
        /// The path.
        path: String,
        /// The first of them.
        character: char,
    },
    /// Bytes that are no text.
    #[error("the path of a log is not UTF-8")]
    NotText,
}

impl StreamId {
    /// The stream with this id: identifiers, joined by `::`.
    ///
    /// # Errors
    /// [`StreamIdError`]: the text is something else, or longer than 255 bytes.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, StreamIdError> {
        let bytes = text.as_ref();
        let shown = || StreamIdError {
            text: String::from_utf8_lossy(bytes).chars().take(64).collect(),
        };
        let text = std::str::from_utf8(bytes).map_err(|_| shown())?;
        if text.len() > STREAM_ID_BYTES_MAX || !text.split("::").all(is_identifier) {
            return Err(shown());
        }
        Ok(Self(text.to_owned()))
    }

    /// One of our own, which is known to be one.
    pub(super) fn known(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of a filter that names none: Zeek's `Log::default_path_func`. `conn` for `Conn::LOG`,
    /// `known_hosts` for `KnownHosts::LOG`, `notice_alarm` for `Notice::ALARM_LOG`.
    #[must_use]
    pub fn default_path(&self) -> String {
        let Some((module, name)) = self.0.split_once("::") else {
            return self.0.to_ascii_lowercase();
        };
        if name == "LOG" {
            let mut path = String::new();
            let mut before = None;
            for letter in module.chars() {
                let begins = letter.is_ascii_uppercase();
                if begins && before.is_some_and(|before: char| !before.is_ascii_uppercase()) {
                    path.push('_');
                }
                path.push(letter.to_ascii_lowercase());
                before = Some(letter);
            }
            return path;
        }
        let name = name.strip_suffix("_LOG").unwrap_or(name);
        format!("{module}_{name}").to_ascii_lowercase()
    }
}

/// A letter or underscore, then letters, digits and underscores.
fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    let begins = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    bytes.next().is_some_and(begins)
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl LogPath {
    /// The path that a text is.
    ///
    /// # Errors
    /// [`LogPathError`] says why a file of that name may not be written.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, LogPathError> {
        let bytes = text.as_ref();
        if bytes.is_empty() {
            return Err(LogPathError::Empty);
        }
        if bytes.len() > LOG_PATH_BYTES_MAX {
            return Err(LogPathError::TooLong { bytes: bytes.len() });
        }
        let path = std::str::from_utf8(bytes).map_err(|_| LogPathError::NotText)?;
        let path = path.to_owned();
        if let Some(character) = path.chars().find(|c| c.is_control()) {
            return Err(LogPathError::Control { path, character });
        }
        if path.contains('/') {
            return Err(LogPathError::Slash { path });
        }
        if path.starts_with('.') {
            return Err(LogPathError::Dot { path });
        }
        Ok(Self(path))
    }

    /// One of our own, which is known to be one.
    pub(super) fn known(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// The path that somebody means: by itself, or by the id of a stream, whose
    /// [default](StreamId::default_path) it is then.
    ///
    /// # Errors
    /// As [`LogPath::parse`].
    pub fn meant(word: &str) -> Result<Self, LogPathError> {
        let stream = StreamId::parse(word).ok().filter(|_| word.contains("::"));
        stream.map_or_else(|| Self::parse(word), |id| Self::parse(id.default_path()))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StreamId {
    type Error = StreamIdError;

    fn try_from(text: String) -> Result<Self, StreamIdError> {
        Self::parse(text)
    }
}

impl From<StreamId> for String {
    fn from(id: StreamId) -> Self {
        id.0
    }
}

impl TryFrom<String> for LogPath {
    type Error = LogPathError;

    fn try_from(text: String) -> Result<Self, LogPathError> {
        Self::parse(text)
    }
}

impl From<LogPath> for String {
    fn from(path: LogPath) -> Self {
        path.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for LogPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_meant_by_itself_or_by_its_stream() {
        let meant = |word| LogPath::meant(word).map(|path| path.as_str().to_owned());
        assert_eq!(meant("Conn::LOG"), Ok("conn".to_owned()));
        assert_eq!(meant("Conn"), Ok("Conn".to_owned()));
        assert!(meant("../conn").is_err());
    }

    #[test]
    fn a_stream_has_zeeks_path_unless_it_is_told_another() {
        for (id, path) in [
            ("Conn::LOG", "conn"),
            ("KnownHosts::LOG", "known_hosts"),
            ("SSL::LOG", "ssl"),
            ("Notice::ALARM_LOG", "notice_alarm"),
            ("Notice::Mail", "notice_mail"),
            ("Plain", "plain"),
        ] {
            assert_eq!(StreamId::parse(id).unwrap().default_path(), path, "{id}");
        }
    }

    #[test]
    fn a_stream_is_named_by_a_label() {
        for text in ["Conn::LOG", "LOG", "A_1::B::_c"] {
            assert_eq!(StreamId::parse(text).unwrap().as_str(), text);
        }
        let long = "x".repeat(256);
        for text in [
            "", "Conn::", "::LOG", "1::LOG", "Conn:LOG", "a b", "é", &long,
        ] {
            assert!(StreamId::parse(text).is_err(), "{text}");
        }
        assert!(StreamId::parse([0xff]).is_err());
    }

    #[test]
    fn a_path_names_a_file_of_the_directory() {
        for text in ["conn", "http-2", "a..b", "über", "with space"] {
            assert_eq!(LogPath::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_refused_with_its_reason() {
        let refused = |text: &[u8]| LogPath::parse(text).unwrap_err();
        assert_eq!(refused(b""), LogPathError::Empty);
        assert_eq!(refused(b"\xff"), LogPathError::NotText);
        assert!(matches!(refused(b"../x"), LogPathError::Slash { .. }));
        assert!(matches!(
            refused(b"/etc/passwd"),
            LogPathError::Slash { .. }
        ));
        for text in [&b".."[..], b".", b".shadow.conn"] {
            assert!(matches!(refused(text), LogPathError::Dot { .. }));
        }
        assert_eq!(
            refused(b"a\0b").to_string(),
            "the path \"a\\0b\" of a log has the control character U+0000"
        );
        assert!(matches!(
            refused("a\u{85}".as_bytes()),
            LogPathError::Control { .. }
        ));
        let long = [b'x'; LOG_PATH_BYTES_MAX + 1];
        assert_eq!(refused(&long), LogPathError::TooLong { bytes: 97 });
        assert!(LogPath::parse(&long[1..]).is_ok());
    }

    #[test]
    fn a_path_travels_through_serde_and_a_bad_one_does_not() {
        let path = LogPath::parse("conn").unwrap();
        let text = serde_json::to_string(&path).unwrap();
        assert_eq!(text, "\"conn\"");
        assert_eq!(serde_json::from_str::<LogPath>(&text).unwrap(), path);
        assert!(serde_json::from_str::<LogPath>("\"../x\"").is_err());
    }
}
