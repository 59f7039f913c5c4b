//! The lines of the controller's log: five columns between tabs, as the readers of such logs expect.
//!
//! Pure: gives text back and writes nothing. The log is local; no logger node has a part in it.

use std::fmt::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use super::types::Role;
use crate::names::NodeName;

/// The file's name in the controller's directory.
pub const FILE: &str = "controller.log";

/// The longest message, in bytes of the written line; what is longer is cut, with a mark.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024;

const FIELDS: [(&str, &str); 5] = [
    ("ts", "time"),
    ("node", "string"),
    ("level", "string"),
    ("role", "string"),
    ("message", "string"),
];

const CUT_MARK: &str = "[cut]";

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Why things happen.
    Debug,
    /// The course of life.
    Info,
    /// It went wrong and healed itself.
    Warning,
    /// Someone must act.
    Error,
}

impl Level {
    /// The word in the log.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Makes the lines of one log. Every piece of text it gives back ends with a line feed.
#[derive(Clone, Debug)]
pub struct Formatter {
    node: NodeName,
    role: Role,
    threshold: Level,
}

impl Formatter {
    /// For this writer; lines below the threshold are left out.
    #[must_use]
    pub fn new(node: NodeName, role: Role, threshold: Level) -> Self {
        Self {
            node,
            role,
            threshold,
        }
    }

    /// What a new file begins with.
    #[must_use]
    pub fn header(&self, opened: SystemTime) -> String {
        let mut text = String::from(concat!(
            "#separator \\x09\n",
            "#set_separator\t,\n",
            "#empty_field\t(empty)\n",
            "#unset_field\t-\n",
            "#path\tcontroller\n",
        ));
        text.push_str("#open\t");
        text.push_str(&stamp(opened));
        text.push_str("\n#fields");
        for (name, _) in FIELDS {
            text.push('\t');
            text.push_str(name);
        }
        text.push_str("\n#types");
        for (_, kind) in FIELDS {
            text.push('\t');
            text.push_str(kind);
        }
        text.push('\n');
        text
    }

    /// One line; `None` below the threshold.
    #[must_use]
    pub fn line(&self, at: SystemTime, level: Level, message: &str) -> Option<String> {
        if level < self.threshold {
            return None;
        }
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut text = format!(
            "{}.{:06}\t{}\t{level}\t{}\t",
            since.as_secs(),
            since.subsec_micros(),
            self.node,
            self.role,
        );
        push_field(&mut text, message);
        text.push('\n');
        Some(text)
    }
}

/// `YYYY-MM-DD-HH-MM-SS`, UTC.
fn stamp(at: SystemTime) -> String {
    // Before 1970 and after 9999 there is no such text; no clock of ours shows that.
    let at = at.max(UNIX_EPOCH);
    let mut text = String::new();
    if write!(text, "{}", humantime::format_rfc3339_seconds(at)).is_err() {
        return String::from("-");
    }
    text.trim_end_matches('Z').replace(['T', ':'], "-")
}

/// Appends a message so that it stays one field of one line: control characters and backslashes
/// become `\xNN`, and what would read as an unset or empty field is told apart from one.
fn push_field(text: &mut String, message: &str) {
    match message {
        "" => return text.push_str("(empty)"),
        "-" => return text.push_str("\\x2d"),
        "(empty)" => return text.push_str("\\x28empty)"),
        _ => {}
    }
    let end = text.len() + MESSAGE_BYTES_MAX - CUT_MARK.len();
    for character in message.chars() {
        let before = text.len();
        if character.is_control() || character == '\\' {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                // Writing into a string does not fail.
                let _ = write!(text, "\\x{byte:02x}");
            }
        } else {
            text.push(character);
        }
        if text.len() > end {
            text.truncate(before);
            text.push_str(CUT_MARK);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn formatter(threshold: Level) -> Formatter {
        let node = NodeName::parse("controller-testbox").unwrap();
        Formatter::new(node, Role::Controller, threshold)
    }

    fn at(seconds: u64, micros: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros)
    }

    #[test]
    fn a_file_has_header_lines_and_five_columns() {
        let formatter = formatter(Level::Info);
        assert_eq!(
            formatter.header(at(1_000_000_000, 0)),
            "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n\
             #path\tcontroller\n#open\t2001-09-09-01-46-40\n\
             #fields\tts\tnode\tlevel\trole\tmessage\n\
             #types\ttime\tstring\tstring\tstring\tstring\n"
        );
        assert_eq!(
            formatter
                .line(at(1_000_000_000, 42), Level::Info, "tx hello")
                .unwrap(),
            "1000000000.000042\tcontroller-testbox\tINFO\tCONTROLLER\ttx hello\n"
        );
    }

    #[test]
    fn lines_below_the_threshold_are_left_out() {
        let all = [Level::Debug, Level::Info, Level::Warning, Level::Error];
        for (index, threshold) in all.into_iter().enumerate() {
            let written = all
                .into_iter()
                .filter(|level| formatter(threshold).line(at(0, 0), *level, "m").is_some())
                .count();
            assert_eq!(written, all.len() - index);
        }
    }

    #[test]
    fn whatever_the_message_a_line_keeps_its_five_columns() {
        let cases = [
            ("a\tb\nc", "a\\x09b\\x0ac"),
            ("back\\slash", "back\\x5cslash"),
            ("Zürich ☃", "Zürich ☃"),
            ("\u{85}", "\\xc2\\x85"),
            ("", "(empty)"),
            ("-", "\\x2d"),
            ("(empty)", "\\x28empty)"),
        ];
        for (message, field) in cases {
            let line = formatter(Level::Debug)
                .line(at(1, 0), Level::Error, message)
                .unwrap();
            let columns: Vec<&str> = line.strip_suffix('\n').unwrap().split('\t').collect();
            assert_eq!(columns.len(), 5);
            assert_eq!(columns[4], field);
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters_and_says_so() {
        for message in ["☃".repeat(9000), "\\".repeat(9000)] {
            let line = formatter(Level::Debug)
                .line(at(1, 0), Level::Info, &message)
                .unwrap();
            let field = line.trim_end().rsplit('\t').next().unwrap();
            assert!(field.len() <= MESSAGE_BYTES_MAX && field.len() > MESSAGE_BYTES_MAX - 8);
            assert!(field.ends_with(CUT_MARK));
        }
    }
}
